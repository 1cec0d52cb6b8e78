/** What the page must say above all prices. Pure: facts in, sentences out, the gravest first. */

import { bytes, clock } from "./format.js";

const OLD = "prices below are old";

/**
 * @param {{link: object, bridge: object | null, demo: boolean, whole: object | null, priced: boolean, refused: number, wayIn: string | null}} facts
 *   `link`: the broker's {connected, since, reason, ever}; `bridge`: Feeds.bridgeAway(); `wayIn`: the log-in, when ours has ended
 * @returns {{kind: "bad" | "warn" | "demo" | "quiet", text: string, link?: {to: string, text: string}}[]}
 */
export function notices({ link, bridge, demo, whole, priced, refused, wayIn = null }) {
  const all = [];
  if (!link.connected) all.push({ kind: "bad", text: brokerAway(link) });
  else if (bridge !== null) all.push({ kind: "bad", text: bridgeAway(bridge) });
  if (wayIn !== null) all.push({ kind: "warn", text: loggedOut(link), link: { to: wayIn, text: "Log in" } });
  if (demo) all.push({ kind: "demo", text: "Demo: simulated prices" });
  if (refused > 0) all.push({ kind: "quiet", text: `${refused} updates of further symbols are not shown: the table is full` });
  const cost = whole?.on === false && !demo && priced ? Number(whole.bytes_a_day) : NaN; // else there is nothing to choose
  if (cost > 0) all.push({ kind: "quiet", text: wholeMarket(cost) });
  return all;
}

/** Why no price is to be believed, in the few words of a row, or null. */
export function awayWords(link, bridge) {
  if (!link.connected) return "broker away";
  if (bridge === null) return null;
  return bridge.status === "silent" ? "bridge silent" : `bridge ${bridge.status}`;
}

function loggedOut({ connected }) {
  return `You are logged out: history, gaps and errors wait.${connected ? " Live prices go on." : ""}`;
}

function brokerAway({ since, reason, ever }) {
  const why = reason ? ` (${reason})` : "";
  if (!ever) return `Broker not reached since ${clock(since)}${why} – trying again`;
  return `Broker away since ${clock(since)} – ${OLD}${why}`;
}

function bridgeAway({ status, since }) {
  if (status === "silent") return `No word from the bridge since ${since ? clock(since) : "this page was opened"} – ${OLD}`;
  return `Bridge ${status} since ${since ? clock(since) : "before this page was opened"} – ${OLD}`;
}

function wholeMarket(cost) {
  return `This is the watchlist. The whole market would take about ${bytes(cost)} a day; the setting is whole_market.`;
}
