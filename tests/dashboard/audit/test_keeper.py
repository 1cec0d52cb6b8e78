"""How often the continuous audit looks, and what it says of a bridge that has not begun."""

from typing import cast

import pytest

from bridge.settings import Settings
from dashboard.audit.asking import Asking, Told
from dashboard.audit.keeper import Keeper, quiet_pause_s
from tests.dashboard.audit.shelf import RUN, S, Shelf


@pytest.mark.parametrize(
    ("cost_s", "cramped_s", "pause_s"),
    [
        (0.01, None, 10.0),
        (0.4, None, 20.0),
        (5.0, None, 30.0),
        (5.0, 40.0, 10.0),
        (0.01, 400.0, 10.0),
        (0.01, 20.0, 5.0),
        (0.01, 0.0, 0.2),
    ],
)
def test_it_rests_after_a_long_look_but_not_longer_than_a_quarter_of_a_full_log(
    cost_s: float, cramped_s: float | None, pause_s: float
) -> None:
    assert quiet_pause_s(10.0, cost_s, cramped_s) == pytest.approx(pause_s)


class Bridge:
    """Answers with an empty ledger. `run`: None until its clock is right."""

    def __init__(self) -> None:
        self.told: int | None = None

    async def ledger(self, since: int | None = None) -> Told:
        return Told([], [], self.told, 1000 * S, 0)


async def test_nothing_is_called_complete_while_the_bridge_has_no_right_time_to_publish_with() -> None:
    bridge = Bridge()
    keeper = Keeper(Settings(), Shelf(), lambda: 1000 * S)
    await keeper.look(cast("Asking", bridge))
    assert keeper.state == "starting"
    assert "waits for the right time" in keeper.proof()["reason"]
    bridge.told = RUN
    await keeper.look(cast("Asking", bridge))
    assert keeper.state == "complete"
