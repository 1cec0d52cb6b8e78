"""What an open file's journal and tables hold, as it stands in memory."""

from dashboard.history.columns import UNNUMBERED
from dashboard.history.intake import Intake
from dashboard.history.memory import Committed, Layer
from dashboard.history.reader import Reader, Want
from dashboard.history.rows import KINDS, read_mark, series_of


def restored(reader: Reader) -> tuple[Intake, Committed, int]:
    """Every row that is not folded yet, topics, the newest state of every gap, the catalogue; the last entry read."""
    intake, committed = Intake(), Committed()
    # the journal first: what is folded meanwhile is met twice, never missed
    last, rows = reader.journal()
    _read_tables(reader, intake)
    for series in list(intake.series.values()):
        if series.kind == "gaps":
            for _, payload in reader.scan("gaps", series.number, Want())[0]:
                intake.gaps.note(series.exchange, payload)
    _take(rows, intake, committed)
    return intake, committed, last


def catch_up(reader: Reader, intake: Intake, committed: Committed, after: int) -> int:
    """Add what was committed after an entry of the journal, if nothing was folded since; the last entry read."""
    last, rows = reader.journal(after)
    _read_tables(reader, intake)
    _take(rows, intake, committed)
    return last


def _read_tables(reader: Reader, intake: Intake) -> None:
    for topic, number in reader.topics().items():
        if topic not in intake.series or intake.series[topic].number != number:
            intake.series[topic] = series_of(number, topic)
    intake.instruments.update(reader.instruments())


def _take(rows: list[tuple[int, bytes]], intake: Intake, committed: Committed) -> None:
    names = {series.number: series for series in intake.series.values()}
    layer = Layer()
    for number, payload in rows:
        mark = read_mark(payload)
        layer.add(names[number], mark.time_ns, payload, mark.publication() or UNNUMBERED)
        intake.note(names[number], mark, payload)
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
