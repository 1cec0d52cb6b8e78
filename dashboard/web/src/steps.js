/** The price steps of all instruments, from `catalogue/`. Pure. */

import { places, placesOf } from "./decimal.js";

const LARGEST = 8 * 1024 * 1024;
const MOST_INSTRUMENTS = 20_000;

export class Steps {
  #places = new Map();

  /**
   * Takes one exchange's catalogue. @param {string} exchange @param {Uint8Array} payload
   * @returns {string[]} its symbols
   * @throws {SyntaxError} for a payload that is no catalogue
   */
  take(exchange, payload) {
    if (payload.length === 0) return [];
    if (payload.length > LARGEST) throw new SyntaxError("the catalogue is too long");
    const { instruments } = JSON.parse(new TextDecoder().decode(payload)) ?? {};
    if (!Array.isArray(instruments)) throw new SyntaxError("the catalogue lists no instruments");
    const ours = instruments.slice(0, MOST_INSTRUMENTS).filter((one) => typeof one?.symbol === "string");
    for (const { symbol, price_step: step } of ours) {
      if (Number.isFinite(step) && step > 0) this.#places.set(`${exchange}/${symbol}`, places(step));
    }
    return ours.map((one) => one.symbol);
  }

  /** The places of a symbol's step, null where no catalogue tells it. */
  known(key) {
    return this.#places.get(key) ?? null;
  }

  /** How many places a symbol's prices have; the published price tells where no step is known. */
  of(key, price) {
    return this.#places.get(key) ?? (price === null ? 2 : placesOf(price));
  }
}
