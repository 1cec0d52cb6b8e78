"""The bridge that one would write first: websockets + aiomqtt, forty lines, QoS 1, no checks, no freshness.

python -m benchmarks.peers.plain WS_URL MQTT_PORT
"""

import asyncio
import json
import sys

import aiomqtt
import websockets


def payload(frame: str) -> tuple[str, str]:
    message = json.loads(frame)
    data = message["data"]
    told = {
        "price": float(data["price"]),
        "size": float(data["size"]),
        "price_time_ns": data["time"] * 1_000_000,
        "bid": float(data["bestBid"]),
        "bid_size": float(data["bestBidSize"]),
        "ask": float(data["bestAsk"]),
        "ask_size": float(data["bestAskSize"]),
        "seq": int(data["sequence"]),
    }
    return f"prices/kucoin/{message['topic'].split(':')[1]}", json.dumps(told)


async def main(url: str, port: int) -> None:
    async with (
        aiomqtt.Client("127.0.0.1", port, protocol=aiomqtt.ProtocolVersion.V5) as client,
        websockets.connect(url, compression=None, proxy=None) as connection,
    ):
        await connection.send("go")
        async for frame in connection:
            if "trade.ticker" not in str(frame):
                continue
            topic, told = payload(str(frame))
            await client.publish(topic, told, qos=1)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
