"""What the continuous audit costs: bridge, dashboard and embedded store together, as a share of one core.

1,000 ticks a second over 1,300 symbols are numbered, logged and stored, once with the audit and once without; the
difference in CPU time is the audit's. The request goes through a real broker, both ends in this process.

Use: python -m benchmarks.audit [SECONDS]
"""

import asyncio
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from bridge.settings import Audit, Settings
from bridge.settings import Broker as BrokerSettings
from bridge.settings import History as Keep
from dashboard.audit.keeper import Keeper
from dashboard.history.sqlite import SqliteHistory
from tests.asking import House, serving
from tests.broker import Broker

SYMBOLS = 1_300
RATE = 1_000
BODY = (
    '{"price":85439.99,"size":0.002,"price_time_ns":1743147198992000000,"bid":85439.9,"bid_size":0.8915,'
    '"ask":85440.1,"ask_size":10.5900853,"seq":23242050174,"time_ns":'
)
BEAT_S = 0.1
COMMIT_S = 10.0


class Load:
    """Ticks that are numbered, taken, acknowledged and stored, as bridge and recorder do."""

    def __init__(self, folder: Path) -> None:
        self.house = House(0)
        self.house.desk.now_ns = time.time_ns
        self.history = SqliteHistory(folder / "history.sqlite", Keep(prices_days=0))
        self.topics = [f"prices/kucoin/S{k}-USDT" for k in range(SYMBOLS)]
        self.at = 0

    async def run(self, seconds: float) -> None:
        end_s, commit_s = time.monotonic() + seconds, time.monotonic() + COMMIT_S
        while (now_s := time.monotonic()) < end_s:
            self._beat()
            if now_s > commit_s:
                commit_s += COMMIT_S
                await self.history.commit()
                await self.history.tidy()
            await asyncio.sleep(max(0.0, BEAT_S - (time.monotonic() - now_s)))

    def _beat(self) -> None:
        house = self.house
        for _ in range(int(RATE * BEAT_S)):
            stream = house.streams.stream(self.topics[self.at % SYMBOLS])
            self.at += 1
            now_ns = time.time_ns()
            time_ns = house.streams.observed_ns(stream, now_ns)
            house.streams.publish(stream, f"{BODY}{time_ns}", time_ns, now_ns)
        entries = house.outbox.take(10**6)
        for topic, payload, *_ in entries:
            self.history.append(topic, payload)
        house.outbox.acknowledge(len(entries), time.monotonic_ns())
        house.outbox.forget(time.monotonic_ns())


async def measure(seconds: float, *, audited: bool) -> tuple[float, dict[str, object]]:
    """CPU seconds, and what the audit says at the end."""
    with tempfile.TemporaryDirectory() as folder, Broker(Path(folder) / "mosquitto") as broker:
        load = Load(Path(folder))
        settings = Settings(broker=BrokerSettings(port=broker.port), audit=Audit())
        keeper = Keeper(settings, load.history)
        async with serving(load.house, broker):
            task = asyncio.create_task(keeper.run()) if audited else None
            began_s = time.process_time()
            await load.run(seconds)
            spent_s = time.process_time() - began_s
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
        load.history.close()
        return spent_s, keeper.proof()


async def main(seconds: float) -> None:
    without_s, _ = await measure(seconds, audited=False)
    with_s, proof = await measure(seconds, audited=True)
    share = (with_s - without_s) / seconds
    sys.stdout.write(
        f"{seconds:.0f} s of {RATE} ticks a second over {SYMBOLS} symbols\n"
        f"without the audit {without_s / seconds:.2%} of one core, with it {with_s / seconds:.2%}: "
        f"the audit costs {share:.2%}\n"
        f"one look took {proof['round_ms']} ms of the store; state {proof['state']}, proven {proof['proven']}\n"
    )


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 120.0))
