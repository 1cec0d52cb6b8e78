/** Draws the page: at most once a frame, and the slow parts once a second. */

import { wayIn } from "./api.js";
import { byId, element, mark, say } from "./dom.js";
import { arrange } from "./order.js";
import { emptyWords, noFeeds } from "./silence.js";
import { title } from "./title.js";

const REORDER_MS = 1000;

export class Screen {
  #api;
  #page;
  #table;
  #detail;
  #remembered;
  #health;
  #believe;
  #list = [];
  #rows = -1;
  #orderedAt = -Infinity;
  #wanted = false;
  search = "";
  /** The open row's key. */ chosen = null;

  /** @param {{api: object, page: object, table: object, detail: object, remembered: object, health: object,
   *   believe(isFresh: boolean): void}} parts `believe`: whether the open row's last price is to look live */
  constructor({ api, page, table, detail, remembered, health, believe }) {
    this.#api = api;
    this.#believe = believe;
    this.#health = health;
    this.#page = page;
    this.#table = table;
    this.#detail = detail;
    this.#remembered = remembered;
    table.showSort(remembered.sort);
  }

  /** Something changed: draw in the next frame. `reorder` for what must be in its new place at once. */
  want(reorder = false) {
    if (reorder) this.#orderedAt = -Infinity;
    if (this.#wanted) return;
    this.#wanted = true;
    requestAnimationFrame(() => {
      this.#wanted = false;
      this.#draw();
    });
  }

  /** The slow parts: notices, feeds, counts, the title. */
  slowly() {
    this.#drawNotices();
    const facts = { ...this.#page.heard(), search: this.search, rows: this.#page.prices.rows.size };
    this.#health.draw(facts.feeds, noFeeds(facts));
    this.#table.without(emptyWords(facts));
    this.#count();
    const row = this.#page.prices.rows.get(this.chosen);
    document.title = title(row, row && this.#page.verdict(row).kind, row && this.#page.steps.known(row.key));
    this.want();
  }

  #draw() {
    this.#page.prices.absorb();
    mark(byId("main"), "data-empty", this.#page.prices.rows.size ? null : "");
    this.#order();
    const { favourites } = this.#remembered;
    this.#table.draw(this.#list, (row) => ({
      verdict: this.#page.verdict(row),
      isAway: this.#page.isAway,
      favourite: favourites.has(row.key),
      chosen: row.key === this.chosen,
      bookless: this.#page.feeds.bookless(row.exchange),
      places: this.#page.steps.known(row.key),
    }));
    const row = this.#page.prices.rows.get(this.chosen);
    if (row) this.#drawDetail(row);
  }

  #drawDetail(row) {
    const known = this.#page.steps.known(row.key);
    const verdict = this.#page.verdict(row);
    this.#detail.draw(row, verdict, this.#page.feeds.bookless(row.exchange), known);
    this.#believe(verdict.kind === "fresh");
  }

  #order() {
    const nowMs = this.#page.now();
    const { rows } = this.#page.prices;
    const isDue = nowMs - this.#orderedAt > REORDER_MS && !this.#table.isHeld;
    if (!isDue && rows.size === this.#rows) return;
    this.#rows = rows.size;
    this.#orderedAt = nowMs;
    const { favourites, sort } = this.#remembered;
    this.#list = arrange(rows.values(), { search: this.search, ...sort, favourites, nowMs, places: this.#page.places });
  }

  #count() {
    const rows = [...this.#page.prices.rows.values()];
    const old = rows.filter((row) => this.#page.verdict(row).kind === "stale").length;
    const shown = this.search.trim() ? `${this.#list.length} of ${rows.length} prices` : `${rows.length} prices`;
    say(byId("count"), old ? `${shown} · ${old} old` : shown);
  }

  #drawNotices() {
    const told = this.#page.notices(this.#api.isLoggedOut ? wayIn(window.location) : null);
    const { connected } = this.#page.broker.link;
    const [well, all] = this.#page.feeds.wellAndAll(this.#page.now());
    const isHeard = this.#page.prices.isAnyLive; // else all of it may be what the broker had kept
    const isLive = connected && !this.#page.isAway && isHeard && all > 0 && well === all;
    mark(byId("link"), "data-live", String(isLive));
    const feeds = all === 0 ? "No feeds" : well === 0 ? "Feeds away" : well < all ? `${well} of ${all} feeds` : "Listening";
    say(byId("link"), isLive ? "Live" : !connected ? "Broker away" : this.#page.isAway ? "Bridge away" : feeds);
    showNotices(told);
  }
}

/** @param {{kind: string, text: string, link?: {to: string, text: string}}[]} told shown above all else, and read out when they change */
export function showNotices(told) {
  const place = byId("notices");
  const texts = told.map(({ kind, text, link }) => `${kind} ${text} ${link?.to}`).join("\n");
  if (place.dataset.told === texts) return;
  place.dataset.told = texts;
  place.replaceChildren(...told.map(({ kind, text, link }) => element("p", { class: kind }, text, ...linked(link))));
}

function linked(link) {
  return link === undefined ? [] : [" ", element("a", { href: link.to }, link.text)];
}
