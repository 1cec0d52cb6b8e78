/** What each feed and the bridge say of themselves, and since when they say nothing. Pure. */

import { HEARTBEAT_MS, receipt, silenceMs } from "./age.js";

const MOST_FEEDS = 200;
const FINAL = new Set(["offline", "stopped"]);
const WELL = new Set(["online", "quiet"]);

export class Feeds {
  /** @type {Map<string, object>} by topic path: `kucoin`, `kucoin/2`, `bridge` */
  #heard = new Map();
  #givenS;

  /** @param {number} givenS the expiry that health is published with, s */
  constructor(givenS) {
    this.#givenS = givenS;
  }

  /**
   * @param {{exchange: string, rest: string}} place @param {{payload: Uint8Array, retain: boolean, expiryS?: number}} message
   * @throws {SyntaxError} for a payload that is no JSON
   */
  hear(place, message, atMs) {
    const name = place.rest ? `${place.exchange}/${place.rest}` : place.exchange;
    if (message.payload.length === 0) {
      this.#heard.delete(name);
      return;
    }
    if (!this.#heard.has(name) && this.#heard.size >= MOST_FEEDS) return;
    const told = JSON.parse(new TextDecoder().decode(message.payload));
    if (told === null || typeof told !== "object") throw new SyntaxError("health is no object");
    this.#heard.set(name, { name, of: place.exchange, told, receipt: receipt(message, this.#givenS, atMs), wall: message.retain ? null : new Date() });
  }

  /** Feeds by name, the bridge last. @returns {{name: string, of: string, status: string, reason: string, forMs: number | null, told: object}[]} */
  list(nowMs) {
    const shown = [...this.#heard.values()].map((feed) => shownNow(feed, nowMs));
    const bridges = shown.filter((feed) => feed.of === "bridge");
    const away = bridges.length > 0 && bridges.every((bridge) => bridge.status !== "online");
    const now = away ? shown.map(unknownNow) : shown;
    return now.sort((a, b) => (a.of === "bridge") - (b.of === "bridge") || (a.name < b.name ? -1 : 1));
  }

  /** The exchanges that have told their health, by name. */
  get exchanges() {
    return [...new Set([...this.#heard.values()].map(({ of }) => of))].filter((name) => name !== "bridge").sort();
  }

  /** Whether this exchange's source has no bid and ask at all (a whole-market stream without a book). */
  bookless(exchange) {
    for (const { of, told } of this.#heard.values()) {
      if (of === exchange && told.whole_market === true && told.book === false) return true;
    }
    return false;
  }

  /** How many exchanges' feeds are well (their data flows, or their silence is proven), and of how many. */
  wellAndAll(nowMs) {
    const feeds = this.list(nowMs).filter((feed) => feed.of !== "bridge");
    return [feeds.filter((feed) => WELL.has(feed.status)).length, feeds.length];
  }

  /**
   * Why no price of any feed is to be believed, or null: every bridge is offline, stopped or silent.
   * @returns {{status: string, since: Date | null, forMs: number | null} | null} `since`: when that was heard, null: before
   *   this page listened
   */
  bridgeAway(nowMs) {
    const bridges = this.list(nowMs).filter((feed) => feed.of === "bridge");
    if (bridges.length === 0 || bridges.some((bridge) => bridge.status === "online")) return null;
    const { status, since, forMs } = bridges[0];
    return { status, since, forMs };
  }

  /** What is wrong with each exchange that is not well, in one word. @returns {Map<string, string>} */
  troubles(nowMs) {
    const feeds = this.list(nowMs).filter((feed) => feed.of !== "bridge" && !WELL.has(feed.status));
    return new Map(feeds.map((feed) => [feed.of, feed.status]));
  }
}

function shownNow({ name, of, told, receipt: got, wall }, nowMs) {
  const silence = silenceMs(got, nowMs);
  const silent = silence > HEARTBEAT_MS && !FINAL.has(told.status);
  return {
    name, of, told, since: wall, forMs: silent ? silence : lasted(told, silence),
    status: silent ? "silent" : String(told.status ?? "unknown"),
    reason: silent ? "no word from it" : String(told.reason ?? ""),
  };
}

/** Of an exchange that was well nobody knows how it is while the bridge is away. */
function unknownNow(feed) {
  if (feed.of === "bridge" || !WELL.has(feed.status)) return feed;
  return { ...feed, status: "unknown", reason: "the bridge is away", forMs: null };
}

/**
 * How long it has been so, ms, or null: by the bridge's own clock up to when it said so, by ours from then on, so that
 * no clock is held against another. A will (offline) has no time, nor has a bridge whose clock is not synchronised.
 */
function lasted({ since_ns: since, time_ns: time, status }, silence) {
  if (!Number.isFinite(since) || !Number.isFinite(time) || status === "offline") return null;
  return Math.max(0, (time - since) / 1e6) + silence;
}
