/** The head of the open symbol: its price in large, and the candle under the cursor. */

import { parted } from "./decimal.js";
import { Digits } from "./digits.js";
import { byId, mark, say } from "./dom.js";
import { change, part } from "./format.js";

export class Detail {
  #places = 2;
  #price = new Digits(byId("open-price"));
  #interval = "";
  #under = [null, null];

  /** @param {number} places of the symbol's prices */
  begin(places) {
    this.#places = places;
    this.legend(null, null);
  }

  /** @param {import("./prices.js").Row} row @param {import("./verdict.js").Verdict} verdict @param {boolean} bookless @param {number | null} places */
  draw(row, verdict, bookless, places) {
    say(byId("open-symbol"), row.symbol);
    say(byId("open-exchange"), row.exchange);
    this.#price.show(row.price ?? "–", places);
    say(byId("open-change"), row.change === null ? "" : `${change(row.change)} in 24 h`);
    mark(byId("open-change"), "class", row.change > 0 ? "rose" : row.change < 0 ? "fell" : "");
    say(byId("open-book"), book(row, bookless, places));
    mark(byId("open"), "data-kind", verdict.kind);
    say(byId("open-reason"), verdict.kind === "fresh" ? "" : verdict.reason);
  }

  /** @param {{open?: number, high: number, low: number, close: number} | null} candle @param {{words: string} | null} gap */
  legend(candle, gap) {
    this.#under = [candle, gap];
    const text = (value) => value.toFixed(this.#places);
    const told = candle?.close === undefined ? "" : ["open", "high", "low", "close"]
      .map((name) => `${name[0].toUpperCase()}\u00a0${text(candle[name])}`)
      .join("  ");
    say(byId("legend"), [this.#interval, told, gap?.words].filter(Boolean).join("  ·  "));
  }

  /** What the candles are of now. @param {string} interval like "5m" */
  interval(interval) {
    if (interval === this.#interval) return;
    this.#interval = interval;
    this.legend(...this.#under);
  }
}

function book(row, bookless, places) {
  if (row.bid === null || row.ask === null) return bookless ? "no bid/ask in this source" : "";
  const [bid, ask, spread] = [row.bid, row.ask, row.spread].map((text) => parted(text, places)[0]);
  return `${bid} bid · ${ask} ask · ${spread} spread (${part(row.part)})`;
}
