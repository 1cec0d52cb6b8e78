from hypothesis import given
from hypothesis import strategies as st

from bridge import lost as module
from bridge.lost import Lost, LostRanges, from_told

TOPIC = "prices/kucoin/BTC-USDT"
numbers = st.integers(1, 30)
spans = st.tuples(numbers, numbers).map(sorted)


def lost(first: int, last: int, mark: int | str = 7) -> Lost:
    return Lost(TOPIC, mark, first, last)


def inside(ranges: LostRanges) -> set[int]:
    return {n for one in ranges for n in range(one.from_n, one.to_n + 1)}


@given(st.lists(st.tuples(st.booleans(), spans)))
def test_it_is_a_set_of_numbers(steps: list[tuple[bool, list[int]]]) -> None:
    ranges, model = LostRanges(), set[int]()
    for adds, (first, last) in steps:
        span = set(range(first, last + 1))
        assert {n for one in ranges.missing(lost(first, last)) for n in range(one.from_n, one.to_n + 1)} == span - model
        if adds:
            assert ranges.add(lost(first, last)) == len(span - model)
            model |= span
        else:
            assert ranges.remove(lost(first, last)) == len(span & model)
            model -= span
        assert inside(ranges) == model
        assert ranges.count == len(model)
        assert len(ranges) == len(list(ranges)) == sum(n - 1 not in model for n in model)


def test_runs_and_fills_are_told_apart_and_read_back() -> None:
    ranges = LostRanges([lost(1, 2), lost(1, 2, "7-snapshot")])
    assert ranges.count == 4
    assert [from_told(one.told()) for one in ranges] == list(ranges)
    assert {"fill", "from_fill_n", "to_fill_n"} < {key for one in ranges for key in one.told()}


def test_beyond_the_bound_rather_too_much_is_told_lost_than_too_little(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(module, "MAX_SPANS", 3)
    ranges = LostRanges([lost(n, n) for n in (1, 10, 20, 23)])
    assert len(ranges) == 3
    assert inside(ranges) == {1, 10, 20, 21, 22, 23}
    assert ranges.add(Lost("prices/kucoin/ETH-USDT", 7, 1, 5)) == 5
    assert len(ranges) == 3
    assert ranges.unlisted == 5
