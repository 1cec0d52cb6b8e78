import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge import clock as clocks
from bridge.clock import Clock, ClockChange, kernel_synchronised, system_synchronised, unsynchronised

S = 1_000_000_000


class System:
    """A system whose clocks and synchronisation are set by hand."""

    def __init__(self) -> None:
        self.mono = 100 * S
        self.wall = 1_700_000_000 * S
        self.synced = True
        self.asked = 0

    def passes(self, seconds: float) -> None:
        self.mono += int(seconds * S)
        self.wall += int(seconds * S)

    def synchronised(self) -> bool:
        self.asked += 1
        return self.synced

    def clock(self, monotonic_ns: Callable[[], int] | None = None) -> Clock:
        return Clock(
            monotonic_ns=monotonic_ns or (lambda: self.mono),
            wall_ns=lambda: self.wall,
            synchronised=self.synchronised,
        )


def test_now_is_the_wall_clock_and_passes_with_the_monotonic_one() -> None:
    system = System()
    clock = system.clock()
    system.passes(2.5)
    assert clock.now_ns() == system.wall


def test_a_small_difference_is_left_alone() -> None:
    system = System()
    clock = system.clock()
    system.wall += S
    assert clock.check() == []
    assert clock.now_ns() == system.wall - S


def test_a_step_of_more_than_a_second_is_adopted_and_told_once() -> None:
    system = System()
    clock = system.clock()
    system.wall += 3 * S
    assert clock.check() == [ClockChange("step", 3 * S)]
    assert clock.now_ns() == system.wall
    assert clock.check() == []


def test_a_step_backward_is_negative_and_says_so() -> None:
    system = System()
    clock = system.clock()
    system.wall -= 90 * S
    (change,) = clock.check()
    assert change.step_ns == -90 * S
    assert "90.000 s backward" in change.reason


def test_becoming_synchronised_is_told_once_and_adopts_even_a_small_difference() -> None:
    system = System()
    system.synced = False
    clock = system.clock()
    assert not clock.synced
    assert clock.check() == []
    system.synced = True
    system.wall += S // 2
    assert clock.check() == [ClockChange("synchronised", S // 2)]
    assert clock.synced
    assert clock.now_ns() == system.wall
    assert clock.check() == []


def test_a_step_before_the_synchronisation_is_adopted_too() -> None:
    system = System()
    system.synced = False
    clock = system.clock()
    system.wall += 60 * S
    assert clock.check() == [ClockChange("step", 60 * S)]
    assert not clock.synced


def test_once_synchronised_it_stays_so_when_the_network_goes() -> None:
    system = System()
    clock = system.clock()
    system.synced = False
    assert clock.check() == []
    assert clock.synced


def test_trust_never_asks() -> None:
    system = System()
    system.synced = False
    clock = Clock(
        "trust", monotonic_ns=lambda: system.mono, wall_ns=lambda: system.wall, synchronised=system.synchronised
    )
    clock.check()
    assert clock.synced
    assert system.asked == 0


def test_a_process_stopped_between_two_reads_is_no_step() -> None:
    system = System()
    reads = 0

    def monotonic() -> int:
        nonlocal reads
        reads += 1
        if reads == 4:
            system.passes(30)
        return system.mono

    clock = system.clock(monotonic)
    assert clock.check() == []
    assert reads > 4


def test_the_system_is_read_without_rights() -> None:
    clock = Clock()
    assert abs(clock.now_ns() - time.time_ns()) < S
    assert clock.check() == []
    assert kernel_synchronised() in (True, False, None)
    assert system_synchronised() in (True, False)


def test_a_system_that_never_says_so_is_believed_after_a_while() -> None:
    system = System()
    system.synced = False
    clock = Clock(
        monotonic_ns=lambda: system.mono,
        wall_ns=lambda: system.wall,
        synchronised=system.synchronised,
        why=lambda: "nobody says that the clock is right",
    )
    assert clock.waits() == "nobody says that the clock is right"
    system.passes(59)
    assert clock.believe() == []
    system.passes(1)
    (change,) = clock.believe()
    assert change.reason == (
        "nobody says that the clock is right, but an exchange's clock agrees with it, so it is believed"
    )
    assert clock.synced
    assert clock.waits() is None
    assert clock.believe() == []


@pytest.mark.parametrize(
    ("kernel", "told", "synced", "reason"),
    [
        (True, False, True, ""),
        (False, False, False, "the kernel says so, and systemd-timesyncd has not set it yet"),
        (None, False, False, "the kernel may not be asked (adjtimex), and systemd-timesyncd has not set it yet"),
        (None, True, True, ""),
        (None, None, False, "the kernel may not be asked (adjtimex), and systemd-timesyncd does not run"),
        (False, None, False, "the kernel says so, and systemd-timesyncd does not run"),
    ],
)
def test_who_says_that_the_clock_is_right(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kernel: bool | None,
    told: bool | None,
    synced: bool,
    reason: str,
) -> None:
    monkeypatch.setattr(clocks, "SYSTEMD", tmp_path)
    flag = tmp_path / "timesync" / "synchronized"
    monkeypatch.setattr(clocks, "SYNCHRONISED_ONCE", flag)
    if told is not None:
        flag.parent.mkdir()
    if told:
        flag.touch()
    assert system_synchronised(lambda: kernel) is synced
    assert synced or unsynchronised(lambda: kernel).endswith(reason)
    monkeypatch.setattr(clocks, "SYSTEMD", tmp_path / "missing")
    assert system_synchronised(lambda: kernel)
