/** One symbol's candles from the history: the newest at first, older ones page by page. Draws nothing. */

import { INTERVALS_S, candleOf } from "./candles.js";

const LEAST = 200;
const MOST = 1000;
const MOST_PARTS = 10;
const WIDEST = 64; // pages looked at in one step when older ones were empty

export class Pages {
  #api;
  #wish;
  #page;
  #oldestS;
  #span;
  #done = false;

  /**
   * @param {import("./api.js").Api} api @param {{exchange: string, symbol: string, interval: string}} wish
   * @param {number} slots candles that the chart's width can show: a page is twice as many
   */
  constructor(api, wish, slots) {
    this.#api = api;
    this.#wish = wish;
    this.#page = this.#span = Math.max(LEAST, Math.min(MOST, 2 * slots));
    this.#oldestS = this.#endS();
  }

  get interval() {
    return this.#wish.interval;
  }

  get stepS() {
    return INTERVALS_S[this.#wish.interval];
  }

  /** Whether there are no older ones. */
  get isDone() {
    return this.#done;
  }

  /** Start of the oldest range asked for, s. */
  get oldestS() {
    return this.#oldestS;
  }

  /** Candles from a time on, of the interval of which there are at most `limit`: the dashboard chooses it. */
  async suiting(fromS, limit) {
    const first = await this.#ask("auto", fromS, this.#endS(), limit);
    if (!Object.hasOwn(INTERVALS_S, first.interval)) throw new Error("the dashboard told no interval");
    this.#wish = { ...this.#wish, interval: first.interval };
    const startS = Math.ceil(fromS / this.stepS) * this.stepS;
    this.#oldestS = startS;
    return [...first.candles, ...(first.next === undefined ? [] : await this.#range(this.interval, first.next, this.#endS()))];
  }

  /** The next older candles, oldest first; empty only when there are no more. */
  async older() {
    while (!this.#done) {
      const toS = this.#oldestS;
      const fromS = Math.max(0, toS - this.#span * this.stepS);
      const candles = await this.#range(this.interval, fromS, toS);
      this.#oldestS = fromS;
      this.#span = candles.length ? this.#page : this.#span * 4;
      this.#done = fromS === 0 || this.#span > this.#page * WIDEST;
      if (candles.length) return candles;
    }
    return [];
  }

  /** The one-minute candles of the bucket that runs now. */
  async running() {
    const nowS = this.#api.nowMs() / 1000;
    const fromS = Math.floor(nowS / this.stepS) * this.stepS;
    return this.#range("1m", fromS, fromS + this.stepS);
  }

  #endS() {
    return (Math.floor(this.#api.nowMs() / 1000 / this.stepS) + 2) * this.stepS;
  }

  async #range(interval, fromS, toS) {
    const candles = [];
    let from = fromS;
    for (let part = 0; part < MOST_PARTS && from < toS; part += 1) {
      const page = await this.#ask(interval, from, toS, MOST);
      candles.push(...page.candles);
      if (page.next === undefined) break;
      from = page.next;
    }
    return candles;
  }

  async #ask(interval, fromS, toS, limit) {
    const page = await this.#api.candles({ ...this.#wish, interval, fromS, toS, limit });
    const candles = page.rows.map(candleOf).filter((candle) => candle !== null);
    return { candles, interval: page.interval, next: page.next === undefined ? undefined : Number(page.next) / 1e9 };
  }
}
