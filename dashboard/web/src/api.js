/** The dashboard's HTTP API, and its time of day: charts ask for ranges by the server's clock, not the laptop's. */

const WITHIN_MS = 10_000;
const MOST_GAPS = 5_000; // of one chart

const LOG_IN = 401;

/** Our session ended, or there was none. */
export class LoggedOut extends Error {
  constructor() {
    super("you are logged out");
  }
}

/** The log-in, which leads back to this place. @param {{pathname: string, search: string, hash: string}} place */
export function wayIn({ pathname, search, hash }) {
  return `login?next=${encodeURIComponent(pathname + search + hash)}`;
}

export class Api {
  #offsetMs = 0;
  /** Whether the dashboard wants us to log in (again). */ isLoggedOut = false;

  /** Milliseconds since the epoch by the server's clock, as exact as its Date header: a second. */
  nowMs() {
    return Date.now() + this.#offsetMs;
  }

  /** @throws {Error} with a sentence when there is no answer */
  connect() {
    return this.#get("connect");
  }

  /**
   * Candles, oldest first. @param {{exchange: string, symbol: string, interval: string, fromS: number, toS: number, limit: number}} wish
   * @returns {Promise<{rows: object[], next?: number, interval?: string}>} `toS` is exclusive; for "auto" the interval is told
   */
  candles({ exchange, symbol, interval, fromS, toS, limit }) {
    const path = `history/${encodeURIComponent(exchange)}/${encodeURIComponent(symbol)}`;
    return this.#get(path, { from: ns(fromS), to: ns(toS), interval, limit });
  }

  /** @returns {Promise<{rows: object[]}>} gaps that touch the range */
  gaps({ exchange, symbol, fromS, toS }) {
    return this.#get("gaps", { exchange, symbol, from: ns(fromS), to: ns(toS), limit: MOST_GAPS });
  }

  /** The newest gaps, each with its exchange. @param {Record<string, string>} wish empty values are left out */
  newestGaps(wish, limit) {
    return this.#get("gaps", given({ ...wish, limit }));
  }

  /**
   * The newest entries of the error table, oldest first. @param {Record<string, string>} wish empty values are left out
   * @param {number | undefined} beforeMs only entries before this time, ms since the epoch
   */
  errors(wish, beforeMs, limit) {
    return this.#get("errors", given({ ...wish, to: beforeMs === undefined ? "" : `${BigInt(Math.ceil(beforeMs)) * 1_000_000n}`, limit }));
  }

  /** What bridge, feeds, recorder and store say of themselves. */
  health() {
    return this.#get("health");
  }

  async #get(path, query = {}) {
    const url = `api/v1/${path}?${new URLSearchParams(query)}`;
    const answer = await fetch(url, { signal: AbortSignal.timeout(WITHIN_MS), headers: { accept: "application/json" } });
    this.#adjust(answer.headers.get("date"));
    this.isLoggedOut = answer.status === LOG_IN;
    if (this.isLoggedOut) throw new LoggedOut();
    if (!answer.ok) throw new Error(await reason(answer));
    return answer.json();
  }

  #adjust(date) {
    const told = date === null ? NaN : Date.parse(date);
    if (Number.isFinite(told)) this.#offsetMs = told - Date.now();
  }
}

function given(query) {
  return Object.fromEntries(Object.entries(query).filter(([, value]) => value !== "" && value !== undefined));
}

/** Seconds as nanoseconds in text: a JavaScript number would lose the last digits. */
function ns(seconds) {
  return `${BigInt(Math.floor(seconds)) * 1_000_000_000n}`;
}

async function reason(answer) {
  const told = await answer.json().catch(() => null); // an error page is no JSON: its status says enough
  return typeof told?.error === "string" ? told.error : `the dashboard answers ${answer.status}`;
}
