/** Entries of the error table, each once, the newest first. Pure. */

const MOST_ENTRIES = 5_000;

export class ErrorList {
  #byKey = new Map();

  /** @param {string} exchange @param {object} entry as told by the history or `errors/` @returns {boolean} is it news? */
  take(exchange, entry) {
    if (!Number.isFinite(Number(entry.time_ns))) return false;
    const key = [exchange, entry.time_ns, entry.run, entry.n].join("/");
    if (this.#byKey.has(key)) return false;
    if (this.#byKey.size >= MOST_ENTRIES) this.#byKey.delete(this.#byKey.keys().next().value);
    this.#byKey.set(key, { ...entry, exchange, key });
    return true;
  }

  clear() {
    this.#byKey.clear();
  }

  /**
   * @param {{exchange?: string, kind?: string, symbol?: string}} wish empty: any
   * @returns {object[]} the newest first
   */
  select({ exchange = "", kind = "", symbol = "" }) {
    const isWished = (one) =>
      (!exchange || one.exchange === exchange) && (!kind || one.kind === kind) && (!symbol || one.symbol === symbol);
    return [...this.#byKey.values()].filter(isWished).sort((a, b) => Number(b.time_ns) - Number(a.time_ns));
  }
}
