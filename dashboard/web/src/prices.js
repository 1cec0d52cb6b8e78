/**
 * The state of all prices. A message is kept raw, only the newest of each topic, and parsed when the page is about to
 * draw: a thousand updates a second cost what sixty frames can show. Pure; draws nothing, talks to nobody.
 */

import { receipt } from "./age.js";
import { subtract } from "./decimal.js";
import { read } from "./reader.js";

/** Rows beyond this are counted and not shown. */
export const MOST_ROWS = 20_000;
/** A payload longer than this is no price. */
const LONGEST_PAYLOAD = 65_536;

const utf8 = new TextDecoder();

/**
 * @typedef {object} Row one symbol of one exchange; numbers are texts with the published digits
 * @property {string} key exchange/SYMBOL
 * @property {string | null} price @property {string | null} bid @property {string | null} ask
 * @property {string | null} spread ask − bid, exact @property {number | null} part the spread as a fraction of the middle
 * @property {number | null} change over 24 h, a fraction
 * @property {number} moves counts changes of the price @property {number} direction of the last one: 1, −1 or 0
 * @property {string | null} stale the reason why the bridge calls it stale
 * @property {object | null} receipt of the newest message, from age.js
 */

export class Prices {
  /** @type {Map<string, Row>} */ rows = new Map();
  refused = 0;
  unreadable = 0;
  #pending = new Map();
  #live = new Set();
  #givenS;

  /** @param {number} givenS the expiry that `latest/` is published with, s */
  constructor(givenS) {
    this.#givenS = givenS;
  }

  /** A new connection: no exchange has spoken live on it. */
  begin() {
    this.#live.clear();
  }

  /** Any live message of an exchange makes its retained values trustworthy. */
  alive(exchange) {
    this.#live.add(exchange);
  }

  /** Whether any price has come at all. */
  get isPriced() {
    return [...this.rows.values()].some((row) => row.price !== null);
  }

  /** Whether anybody has spoken live on this connection. */
  get isAnyLive() {
    return this.#live.size > 0;
  }

  isLive(exchange) {
    return this.#live.has(exchange);
  }

  /**
   * @param {{root: string, exchange: string, rest: string}} place from route(): `latest` or `stats`
   * @param {{payload: Uint8Array, retain: boolean, expiryS?: number}} message @param {number} atMs by Elapsed
   */
  hear(place, message, atMs) {
    const key = `${place.exchange}/${place.rest}`;
    if (!this.rows.has(key) && !this.#add(key, place)) return;
    this.#pending.set(`${place.root}/${key}`, { ...message, root: place.root, key, atMs });
  }

  /** Parses what came since the last call. @returns {Set<string>} keys of the rows that changed */
  absorb() {
    const changed = new Set();
    for (const message of this.#pending.values()) {
      if (this.#take(message)) changed.add(message.key);
    }
    this.#pending.clear();
    return changed;
  }

  /** The instruments in use: each has a row, and rows that are none any more go. @param {string[]} symbols */
  expect(exchange, symbols, isGone) {
    const wanted = new Set(symbols.map((symbol) => `${exchange}/${symbol}`));
    for (const [key, row] of this.rows) {
      if (row.exchange === exchange && !wanted.has(key) && isGone(row)) this.rows.delete(key);
    }
    for (const symbol of symbols) {
      if (!this.rows.has(`${exchange}/${symbol}`)) this.#add(`${exchange}/${symbol}`, { exchange, rest: symbol });
    }
  }

  #add(key, place) {
    if (this.rows.size >= MOST_ROWS) {
      this.refused += 1;
      return false;
    }
    this.rows.set(key, emptyRow(key, place.exchange, place.rest));
    return true;
  }

  #take(message) {
    const row = this.rows.get(message.key);
    if (row === undefined) return false;
    if (message.payload.length === 0) return clear(row, message.root);
    try {
      if (message.payload.length > LONGEST_PAYLOAD) throw new SyntaxError("too long for a price");
      const { digits, told } = read(utf8.decode(message.payload));
      if (message.root === "stats") takeStats(row, digits);
      else takeLatest(row, digits, told, message, this.#givenS);
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      this.unreadable += 1;
      return false;
    }
    return true;
  }
}

function emptyRow(key, exchange, symbol) {
  const words = `${symbol} ${symbol.replaceAll("-", "")} ${exchange}`.toLowerCase();
  return {
    key, exchange, symbol, words, price: null, bid: null, ask: null, spread: null, part: null, change: null,
    timeS: null, moves: 0, direction: 0, stale: null, receipt: null,
  };
}

/** An empty retained payload: the broker was told to forget the topic. */
function clear(row, root) {
  if (root === "stats") row.change = null;
  else Object.assign(row, { price: null, bid: null, ask: null, spread: null, part: null, receipt: null });
  return true;
}

function takeStats(row, digits) {
  row.change = digits.change === undefined ? null : Number(digits.change);
}

function takeLatest(row, digits, told, message, givenS) {
  const price = digits.price ?? null;
  const moved = price !== null && row.price !== null ? Math.sign(Number(price) - Number(row.price)) : 0;
  if (moved !== 0) {
    row.direction = moved;
    row.moves += 1;
  }
  row.price = price;
  row.bid = digits.bid ?? null;
  row.ask = digits.ask ?? null;
  takeSpread(row);
  row.stale = told.stale === true ? String(told.reason ?? "no reason told") : null;
  row.timeS = digits.time_ns === undefined ? null : Number(digits.time_ns) / 1e9;
  row.receipt = receipt({ ...message, ageMs: Number(digits.age_ms ?? 0) }, givenS, message.atMs);
}

function takeSpread(row) {
  if (row.bid === null || row.ask === null) {
    row.spread = row.part = null;
    return;
  }
  const [bid, ask] = [Number(row.bid), Number(row.ask)];
  row.spread = subtract(row.ask, row.bid) ?? String(ask - bid);
  row.part = bid + ask > 0 ? (2 * (ask - bid)) / (ask + bid) : null;
}
