// The same bridge in Node.js: ws + mqtt, QoS 1.   node bridge.mjs WS_URL MQTT_PORT
import mqtt from "mqtt";
import WebSocket from "ws";

const [url, port] = process.argv.slice(2);
const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, { protocolVersion: 5 });
const socket = new WebSocket(url, { perMessageDeflate: false });
socket.on("open", () => socket.send("go"));
socket.on("message", (frame) => {
  const message = JSON.parse(frame);
  if (message.subject !== "trade.ticker") return;
  const data = message.data;
  const told = {
    price: Number(data.price),
    size: Number(data.size),
    price_time_ns: data.time * 1000000,
    bid: Number(data.bestBid),
    bid_size: Number(data.bestBidSize),
    ask: Number(data.bestAsk),
    ask_size: Number(data.bestAskSize),
    seq: Number(data.sequence),
  };
  client.publish(`prices/kucoin/${message.topic.split(":")[1]}`, JSON.stringify(told), { qos: 1 });
});
