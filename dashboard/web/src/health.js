/** Draws the feeds' own words: one card for each feed, the bridge last. A count of open gaps opens their list. */

import { byId, element, mark, say } from "./dom.js";
import { lasting } from "./silence.js";

/** Of these nobody knows how many prices are old now, nor how late. */
const UNHEARD = new Set(["silent", "unknown", "offline", "stopped"]);
const FIGURES = [
  ["Symbols", (told) => told.symbols],
  ["Old", (told, isHeard) => (isHeard ? told.stale_count : undefined)],
  ["Reconnects", (told) => told.reconnects],
  ["Open gaps", (told) => told.gaps_open],
  ["Lag", (told, isHeard) => (!isHeard || told.lag_ms?.p50 === undefined ? undefined : `${Math.round(told.lag_ms.p50)} ms`)],
  ["Version", (told) => (told.connection === undefined ? undefined : told.version)],
];
const GAPS = FIGURES.findIndex(([label]) => label === "Open gaps");
const GOOD = new Set(["online"]);
const RESTING = new Set(["quiet", "connecting"]);

export class HealthView {
  #list = byId("feeds");
  #cards = new Map();

  /** @param {{gaps(exchange: string): void}} on */
  constructor(on) {
    this.#list.addEventListener("click", (event) => {
      const exchange = event.target.closest("[data-gaps-of]")?.dataset.gapsOf;
      if (exchange !== undefined) on.gaps(exchange);
    });
  }

  /** @param {object[]} feeds from Feeds.list() @param {string} without what to say where no exchange tells its health */
  draw(feeds, without) {
    const names = new Set(feeds.map((feed) => feed.name));
    for (const [name, card] of this.#cards) {
      if (names.has(name)) continue;
      card.item.remove();
      this.#cards.delete(name);
    }
    feeds.forEach((feed, index) => this.#show(feed, index));
    byId("no-feeds").hidden = feeds.some((feed) => feed.of !== "bridge");
    say(byId("no-feeds"), without);
  }

  #show(feed, index) {
    let card = this.#cards.get(feed.name);
    if (card === undefined) this.#cards.set(feed.name, (card = makeCard()));
    if (this.#list.children[index] !== card.item) this.#list.insertBefore(card.item, this.#list.children[index] ?? null);
    say(card.name, feed.name);
    say(card.status, tone(feed.status) === "good" ? feed.status : `${feed.status}${lasting(feed.forMs)}`);
    mark(card.item, "class", `feed ${tone(feed.status)}`);
    say(card.reason, feed.reason);
    card.figures.forEach(({ box, value }, which) => {
      const figure = FIGURES[which][1](feed.told, !UNHEARD.has(feed.status));
      box.hidden = figure === undefined || figure === null;
      say(value, String(figure));
    });
    const gaps = card.figures[GAPS].value;
    mark(gaps, "data-gaps-of", feed.of);
    mark(gaps, "aria-label", `${feed.told.gaps_open} open gaps of ${feed.name}: show them`);
  }
}

function tone(status) {
  if (GOOD.has(status)) return "good";
  return RESTING.has(status) ? "resting" : "bad";
}

function makeCard() {
  const [name, status, reason] = [element("h3"), element("span", { class: "status" }), element("p", { class: "why" })];
  const figures = FIGURES.map(([label], which) => {
    const value = which === GAPS ? element("button", { type: "button", class: "linked" }) : element("span");
    return { value, box: element("div", {}, element("dt", {}, label), element("dd", {}, value)) };
  });
  const list = element("dl", {}, ...figures.map(({ box }) => box));
  return { name, status, reason, figures, item: element("li", {}, element("div", { class: "title" }, name, status), reason, list) };
}
