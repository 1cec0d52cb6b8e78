/** The dialog of gaps: the newest from the history, and live as they change. */

import { byId, element } from "./dom.js";
import { count, duration, moment } from "./format.js";
import { GapList } from "./gaplist.js";
import { RecordsView } from "./records.js";
import { GAP_STATES, cause, state } from "./words.js";

const FIRST = 1_000;
const MOST = 10_000;
const REDRAW_MS = 500;
const SYMBOLS_SHOWN = 5;
const WHOLE_SYMBOL = /^[^-]+-[^-]+$/;

export class GapsPanel {
  #api;
  #list = new GapList();
  #view;
  #limit = FIRST;
  #full = false;
  #note = "";
  #timer = 0;

  /** @param {import("./api.js").Api} api */
  constructor(api) {
    this.#api = api;
    const on = { wish: () => this.#load(), more: () => this.#further(), close: () => {} };
    this.#view = new RecordsView(byId("gaps"), cells, on);
    this.#view.offer("state", [["unsettled", "open or being filled"], ...GAP_STATES.map((code) => [code, state(code)])]);
  }

  /** @param {Record<string, string>} wish for the filters: `exchange`, `symbol`, `state` */
  open(wish) {
    this.#view.open(wish);
    this.#load();
  }

  /** @param {string} exchange @param {object} gap one state of it, live */
  hear(exchange, gap) {
    if (this.#list.take(exchange, gap)) this.#soon();
  }

  /** The line was away: what changed meanwhile is in the history. */
  reload() {
    if (this.#view.isOpen) this.#load();
  }

  #further() {
    if (!this.#view.wants(this.#list.select(this.#wish).length) || !this.#full || this.#limit >= MOST) {
      this.#draw();
      return;
    }
    this.#limit = MOST;
    this.#load();
  }

  get #wish() {
    const { exchange, symbol, state: wished } = this.#view.wish;
    return { exchange, symbol: symbol.toUpperCase(), state: wished };
  }

  async #load() {
    const { exchange, symbol } = this.#wish;
    this.#note = "Loading…";
    this.#draw();
    try {
      const { rows } = await this.#api.newestGaps({ exchange, symbol: WHOLE_SYMBOL.test(symbol) ? symbol : "" }, this.#limit);
      for (const gap of rows) this.#list.take(String(gap.exchange ?? exchange), gap);
      this.#full = rows.length >= this.#limit;
      this.#note = "";
    } catch (error) {
      console.warn("tickbridge: the gaps: %s", error);
      this.#note = `Only what was heard since this page was opened: ${error.message}.`;
    }
    this.#draw();
  }

  #soon() {
    if (this.#timer || !this.#view.isOpen) return;
    this.#timer = window.setTimeout(() => {
      this.#timer = 0;
      this.#draw();
    }, REDRAW_MS);
  }

  #draw() {
    if (!this.#view.isOpen) return;
    this.#view.offer("exchange", this.#list.exchanges.map((name) => [name, name]));
    const rows = this.#list.select(this.#wish);
    const empty = rows.length ? "" : this.#view.isFiltered ? "No gap fits these filters." : "No gap: nothing is known to be missing.";
    this.#view.draw(rows, { note: this.#note || empty, more: this.#full && this.#limit < MOST });
  }
}

function cells(gap) {
  const settled = gap.state ?? "open";
  return [
    { class: "k-state", nodes: [element("span", { class: `badge ${tone(settled)}` }, state(settled))] },
    { class: "k-when", nodes: [when(gap), under(lasted(gap))] },
    { class: "k-what", nodes: [`${gap.exchange} ${String(gap.channel ?? "")}`, under(symbols(gap))] },
    { class: "k-why", nodes: [cause(gap.cause), under(String(gap.reason ?? ""))] },
    { class: "k-count num", nodes: [filled(gap)] },
  ];
}

function tone(settled) {
  if (settled === "filled") return "good";
  return settled === "open" || settled === "filling" ? "resting" : "bad";
}

const under = (text) => element("span", { class: "under" }, text);

function when(gap) {
  const from = moment(Number(gap.from_ns) / 1e6);
  return isRunning(gap) ? `${from} – now` : `${from} – ${moment(Number(gap.to_ns) / 1e6, Number(gap.from_ns) / 1e6)}`;
}

function lasted(gap) {
  return isRunning(gap) ? "still runs" : duration((Number(gap.to_ns) - Number(gap.from_ns)) / 1e6);
}

function isRunning(gap) {
  return gap.to_ns === undefined || gap.to_ns === null;
}

function symbols(gap) {
  if (!Array.isArray(gap.symbols)) return "all symbols";
  const all = Math.max(gap.symbols.length, Number(gap.symbol_count) || 0);
  const named = gap.symbols.slice(0, SYMBOLS_SHOWN).map(String);
  return all > named.length ? `${named.join(", ")} and ${all - named.length} more` : named.join(", ");
}

function filled(gap) {
  const [done, all] = [gap.filled, gap.expected].map((value) => (Number.isFinite(value) ? value : null));
  if (all === null) return done === null ? "not known" : `${count(done)} filled`;
  return `${count(done ?? 0)} of ${count(all)}`;
}
