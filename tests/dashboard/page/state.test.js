/** Age, topics, order, feeds, notices, and what a browser remembers. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Elapsed, HEARTBEAT_MS, ageMs, provisional, receipt, silenceMs } from "../../../dashboard/web/src/age.js";
import { Feeds } from "../../../dashboard/web/src/feeds.js";
import { wayIn } from "../../../dashboard/web/src/api.js";
import { awayWords, notices } from "../../../dashboard/web/src/notices.js";
import { arrange } from "../../../dashboard/web/src/order.js";
import { rootOf, route } from "../../../dashboard/web/src/route.js";
import { emptyWords, noFeeds } from "../../../dashboard/web/src/silence.js";
import { Steps } from "../../../dashboard/web/src/steps.js";
import { Remembered } from "../../../dashboard/web/src/store.js";
import { title } from "../../../dashboard/web/src/title.js";

const bytesOf = (text) => new TextEncoder().encode(text);
const json = (value) => bytesOf(JSON.stringify(value));

test("the age is what the message says, what its expiry lost, and the time since receipt", () => {
  const got = receipt({ retain: true, expiryS: 23, ageMs: 120 }, 30, 1000);
  assert.equal(ageMs(got, 3000), 120 + 7000 + 2000);
  assert.equal(silenceMs(got, 3000), 9000);
});

test("a retained value is provisional until its exchange speaks live", () => {
  const got = receipt({ retain: true, expiryS: 30, ageMs: 0 }, 30, 0);
  assert.equal(provisional(got, false), true);
  assert.equal(provisional(got, true), false);
  assert.equal(provisional(receipt({ retain: false, expiryS: 30 }, 30, 0), false), false);
});

test("with more expiry left than given, or none at all, it stays provisional until its own live message", () => {
  assert.equal(provisional(receipt({ retain: true, expiryS: 31 }, 30, 0), true), true);
  assert.equal(provisional(receipt({ retain: true }, 30, 0), true), true);
});

test("time slept through is counted, and a clock set back is not", () => {
  const elapsed = new Elapsed(0, 1_000_000);
  assert.equal(elapsed.now(1000, 1_001_000), 1000);
  assert.equal(elapsed.now(2000, 1_001_500), 2000);
  assert.equal(elapsed.now(3000, 4_602_500), 3000 + 3_600_000);
  assert.equal(elapsed.now(4000, 1_000_000), 4000 + 3_600_000);
  assert.equal(elapsed.sleptMs, 3_600_000);
});

test("topics are parted under a prefix, and others are nobody's", () => {
  assert.deepEqual(route("home/x/latest/kucoin/BTC-USDT", rootOf("/home/x/")), { root: "latest", exchange: "kucoin", rest: "BTC-USDT" });
  assert.deepEqual(route("health/kucoin/2", ""), { root: "health", exchange: "kucoin", rest: "2" });
  assert.equal(route("other/latest/kucoin/BTC-USDT", "home/"), null);
  assert.equal(route("latest", ""), null);
  assert.equal(route(`latest/kucoin/${"X".repeat(2000)}`, ""), null);
});

const row = (key, fields = {}) => {
  const [exchange, symbol] = key.split("/");
  const words = `${symbol} ${symbol.replaceAll("-", "")} ${exchange}`.toLowerCase();
  return { key, exchange, symbol, words, price: null, bid: null, ask: null, part: null, change: null, receipt: null, ...fields };
};
const rows = [row("kucoin/BTC-USDT", { price: "100.10" }), row("binance/BTC-USDT", { price: "9.9" }), row("kucoin/ADA-USDT"), row("kucoin/ETH-BTC", { price: "1e3" })];
const keys = (wish) => arrange(rows, { search: "", column: "symbol", descending: false, favourites: new Set(), nowMs: 0, places: new Map(), ...wish }).map((one) => one.key);

test("rows are sorted by value, not by text, and what has none comes last in both directions", () => {
  assert.deepEqual(keys({ column: "price" }), ["binance/BTC-USDT", "kucoin/BTC-USDT", "kucoin/ETH-BTC", "kucoin/ADA-USDT"]);
  assert.deepEqual(keys({ column: "price", descending: true }), ["kucoin/ETH-BTC", "kucoin/BTC-USDT", "binance/BTC-USDT", "kucoin/ADA-USDT"]);
});

test("unsorted they stand as in the watchlist, what is not in it from A to Z", () => {
  const places = new Map([["ETH-BTC", 0], ["BTC-USDT", 1]]);
  assert.deepEqual(keys({ column: "", places }), ["kucoin/ETH-BTC", "binance/BTC-USDT", "kucoin/BTC-USDT", "kucoin/ADA-USDT"]);
});

test("favourites come first", () => {
  assert.equal(keys({ favourites: new Set(["kucoin/ETH-BTC"]) })[0], "kucoin/ETH-BTC");
});

test("the search takes several words, with or without the dash, and an unknown column sorts by symbol", () => {
  assert.deepEqual(keys({ search: "BTCusdt kucoin" }), ["kucoin/BTC-USDT"]);
  assert.deepEqual(keys({ search: "nothing" }), []);
  assert.equal(keys({ column: "constructor" })[0], "kucoin/ADA-USDT");
});

const online = { connected: true, ever: true, since: new Date(2026, 0, 1, 14, 3, 22), reason: "" };

test("what the page must say, the gravest first", () => {
  const away = { ...online, connected: false };
  const told = notices({ link: away, bridge: null, demo: true, whole: null, refused: 7 });
  assert.match(told[0].text, /^Broker away since 14:03:22 – prices below are old/);
  assert.equal(told[1].text, "Demo: simulated prices");
  assert.match(told[2].text, /^7 updates of further symbols/);
});

test("the tab's title tells only a price that may be believed", () => {
  const row = { symbol: "BTC-USDT", price: "85243.80" };
  assert.equal(title(row, "fresh", 1), "85243.8 BTC-USDT · Tickbridge");
  assert.equal(title(row, "stale", 1), "old: BTC-USDT · Tickbridge");
  assert.equal(title(row, "provisional", 1), "BTC-USDT · Tickbridge");
  assert.equal(title({ ...row, price: null }, "empty", 1), "Tickbridge");
  assert.equal(title(undefined, "empty", null), "Tickbridge");
});

test("what the whole market would cost is told only to who could choose it", () => {
  const facts = { link: online, bridge: null, demo: false, whole: { on: false, bytes_a_day: 3.2e9 }, priced: true, refused: 0 };
  assert.match(notices(facts)[0].text, /about 3\.2 GB a day/);
  for (const other of [{ priced: false }, { whole: { on: true, bytes_a_day: 3.2e9 } }, { whole: { on: false } }]) {
    assert.deepEqual(notices({ ...facts, ...other }), []);
  }
  assert.deepEqual(notices({ ...facts, demo: true }).map((one) => one.kind), ["demo"]);
});

test("who is logged out is told, with the way in, and that live prices go on", () => {
  const facts = { bridge: null, demo: false, whole: null, refused: 0, wayIn: wayIn({ pathname: "/", search: "", hash: "#a/B-C" }) };
  const [notice] = notices({ ...facts, link: online });
  assert.deepEqual(notice.link, { to: "login?next=%2F%23a%2FB-C", text: "Log in" });
  assert.match(notice.text, /^You are logged out: .* Live prices go on\.$/);
  assert.doesNotMatch(notices({ ...facts, link: { ...online, connected: false } })[1].text, /Live prices/);
});

test("a bridge that says nothing, is offline or stopped makes prices old", () => {
  const [notice] = notices({ link: online, bridge: { status: "silent", since: online.since }, demo: false, whole: null, refused: 0 });
  assert.match(notice.text, /^No word from the bridge since 14:03:22/);
  assert.equal(awayWords(online, { status: "offline" }), "bridge offline");
  assert.equal(awayWords({ ...online, connected: false }, null), "broker away");
  assert.equal(awayWords(online, null), null);
});

const health = (feeds, topic, told, atMs = 0, message = {}) => {
  feeds.hear(route(`health/${topic}`, ""), { payload: json(told), retain: false, expiryS: 30, ...message }, atMs);
};

test("a feed that was online and says nothing for 35 s is silent, and an offline bridge stays offline", () => {
  const feeds = new Feeds(30);
  health(feeds, "kucoin", { status: "online" });
  health(feeds, "bridge", { status: "offline" }, 0, { expiryS: undefined });
  const [kucoin, bridge] = feeds.list(HEARTBEAT_MS + 1);
  assert.deepEqual([kucoin.status, bridge.status], ["silent", "offline"]);
  assert.equal(feeds.bridgeAway(0).status, "offline");
});

test("how long a feed has been so is counted by the bridge's clock, then by ours", () => {
  const feeds = new Feeds(30);
  health(feeds, "kucoin", { status: "reconnecting", since_ns: 1e18, time_ns: 1e18 + 60e9 }, 0);
  health(feeds, "binance", { status: "reconnecting", clock: "unsynced" }, 0);
  health(feeds, "bridge", { status: "offline", since_ns: 1e18 }, 0, { expiryS: undefined });
  assert.deepEqual(feeds.list(5000).map((feed) => feed.forMs), [null, 65_000, null]);
});

const waiting = (feeds, more = {}) => ({
  link: online, away: feeds.bridgeAway(0), feeds: feeds.list(0), heardMs: 60_000, search: "", rows: 0, ...more,
});

test("an empty table says which exchange is not there, why, and for how long", () => {
  const feeds = new Feeds(30);
  health(feeds, "bridge", { status: "online" });
  health(feeds, "kucoin", { status: "reconnecting", reason: "is there an internet connection?", since_ns: 1e18, time_ns: 1e18 + 180e9 });
  health(feeds, "binance", { status: "refused", reason: "HTTP 451: not served here; next try in 60 s" });
  assert.deepEqual(emptyWords(waiting(feeds)), [
    "No prices yet.",
    "binance: refused – HTTP 451: not served here; next try in 60 s. It is tried again by itself.",
    "kucoin: reconnecting for 3 min – is there an internet connection? It is tried again by itself.",
  ]);
});

test("an empty table tells a broker, a bridge and an exchange that are away from each other", () => {
  const feeds = new Feeds(30);
  assert.match(emptyWords(waiting(feeds, { link: { ...online, connected: false } }))[0], /the broker is away/);
  assert.deepEqual(emptyWords(waiting(feeds, { heardMs: 1000 })), ["Listening…"]);
  assert.match(emptyWords(waiting(feeds))[0], /^The bridge is away: nothing is heard of it/);
  health(feeds, "bridge", { status: "online" });
  assert.match(emptyWords(waiting(feeds))[0], /^The bridge tells of no exchange/);
  health(feeds, "kucoin", { status: "online" });
  assert.deepEqual(emptyWords(waiting(feeds)), ["Waiting for the first price."]);
  assert.deepEqual(emptyWords(waiting(feeds, { rows: 3, search: " xyz" })), ["Nothing matches “xyz”."]);
  health(feeds, "bridge", { status: "offline" });
  assert.match(emptyWords(waiting(feeds))[0], /^No prices: the bridge is offline\./);
});

test("where no exchange is heard of, the feeds say why", () => {
  const feeds = new Feeds(30);
  assert.match(noFeeds(waiting(feeds)), /^The bridge is away/);
  health(feeds, "bridge", { status: "stopped" });
  assert.equal(noFeeds(waiting(feeds)), "Of the exchanges nothing is heard: the bridge is stopped.");
});

test("while the bridge is away no exchange is called well", () => {
  const feeds = new Feeds(30);
  health(feeds, "kucoin", { status: "online" });
  health(feeds, "binance", { status: "reconnecting" });
  health(feeds, "bridge", { status: "offline" });
  assert.deepEqual(feeds.list(0).map((feed) => feed.status), ["reconnecting", "unknown", "offline"]);
  assert.deepEqual(feeds.wellAndAll(0), [0, 2]);
});

test("one living shard of the bridge is enough not to call all prices old", () => {
  const feeds = new Feeds(30);
  health(feeds, "bridge/1", { status: "offline" });
  health(feeds, "bridge/2", { status: "online" });
  assert.equal(feeds.bridgeAway(0), null);
});

test("a whole-market source without a book is known by its health", () => {
  const feeds = new Feeds(30);
  health(feeds, "binance", { status: "online", whole_market: true, book: false });
  health(feeds, "kucoin", { status: "online", whole_market: true, book: true });
  assert.deepEqual([feeds.bookless("binance"), feeds.bookless("kucoin"), feeds.bookless("other")], [true, false, false]);
});

test("a cleared or unreadable health is no feed", () => {
  const feeds = new Feeds(30);
  health(feeds, "kucoin", { status: "online" });
  assert.throws(() => feeds.hear(route("health/kucoin", ""), { payload: bytesOf("nope") }, 0), SyntaxError);
  feeds.hear(route("health/kucoin", ""), { payload: bytesOf("") }, 0);
  assert.deepEqual(feeds.list(0), []);
});

test("the catalogue tells each symbol's places", () => {
  const steps = new Steps();
  assert.deepEqual(steps.take("kucoin", bytesOf('{"instruments":[{"symbol":"A-B","price_step":0.00000001},{"symbol":"C-D"},{}]}')), ["A-B", "C-D"]);
  assert.deepEqual([steps.of("kucoin/A-B", null), steps.of("kucoin/C-D", "1.50"), steps.of("kucoin/E-F", null)], [8, 2, 2]);
  assert.throws(() => steps.take("kucoin", bytesOf('{"instruments":7}')), SyntaxError);
});

test("favourites and sorting are kept, and a browser that refuses storage only forgets", () => {
  const kept = new Map();
  const storage = { getItem: (name) => kept.get(name) ?? null, setItem: (name, value) => kept.set(name, value) };
  const remembered = new Remembered(storage);
  remembered.toggle("kucoin/BTC-USDT");
  remembered.sort = { column: "price", descending: true };
  assert.deepEqual([...new Remembered(storage).favourites], ["kucoin/BTC-USDT"]);
  assert.deepEqual(new Remembered(storage).sort, { column: "price", descending: true });
  assert.deepEqual([...new Remembered(null).favourites], []);
});
