/** Why there is no price, in people's words: for an empty table, and for feeds of which nothing is heard. Pure. */

import { age } from "./format.js";

/** A living bridge repeats its health every 10 s: who has said nothing for so long is not there. */
export const UNHEARD_MS = 15_000;
const AGAIN = "It is tried again by itself.";
const BRIDGE = "Start it, or see its log.";

/**
 * @typedef {{name: string, of: string, status: string, reason: string, forMs: number | null}} Feed from Feeds.list()
 * @typedef {{link: object, away: object | null, feeds: Feed[], heardMs: number, search: string, rows: number}} Facts
 *   `away`: Feeds.bridgeAway(); `heardMs`: how long we listen on this connection; `rows`: how many there are to search in
 */

/** What stands in the table instead of prices, a line each. @param {Facts} facts @returns {string[]} */
export function emptyWords({ link, away, feeds, heardMs, search, rows }) {
  if (rows > 0 && search.trim()) return [`Nothing matches “${search.trim()}”.`];
  if (!link.connected) return [`No prices: the broker is away. ${AGAIN}`];
  if (away !== null) return [`No prices: ${bridgeWords(away)}. ${BRIDGE}`];
  const known = feeds.filter((feed) => feed.of !== "bridge");
  const troubled = known.filter((feed) => feed.status !== "online" && feed.status !== "quiet");
  if (troubled.length) return ["No prices yet.", ...troubled.map(feedWords)];
  if (known.length) return ["Waiting for the first price."];
  return [noFeeds({ link, away, feeds, heardMs })];
}

/** What stands in the place of feeds when there is none. @param {Partial<Facts>} facts */
export function noFeeds({ link, away, feeds, heardMs }) {
  if (!link.connected) return "The broker is away, so no feed can be heard.";
  if (away !== null) return `Of the exchanges nothing is heard: ${bridgeWords(away)}.`;
  if (heardMs < UNHEARD_MS) return "Listening…";
  if (feeds.length) return "The bridge tells of no exchange: is one enabled (exchanges.kucoin.enabled)?";
  return `The bridge is away: nothing is heard of it. ${BRIDGE}`;
}

/** "for 3 min", or nothing where the time is not known. @param {number | null} ms */
export const lasting = (ms) => (ms === null ? "" : ` for ${age(ms)}`);

function feedWords({ name, status, reason, forMs }) {
  const why = reason ? ` – ${reason}` : "";
  const end = /[.?!]$/.test(why) ? "" : ".";
  return `${name}: ${status}${lasting(forMs)}${why}${end}${status === "stopped" ? "" : ` ${AGAIN}`}`;
}

function bridgeWords({ status, forMs }) {
  return status === "silent" ? `no word from the bridge${lasting(forMs)}` : `the bridge is ${status}${lasting(forMs)}`;
}
