/** All gaps that are known, of every exchange, each in its newest state. Pure. */

const MOST_GAPS = 10_000;
const RUNNING = Infinity;
const UNSETTLED = new Set(["open", "filling"]);

/** Whether a gap is neither filled nor given up. */
export function isUnsettled(gap) {
  return UNSETTLED.has(gap.state ?? "open");
}

/** Whether a gap concerns a symbol: no list is all of the exchange's, and a list that is cut may mean anyone. */
export function concerns(gap, symbol) {
  if (!Array.isArray(gap.symbols) || gap.symbols.includes(symbol)) return true;
  return Number(gap.symbol_count ?? 0) > gap.symbols.length;
}

export class GapList {
  #byKey = new Map();

  /** @param {string} exchange @param {object} gap as told by the history or `gaps/` @returns {boolean} is it news? */
  take(exchange, gap) {
    if (typeof gap.id !== "string" || !Number.isFinite(Number(gap.from_ns))) return false;
    const key = `${exchange}/${gap.id}`;
    const known = this.#byKey.get(key);
    if (known !== undefined && Number(known.time_ns ?? 0) > Number(gap.time_ns ?? 0)) return false;
    if (known === undefined && this.#byKey.size >= MOST_GAPS) this.#byKey.delete(this.#byKey.keys().next().value);
    this.#byKey.set(key, { ...gap, exchange, key });
    return true;
  }

  /** The exchanges that have gaps, by name. */
  get exchanges() {
    return [...new Set([...this.#byKey.values()].map((gap) => gap.exchange))].sort();
  }

  /** How many are neither filled nor given up. */
  get unsettled() {
    return [...this.#byKey.values()].filter(isUnsettled).length;
  }

  /**
   * The newest first, those that still run before all others.
   * @param {{exchange?: string, symbol?: string, state?: string}} wish `state`: one of gaps/, or "unsettled"; empty: any
   * @returns {object[]}
   */
  select({ exchange = "", symbol = "", state = "" }) {
    const wished = [...this.#byKey.values()].filter(
      (gap) => (!exchange || gap.exchange === exchange) && hasState(gap, state) && hasSymbol(gap, symbol),
    );
    return wished.sort((a, b) => endOf(b) - endOf(a) || Number(b.from_ns) - Number(a.from_ns) || (a.key < b.key ? -1 : 1));
  }
}

function hasState(gap, state) {
  if (!state) return true;
  return state === "unsettled" ? isUnsettled(gap) : (gap.state ?? "open") === state;
}

function hasSymbol(gap, symbol) {
  if (!symbol) return true;
  return concerns(gap, symbol) || gap.symbols.some((one) => String(one).includes(symbol));
}

function endOf(gap) {
  return gap.to_ns === undefined || gap.to_ns === null ? RUNNING : Number(gap.to_ns);
}
