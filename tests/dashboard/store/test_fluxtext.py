"""A bucket's name is a string in the tasks, whatever is in it."""

import pytest

from bridge.settings import Settings
from dashboard.store.fluxtext import literal
from dashboard.store.places import Place, places
from dashboard.store.tasks import PLANS, flux
from tests.containers import Influx
from tests.flux import query

HOSTILE = ['"', "\\", '\\"', "${1}", "$", "a\nb\t", '") |> drop()', "ü$ {x} ${now()}", "\\${x}"]


@pytest.mark.real
def test_hostile_text_is_read_back_as_it_was(influx: Influx) -> None:
    rows = ", ".join(f"{{_value: {literal(text)}}}" for text in HOSTILE)
    told = query(influx.url, influx.org, influx.token, f'import "array"\narray.from(rows: [{rows}])')
    assert [row["_value"] for row in told] == HOSTILE


def test_every_script_knows_its_buckets_by_the_prefix() -> None:
    settings = Settings.model_validate({"influx": {"bucket_prefix": "my_"}})
    for plan in PLANS:
        name, text = flux(plan, settings)
        assert name.startswith("tickbridge my_rollup ")
        assert 'rollups = "my_rollups"\n' in text


def test_buckets_keep_what_the_settings_say_and_states_a_month() -> None:
    settings = Settings.model_validate({"history": {"prices_days": 3, "errors_days": 0}})
    kept = {place.name: place.days for place in places(settings)}
    assert kept == {"prices": 3, "trades": 90, "candles": 0, "gaps": 0, "errors": 0, "states": 30, "rollups": 0}


@pytest.mark.parametrize("days", [0, 1, 2, 179, 180, 800, 36_500])
def test_a_group_of_files_is_never_longer_than_what_is_kept(days: int) -> None:
    place = Place("x", days)
    assert days == 0 or place.shard_seconds <= place.seconds
