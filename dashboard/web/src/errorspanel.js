/** The dialog of the error table: refused frames, parked values and other troubles, live while it is open. */

import { byId, element } from "./dom.js";
import { ErrorList } from "./errorlist.js";
import { moment } from "./format.js";
import { RecordsView } from "./records.js";
import { ERROR_KINDS, kind } from "./words.js";

const PAGE = 500;
const REDRAW_MS = 500;

export class ErrorsPanel {
  #api;
  #on;
  #list = new ErrorList();
  #view;
  #full = false;
  #note = "";
  #timer = 0;
  #wished = 0;

  /** @param {import("./api.js").Api} api @param {{open(): void, close(): void}} on so that live ones are heard meanwhile */
  constructor(api, on) {
    this.#api = api;
    this.#on = on;
    const acts = { wish: () => this.#begin(), more: () => this.#further(), close: () => on.close() };
    this.#view = new RecordsView(byId("errors"), cells, acts);
    this.#view.offer("kind", ERROR_KINDS.map((code) => [code, kind(code)]));
  }

  /** @param {Record<string, string>} wish for the filters: `exchange`, `kind`, `symbol` @param {string[]} exchanges known ones */
  open(wish, exchanges) {
    this.#view.offer("exchange", [...exchanges, "bridge"].map((name) => [name, name]));
    this.#view.open(wish);
    this.#on.open();
    this.#begin();
  }

  /** @param {string} exchange @param {object} entry live */
  hear(exchange, entry) {
    if (this.#list.take(exchange, entry)) this.#soon();
  }

  /** The line was away: what came meanwhile is in the history. */
  reload() {
    if (this.#view.isOpen) this.#load(undefined);
  }

  get #wish() {
    const { exchange, kind: wished, symbol } = this.#view.wish;
    return { exchange, kind: wished, symbol: symbol.toUpperCase() };
  }

  #begin() {
    this.#list.clear();
    this.#load(undefined);
  }

  #further() {
    const rows = this.#list.select(this.#wish);
    const oldest = rows.at(-1);
    if (this.#full && oldest !== undefined && this.#view.wants(rows.length)) this.#load(Number(oldest.time_ns) / 1e6 + 1);
    else this.#draw();
  }

  async #load(beforeMs) {
    const turn = (this.#wished += 1);
    this.#note = "Loading…";
    this.#draw();
    try {
      const { rows } = await this.#api.errors(this.#wish, beforeMs, PAGE);
      if (turn !== this.#wished) return;
      const news = rows.filter((entry) => this.#list.take(String(entry.exchange ?? ""), entry));
      this.#full = rows.length >= PAGE && news.length > 0;
      this.#note = "";
    } catch (error) {
      if (turn !== this.#wished) return;
      console.warn("tickbridge: the error table: %s", error);
      this.#note = `Only what comes now: ${error.message}.`;
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
    const rows = this.#list.select(this.#wish);
    const empty = rows.length ? "" : this.#view.isFiltered ? "No entry fits these filters." : "No entry: nothing was refused.";
    this.#view.draw(rows, { note: this.#note || empty, more: this.#full });
  }
}

function cells(entry) {
  const text = (name) => String(entry[name] ?? "");
  const frame = text("frame");
  return [
    { class: "k-when", nodes: [moment(Number(entry.time_ns) / 1e6)] },
    { class: "k-what", nodes: [entry.exchange, element("span", { class: "under" }, [text("channel"), text("symbol")].filter(Boolean).join(" · "))] },
    { class: "k-kind", nodes: [kind(entry.kind)] },
    { class: "k-why", nodes: [text("reason"), ...(frame ? [element("code", {}, frame)] : [])] },
  ];
}
