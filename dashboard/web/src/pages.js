/** One symbol's candles from the history: the newest at first, older ones page by page. Draws nothing. */

import { INTERVALS_S, candleOf } from "./candles.js";

const PAGE = 500;
const MOST_ROWS = 1000;
const MOST_PARTS = 5;
const WIDEST = 64; // pages looked at in one step when older ones were empty

export class Pages {
  #api;
  #wish;
  #stepS;
  #oldestS;
  #span = PAGE;
  #done = false;

  /** @param {import("./api.js").Api} api @param {{exchange: string, symbol: string, interval: string}} wish */
  constructor(api, wish) {
    this.#api = api;
    this.#wish = wish;
    this.#stepS = INTERVALS_S[wish.interval];
    const nowS = api.nowMs() / 1000;
    this.#oldestS = (Math.floor(nowS / this.#stepS) + 2) * this.#stepS;
  }

  /** Start of the oldest range asked for, s. */
  get oldestS() {
    return this.#oldestS;
  }

  /** The next older candles, oldest first; empty only when there are no more. */
  async older() {
    while (!this.#done) {
      const toS = this.#oldestS;
      const fromS = Math.max(0, toS - this.#span * this.#stepS);
      const candles = await this.#range(this.#wish.interval, fromS, toS);
      this.#oldestS = fromS;
      this.#span = candles.length ? PAGE : this.#span * 4;
      this.#done = fromS === 0 || this.#span > PAGE * WIDEST;
      if (candles.length) return candles;
    }
    return [];
  }

  /** The one-minute candles of the bucket that runs now. */
  async running() {
    const nowS = this.#api.nowMs() / 1000;
    const fromS = Math.floor(nowS / this.#stepS) * this.#stepS;
    return this.#range("1m", fromS, fromS + this.#stepS);
  }

  async #range(interval, fromS, toS) {
    const candles = [];
    let from = fromS;
    for (let part = 0; part < MOST_PARTS && from < toS; part += 1) {
      const page = await this.#api.candles({ ...this.#wish, interval, fromS: from, toS, limit: MOST_ROWS });
      candles.push(...page.rows.map(candleOf).filter((candle) => candle !== null));
      if (page.next === undefined) break;
      from = Number(page.next) / 1e9;
    }
    return candles;
  }
}
