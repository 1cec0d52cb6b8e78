"""What an open file's journal and tables hold, as it stands in memory."""

import msgspec

from bridge.errors import FrameError
from dashboard.history.columns import UNNUMBERED
from dashboard.history.intake import Intake
from dashboard.history.memory import Committed, Layer
from dashboard.history.packing import BrokenPiece
from dashboard.history.reader import Reader, Want
from dashboard.history.rows import KINDS, Series, read_mark, series_of


def restored(reader: Reader) -> tuple[Intake, Committed, int]:
    """Every row that is not folded yet, topics, the newest state of every gap, the catalogue; the last entry read."""
    intake, committed = Intake(), Committed()
    # the journal first: what is folded meanwhile is met twice, never missed
    last, rows = reader.journal()
    _read_tables(reader, intake)
    for series in list(intake.series.values()):
        if series.kind == "gaps":
            _read_gaps(reader, intake, series)
    _take(rows, reader, intake, committed)
    return intake, committed, last


def catch_up(reader: Reader, intake: Intake, committed: Committed, after: int) -> int:
    """Add what was committed after an entry of the journal, if nothing was folded since; the last entry read."""
    last, rows = reader.journal(after)
    _read_tables(reader, intake)
    _take(rows, reader, intake, committed)
    return last


def _read_tables(reader: Reader, intake: Intake) -> None:
    for topic, number in reader.topics().items():
        if topic not in intake.series or intake.series[topic].number != number:
            try:
                intake.series[topic] = series_of(number, topic)
            except FrameError as error:
                reader.harm(f"series {number}: {error}")
    intake.instruments.update(reader.instruments())


def _read_gaps(reader: Reader, intake: Intake, series: Series) -> None:
    try:
        for _, payload in reader.scan("gaps", series.number, Want())[0]:
            intake.gaps.note(series.exchange, payload)
    except (BrokenPiece, msgspec.MsgspecError, UnicodeDecodeError) as error:
        reader.harm(f"gaps of {series.exchange}: {error}")


def _take(rows: list[tuple[int, bytes]], reader: Reader, intake: Intake, committed: Committed) -> None:
    names = {series.number: series for series in intake.series.values()}
    layer = Layer()
    for number, payload in rows:
        series = names.get(number)
        if series is None:
            reader.harm(f"a row of series {number}, which is not known")
            continue
        try:
            mark = read_mark(payload)
            intake.note(series, mark, payload)
        except FrameError as error:
            reader.harm(f"a row of {series.topic}: {error}")
            continue
        layer.add(series, mark.time_ns, payload, mark.publication() or UNNUMBERED)
    # bars of minutes that are over stand in the journal themselves
    intake.bars.close()
    committed.absorb(layer)


def remember(reader: Reader, intake: Intake, committed: Committed) -> None:
    """What was heard before, so that a repeat is known; the journal's is known already."""
    for kind in KINDS:
        journal = committed.heard[kind]
        for owner in (intake, committed):
            owner.heard[kind] = reader.heard(kind)
            owner.heard[kind].update(journal)
