"""How often the continuous audit looks."""

import pytest

from dashboard.audit.keeper import quiet_pause_s


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
