"""Broker, simulated exchanges and a bridge that announces itself to Home Assistant, as real processes."""

import asyncio
import json
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from time import monotonic

import aiomqtt

from bridge.simulator import Simulator
from tests.broker import PASSWORDS, Broker
from tests.cable import Cable
from tests.homeassistant.hass import Hass, homeassistant
from tests.running import environment, tickbridge

PRICE = "sensor.kucoin_btc_usdt"
OTHER = "sensor.binance_btc_usdt"
FEED = "binary_sensor.kucoin_feed"
CONNECTION = "binary_sensor.tickbridge_connection"
SENSOR = "sensors/kucoin/BTC-USDT"


class World:
    """`hass` reaches the broker by a `cable`; `live_s`: when a fresh price was last told there."""

    def __init__(self, folder: Path, broker: Broker, sim: Simulator, cable: Cable, hass: Hass) -> None:
        self.folder, self.broker, self.sim, self.cable, self.hass = folder, broker, sim, cable, hass
        self.live_s = 0.0
        self.config = folder / "tickbridge.toml"
        self.symbols("BTC-USDT", "ETH-USDT")
        self._bridge = ExitStack()
        self.process: subprocess.Popen[str] | None = None

    def symbols(self, *names: str) -> None:
        """KuCoin's, in the settings file."""
        self.config.write_text(
            f"[homeassistant]\nenabled = true\n[feed]\nfirst_candles_h = 0\n[exchanges.kucoin]\n"
            f'symbols = {json.dumps(names)}\n[exchanges.binance]\nsymbols = ["BTC-USDT"]\n'
        )

    def start_bridge(self) -> None:
        user, password = self.broker.credentials()
        who = {"BROKER__USER": user, "BROKER__PASSWORD": password}
        env = environment(self.broker, self.folder / "tb", self.sim, CONFIG=self.config, **who)
        self._bridge = ExitStack()
        self.process = self._bridge.enter_context(tickbridge("run", self.folder / "tb", env, exit_code=None))

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def kill_bridge(self) -> None:
        self.signal(signal.SIGKILL)
        self._bridge.close()

    def close(self) -> None:
        self._bridge.close()

    async def state(self, entity: str = PRICE) -> str:
        return (await self.hass.states()).get(entity, "absent")

    async def is_there(self) -> bool:
        return await self.state() not in ("unavailable", "unknown", "absent")

    async def gone(self, within_s: float = 60.0) -> float:
        """Until the price is not shown any more; in seconds."""

        async def gone() -> bool:
            return await self.state() == "unavailable"

        return await self.hass.until(gone, within_s)

    async def back(self, since_s: float, within_s: float = 120.0) -> float:
        """Until the price is shown again, which must not be before a live message since then; in seconds."""
        await self.hass.until(self.is_there, within_s)
        assert self.live_s >= since_s, "the price is shown, and nobody has told a fresh one"
        return monotonic() - since_s

    async def hear(self) -> None:
        """What any subscriber hears, over restarts of the broker."""
        while True:
            with suppress(aiomqtt.MqttError):
                user, password = self.broker.credentials("guest")
                async with aiomqtt.Client("127.0.0.1", self.broker.port, username=user, password=password) as client:
                    await client.subscribe(SENSOR)
                    async for message in client.messages:
                        if b'"stale":false' in bytes(message.payload):  # type: ignore[arg-type]
                            self.live_s = monotonic()
            await asyncio.sleep(0.05)


@contextmanager
def _closing(world: World) -> Iterator[World]:
    try:
        yield world
    finally:
        world.close()


@asynccontextmanager
async def world(folder: Path) -> AsyncIterator[World]:
    """All of it, with a fresh price in Home Assistant, and the broker's memory on its disk."""
    with Broker(folder / "mosquitto", with_users=True) as broker:
        cable = Cable(broker.port)
        async with (
            Simulator(rate=20) as sim,
            cable.running(),
            homeassistant(folder / "hass", cable.port, ("homeassistant", PASSWORDS["homeassistant"])) as hass,
        ):
            with _closing(World(folder, broker, sim, cable, hass)) as one:
                listening = asyncio.create_task(one.hear())
                one.start_bridge()
                await hass.until(one.is_there, 40)
                await asyncio.to_thread(broker.save)
                yield one
                listening.cancel()
                await asyncio.gather(listening, return_exceptions=True)
