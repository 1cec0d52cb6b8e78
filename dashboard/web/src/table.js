/** Draws the table of prices: only the lines in sight exist, each kept for its place in the list while it stays there. */

import { byId, mark, say } from "./dom.js";
import { RowView } from "./row.js";

/** Height of a line in px; style.css says the same. */
const LINE = 44;
const BEYOND = 6;

export class Table {
  #scroller = byId("scroller");
  #body = byId("lines");
  #above = byId("above");
  #below = byId("below");
  #views = new Map();
  #spare = [];
  #top = 0;
  #height = 0;
  #list = [];

  /** @param {{star(key: string): void, open(key: string): void, sort(column: string): void, moved(): void}} on */
  constructor(on) {
    this.#scroller.addEventListener("scroll", () => {
      this.#top = this.#scroller.scrollTop;
      on.moved();
    }, { passive: true });
    new ResizeObserver(() => {
      this.#height = this.#scroller.clientHeight;
      on.moved();
    }).observe(this.#scroller);
    this.#body.addEventListener("click", (event) => act(event, on));
    this.#body.addEventListener("keydown", (event) => this.#step(event));
    byId("heads").addEventListener("click", (event) => {
      const column = event.target.closest("th")?.dataset.column;
      if (column) on.sort(column);
    });
  }

  /** Whether the keyboard is inside: lines must not move away under it. */
  get isHeld() {
    return this.#body.contains(document.activeElement) && document.activeElement.matches(":focus-visible");
  }

  /** @param {{column: string, descending: boolean}} sort */
  showSort({ column, descending }) {
    for (const head of byId("heads").querySelectorAll("th[data-column]")) {
      const sorted = head.dataset.column === column;
      mark(head, "aria-sort", sorted ? (descending ? "descending" : "ascending") : null);
    }
  }

  /** @param {object[]} list rows in order @param {(row: object) => object} look what RowView.show needs of a row */
  draw(list, look) {
    this.#list = list;
    const first = Math.max(0, Math.floor(this.#top / LINE) - BEYOND);
    const last = Math.min(list.length, Math.ceil((this.#top + this.#height) / LINE) + BEYOND);
    this.#keep(Math.min(first, last), last);
    for (const [index, view] of this.#views) view.show(list[index], index, look(list[index]));
    mark(byId("table"), "aria-rowcount", String(list.length + 1));
    if (list.length) this.without([]);
  }

  /** What stands in an empty table. @param {string[]} lines */
  without(lines) {
    say(byId("none"), this.#list.length ? "" : lines.join("\n"));
  }

  #keep(first, last) {
    for (const [index, view] of this.#views) {
      if (index < first || index >= last) this.#drop(index, view);
    }
    let next = this.#below;
    for (let index = last - 1; index >= first; index -= 1) {
      next = this.#place(index, next);
    }
    this.#above.style.height = `${first * LINE}px`;
    this.#below.style.height = `${(this.#list.length - last) * LINE}px`;
  }

  #place(index, next) {
    let view = this.#views.get(index);
    if (view === undefined) {
      view = this.#spare.pop() ?? new RowView();
      this.#views.set(index, view);
    }
    if (view.line.nextSibling !== next) this.#body.insertBefore(view.line, next);
    return view.line;
  }

  #drop(index, view) {
    this.#views.delete(index);
    view.line.remove();
    this.#spare.push(view);
  }

  /** Arrow keys walk through the symbols. */
  #step(event) {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const key = event.target.closest("tr")?.dataset.key;
    if (by === undefined || key === undefined) return;
    event.preventDefault();
    const index = this.#list.findIndex((row) => row.key === key) + by;
    this.#views.get(index)?.name.focus({ preventScroll: true });
    this.#reveal(index);
  }

  #reveal(index) {
    const head = byId("heads").offsetHeight;
    const from = index * LINE;
    if (from < this.#top) this.#scroller.scrollTop = from;
    else if (from + LINE + head > this.#top + this.#height) this.#scroller.scrollTop = from + LINE + head - this.#height;
  }
}

function act(event, on) {
  const key = event.target.closest("tr")?.dataset.key;
  if (key === undefined) return;
  if (event.target.closest("[data-act=star]")) on.star(key);
  else on.open(key);
}
