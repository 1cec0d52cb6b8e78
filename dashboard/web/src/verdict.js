/** What may be believed of a row now, and why not. Pure. */

import { HEARTBEAT_MS, ageMs, leastMs, provisional, silenceMs } from "./age.js";
import { age } from "./format.js";

export const NO_PRICE = "no price yet";

/**
 * @typedef {{kind: "fresh" | "stale" | "provisional" | "empty", reason: string, ageMs: number | null, leastMs: number | null}} Verdict
 *   `ageMs`: null where it is not known; `leastMs`: then it is at least this, by the bridge's count and by ours since it came
 * @typedef {{away: string | null, trouble?: string | null}} World `away`: why nothing at all is to be believed (broker or
 *   bridge), or null; `trouble`: what is wrong with the row's exchange, in a few words
 */

/**
 * @param {import("./prices.js").Row} row @param {boolean} exchangeLive has it spoken live on this connection?
 * @param {World} world @param {number} nowMs by Elapsed
 * @returns {Verdict}
 */
export function judge(row, exchangeLive, world, nowMs) {
  if (row.receipt === null) return { kind: "empty", reason: world.away ?? world.trouble ?? NO_PRICE, ageMs: null, leastMs: null };
  const unsure = provisional(row.receipt, exchangeLive);
  const ages = unsure ? { ageMs: null, leastMs: leastMs(row.receipt, nowMs) } : { ageMs: ageMs(row.receipt, nowMs), leastMs: null };
  const reason = distrust(row, unsure, world, nowMs);
  if (reason !== null) return { kind: "stale", reason, ...ages };
  if (unsure) return { kind: "provisional", reason: "kept by the broker, age unknown", ...ages };
  return { kind: "fresh", reason: "", ...ages };
}

function distrust(row, unsure, world, nowMs) {
  if (world.away !== null) return world.away;
  if (row.stale !== null) return row.stale;
  const silence = unsure ? nowMs - row.receipt.atMs : silenceMs(row.receipt, nowMs);
  return silence > HEARTBEAT_MS ? `no word for ${age(silence)}` : null;
}
