/** Lists of gaps and errors, and the words for them. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { ErrorList } from "../../../dashboard/web/src/errorlist.js";
import { count, duration, moment } from "../../../dashboard/web/src/format.js";
import { GapList } from "../../../dashboard/web/src/gaplist.js";
import { cause, kind, state } from "../../../dashboard/web/src/words.js";

const gap = (id, from, to, fields = {}) => ({ id, from_ns: from * 1e9, to_ns: to === null ? undefined : to * 1e9, time_ns: from, ...fields });
const ids = (list, wish = {}) => list.select(wish).map((one) => one.id);

test("gaps stand newest first by their end, those that run before all", () => {
  const list = new GapList();
  for (const [id, from, to] of [["a", 1, 100], ["b", 50, 60], ["c", 2, null], ["d", 70, 100]]) list.take("kucoin", gap(id, from, to));
  assert.deepEqual(ids(list), ["c", "d", "a", "b"]);
});

test("a gap is known once, in its newest state, and one exchange's id is not another's", () => {
  const list = new GapList();
  assert.equal(list.take("kucoin", gap("a", 1, 2, { time_ns: 5, state: "filled" })), true);
  assert.equal(list.take("kucoin", gap("a", 1, null, { time_ns: 4, state: "open" })), false);
  list.take("binance", gap("a", 1, 2));
  assert.deepEqual(list.select({ exchange: "kucoin" }).map((one) => one.state), ["filled"]);
  assert.deepEqual(list.exchanges, ["binance", "kucoin"]);
  assert.equal(list.take("kucoin", { id: 7, from_ns: 1 }), false);
  assert.equal(list.take("kucoin", { id: "x" }), false);
});

test("only open and filling gaps count as unsettled", () => {
  const list = new GapList();
  ["open", "filling", "filled", "partial", "unfillable", undefined].forEach((told, n) => list.take("kucoin", gap(`g${n}`, n, n + 1, { state: told })));
  assert.equal(list.unsettled, 3);
  assert.equal(list.select({ state: "unsettled" }).length, 3);
  assert.deepEqual(ids(list, { state: "partial" }), ["g3"]);
});

test("a symbol finds the gaps of its name, of all symbols, and of lists that are cut", () => {
  const list = new GapList();
  list.take("kucoin", gap("all", 1, 2));
  list.take("kucoin", gap("other", 1, 3, { symbols: ["ETH-USDT"], symbol_count: 1 }));
  list.take("kucoin", gap("cut", 1, 4, { symbols: ["ETH-USDT"], symbol_count: 2 }));
  list.take("kucoin", gap("its", 1, 5, { symbols: ["BTC-USDT"], symbol_count: 1 }));
  assert.deepEqual(ids(list, { symbol: "BTC-USDT" }), ["its", "cut", "all"]);
  assert.deepEqual(ids(list, { symbol: "BTC" }), ["its", "cut", "all"]);
});

test("the list of gaps is bounded", () => {
  const list = new GapList();
  for (let n = 0; n < 10_050; n += 1) list.take("kucoin", gap(`g${n}`, n, n + 1));
  assert.equal(list.select({}).length, 10_000);
});

test("an error is known once and the newest stands first", () => {
  const list = new ErrorList();
  const entry = (n, fields) => ({ kind: "frame", time_ns: n * 1e9, run: 1, n, ...fields });
  assert.equal(list.take("kucoin", entry(1)), true);
  assert.equal(list.take("kucoin", entry(1)), false);
  list.take("binance", entry(2, { kind: "value", symbol: "BTC-USDT" }));
  assert.deepEqual(list.select({}).map((one) => one.n), [2, 1]);
  assert.deepEqual(list.select({ kind: "value", symbol: "BTC-USDT", exchange: "binance" }).length, 1);
  assert.equal(list.select({ exchange: "kucoin", kind: "value" }).length, 0);
  assert.equal(list.take("kucoin", { reason: "no time" }), false);
});

test("codes become words, and an unknown one stands as it came", () => {
  assert.equal(cause("outbox full"), "the broker was away for longer than the bridge can remember");
  assert.deepEqual([state("unfillable"), state(undefined), state("new")], ["cannot be filled", "open", "new"]);
  assert.deepEqual([cause("constructor"), kind("__proto__"), cause(undefined)], ["constructor", "__proto__", "unknown cause"]);
});

test("moments, durations and counts as people read them", () => {
  const noon = new Date(2025, 10, 21, 12, 0, 0).getTime();
  assert.match(moment(noon), /^21 Nov.* 12:00:00$/);
  assert.equal(moment(noon + 61_000, noon), "12:01:01");
  assert.equal(moment(NaN), "?");
  assert.deepEqual([duration(20), duration(61_000), count(1_234_567)], ["under 1 s", "1 min", "1,234,567"]);
});
