import asyncio
import json
from pathlib import Path

import aiomqtt
import pytest

from bridge.ledger import Ledger, Published
from bridge.requests import Requests
from bridge.settings import Broker as Settings
from bridge.topics import Topics
from tests.asking import BTC, RUN, House, Past, S, calling, serving, settings, until
from tests.broker import Broker


@pytest.mark.real
@pytest.mark.parametrize("prefix", ["", "home/tb"])
async def test_a_request_is_answered_where_it_says_with_its_correlation(broker: Broker, prefix: str) -> None:
    topic = Topics(prefix).price("kucoin", "BTC-USDT")
    house = House(3, [topic], prefix)
    async with serving(house, broker), calling(house, broker) as caller:
        (page,) = await caller.ask("ledger")
        assert page["ok"] is True
        assert [(row["topic"], row["n"]) for row in page["rows"]] == [(topic, 3)]
        (page,) = await caller.ask("lost", json.dumps({"topic": topic, "run": RUN, "from_n": 2, "to_n": 2}).encode())
        assert page == {"ok": True, "gap": "7-1"}


@pytest.mark.real
async def test_pages_come_in_order(broker: Broker) -> None:
    house = House(1, [f"prices/kucoin/S{k}-USDT" for k in range(1000)])
    async with serving(house, broker), calling(house, broker) as caller:
        pages = await caller.ask("ledger")
        assert [page["page"] for page in pages] == [1, 2, 3, 4, 5]
        assert sum(len(page["rows"]) for page in pages) == 1000


@pytest.mark.real
async def test_errors_are_answers_too(broker: Broker) -> None:
    house = House()
    async with serving(house, broker) as requests, calling(house, broker) as caller:
        for what, payload in (("ledger", b"{"), ("gaps", b"x" * 100_000), ("nonsense", b""), ("resend", b"[]")):
            (page,) = await caller.ask(what, payload)
            assert page["ok"] is False
            assert page["error"]
        assert requests.counts["wrong"] == 4


@pytest.mark.real
@pytest.mark.parametrize("target", ["stolen/goods", "tickbridge/answer/", "prices/kucoin/BTC-USDT"])
async def test_an_answer_goes_nowhere_but_under_the_answer_root(broker: Broker, target: str) -> None:
    house = House()
    async with serving(house, broker) as requests, calling(house, broker) as caller:
        lost = json.dumps({"topic": BTC, "run": RUN, "from_n": 2, "to_n": 2}).encode()
        await caller.send("lost", lost, target)
        assert (await caller.ask("gaps"))[0]["rows"] == [], "neither answered nor done"
        assert requests.counts["refused"] == 1


@pytest.mark.real
async def test_without_a_response_topic_a_deed_is_done_and_a_question_is_ignored(broker: Broker) -> None:
    house = House()
    async with serving(house, broker) as requests, calling(house, broker) as caller:
        await caller.send("resend", json.dumps({"topic": BTC, "run": RUN, "from_n": 2, "to_n": 3}).encode())
        await caller.send("ledger", b"{}")
        await until(lambda: requests.counts["ignored"] == 1)
        assert house.wakes == 1


@pytest.mark.real
async def test_a_retained_request_is_not_done_at_every_connection(broker: Broker) -> None:
    house = House()
    lost = json.dumps({"topic": BTC, "run": RUN, "from_n": 2, "to_n": 2}).encode()
    async with aiomqtt.Client(broker.host, broker.port, protocol=aiomqtt.ProtocolVersion.V5) as client:
        await client.publish(house.names.request("lost"), lost, qos=1, retain=True)
    async with serving(house, broker), calling(house, broker) as caller:
        assert (await caller.ask("gaps"))[0]["rows"] == []


@pytest.mark.real
async def test_requests_are_heard_again_after_the_broker_was_away(broker: Broker) -> None:
    house = House()
    async with serving(house, broker):
        async with calling(house, broker) as caller:
            await caller.ask("ledger")
        broker.kill9()
        broker.start()
        async with calling(house, broker) as caller:
            assert (await caller.ask("ledger"))[0]["ok"] is True


@pytest.mark.real
async def test_a_wrong_password_is_said_once_and_tried_for_ever(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.mqtt.client.BACKOFF_FIRST_S", 0.01)
    monkeypatch.setattr("bridge.mqtt.client.BACKOFF_MOST_S", 0.02)
    house = House()
    with Broker(tmp_path / "mosquitto", with_users=True) as broker:
        wrong_one = settings(broker).model_copy(update={"password": "nonsense"})
        requests = Requests(wrong_one, "tickbridge-requests", house.names, house.desk, Past())
        task = asyncio.create_task(requests.run())
        await until(lambda: broker.log.count("not authorised") >= 3 or broker.log.count("tickbridge-requests") >= 3)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    said = [record for record in caplog.records if record.name == "bridge.requests.client"]
    assert len(said) == 1
    assert "ot authorized" in said[0].getMessage()


@pytest.mark.real
async def test_our_access_list_lets_the_dashboard_ask_and_not_the_guest(tmp_path: Path) -> None:
    house = House()
    with Broker(tmp_path / "mosquitto", with_users=True) as broker:
        async with serving(house, broker), calling(house, broker) as caller:
            name, password = broker.credentials("guest")
            guest = aiomqtt.Client(
                broker.host, broker.port, username=name, password=password, protocol=aiomqtt.ProtocolVersion.V5
            )
            lost = json.dumps({"topic": BTC, "run": RUN, "from_n": 2, "to_n": 2}).encode()
            async with guest:
                await guest.publish(house.names.request("lost"), lost, qos=1)
            assert (await caller.ask("gaps"))[0]["rows"] == []
            assert (await caller.ask("lost", lost))[0] == {"ok": True, "gap": "7-1"}


@pytest.mark.real
async def test_an_earlier_run_is_read_from_a_real_ledger(broker: Broker, tmp_path: Path) -> None:
    house = House()
    ledger = Ledger(tmp_path / "ledger.db", house.names)
    ledger.begin(RUN - 5, S)
    ledger.save(RUN - 5, 2 * S, [Published(BTC, RUN - 5, None, 44, 44, S, 2 * S)], [])
    async with serving(house, broker, ledger), calling(house, broker) as caller:
        (page,) = await caller.ask("ledger", b'{"run":%d}' % (RUN - 5))
        assert page["rows"][0]["n"] == 44
        ledger.close()


async def test_a_cancellation_that_a_library_loses_ends_it_all_the_same() -> None:
    class Losing(Requests):
        async def _serve(self) -> None:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                raise aiomqtt.MqttError("came together with the cancellation") from None

    house = House()
    task = asyncio.create_task(Losing(Settings(), "tickbridge-requests", house.names, house.desk, Past()).run())
    await asyncio.sleep(0)
    task.cancel()
    done, _ = await asyncio.wait([task], timeout=5)
    assert done
    assert task.cancelled()
