/** Draws candles and volume with lightweight-charts, in the page's colours and the viewer's time zone. */

import { CandlestickSeries, ColorType, CrosshairMode, HistogramSeries, createChart } from "lightweight-charts";

import { holes, withHoles } from "./candles.js";
import { moved } from "./keys.js";
import { Shade } from "./shade.js";
import { placeAt, timeAt } from "./zoom.js";

const NEAR_THE_LEFT = 30; // bars left of the view when older ones are asked for
const SLOT_PX = 4; // a candle narrower than this tells nothing
const ROOM = 4; // empty slots right of the newest
const HALF = 0.5; // the library counts from the middle of the first candle seen to the middle of the last
const SETTLED_MS = 200;
const DAY_S = 86_400;
/** The licence asks for a link to TradingView: the page's foot has it. The logo brings a style our policy forbids. */
const ATTRIBUTION_LOGO = false;

export class Chart {
  #chart;
  #candles;
  #volume;
  #shade = new Shade();
  #list = [];
  #stepS = 60;
  #colours = {};
  #isFresh = true;
  #place;
  #times = null;
  #timer = 0;
  #on;
  #dark = window.matchMedia("(prefers-color-scheme: dark)");

  /**
   * @param {HTMLElement} place
   * @param {{older(): void, settled(): boolean, legend(candle: object | null, gap: object | null): void}} on `settled`: the
   *   view came to rest; false when it is to be asked again
   */
  constructor(place, on) {
    this.#on = on;
    this.#place = place;
    // a finger that moves up or down scrolls the page, not the chart
    const handleScroll = { vertTouchDrag: false };
    this.#chart = createChart(place, { autoSize: true, handleScroll, layout: { attributionLogo: ATTRIBUTION_LOGO } });
    this.#candles = this.#chart.addSeries(CandlestickSeries, { borderVisible: false });
    this.#volume = this.#chart.addSeries(HistogramSeries, { priceScaleId: "", lastValueVisible: false, priceLineVisible: false });
    this.#candles.priceScale().applyOptions({ scaleMargins: { top: 0.08, bottom: 0.24 } });
    this.#volume.priceScale().applyOptions({ scaleMargins: { top: 0.84, bottom: 0 } });
    this.#candles.attachPrimitive(this.#shade);
    this.#chart.timeScale().subscribeVisibleLogicalRangeChange((range) => {
      if (range === null || this.#list.length === 0) return;
      if (range.from < NEAR_THE_LEFT) on.older();
      this.#settle();
    });
    place.addEventListener("keydown", (event) => this.#press(event));
    this.#chart.subscribeCrosshairMove((at) => {
      on.legend(at.seriesData?.get(this.#candles) ?? null, at.time === undefined ? null : this.#shade.at(at.time));
    });
    this.#dark.addEventListener("change", () => this.#paint());
    this.#paint();
  }

  /** Another symbol or interval: an empty chart. @param {number} places of the price's digits */
  begin(stepS, places) {
    this.#step(stepS);
    this.#list = [];
    this.#times = null;
    this.places(places);
    this.#candles.setData([]);
    this.#volume.setData([]);
    this.shade([]);
    this.#chart.priceScale("right").applyOptions({ autoScale: true });
  }

  places(places) {
    const priceFormat = { type: "custom", minMove: 10 ** -places, formatter: (price) => price.toFixed(places) };
    this.#candles.applyOptions({ priceFormat });
  }

  /** All candles, oldest first; the view stays where it was (the library counts it from the newest). */
  set(candles) {
    const isFirst = this.#list.length === 0;
    this.#take(candles);
    const count = this.#list.length;
    if (isFirst) this.#chart.timeScale().setVisibleLogicalRange({ from: count + ROOM - this.slots, to: count + ROOM });
    else if (this.#list.length && this.#range?.from < NEAR_THE_LEFT) this.#settle(); // what is missing there is asked for next
  }

  /** The same time of other candles. @param {object[]} candles oldest first */
  change(candles, stepS) {
    const view = this.view;
    this.#step(stepS);
    this.#take(candles);
    if (view === null || this.#list.length === 0) return;
    const place = (timeS) => placeAt(this.#all, stepS, timeS);
    this.#chart.timeScale().setVisibleLogicalRange({ from: place(view.fromS) + HALF, to: place(view.toS) - HALF });
  }

  /** What is seen, in seconds; empty places on both sides count. @returns {{fromS: number, toS: number} | null} */
  get view() {
    const range = this.#range;
    if (range === null || this.#list.length === 0) return null;
    const time = (place) => timeAt(this.#all, this.#stepS, place);
    return { fromS: time(range.from - HALF), toS: time(range.to + HALF) };
  }

  /** How many candles the width can show. */
  get slots() {
    return Math.max(20, Math.floor((this.#chart.timeScale().width() || this.#place.clientWidth) / SLOT_PX));
  }

  /** The running candle, or one closed just before it. */
  update(candle) {
    const last = this.#list.at(-1);
    if (last !== undefined && candle.time > last.time) {
      for (const hole of holes(last.time, candle.time, this.#stepS)) this.#push(hole);
    }
    if (last === undefined || candle.time >= last.time) this.#push(candle);
    else this.#mend(candle);
  }

  /** Empty slots up to now: a gap that still runs grows before one's eyes. */
  reach(nowS) {
    const last = this.#list.at(-1);
    if (last === undefined) return;
    for (const hole of holes(last.time, nowS, this.#stepS)) this.#push(hole);
  }

  /** @param {{fromS: number, toS: number, words: string}[]} gaps in any seconds; shaded over whole slots */
  shade(gaps) {
    const [first, last] = [this.#list[0]?.time, this.#list.at(-1)?.time];
    const slot = (s) => Math.floor(s / this.#stepS) * this.#stepS;
    const end = (gap) => Math.min(last, slot(Math.max(gap.fromS, gap.toS - 1)));
    const bands = gaps
      .filter((gap) => first !== undefined && gap.toS >= first && slot(gap.fromS) <= last)
      .map((gap) => ({ ...gap, fromS: Math.max(first, slot(gap.fromS)), toS: end(gap) }));
    this.#shade.show(bands, this.#colours.gap);
  }

  /** Whether the last price may look live: else its line and label are as pale as an old price. */
  believe(isFresh) {
    if (isFresh === this.#isFresh) return;
    this.#isFresh = isFresh;
    this.#label();
  }

  /** Whether a candle is missing between the two times. */
  isMissing(fromS, toS) {
    return this.#list.some((one) => one.close === undefined && one.time + this.#stepS > fromS && one.time <= toS);
  }

  get last() {
    return this.#list.findLast((one) => one.close !== undefined) ?? null;
  }

  get #range() {
    return this.#chart.timeScale().getVisibleLogicalRange();
  }

  get #all() {
    return (this.#times ??= this.#list.map((one) => one.time));
  }

  #step(stepS) {
    this.#stepS = stepS;
    this.#chart.applyOptions(times(stepS));
  }

  #take(candles) {
    this.#list = withHoles(candles, this.#stepS);
    this.#times = null;
    this.#candles.setData(this.#list);
    this.#volume.setData(this.#list.map((candle) => this.#bar(candle)));
  }

  #settle() {
    window.clearTimeout(this.#timer);
    this.#timer = window.setTimeout(() => {
      const isDone = this.#on.settled();
      if (this.#range?.from < NEAR_THE_LEFT) this.#on.older();
      if (!isDone) this.#settle();
    }, SETTLED_MS);
  }

  #press(event) {
    const range = this.#range;
    if (range === null || event.ctrlKey || event.metaKey || event.altKey) return;
    const next = moved(range, this.#list.length, event.key);
    if (next === null) return;
    event.preventDefault();
    this.#chart.timeScale().setVisibleLogicalRange(next);
  }

  #push(candle) {
    this.#times = null;
    if (this.#list.at(-1)?.time === candle.time) this.#list.pop();
    this.#list.push(candle);
    this.#candles.update(candle);
    this.#volume.update(this.#bar(candle));
  }

  #mend(candle) {
    const index = this.#list.findLastIndex((one) => one.time === candle.time);
    if (index < 0) return;
    this.#list[index] = candle;
    this.#candles.update(candle, true);
    this.#volume.update(this.#bar(candle), true);
  }

  #bar({ time, open, close, volume }) {
    if (close === undefined) return { time };
    return { time, value: volume, color: close >= open ? this.#colours.upSoft : this.#colours.downSoft };
  }

  #paint() {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(`--${name}`).trim();
    this.#colours = { gap: colour("gap"), pale: colour("muted"), upSoft: colour("up-soft"), downSoft: colour("down-soft") };
    const [up, down] = [colour("up"), colour("down")];
    this.#chart.applyOptions(look(colour));
    this.#candles.applyOptions({ upColor: up, downColor: down, wickUpColor: up, wickDownColor: down });
    this.#volume.setData(this.#list.map((candle) => this.#bar(candle)));
    this.#label();
  }

  #label() {
    this.#candles.applyOptions({ priceLineColor: this.#isFresh ? "" : this.#colours.pale }); // "": the last candle's own
  }
}

function look(colour) {
  const [line, text, label] = [colour("line"), colour("muted"), colour("label")];
  const crosshair = { color: text, labelBackgroundColor: label };
  return {
    layout: { background: { type: ColorType.Solid, color: colour("card") }, textColor: text, fontFamily: colour("font") },
    grid: { vertLines: { color: line }, horzLines: { color: line } },
    crosshair: { mode: CrosshairMode.Normal, vertLine: crosshair, horzLine: crosshair },
    rightPriceScale: { borderVisible: false, entireTextOnly: true },
    timeScale: { borderVisible: false, timeVisible: true, secondsVisible: false },
  };
}

/** Times in the viewer's zone (the library itself only knows UTC); days are days of UTC, as exchanges cut them. */
function times(stepS) {
  const timeZone = stepS >= DAY_S ? "UTC" : undefined;
  const format = (wish) => new Intl.DateTimeFormat([], { ...wish, timeZone });
  const day = format({ day: "numeric", month: "short" });
  const time = format({ hour: "2-digit", minute: "2-digit", hour12: false });
  const byKind = [format({ year: "numeric" }), format({ month: "short" }), day, time, time];
  const whole = (s) => (stepS >= DAY_S ? day.format(s * 1000) : `${day.format(s * 1000)} ${time.format(s * 1000)}`);
  return {
    localization: { timeFormatter: whole },
    timeScale: { tickMarkFormatter: (s, kind) => byKind[kind].format(s * 1000) },
  };
}
