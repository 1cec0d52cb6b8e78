from dashboard.history.remembered import Remembered


def test_the_oldest_goes_when_all_together_are_too_large() -> None:
    remembered: Remembered[str, int] = Remembered(10)
    assert [remembered.put(name, place, 4) for place, name in enumerate("abc")] == [0, 1, 2]
    assert [remembered.get(name) for name in "abc"] == [None, 1, 2]


def test_one_that_is_too_large_alone_stays_until_the_next() -> None:
    remembered: Remembered[str, int] = Remembered(10)
    remembered.put("large", 1, 99)
    assert remembered.get("large") == 1
    remembered.put("small", 2, 1)
    assert (remembered.get("large"), remembered.get("small")) == (None, 2)
