from bridge.latest import Conflation
from bridge.topics import State

S = 1_000_000_000


class Sent(list[str]):
    def put(self, state: State) -> None:
        self.append(state.topic)


def conflation() -> tuple[Conflation, Sent]:
    sent = Sent()
    return Conflation(sent.put, S, 10 * S), sent


def state(topic: str = "a") -> State:
    return State(topic, lambda now_ns: b"")


def test_the_first_change_goes_at_once_and_the_last_is_never_lost() -> None:
    latest, sent = conflation()
    slot = latest.slot(state())
    latest.touch(slot)
    latest.flush(100 * S)
    latest.touch(slot)
    latest.touch(slot)
    latest.flush(100 * S + S // 2)
    assert sent == ["a"]
    latest.flush(101 * S)
    assert sent == ["a", "a"]


def test_a_living_state_is_repeated_and_an_ended_one_is_not() -> None:
    latest, sent = conflation()
    slot = latest.slot(state())
    latest.repeat(90 * S)
    latest.touch(slot)
    latest.flush(100 * S)
    latest.repeat(109 * S)
    assert len(sent) == 1
    latest.repeat(110 * S)
    assert len(sent) == 2
    latest.end(slot)
    latest.repeat(200 * S)
    assert len(sent) == 2


def test_news_need_not_wait_for_the_interval() -> None:
    latest, sent = conflation()
    slot = latest.slot(state())
    latest.touch(slot)
    latest.flush(100 * S)
    latest.touch(slot)
    latest.send_now(slot, 100 * S + 1)
    latest.flush(102 * S)
    assert len(sent) == 2


def test_a_dropped_state_is_forgotten() -> None:
    latest, sent = conflation()
    slot = latest.slot(state())
    latest.touch(slot)
    latest.drop(slot)
    latest.flush(100 * S)
    latest.repeat(200 * S)
    assert sent == []
