/** Candles, holes, gaps and pages of the history. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Running, candleOf, holes, merged, withHoles } from "../../../dashboard/web/src/candles.js";
import { Gaps } from "../../../dashboard/web/src/gaps.js";
import { moved } from "../../../dashboard/web/src/keys.js";
import { Pages } from "../../../dashboard/web/src/pages.js";
import { isUnsuited, placeAt, suiting, timeAt, wanted } from "../../../dashboard/web/src/zoom.js";

const candle = (time, close, volume = 1) => ({ time, open: close, high: close + 1, low: close - 1, close, volume });

test("holes are as wide as they were long, within a bound", () => {
  assert.deepEqual(withHoles([candle(60, 1), candle(240, 2)], 60).map((one) => [one.time, one.close]), [[60, 1], [120, undefined], [180, undefined], [240, 2]]);
  assert.deepEqual(holes(60, 120, 60), []);
  assert.equal(holes(0, 60 * 1_000_000, 60).length, 0);
});

test("the newer of two candles of one time wins", () => {
  assert.deepEqual(merged([candle(60, 1), candle(120, 1)], [candle(120, 2), candle(0, 0)]).map((one) => one.close), [0, 1, 2]);
});

test("a bucket is made of its minutes, each counted once", () => {
  const running = new Running(300);
  running.take(candle(600, 10));
  running.take(candle(660, 20));
  assert.deepEqual(running.take(candle(660, 15, 4)), { time: 600, open: 10, high: 16, low: 9, close: 15, volume: 5 });
});

test("a minute that closes late mends its bucket, one long gone does not", () => {
  const running = new Running(60);
  running.take(candle(60, 1));
  running.take(candle(120, 2));
  assert.equal(running.take(candle(60, 3)).close, 3);
  assert.equal(running.take(candle(0, 3)), null);
});

test("a price moves its minute where nobody tells candles", () => {
  const running = new Running(60);
  running.touch(10, 61);
  running.touch(12, 70);
  assert.deepEqual(running.touch(9, 119.9), { time: 60, open: 10, high: 12, low: 9, close: 9, volume: 0 });
});

test("what is no candle is none", () => {
  assert.equal(candleOf({}), null);
  assert.equal(candleOf({ time_ns: 60e9, open: "x", high: 1, low: 1, close: 1 }), null);
});

test("only gaps of this symbol are shaded, filled ones not, other streams' only where candles are missing", () => {
  const gaps = new Gaps("BTC-USDT");
  gaps.take({ id: "a", channel: "candles", from_ns: 60e9, to_ns: 120e9, state: "open", cause: "line lost" });
  gaps.take({ id: "b", channel: "candles", symbols: ["ETH-USDT"], symbol_count: 1, from_ns: 60e9, state: "open" });
  gaps.take({ id: "c", channel: "prices", from_ns: 300e9, to_ns: 310e9, state: "unfillable", cause: "clock" });
  assert.deepEqual(gaps.shaded(() => false, 999), [{ fromS: 60, toS: 120, words: "gap: the connection to the exchange broke (open)", channel: "candles" }]);
  assert.equal(gaps.shaded(() => true, 999).length, 2);
  gaps.take({ id: "a", channel: "candles", from_ns: 60e9, to_ns: 120e9, state: "filled" });
  assert.equal(gaps.shaded(() => false, 999).length, 0);
});

test("a gap without an end reaches to now, and a cut list may concern anyone", () => {
  const gaps = new Gaps("BTC-USDT");
  assert.equal(gaps.take({ id: "a", channel: "candles", symbols: ["ETH-USDT"], symbol_count: 51, from_ns: 60e9, state: "open" }), true);
  assert.equal(gaps.isRunning, true);
  assert.equal(gaps.shaded(() => false, 500)[0].toS, 500);
});

test("older candles are looked for in wider and wider ranges, and only so long", async () => {
  const asked = [];
  const api = { nowMs: () => 1_763_000_000_000, candles: async (wish) => (asked.push(wish.toS - wish.fromS), { rows: [] }) };
  const pages = new Pages(api, { exchange: "kucoin", symbol: "BTC-USDT", interval: "1m" }, 250);
  assert.deepEqual(await pages.older(), []);
  assert.equal(pages.isDone, true);
  assert.deepEqual(asked, [500, 2000, 8000, 32_000].map((slots) => slots * 60));
  assert.deepEqual(await pages.older(), []);
  assert.equal(asked.length, 4);
});

test("a range that comes in parts is read to its end", async () => {
  const parts = [{ rows: [{ time_ns: 60e9, open: 1, high: 1, low: 1, close: 1 }], next: 120e9 }, { rows: [{ time_ns: 120e9, open: 2, high: 2, low: 2, close: 2 }] }];
  const api = { nowMs: () => 600_000, candles: async () => parts.shift() };
  const candles = await new Pages(api, { exchange: "kucoin", symbol: "A-B", interval: "1m" }, 100).older();
  assert.deepEqual(candles.map((one) => one.close), [1, 2]);
});

test("candles that suit a span are asked for at once, and older ones follow in the interval that was told", async () => {
  const asked = [];
  const api = {
    nowMs: () => 86_400_000 * 3,
    candles: async (wish) => (asked.push(wish), { rows: [{ time_ns: 86_400e9, open: 1, high: 1, low: 1, close: 1 }], interval: "15m" }),
  };
  const pages = new Pages(api, { exchange: "kucoin", symbol: "A-B", interval: "1m" }, 100);
  await pages.suiting(86_400 + 1, 200);
  assert.deepEqual([asked[0].interval, asked[0].limit, pages.interval, pages.oldestS], ["auto", 200, "15m", 86_400 + 900]);
  await pages.older();
  assert.deepEqual([asked[1].interval, asked[1].toS, asked[1].fromS], ["15m", 86_400 + 900, 0]);
});

test("the interval follows what is seen, and does not flutter at the border", () => {
  const nowS = 1_763_000_000;
  const view = (minutes) => ({ fromS: nowS - minutes * 60, toS: nowS });
  assert.equal(isUnsuited(view(100), 100, nowS, 60), false);
  assert.equal(isUnsuited(view(110), 100, nowS, 60), false);
  assert.equal(isUnsuited(view(130), 100, nowS, 60), true);
  assert.equal(isUnsuited(view(95), 100, nowS, 300), false);
  assert.equal(isUnsuited(view(60), 100, nowS, 300), true);
  const { fromS, limit } = wanted(view(1440), 100, nowS);
  assert.equal(suiting(nowS - fromS, limit), 900);
});

test("far in the past no more candles are asked for than can be held", () => {
  const nowS = 1_763_000_000;
  const yearAgo = { fromS: nowS - 366 * 86_400, toS: nowS - 365 * 86_400 };
  assert.equal(wanted(yearAgo, 100, nowS).limit, 5000);
  assert.equal(isUnsuited(yearAgo, 100, nowS, 14_400), false);
  assert.equal(isUnsuited(yearAgo, 100, nowS, 60), true);
});

test("times and places of the axis are each other's reverse, beyond the candles too", () => {
  const times = [60, 120, 180, 1200, 1260];
  for (const place of [-7.5, 0, 0.25, 2.5, 3, 4, 9.75]) assert.ok(Math.abs(placeAt(times, 60, timeAt(times, 60, place)) - place) < 1e-9, `${place}`);
  assert.deepEqual([timeAt(times, 60, -2), timeAt(times, 60, 2.5), timeAt(times, 60, 6)], [-60, 690, 1380]);
});

test("keys move and zoom the view, never far beyond the newest candle", () => {
  const range = { from: 100, to: 200 };
  assert.deepEqual(moved(range, 1000, "ArrowLeft"), { from: 85, to: 185 });
  assert.deepEqual(moved(range, 200, "ArrowRight"), { from: 104, to: 204 });
  assert.deepEqual(moved(range, 1000, "+"), { from: 120, to: 200 });
  assert.deepEqual(moved(range, 1000, "-"), { from: 75, to: 200 });
  assert.deepEqual(moved(range, 1000, "End"), { from: 904, to: 1004 });
  assert.equal(moved(range, 1000, "a"), null);
});
