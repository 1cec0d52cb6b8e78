/** Store, proof and Telegraf in people's words. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { cards, trouble } from "../../../dashboard/web/src/keeping.js";

const AT = new Date(2026, 10, 21, 14, 3, 20).getTime();
const proof = (fields) => ({ history: {}, recorder: { store: "ok" }, proof: { complete_until_ns: AT * 1e6, repaired: 0, lost: 0, ...fields } });
const [only, telegraf] = [(told) => cards(told, AT)[0], (told) => cards({ history: {}, telegraf: told }, AT)[1]];

test("the state of proof is a sentence", () => {
  const status = (state, fields = {}) => only(proof({ state, ...fields })).status;
  assert.equal(status("complete"), "complete up to 14:03:20");
  assert.equal(status("late"), "complete up to 14:03:20, the rest is on its way");
  assert.equal(status("missing"), "rows are missing after 14:03:20");
  assert.equal(status("unproven"), "not proven after 14:03:20");
  assert.equal(status("starting", { complete_until_ns: undefined }), "waiting for the first audit");
  assert.equal(status("repairing"), "complete up to 14:03:20, the rest is being repaired");
  assert.equal(status("off"), "not audited");
  assert.equal(status("something new"), "something new");
});

test("repaired and lost are counted, and what is missing is bad", () => {
  const card = only(proof({ state: "missing", repaired: 1234, lost: 5, reason: "trades/kucoin/BTC-USDT: 5" }));
  assert.deepEqual(card.figures, [["Repaired", "1,234"], ["Lost", "5"]]);
  assert.deepEqual([card.tone, card.reason], ["bad", "trades/kucoin/BTC-USDT: 5"]);
  assert.equal(only(proof({ state: "complete" })).tone, "good");
});

test("a store in trouble says why, before any proof", () => {
  const told = { ...proof({ state: "complete" }), history: { problem: "InfluxDB refuses the token: set influx.token" } };
  assert.equal(trouble(told), "InfluxDB refuses the token: set influx.token");
  assert.deepEqual([only(told).status, only(told).tone], ["trouble", "bad"]);
  assert.equal(trouble({ history: {}, recorder: { store: "disk full" } }), "disk full");
  assert.equal(trouble({ history: {}, recorder: { store: "ok" } }), null);
  assert.equal(only({}).status, "off");
});

test("what Telegraf rejects, drops or cannot read is seen, and so is its silence", () => {
  const told = { rejected: 0, dropped: 0, input_errors: 0, buffer: 17, seen_ns: (AT - 5000) * 1e6 };
  assert.deepEqual([telegraf(told).status, telegraf(told).tone, telegraf(told).figures.at(-1)], ["online", "good", ["Waiting", "17"]]);
  assert.equal(telegraf({ ...told, rejected: 3 }).tone, "resting");
  assert.match(telegraf({ ...told, dropped: 3 }).reason, /did not become rows/);
  assert.equal(telegraf({ ...told, seen_ns: (AT - 61_000) * 1e6 }).reason, "no word from it for 1 min");
  assert.equal(telegraf({}).status, "silent");
  assert.equal(telegraf({ problem: "InfluxDB does not answer" }).reason, "InfluxDB does not answer");
});

test("answers that make no sense are survived", () => {
  for (const told of [{ history: 7, proof: "x", telegraf: [] }, { history: {}, proof: { state: {}, lost: "many" } }, { recorder: null }]) {
    assert.ok(cards(told, AT).length > 0);
  }
});
