/** The state of the prices, and what may be believed of it. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { HEARTBEAT_MS } from "../../../dashboard/web/src/age.js";
import { MOST_ROWS, Prices } from "../../../dashboard/web/src/prices.js";
import { route } from "../../../dashboard/web/src/route.js";
import { judge } from "../../../dashboard/web/src/verdict.js";

const here = { away: null };

function hear(prices, topic, text, { retain = false, expiryS = 30, atMs = 0 } = {}) {
  prices.hear(route(topic, ""), { payload: new TextEncoder().encode(text), retain, expiryS }, atMs);
}

function priced(text = '{"price":10.50,"bid":10.40,"ask":10.60,"time_ns":1763000000000000000,"stale":false,"age_ms":100}', options = {}) {
  const prices = new Prices(30);
  hear(prices, "latest/kucoin/A-B", text, options);
  prices.absorb();
  return { prices, row: prices.rows.get("kucoin/A-B") };
}

test("a row shows the digits as published, and the exact spread", () => {
  const { row } = priced();
  assert.deepEqual([row.price, row.bid, row.ask, row.spread], ["10.50", "10.40", "10.60", "0.20"]);
  assert.ok(Math.abs(row.part - 0.2 / 10.5) < 1e-12);
});

test("only the newest of a topic is parsed, and its change told once", () => {
  const { prices, row } = priced();
  for (const price of ["11", "12", "9"]) hear(prices, "latest/kucoin/A-B", `{"price":${price}}`);
  assert.deepEqual([...prices.absorb()], ["kucoin/A-B"]);
  assert.deepEqual([row.price, row.moves, row.direction], ["9", 1, -1]);
  assert.equal(prices.absorb().size, 0);
});

test("a price told again in other digits has not moved", () => {
  const { prices, row } = priced();
  hear(prices, "latest/kucoin/A-B", '{"price":10.5}');
  prices.absorb();
  assert.equal(row.moves, 0);
});

test("without bid and ask there is no spread", () => {
  const { row } = priced('{"price":1}');
  assert.deepEqual([row.bid, row.spread, row.part], [null, null, null]);
});

test("an unreadable payload is counted and changes nothing", () => {
  const { prices, row } = priced();
  hear(prices, "latest/kucoin/A-B", "garbage");
  assert.equal(prices.absorb().size, 0);
  assert.deepEqual([prices.unreadable, row.price], [1, "10.50"]);
});

test("rows beyond the bound are counted, not kept", () => {
  const prices = new Prices(30);
  for (let number = 0; number < MOST_ROWS + 3; number += 1) hear(prices, `latest/x/${number}`, "{}");
  assert.deepEqual([prices.rows.size, prices.refused], [MOST_ROWS, 3]);
});

test("statistics bring the change of the day", () => {
  const { prices, row } = priced();
  hear(prices, "stats/kucoin/A-B", '{"last":1,"change":-0.0213}');
  prices.absorb();
  assert.equal(row.change, -0.0213);
});

test("every instrument in use has a row, and one no longer in use goes when it is old", () => {
  const { prices } = priced();
  prices.expect("kucoin", ["C-D"], () => false);
  assert.deepEqual([...prices.rows.keys()], ["kucoin/A-B", "kucoin/C-D"]);
  prices.expect("kucoin", ["C-D"], () => true);
  assert.deepEqual([...prices.rows.keys()], ["kucoin/C-D"]);
});

test("a live price is fresh with its age", () => {
  const { row } = priced();
  assert.deepEqual(judge(row, true, here, 2000), { kind: "fresh", reason: "", ageMs: 2100, leastMs: null });
});

test("a retained price is provisional until its exchange speaks, then its age is known", () => {
  const { prices, row } = priced(undefined, { retain: true, expiryS: 25 });
  assert.equal(judge(row, prices.isLive("kucoin"), here, 0).kind, "provisional");
  prices.alive("kucoin");
  assert.deepEqual(judge(row, prices.isLive("kucoin"), here, 1000), { kind: "fresh", reason: "", ageMs: 6100, leastMs: null });
  prices.begin();
  assert.equal(judge(row, prices.isLive("kucoin"), here, 1000).kind, "provisional");
});

test("of a retained price is told how old it is at least, whatever the broker's countdown says", () => {
  const { row } = priced(undefined, { retain: true, expiryS: 25, atMs: 500 });
  for (const world of [here, { away: "bridge offline" }]) {
    const { ageMs, leastMs } = judge(row, false, world, 2500);
    assert.deepEqual([ageMs, leastMs], [null, 2100]);
  }
});

test("a row without a price says what is wrong with its exchange", () => {
  const { prices, row } = priced();
  hear(prices, "latest/kucoin/A-B", "");
  prices.absorb();
  assert.equal(judge(row, true, { away: null, trouble: "reconnecting" }, 0).reason, "reconnecting");
  assert.equal(judge(row, true, { away: "bridge offline", trouble: "reconnecting" }, 0).reason, "bridge offline");
  assert.equal(judge(row, true, here, 0).reason, "no price yet");
});

test("what the bridge calls stale is stale, with its reason", () => {
  const { row } = priced('{"price":1,"stale":true,"reason":"kucoin: reconnecting"}');
  assert.deepEqual(judge(row, true, here, 0).reason, "kucoin: reconnecting");
});

test("without a word for 35 s a price is old, whatever the connection says", () => {
  const { row } = priced();
  assert.equal(judge(row, true, here, HEARTBEAT_MS).kind, "fresh");
  assert.deepEqual(judge(row, true, here, HEARTBEAT_MS + 1000).reason, "no word for 36 s");
});

test("a retained price nobody confirms is old after 35 s as well", () => {
  const { row } = priced(undefined, { retain: true, expiryS: 40 });
  assert.equal(judge(row, false, here, HEARTBEAT_MS + 1).kind, "stale");
});

test("while the broker or the bridge is away every price is old", () => {
  const { row } = priced();
  assert.equal(judge(row, true, { away: "broker away" }, 0).reason, "broker away");
});

test("a cleared topic leaves a row without a price", () => {
  const { prices, row } = priced();
  hear(prices, "latest/kucoin/A-B", "");
  prices.absorb();
  assert.equal(judge(row, true, here, 0).kind, "empty");
});
