/** The open symbol: its candles from the history, continued live, with its gaps; older ones when one pans to the left. */

import { INTERVALS_S, Running, candleOf, merged } from "./candles.js";
import { Gaps } from "./gaps.js";
import { Pages } from "./pages.js";
import { MOST_HELD, isUnsuited, wanted } from "./zoom.js";

/** The interval is chosen by what is seen. */
export const AUTO = "auto";
const FIRST = "1m"; // the finest, where AUTO begins
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

  /** What the candles are of now, like "5m". */
  get interval() {
    if (this.#pages !== null) return this.#pages.interval;
    return this.#wish === null || this.#wish.interval === AUTO ? FIRST : this.#wish.interval;
  }

  /** @param {{exchange: string, symbol: string, interval: string}} wish @param {number} places of its digits */
  async open(wish, places) {
    this.#wish = wish;
    this.#candles = [];
    this.#pages = null;
    this.#running = null; // what is told before the history is there belongs to the last wish
    this.#gaps = new Gaps(wish.symbol);
    this.#chart.begin(INTERVALS_S[this.interval], places);
    this.#note("Loading…");
    await this.reload();
  }

  /** The newest candles and gaps again: after opening, and after the line was away. */
  async reload() {
    const wish = this.#wish;
    if (wish === null) return;
    const pages = this.#newPages();
    await this.#load(wish, async () => {
      const [candles, minutes] = await Promise.all([pages.older(), pages.running()]);
      if (wish !== this.#wish) return;
      // after a long absence the middle is not there yet: paging begins anew
      const isApart = candles.length > 0 && this.#candles.at(-1)?.time < candles[0].time - pages.stepS;
      this.#begin(pages, isApart ? candles : merged(this.#candles, candles), minutes);
      this.#chart.set(this.#candles);
      await this.#loadGaps(wish, this.#candles[0]?.time ?? pages.oldestS, this.#api.nowMs() / 1000);
    });
  }

  /** One page more to the left, if there is one. */
  async older() {
    if (this.#isHeld || this.#pages === null || this.#pages.isDone) return;
    if (this.#candles.length >= MOST_HELD || this.#isUnsuited) return;
    const [wish, pages] = [this.#wish, this.#pages];
    await this.#load(wish, async () => {
      const endS = pages.oldestS;
      const candles = await pages.older();
      if (wish !== this.#wish || pages !== this.#pages || candles.length === 0) return;
      this.#candles = merged(candles, this.#candles);
      this.#chart.set(this.#candles);
      await this.#loadGaps(wish, candles[0].time, endS);
    });
  }

  /** The view came to rest: candles of another interval, if they suit it better. @returns {boolean} false: ask again */
  fit() {
    if (this.#isHeld) return false;
    if (this.#isUnsuited) this.#refit(wanted(this.#chart.view, this.#chart.slots, this.#api.nowMs() / 1000));
    return true;
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

  get #isHeld() {
    return this.#busy || this.#now() < this.#againAt;
  }

  get #isUnsuited() {
    const { view, slots } = this.#chart;
    if (this.#wish?.interval !== AUTO || this.#pages === null || view === null) return false;
    return isUnsuited(view, slots, this.#api.nowMs() / 1000, this.#pages.stepS);
  }

  #newPages() {
    return new Pages(this.#api, { ...this.#wish, interval: this.interval }, this.#chart.slots);
  }

  async #refit({ fromS, limit }) {
    const [wish, pages] = [this.#wish, this.#newPages()];
    await this.#load(wish, async () => {
      const candles = await pages.suiting(fromS, limit);
      if (wish !== this.#wish || pages.interval === this.interval) return;
      const minutes = await pages.running();
      if (wish !== this.#wish) return;
      this.#begin(pages, candles, minutes);
      this.#chart.change(this.#candles, pages.stepS);
      this.#shade();
      await this.#loadGaps(wish, fromS, this.#api.nowMs() / 1000);
    });
  }

  async #load(wish, act) {
    this.#busy = true;
    try {
      await act();
    } catch (error) {
      this.#fail(wish, error);
    } finally {
      if (wish === this.#wish) this.#busy = false;
    }
  }

  #begin(pages, candles, minutes) {
    this.#pages = pages;
    this.#running = new Running(pages.stepS);
    this.#candles = candles;
    for (const minute of minutes) this.#keep(this.#running.take(minute));
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

  async #loadGaps(wish, fromS, toS) {
    const { rows } = await this.#api.gaps({ ...wish, fromS, toS });
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
