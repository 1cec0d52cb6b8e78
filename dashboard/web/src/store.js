/** What the browser remembers of a visitor: favourites and the sorting. Works without storage, then forgets. */

const FAVOURITES = "tickbridge.favourites";
const SORT = "tickbridge.sort";
const MOST_FAVOURITES = 1000;

export class Remembered {
  #storage;

  /** @param {Storage | null} storage localStorage, or null where the browser refuses it */
  constructor(storage) {
    this.#storage = storage;
    /** @type {Set<string>} keys exchange/SYMBOL */
    this.favourites = new Set(asTexts(this.#read(FAVOURITES)));
  }

  /** Adds or removes a favourite. @param {string} key */
  toggle(key) {
    if (!this.favourites.delete(key) && this.favourites.size < MOST_FAVOURITES) this.favourites.add(key);
    this.#write(FAVOURITES, [...this.favourites]);
  }

  /** @returns {{column: string, descending: boolean}} no column: unsorted */
  get sort() {
    const { column = "", descending = false } = this.#read(SORT) ?? {};
    return { column: String(column), descending: descending === true };
  }

  set sort(wish) {
    this.#write(SORT, wish);
  }

  #read(name) {
    try {
      return JSON.parse(this.#storage?.getItem(name) ?? "null");
    } catch (error) {
      console.warn("tickbridge: %s cannot be read and is forgotten: %s", name, error);
      return null;
    }
  }

  #write(name, value) {
    try {
      this.#storage?.setItem(name, JSON.stringify(value));
    } catch (error) {
      console.warn("tickbridge: %s cannot be kept: %s", name, error);
    }
  }
}

/** localStorage, or null where the browser forbids it. */
export function browserStorage() {
  try {
    return window.localStorage;
  } catch (error) {
    console.warn("tickbridge: this browser keeps nothing for us: %s", error);
    return null;
  }
}

function asTexts(value) {
  return Array.isArray(value) ? value.filter((one) => typeof one === "string").slice(0, MOST_FAVOURITES) : [];
}
