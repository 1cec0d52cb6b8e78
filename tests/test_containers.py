"""The containers that other tests stand on: they live through kill -9, and say what is missing."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests import engine
from tests.broker import Broker, binary, run_client, wait_until
from tests.containers import Influx, Mosquitto, Telegraf

pytestmark = pytest.mark.real

CONF = """
[agent]
  flush_interval = "1s"
  skip_processors_after_aggregators = true
[[inputs.mqtt_consumer]]
  servers = ["tcp://${BROKER}"]
  topics = ["prices/#"]
  qos = 1
  persistent_session = true
  client_id = "telegraf-test"
  data_format = "value"
  data_type = "float"
[[outputs.influxdb_v2]]
  urls = ["${INFLUX_URL}"]
  token = "${INFLUX_TOKEN}"
  organization = "${INFLUX_ORG}"
  bucket = "unused"
"""


def rows(influx: Influx) -> int:
    """How many rows the bucket has."""
    flux = 'from(bucket: "unused") |> range(start: 0) |> group() |> count() |> keep(columns: ["_value"])'
    answer = httpx.post(
        f"{influx.url}/api/v2/query",
        params={"org": influx.org},
        json={"query": flux, "dialect": {"header": False, "annotations": []}},
        headers={"Authorization": f"Token {influx.token}"},
        timeout=10.0,
    ).raise_for_status()
    return int(answer.text.strip().rpartition(",")[2] or 0)


def publish(broker: Broker, value: int) -> None:
    run_client(["mosquitto_pub", "-p", str(broker.port), "-q", "1", "-t", "prices/a/B-C", "-m", str(value)])


def test_a_message_passes_from_a_native_broker_through_both_containers(
    broker: Broker, influx: Influx, telegraf: Callable[..., Telegraf], tmp_path: Path
) -> None:
    conf = tmp_path / "telegraf.conf"
    conf.write_text(CONF)
    environment = {
        "BROKER": f"127.0.0.1:{broker.port}",
        "INFLUX_URL": influx.url,
        "INFLUX_TOKEN": influx.token,
        "INFLUX_ORG": influx.org,
    }
    one = telegraf(environment, conf)
    wait_until(lambda: "telegraf-test" in broker.log, 20, lambda: one.log)
    publish(broker, 1)
    wait_until(lambda: rows(influx) == 1, 20, lambda: one.log)
    one.kill9()
    publish(broker, 2)
    influx.kill9()
    influx.start()
    one.start()
    wait_until(lambda: rows(influx) == 2, 20, lambda: one.log)


def test_the_mosquitto_container_refuses_whoever_has_no_password(mosquitto_container: Mosquitto) -> None:
    line = [binary("mosquitto_pub"), "-p", str(mosquitto_container.port), "-t", "prices/a/b", "-m", "1"]
    refused = subprocess.run(line, capture_output=True, text=True, timeout=20, check=False)
    assert "not authori" in refused.stderr, refused
    subprocess.run([*line, "-u", "bridge", "-P", "bridge-secret"], check=True, timeout=20)


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    engine.require("influxdb")  # an engine must be there before an image can be missing
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("TICKBRIDGE_IMAGE_TELEGRAF", "localhost:1/nobody/has:this")
    with pytest.raises(pytest.skip.Exception, match="image localhost:1/nobody/has:this is not there"):
        engine.require("telegraf")


def test_ci_fails_where_others_skip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="CI must have it: a thing"):
        engine.missing("a thing")
