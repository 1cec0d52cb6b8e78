"""The addresses that are told can be opened."""

import pytest

from bridge import lan


def test_lan_address_is_none_or_no_loopback() -> None:
    address = lan.lan_address()
    assert address is None or not address.startswith("127.")


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_who_listens_everywhere_is_found_here_and_from_other_machines(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lan, "lan_address", lambda: "192.168.1.7")
    assert lan.openable("http", host, 8000) == ["http://127.0.0.1:8000/", "http://192.168.1.7:8000/"]


def test_without_a_network_the_machines_name_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lan, "lan_address", lambda: None)
    monkeypatch.setattr("socket.gethostname", lambda: "attic")
    assert lan.openable("https", "0.0.0.0", 8000)[1] == "https://attic:8000/"


@pytest.mark.parametrize(("host", "told"), [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]"), ("attic.lan", "attic.lan")])
def test_who_listens_at_one_address_is_found_there(host: str, told: str) -> None:
    assert lan.openable("http", host, 8000) == [f"http://{told}:8000/"]
