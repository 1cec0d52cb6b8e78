/** The gaps that touch one symbol's chart. Pure; times are seconds, UTC. */

import { concerns } from "./gaplist.js";
import { cause, state } from "./words.js";

const MOST_GAPS = 5000;

export class Gaps {
  #symbol;
  #byId = new Map();

  /** @param {string} symbol */
  constructor(symbol) {
    this.#symbol = symbol;
  }

  /** Takes one gap's state, as told by history or `gaps/`; the newest state of an id counts. @param {object} gap */
  take(gap) {
    if (typeof gap.id !== "string" || !concerns(gap, this.#symbol)) return false;
    const known = this.#byId.get(gap.id);
    if (known === undefined && this.#byId.size >= MOST_GAPS) this.#byId.delete(this.#byId.keys().next().value);
    if (known !== undefined && Number(known.time_ns ?? 0) > Number(gap.time_ns ?? 0)) return false;
    this.#byId.set(gap.id, gap);
    return true;
  }

  /** Whether one of them still runs. */
  get isRunning() {
    return [...this.#byId.values()].some((gap) => gap.to_ns === undefined);
  }

  /**
   * What is to be shaded: every hole in the candles, and other streams' gaps only where candles are missing too.
   * @param {(fromS: number, toS: number) => boolean} isMissing whether a candle is missing in the range
   * @returns {{fromS: number, toS: number, words: string}[]}
   */
  shaded(isMissing, nowS) {
    return [...this.#byId.values()]
      .filter((gap) => gap.state !== "filled")
      .map((gap) => ({ ...span(gap, nowS), words: words(gap), channel: gap.channel }))
      .filter((gap) => gap.channel === "candles" || isMissing(gap.fromS, gap.toS));
  }
}

function span(gap, nowS) {
  const fromS = Number(gap.from_ns) / 1e9;
  return { fromS, toS: gap.to_ns === undefined ? Math.max(nowS, fromS) : Number(gap.to_ns) / 1e9 };
}

function words(gap) {
  return `gap: ${cause(gap.cause)} (${state(gap.state)})`;
}
