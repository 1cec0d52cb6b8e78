"""The newest state per topic: what is sent, when it is rendered, and in which order."""

from bridge.states import States
from bridge.topics import State


def state(topic: str, text: str = "x", qos: int = 0) -> State:
    return State(topic, lambda now_ns: f"{text}@{now_ns}".encode(), qos=qos)


def sent(taken: list[tuple[State, bytes]]) -> list[tuple[str, bytes]]:
    return [(one.topic, payload) for one, payload in taken]


def test_only_the_newest_of_a_topic_is_sent_and_only_once() -> None:
    states = States()
    states.put(state("a", "old"))
    states.put(state("a", "new"))
    assert sent(states.take(7)) == [("a", b"new@7")]
    assert states.take(8) == []
    assert (states.merged, len(states), states.waiting) == (1, 1, 0)


def test_a_state_with_nothing_to_say_is_skipped() -> None:
    states = States()
    states.put(State("a", lambda _: None))
    assert states.take(1) == []


def test_a_refill_sends_all_again_with_the_last_topic_behind() -> None:
    states = States(last="health/bridge")
    for topic in ("health/bridge", "a", "b"):
        states.put(state(topic))
    states.take(1)
    states.refill()
    assert [topic for topic, _ in sent(states.take(2))] == ["a", "b", "health/bridge"]


def test_a_removed_topic_is_forgotten_and_can_be_cleared_in_the_broker() -> None:
    states = States()
    states.put(state("a"))
    states.put(state("b"))
    states.remove("a")
    states.remove("b", clear=True)
    states.refill()
    ((cleared, payload),) = states.take(1)
    assert (cleared.topic, cleared.retain, cleared.qos, payload) == ("b", True, 1, b"")
    states.refill()
    assert states.take(2) == []


def test_a_parked_topic_is_counted_and_not_sent_again() -> None:
    states = States()
    states.put(state("a"))
    states.park("a")
    states.refill()
    assert (states.take(1), states.parked) == ([], 1)


def test_what_exceeds_the_room_waits() -> None:
    states = States()
    for topic, qos in (("a", 1), ("b", 0), ("c", 1), ("d", 0)):
        states.put(state(topic, qos=qos))
    assert [topic for topic, _ in sent(states.take(1, most=3, confirmed=1))] == ["a", "b", "d"]
    assert [topic for topic, _ in sent(states.take(2))] == ["c"]
