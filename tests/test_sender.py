from bridge.sender import Sender

S = 1_000_000_000


def test_subscriptions_are_paced_and_keep_their_order() -> None:
    sender = Sender(2, 0)
    sender.add("abcdef")
    sent = [sender.due(k * S // 2) for k in range(6)]
    assert "".join(text for batch in sent for text in batch) == "abcdef"
    assert max(map(len, sent)) <= 2


def test_an_answer_goes_before_what_waits() -> None:
    sender = Sender(1, 0)
    sender.add("ab")
    sender.first("pong")
    assert sender.due(0) == ["pong"]


def test_a_ping_uses_up_a_message() -> None:
    sender = Sender(1, 0)
    sender.add("a")
    sender.spend()
    assert sender.due(S // 2) == []
    assert sender.due(2 * S) == ["a"]
