/** Candles of any interval from one-minute candles, and the holes between them. Pure; times are seconds, UTC. */

export const MINUTE_S = 60;
export const INTERVALS_S = { "1m": 60, "5m": 300, "15m": 900, "30m": 1800, "1h": 3600, "4h": 14_400, "1d": 86_400 };
/** Empty slots put between two candles at most: beyond it the chart jumps. */
const MOST_EMPTY = 5000;

/**
 * @typedef {{time: number, open: number, high: number, low: number, close: number, volume: number}} OneCandle
 * @param {object} row from the history or a message; `time_ns` is the open time
 * @returns {OneCandle | null} null for a row that is no candle
 */
export function candleOf(row) {
  const time = Math.round(Number(row.time_ns) / 1e9);
  const [open, high, low, close] = [row.open, row.high, row.low, row.close].map(Number);
  if (![time, open, high, low, close].every(Number.isFinite)) return null;
  return { time, open, high, low, close, volume: Number(row.volume ?? 0) };
}

/** The candles with a `{time}` for every empty slot between two of them: a hole is drawn as wide as it was long. */
export function withHoles(candles, stepS) {
  const all = [];
  candles.forEach((candle, index) => {
    if (index > 0) all.push(...holes(candles[index - 1].time, candle.time, stepS));
    all.push(candle);
  });
  return all;
}

/** The empty slots strictly between two open times; none when there would be too many. */
export function holes(afterS, beforeS, stepS) {
  const count = Math.round((beforeS - afterS) / stepS) - 1;
  if (count <= 0 || count > MOST_EMPTY) return [];
  return Array.from({ length: count }, (_, index) => ({ time: afterS + (index + 1) * stepS }));
}

/** Two sorted lists as one; where both have a time the second wins. */
export function merged(older, newer) {
  const byTime = new Map(older.map((candle) => [candle.time, candle]));
  for (const candle of newer) byTime.set(candle.time, candle);
  return [...byTime.values()].sort((a, b) => a.time - b.time);
}

/** The running candle of one interval, kept from its minutes: the newest two buckets, for a minute may close late. */
export class Running {
  #stepS;
  #buckets = new Map();

  /** @param {number} stepS */
  constructor(stepS) {
    this.#stepS = stepS;
  }

  /** @param {OneCandle} minute @returns {OneCandle | null} its bucket's candle; null when that is long closed */
  take(minute) {
    const start = Math.floor(minute.time / this.#stepS) * this.#stepS;
    const newest = Math.max(...this.#buckets.keys(), start);
    if (start < newest - this.#stepS) return null;
    for (const time of this.#buckets.keys()) if (time < newest - this.#stepS) this.#buckets.delete(time);
    if (!this.#buckets.has(start)) this.#buckets.set(start, new Map());
    const minutes = this.#buckets.get(start);
    minutes.set(minute.time, minute);
    return summed(start, [...minutes.values()]);
  }

  /** A price where nobody tells candles: it moves its minute. @returns {OneCandle | null} as take() */
  touch(price, timeS) {
    const time = Math.floor(timeS / MINUTE_S) * MINUTE_S;
    const known = this.#buckets.get(Math.floor(time / this.#stepS) * this.#stepS)?.get(time);
    const { open, high, low, volume } = known ?? { open: price, high: price, low: price, volume: 0 };
    return this.take({ time, open, high: Math.max(high, price), low: Math.min(low, price), close: price, volume });
  }
}

function summed(time, minutes) {
  minutes.sort((a, b) => a.time - b.time);
  return {
    time,
    open: minutes[0].open,
    high: Math.max(...minutes.map((one) => one.high)),
    low: Math.min(...minutes.map((one) => one.low)),
    close: minutes[minutes.length - 1].close,
    volume: minutes.reduce((sum, one) => sum + one.volume, 0),
  };
}
