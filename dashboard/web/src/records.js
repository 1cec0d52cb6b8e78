/** A dialog with a filtered table, newest rows first. What it shows is told by whoever owns it; all text is text. */

import { element, say } from "./dom.js";

const PATIENCE_MS = 300; // typing ends before anything is asked
/** Rows drawn at first and with every "Show more". */
export const DRAWN = 200;

export class RecordsView {
  #dialog;
  #body;
  #note;
  #more;
  #filters;
  #cells;
  #lines = new WeakMap();
  #timer = 0;
  #drawn = DRAWN;

  /**
   * @param {HTMLDialogElement} dialog with [data-filter]s, a table body, .note, .more and .close
   * @param {(row: object) => {class: string, nodes: (Node | string)[]}[]} cells of one row
   * @param {{wish(): void, more(): void, close(): void}} on `wish`: the filters changed
   */
  constructor(dialog, cells, on) {
    this.#dialog = dialog;
    this.#cells = cells;
    this.#body = dialog.querySelector("tbody");
    this.#note = dialog.querySelector(".note");
    this.#more = dialog.querySelector(".more");
    this.#filters = [...dialog.querySelectorAll("[data-filter]")];
    this.#more.addEventListener("click", () => {
      this.#drawn += DRAWN;
      on.more();
    });
    dialog.querySelector(".close").addEventListener("click", () => dialog.close());
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close()); // beside it
    dialog.addEventListener("close", () => on.close());
    for (const filter of this.#filters) filter.addEventListener("input", () => this.#changed(on));
  }

  get isOpen() {
    return this.#dialog.open;
  }

  /** What the filters say now; empty: any. @returns {Record<string, string>} */
  get wish() {
    return Object.fromEntries(this.#filters.map((filter) => [filter.dataset.filter, filter.value.trim()]));
  }

  /** Whether some filter is set: then an empty table proves nothing. */
  get isFiltered() {
    return Object.values(this.wish).some(Boolean);
  }

  /** @param {Record<string, string>} wish what the filters say at first; what it leaves out is empty */
  open(wish) {
    for (const filter of this.#filters) {
      const value = wish[filter.dataset.filter] ?? "";
      if (filter.tagName === "SELECT" && value) this.offer(filter.dataset.filter, [[value, value]]);
      filter.value = value;
    }
    this.#drawn = DRAWN;
    if (!this.#dialog.open) this.#dialog.showModal();
  }

  /** More choices of a filter; those there are stay. @param {string} name @param {[string, string][]} choices value and words */
  offer(name, choices) {
    const select = this.#filters.find((filter) => filter.dataset.filter === name);
    const known = new Set([...select.options].map((option) => option.value));
    const fresh = choices.filter(([value]) => !known.has(value));
    select.append(...fresh.map(([value, words]) => element("option", { value }, words)));
  }

  /** @param {object[]} rows in order @param {{note: string, more: boolean}} told `more`: there may be older ones elsewhere */
  draw(rows, { note, more }) {
    const shown = rows.slice(0, this.#drawn);
    const lines = shown.map((row) => this.#line(row));
    if (lines.length !== this.#body.children.length || lines.some((line, at) => this.#body.children[at] !== line)) {
      this.#body.replaceChildren(...lines);
    }
    say(this.#note, note);
    this.#more.hidden = rows.length <= shown.length && !more;
  }

  /** Whether more rows are wanted than these. */
  wants(count) {
    return count < this.#drawn;
  }

  #line(row) {
    let line = this.#lines.get(row);
    if (line === undefined) {
      const cells = this.#cells(row).map((cell) => element("td", { class: cell.class }, ...cell.nodes));
      line = element("tr", {}, ...cells);
      this.#lines.set(row, line);
    }
    return line;
  }

  #changed(on) {
    this.#drawn = DRAWN;
    window.clearTimeout(this.#timer);
    this.#timer = window.setTimeout(() => this.isOpen && on.wish(), PATIENCE_MS);
  }
}
