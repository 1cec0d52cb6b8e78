/** A published number on the page: every digit is there, the idle zeros behind the step stand back. */

import { parted } from "./decimal.js";
import { element } from "./dom.js";

export class Digits {
  #head = document.createTextNode("");
  #idle = element("span", { class: "idle" });
  #text = null;
  #places = null;

  /** @param {HTMLElement} place that shows the number and nothing else */
  constructor(place) {
    place.replaceChildren(this.#head, this.#idle);
  }

  /** @param {string} text @param {number | null} places of the symbol's step */
  show(text, places) {
    if (text === this.#text && places === this.#places) return;
    this.#text = text;
    this.#places = places;
    [this.#head.data, this.#idle.textContent] = parted(text, places);
  }
}
