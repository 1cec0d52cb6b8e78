/** The open symbol: its candles from the history, continued live, with its gaps; older ones when one pans to the left. */

import { INTERVALS_S, Running, candleOf, merged } from "./candles.js";
import { Gaps } from "./gaps.js";
import { Pages } from "./pages.js";

const MOST_CANDLES = 20_000;
/** No candle told for so long: the price itself moves the chart (a whole market's stream has no candles). */
const UNTOLD_MS = 90_000;
const AGAIN_MS = 5_000;

export class SymbolView {
  #api;
  #chart;
  #now;
  #note;
  #wish = null;
  #pages = null;
  #running = null;
  #gaps = null;
  #candles = [];
  #busy = false;
  #againAt = 0;
  #toldAt = -UNTOLD_MS;

  /**
   * @param {import("./api.js").Api} api @param {import("./chart.js").Chart} chart
   * @param {() => number} now ms, by Elapsed @param {(text: string) => void} note says why the chart is empty
   */
  constructor(api, chart, now, note) {
    this.#api = api;
    this.#chart = chart;
    this.#now = now;
    this.#note = note;
  }

  /** @param {{exchange: string, symbol: string, interval: string}} wish @param {number} places of its digits */
  async open(wish, places) {
    this.#wish = wish;
    this.#candles = [];
    this.#pages = null;
    this.#running = null; // what is told before the history is there belongs to the last wish
    this.#gaps = new Gaps(wish.symbol);
    this.#chart.begin(INTERVALS_S[wish.interval], places);
    this.#note("Loading…");
    await this.reload();
  }

  /** The newest candles and gaps again: after opening, and after the line was away. */
  async reload() {
    const wish = this.#wish;
    if (wish === null) return;
    const pages = new Pages(this.#api, wish);
    this.#busy = true;
    try {
      const [candles, minutes] = await Promise.all([pages.older(), pages.running()]);
      if (wish !== this.#wish) return;
      this.#begin(pages, candles, minutes);
      await this.#loadGaps(wish);
    } catch (error) {
      this.#fail(wish, error);
    } finally {
      if (wish === this.#wish) this.#busy = false;
    }
  }

  /** One page more to the left, if there is one. */
  async older() {
    if (this.#busy || this.#pages === null || this.#candles.length >= MOST_CANDLES || this.#now() < this.#againAt) return;
    const [wish, pages] = [this.#wish, this.#pages];
    this.#busy = true;
    try {
      const candles = await pages.older();
      if (wish !== this.#wish || candles.length === 0) return;
      this.#candles = merged(candles, this.#candles);
      this.#chart.set(this.#candles);
      await this.#loadGaps(wish);
    } catch (error) {
      this.#fail(wish, error);
    } finally {
      if (wish === this.#wish) this.#busy = false;
    }
  }

  /** A one-minute candle, forming or closed. @param {object} told its payload */
  hearCandle(told) {
    const minute = candleOf(told);
    if (minute === null || this.#running === null) return;
    this.#toldAt = this.#now();
    this.#update(this.#running.take(minute));
  }

  /** A price, where nobody tells candles. @param {string} price @param {number | null} timeS of the row */
  hearPrice(price, timeS) {
    if (this.#running === null || timeS === null || this.#now() - this.#toldAt < UNTOLD_MS) return;
    this.#update(this.#running.touch(Number(price), timeS));
  }

  /** @param {object} gap one state of a gap of this exchange */
  hearGap(gap) {
    if (this.#gaps?.take(gap)) this.#shade();
  }

  #begin(pages, candles, minutes) {
    this.#pages = pages;
    this.#running = new Running(INTERVALS_S[this.#wish.interval]);
    this.#candles = merged(this.#candles, candles);
    for (const minute of minutes) this.#keep(this.#running.take(minute));
    this.#chart.set(this.#candles);
    this.#note(this.#candles.length ? "" : "No candles are stored yet for this symbol.");
  }

  #update(candle) {
    if (candle === null) return;
    this.#keep(candle);
    this.#chart.update(candle);
    this.#note("");
  }

  #keep(candle) {
    if (candle === null) return;
    const last = this.#candles.at(-1);
    if (last === undefined || candle.time > last.time) this.#candles.push(candle);
    else if (candle.time === last.time) this.#candles[this.#candles.length - 1] = candle;
    else this.#candles = merged(this.#candles, [candle]);
  }

  async #loadGaps(wish) {
    const fromS = this.#candles[0]?.time ?? this.#pages.oldestS;
    const { rows } = await this.#api.gaps({ ...wish, fromS, toS: this.#api.nowMs() / 1000 });
    if (wish !== this.#wish) return;
    for (const gap of rows) this.#gaps.take(gap);
    this.#shade();
  }

  #shade() {
    const nowS = this.#api.nowMs() / 1000;
    if (this.#gaps.isRunning) this.#chart.reach(nowS);
    this.#chart.shade(this.#gaps.shaded((fromS, toS) => this.#chart.isMissing(fromS, toS), nowS));
  }

  #fail(wish, error) {
    this.#againAt = this.#now() + AGAIN_MS;
    console.warn("tickbridge: the history of %s: %s", wish.symbol, error);
    if (wish === this.#wish && this.#candles.length === 0) this.#note(`No history: ${error.message}`);
  }
}
