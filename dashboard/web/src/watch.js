/** Asks the dashboard again and again how its keeping is, and shows it: cards below the feeds, trouble above the chart. */

import { LoggedOut } from "./api.js";
import { byId, element, mark, say } from "./dom.js";
import { cards, trouble } from "./keeping.js";

const EVERY_MS = 5_000;

export class Watch {
  #api;
  #list = byId("keeping");
  #trouble = byId("history-trouble");
  #askAt = 0;
  #busy = false;
  #told = null;

  /** @param {import("./api.js").Api} api */
  constructor(api) {
    this.#api = api;
  }

  /** Call it about once a second. @param {number} now ms, by Elapsed */
  tend(now) {
    this.#draw();
    if (this.#busy || document.hidden || now < this.#askAt) return;
    this.#askAt = now + EVERY_MS;
    this.#ask();
  }

  async #ask() {
    this.#busy = true;
    try {
      this.#told = await this.#api.health();
    } catch (error) {
      console.warn("tickbridge: the dashboard's health: %s", error);
      const problem = `the dashboard does not answer (${error.message})`;
      this.#told = error instanceof LoggedOut ? null : { history: { problem } }; // a notice tells that one
    } finally {
      this.#busy = false;
    }
    this.#draw();
  }

  #draw() {
    const wrong = this.#told === null ? null : trouble(this.#told);
    this.#trouble.hidden = wrong === null;
    say(this.#trouble, wrong === null ? "" : `History: ${wrong}. Live prices go on.`);
    const shown = this.#told === null ? [] : cards(this.#told, this.#api.nowMs());
    while (this.#list.children.length > shown.length) this.#list.lastElementChild.remove();
    shown.forEach((card, index) => show(this.#list.children[index] ?? this.#list.appendChild(made()), card));
  }
}

function made() {
  const title = element("div", { class: "title" }, element("h3"), element("span", { class: "status" }));
  return element("li", {}, title, element("p", { class: "why" }), element("dl"));
}

function show(item, { name, status, tone, reason, figures }) {
  mark(item, "class", `kept ${tone}`);
  say(item.querySelector("h3"), name);
  say(item.querySelector(".status"), status);
  say(item.querySelector(".why"), reason);
  const list = item.querySelector("dl");
  while (list.children.length > figures.length) list.lastElementChild.remove();
  figures.forEach(([label, value], index) => {
    const box = list.children[index] ?? list.appendChild(element("div", {}, element("dt"), element("dd")));
    say(box.firstElementChild, label);
    say(box.lastElementChild, value);
  });
}
