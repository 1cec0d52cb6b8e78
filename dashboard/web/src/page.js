/** The page's state of affairs: takes every message to where it belongs, and says when a new frame is worth drawing. */

import { Elapsed } from "./age.js";
import { Broker } from "./broker.js";
import { Feeds } from "./feeds.js";
import { awayWords, notices } from "./notices.js";
import { Prices } from "./prices.js";
import { errors, forChart, rootOf, route, standing } from "./route.js";
import { Steps } from "./steps.js";
import { judge } from "./verdict.js";

const HEALTH_EXPIRY_S = 30;

export class Page {
  #elapsed = new Elapsed(performance.now(), Date.now());
  #sleptMs = 0;
  #connect;
  #root;
  #on;
  #open = null;
  #away = null;
  #troubles = new Map();
  #linkedAt = 0;
  unreadable = 0;
  steps = new Steps();
  /** @type {Map<string, number>} where each symbol stands in the watchlist */ places;

  /**
   * @param {object} connect what /api/v1/connect told
   * @param {{news(): void, link(): void, candle(told: object): void, gap(exchange: string, gap: object): void, trouble(exchange: string, entry: object): void, back(): void}} on
   */
  constructor(connect, on) {
    this.#connect = connect;
    this.#root = rootOf(String(connect.prefix ?? ""));
    this.#on = on;
    this.places = new Map(listOf(connect.watchlist).map((symbol, place) => [symbol, place]));
    this.prices = new Prices(Number(connect.latest_expiry_s ?? 30));
    this.feeds = new Feeds(HEALTH_EXPIRY_S);
    const heard = { message: (message) => this.#hear(message), link: (link) => this.#linked(link) };
    this.broker = new Broker(placeOf(connect.mqtt), heard, () => this.now());
    this.broker.subscribe(standing(this.#root));
  }

  /** ms, monotonic, sleep included. */
  now() {
    return this.#elapsed.now(performance.now(), Date.now());
  }

  /** Once a second, and when the page comes back into sight. */
  tend() {
    this.now();
    if (this.#elapsed.sleptMs > this.#sleptMs) {
      this.#sleptMs = this.#elapsed.sleptMs;
      this.broker.renew("the computer slept");
    }
    this.broker.tend();
    this.#troubles = this.feeds.troubles(this.now());
    this.#away = awayWords(this.broker.link, this.feeds.bridgeAway(this.now()));
  }

  /** Subscribes to what the chart of one symbol needs, instead of the last one's. @param {import("./prices.js").Row} row */
  follow({ exchange, symbol }) {
    if (this.#open !== null) this.broker.unsubscribe(forChart(this.#root, this.#open.exchange, this.#open.symbol));
    this.#open = { exchange, symbol };
    this.broker.subscribe(forChart(this.#root, exchange, symbol));
  }

  /** Whether the error table's live side is heard: only while somebody looks at it. @param {boolean} wanted */
  hearErrors(wanted) {
    if (wanted) this.broker.subscribe([errors(this.#root)]);
    else this.broker.unsubscribe([errors(this.#root)]);
  }

  /** Whether this is the exchange of the open symbol. @param {string} exchange */
  isOpenOn(exchange) {
    return exchange === this.#open?.exchange;
  }

  /** @param {import("./prices.js").Row} row */
  verdict(row) {
    const trouble = this.#troubles.get(row.exchange);
    const world = { away: this.#away, trouble: trouble === undefined ? null : `${row.exchange}: ${trouble}` };
    return judge(row, this.prices.isLive(row.exchange), world, this.now());
  }

  get isAway() {
    return this.#away !== null;
  }

  /** What is known of why there are prices, or none. */
  heard() {
    const now = this.now();
    const { link } = this.broker;
    return { link, away: this.feeds.bridgeAway(now), feeds: this.feeds.list(now), heardMs: now - this.#linkedAt };
  }

  /** What must be said above the prices. @param {string | null} wayIn the log-in, when ours has ended */
  notices(wayIn) {
    const { demo, whole_market: whole } = this.#connect;
    const bridge = this.feeds.bridgeAway(this.now());
    const facts = { link: this.broker.link, bridge, demo: demo === true, whole: whole ?? null };
    return notices({ ...facts, priced: this.prices.isPriced, refused: this.prices.refused, wayIn });
  }

  #linked(link) {
    if (link.connected) {
      this.#linkedAt = this.now();
      this.prices.begin();
      this.#on.back();
    }
    this.#away = awayWords(link, this.feeds.bridgeAway(this.now()));
    this.#on.link();
  }

  #hear(message) {
    const place = route(message.topic, this.#root);
    if (place === null) return;
    if (!message.retain) this.prices.alive(place.exchange);
    try {
      this.#take(place, message);
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      this.unreadable += 1;
      console.warn("tickbridge: %s is unreadable: %s", message.topic, error.message);
    }
    this.#on.news();
  }

  #take(place, message) {
    if (place.root === "latest" || place.root === "stats") this.prices.hear(place, message, this.now());
    else if (place.root === "health") this.feeds.hear(place, message, this.now());
    else if (place.root === "catalogue") this.#list(place, message.payload);
    else if (place.root === "gaps") this.#on.gap(place.exchange, parsed(message.payload));
    else if (place.root === "errors") this.#on.trouble(place.exchange, parsed(message.payload));
    else if (this.#isOpen(place)) this.#on.candle(parsed(message.payload));
  }

  #list({ exchange, rest: shard }, payload) {
    const symbols = this.steps.take(exchange, payload);
    const isGone = shard ? () => false : (row) => this.verdict(row).kind !== "fresh";
    this.prices.expect(exchange, symbols, isGone);
  }

  #isOpen({ exchange, rest }) {
    return this.#open !== null && exchange === this.#open.exchange && rest === `${this.#open.symbol}/1m`;
  }
}

function listOf(value) {
  return Array.isArray(value) ? value : [];
}

function placeOf({ host = window.location.hostname, port, path = "/mqtt", tls, user, password }) {
  return { url: `${tls ? "wss" : "ws"}://${host}:${port}${path}`, user, password };
}

/** @throws {SyntaxError} for what is no JSON object; an empty payload is an object without fields */
function parsed(payload) {
  if (payload.length === 0) return {};
  const told = JSON.parse(new TextDecoder().decode(payload));
  if (told === null || typeof told !== "object") throw new SyntaxError("no object");
  return told;
}
