"""What an open file's journal and tables hold, as it stands in memory."""

from dashboard.history.intake import Intake
from dashboard.history.memory import Committed, Layer
from dashboard.history.reader import Reader, Want
from dashboard.history.rows import KINDS, read_mark, series_of


def restored(reader: Reader) -> tuple[Intake, Committed]:
    """Every row that is not folded yet, topics, the newest state of every gap, the catalogue."""
    intake, committed = Intake(), Committed()
    # the journal first: what is folded meanwhile is met twice, never missed, and every row's topic is known
    journal = list(reader.journal())
    for topic, number in reader.topics().items():
        intake.series[topic] = series_of(number, topic)
    names = {series.number: series for series in intake.series.values()}
    intake.instruments.update(reader.instruments())
    for series in names.values():
        if series.kind == "gaps":
            for _, payload in reader.scan("gaps", series.number, Want())[0]:
                intake.gaps.note(series.exchange, payload)
    layer = Layer()
    for _, number, payload in journal:
        mark = read_mark(payload)
        layer.add(names[number], mark, payload)
        intake.note(names[number], mark, payload)
    # bars of minutes that are over stand in the journal themselves
    intake.bars.close()
    committed.absorb(layer)
    return intake, committed


def remember(reader: Reader, intake: Intake, committed: Committed) -> None:
    """What was heard before, so that a repeat is known; the journal's is known already."""
    for kind in KINDS:
        journal = committed.heard[kind]
        for owner in (intake, committed):
            owner.heard[kind] = reader.heard(kind)
            owner.heard[kind].update(journal)
