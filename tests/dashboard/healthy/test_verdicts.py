"""What is said of each part, by what was heard of it."""

from typing import Any

import pytest

from bridge.topics import Topics
from dashboard.healthy.verdicts import Finding, Heard, bridge, exchange, page, put_aside

NAMES = Topics("home")
WELL: dict[str, Any] = {"status": "online", "version": "1.2.3"}


def heard(topic: str, told: dict[str, Any], *, live: bool = True, priced: str = "kucoin") -> Heard:
    return Heard({topic: told}, {topic} if live else set(), {priced})


def of_bridge(told: dict[str, Any], *, live: bool = True) -> Finding:
    return bridge(heard(NAMES.health("bridge"), told, live=live), NAMES)


def of_kucoin(told: dict[str, Any], *, live: bool = True, may_fail: bool = False, priced: str = "kucoin") -> Finding:
    topic = NAMES.health("kucoin")
    return exchange("kucoin", heard(topic, told, live=live, priced=priced), NAMES, may_fail=may_fail)


def test_a_bridge_that_speaks_is_well() -> None:
    assert of_bridge(WELL) == Finding("bridge", True, "online, version 1.2.3")


@pytest.mark.parametrize(
    ("told", "live", "words"),
    [
        ({}, False, "nothing was heard of it"),
        (WELL, False, "it says nothing any more"),
        ({"status": "offline"}, False, "offline"),
        ({"status": "stopped"}, True, "stopped"),
        (WELL | {"clock": "unsynced"}, True, "clock: unsynced"),
        (WELL | {"clock": "unsynced", "clock_waits": "the kernel says so"}, True, "clock: the kernel says so"),
        (WELL | {"store": "the disk\nis full"}, True, "ledger: the disk is full"),
        (WELL | {"stuck": ["publisher"]}, True, "stuck: publisher"),
        (WELL | {"refused": {"prices": {"count": 3}}}, True, "the broker refuses: prices/"),
        (WELL | {"refused": ["odd"], "stuck": 7 * ["x" * 99]}, True, "stuck: x"),
    ],
)
def test_a_bridge_that_does_not_work_is_told_with_a_cure(told: dict[str, Any], live: bool, words: str) -> None:
    finding = of_bridge(told, live=live)
    assert not finding.ok
    assert words in finding.told
    assert finding.cure
    assert len(finding.line()) < 400


@pytest.mark.parametrize("status", ["online", "quiet"])
def test_a_feed_whose_prices_come_is_well(status: str) -> None:
    assert of_kucoin({"status": status, "symbols": 15}).ok
    assert not of_kucoin({"status": status, "symbols": 15}, live=False).ok
    assert "no price" in of_kucoin({"status": status}, priced="binance").told


def test_a_feed_that_is_down_and_says_so_may_be_let_pass() -> None:
    down = {"status": "reconnecting", "reason": "no answer"}
    assert of_kucoin(down) == Finding(
        "kucoin", False, "reconnecting: no answer", "it is tried again by itself; is there an internet connection?"
    )
    assert of_kucoin(down, may_fail=True).ok
    assert not of_kucoin(down, live=False, may_fail=True).ok, "silence is no truthful word"


def test_a_reason_that_asks_already_is_not_asked_again() -> None:
    reason = "x cannot be looked up: is there an internet connection?"
    told = of_kucoin({"status": "reconnecting", "reason": reason}).line()
    assert told == f"wrong  kucoin       reconnecting: {reason} it is tried again by itself"


@pytest.mark.parametrize(
    ("told", "well"),
    [
        ({"store": "ok", "broker": "ok", "proof": "complete"}, True),
        ({"store": "ok", "broker": "ok", "proof": "repairing"}, True),
        ({"store": "ok", "broker": "ok"}, True),
        ({"store": "off", "broker": "ok"}, True),
        ({"store": "ok", "broker": "ok", "proof": "late"}, False),
        ({"store": "ok", "broker": "ok", "proof": "starting"}, False),
        ({"store": "ok", "broker": "ok", "proof": "of a later version"}, False),
        ({"store": "the disk is full", "broker": "ok", "proof": "complete"}, False),
        ({"store": "ok", "broker": "away", "proof": "complete"}, False),
    ],
)
def test_page_and_history(told: dict[str, Any], well: bool) -> None:
    findings = page(told)
    assert all(finding.ok for finding in findings) is well
    assert [finding.what for finding in findings] == ["page", "history"]


def test_a_proof_that_has_only_begun_may_be_let_pass_but_no_store_that_is_away() -> None:
    told = {"store": "ok", "broker": "ok", "proof": "starting"}
    for changed, well in (
        ({}, True),
        ({"proof": "late"}, False),
        ({"store": "away"}, False),
        ({"broker": "away"}, False),
    ):
        assert all(finding.ok for finding in page(told | changed, proof_may_wait=True)) is well


def test_a_certificate_that_ends_soon_is_said_and_is_not_wrong() -> None:
    soon = "the certificate expires on 2026-12-24: renew it"
    finding, _ = page({"store": "ok", "broker": "ok", "proof": "complete", "certificate": soon})
    assert finding == Finding("page", True, f"answers; {soon}")


def test_files_that_were_put_aside_are_said_and_are_not_wrong() -> None:
    told = {
        "store": "ok",
        "broker": "ok",
        "proof": "complete",
        "put_aside": ["history.sqlite.damaged-20261127T120000Z-1"],
    }
    *_, finding = page(told)
    assert finding.ok
    assert "1 damaged of the dashboard's, last history.sqlite.damaged-20261127T120000Z-1" in finding.line()
    (finding,) = put_aside(WELL | {"put_aside": ["a", "b"]}, "bridge")
    assert "2 damaged of the bridge's, last b" in finding.told
    assert put_aside(WELL, "bridge") == []
