from dashboard.stream.waiting import Waiting


def everything(waiting: Waiting) -> list[bytes]:
    return list(iter(waiting.take, None))


def test_answers_go_first_then_what_was_then_what_follows() -> None:
    waiting = Waiting()
    waiting.stream("prices/k/A", b"tick")
    waiting.state("latest/k/A", b"now")
    waiting.before("health/k", b"then")
    waiting.answer(b"ok")
    assert everything(waiting)[:2] == [b"ok", b"then"]


def test_of_a_state_only_the_newest_waits() -> None:
    waiting = Waiting()
    for number in range(5):
        waiting.state("latest/k/A", b"%d" % number)
    waiting.state("latest/k/B", b"b")
    assert (everything(waiting), waiting.conflated) == ([b"4", b"b"], 4)


def test_a_newer_state_takes_the_place_of_the_one_that_was() -> None:
    waiting = Waiting()
    waiting.before("latest/k/A", b"then")
    waiting.state("latest/k/A", b"now")
    waiting.before("latest/k/A", b"then")
    assert everything(waiting) == [b"now"]


def test_states_do_not_hold_up_streams_nor_streams_states() -> None:
    waiting = Waiting()
    for number in range(3):
        waiting.stream("prices/k/A", b"p%d" % number)
        waiting.state(f"latest/k/{number}", b"s%d" % number)
    assert everything(waiting) == [b"p0", b"s0", b"p1", b"s1", b"p2", b"s2"]


def test_streams_that_nobody_takes_become_too_many() -> None:
    waiting = Waiting(most_messages=3)
    for _ in range(3):
        waiting.stream("prices/k/A", b"1")
    assert waiting.too_slow is None
    waiting.stream("prices/k/A", b"1")
    assert waiting.too_slow == "too slow: 4 messages wait"
    assert everything(waiting) == []


def test_bytes_are_counted_until_they_are_taken_or_forgotten() -> None:
    waiting = Waiting(most_bytes=100)
    for number in range(1000):
        waiting.state("latest/k/A", b"x" * 60)
        if number % 2:
            waiting.take()
    waiting.stream("prices/k/A", b"x" * 60)
    waiting.forget(lambda topic: topic.startswith("prices"))
    waiting.take()
    waiting.answer(b"x" * 100)
    assert waiting.too_slow is None
    waiting.answer(b"x")
    assert waiting.too_slow == "too slow: 101 bytes wait"


def test_what_is_forgotten_does_not_come() -> None:
    waiting = Waiting()
    waiting.before("latest/k/A", b"a")
    waiting.state("latest/k/B", b"b")
    waiting.stream("prices/k/A", b"p")
    waiting.stream("prices/k/B", b"q")
    waiting.forget(lambda topic: topic.endswith("A"))
    assert sorted(everything(waiting)) == [b"b", b"q"]
