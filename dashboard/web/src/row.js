/** One line of the table: cells that remember what they show, so that only what changed is written. */

import { parted } from "./decimal.js";
import { Digits } from "./digits.js";
import { element } from "./dom.js";
import { age, change, moment, part } from "./format.js";
import { NO_PRICE } from "./verdict.js";

const LONG = 10; // characters of a price that a narrow column holds
const WITHOUT_BOOK = "no bid/ask in this source";

export class RowView {
  #shown = new Map();
  #row = null;
  #moves = 0;

  constructor() {
    this.star = element("button", { type: "button", class: "star", "data-act": "star" });
    this.name = element("button", { type: "button", class: "name", "data-act": "open" });
    this.venue = element("span", { class: "venue" });
    this.briefly = element("span", { class: "briefly" }); // the reason, where there is no room for it in its column
    this.price = element("td", { class: "c-price num" });
    this.bid = element("td", { class: "c-bid num" });
    this.ask = element("td", { class: "c-ask num" });
    this.spread = element("span");
    this.part = element("span", { class: "under" });
    this.spreadCell = element("td", { class: "c-spread num" }, this.spread, this.part);
    this.change = element("td", { class: "c-change num" });
    this.age = element("span", { class: "age" });
    this.reason = element("span", { class: "under reason" });
    this.digits = [this.price, this.bid, this.ask, this.spread].map((place) => new Digits(place));
    this.line = element(
      "tr", {},
      element("td", { class: "c-star" }, this.star),
      element("th", { class: "c-symbol", scope: "row" }, this.name, element("span", { class: "under" }, this.briefly, this.venue)),
      this.price, this.bid, this.ask, this.spreadCell, this.change,
      element("td", { class: "c-age num" }, this.age, this.reason),
    );
  }

  get key() {
    return this.#row?.key ?? null;
  }

  /**
   * @param {import("./prices.js").Row} row @param {number} index in the whole list, from 0
   * @param {{verdict: import("./verdict.js").Verdict, isAway: boolean, favourite: boolean, chosen: boolean, bookless: boolean, places: number | null}} view
   */
  show(row, index, view) {
    const same = this.#row === row;
    this.#row = row;
    this.#set(this.line, "data-key", row.key);
    this.#set(this.line, "aria-rowindex", String(index + 2));
    this.#set(this.line, "class", `${view.verdict.kind}${view.chosen ? " chosen" : ""}`);
    this.#showName(row, view);
    this.#set(this.line, "data-long", parted(row.price ?? "", view.places)[0].length > LONG ? "" : null);
    this.#showNumbers(row, view);
    this.#text(this.change, change(row.change));
    this.#set(this.change, "class", `c-change num ${tone(row.change)}`);
    this.#showAge(view, row.timeS);
    this.#flash(row, same);
  }

  #showName(row, { favourite, chosen }) {
    this.#text(this.name, row.symbol);
    this.#set(this.name, "aria-pressed", String(chosen));
    this.#text(this.venue, row.exchange);
    this.#set(this.star, "aria-pressed", String(favourite));
    this.#set(this.star, "aria-label", `Favourite ${row.symbol} on ${row.exchange}`);
    this.#text(this.star, favourite ? "★" : "☆");
  }

  #showNumbers(row, { bookless, places }) {
    const without = bookless && row.bid === null && row.ask === null;
    this.#set(this.bid, "colspan", without ? "3" : "1");
    this.#set(this.bid, "class", without ? "c-bid without" : "c-bid num");
    this.#set(this.ask, "hidden", without ? "" : null);
    this.#set(this.spreadCell, "hidden", without ? "" : null);
    const texts = [row.price, without ? WITHOUT_BOOK : row.bid, row.ask, row.spread];
    texts.forEach((text, which) => this.digits[which].show(text ?? "–", places));
    this.#text(this.part, part(row.part));
  }

  /** Where the age is not known, the price's own time stands there, by the bridge's clock. */
  #showAge({ verdict: { kind, reason, ageMs, leastMs }, isAway }, timeS) {
    const told = ageMs !== null ? age(ageMs) : leastMs === null ? "–" : timeS === null ? `≥ ${age(leastMs)}` : moment(timeS * 1000, Date.now());
    this.#text(this.age, kind === "stale" && ageMs !== null ? `old · ${told}` : told);
    const why = kind === "stale" || kind === "empty" ? reason : "";
    this.#text(this.reason, kind === "provisional" ? "age unknown" : why);
    this.#text(this.briefly, isAway || reason === NO_PRICE ? "" : why); // what holds for all stands above the table
    this.#set(this.reason, "title", reason || null);
  }

  /** Two names for one animation: changing between them starts it again without forcing a layout. */
  #flash(row, same) {
    if (same && row.moves !== this.#moves) {
      this.#set(this.price, "class", `c-price num ${row.direction > 0 ? "up" : "down"}-${row.moves % 2}`);
    } else if (!same) {
      this.#set(this.price, "class", "c-price num");
    }
    this.#moves = row.moves;
  }

  #text(node, text) {
    if (this.#changed(node, "text", text)) node.textContent = text;
  }

  #set(node, name, value) {
    if (!this.#changed(node, name, value)) return;
    if (value === null) node.removeAttribute(name);
    else node.setAttribute(name, value);
  }

  #changed(node, name, value) {
    const shown = this.#shown.get(node) ?? this.#remember(node);
    if (shown[name] === value) return false;
    shown[name] = value;
    return true;
  }

  #remember(node) {
    const shown = {};
    this.#shown.set(node, shown);
    return shown;
  }
}

function tone(fraction) {
  if (fraction === null || fraction === 0) return "";
  return fraction > 0 ? "rose" : "fell";
}
