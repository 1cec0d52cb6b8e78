/** What may be believed of a row now, and why not. Pure. */

import { HEARTBEAT_MS, ageMs, provisional, silenceMs } from "./age.js";
import { age } from "./format.js";

/**
 * @typedef {{kind: "fresh" | "stale" | "provisional" | "empty", reason: string, ageMs: number | null}} Verdict
 * @typedef {{away: string | null}} World `away`: why nothing at all is to be believed (broker or bridge), or null
 */

/**
 * @param {import("./prices.js").Row} row @param {boolean} exchangeLive has it spoken live on this connection?
 * @param {World} world @param {number} nowMs by Elapsed
 * @returns {Verdict}
 */
export function judge(row, exchangeLive, world, nowMs) {
  if (row.receipt === null) return { kind: "empty", reason: "no price yet", ageMs: null };
  const unsure = provisional(row.receipt, exchangeLive);
  const old = unsure ? null : ageMs(row.receipt, nowMs);
  const reason = distrust(row, unsure, world, nowMs);
  if (reason !== null) return { kind: "stale", reason, ageMs: old };
  if (unsure) return { kind: "provisional", reason: "kept by the broker, age unknown", ageMs: null };
  return { kind: "fresh", reason: "", ageMs: old };
}

function distrust(row, unsure, world, nowMs) {
  if (world.away !== null) return world.away;
  if (row.stale !== null) return row.stale;
  const silence = unsure ? nowMs - row.receipt.atMs : silenceMs(row.receipt, nowMs);
  return silence > HEARTBEAT_MS ? `no word for ${age(silence)}` : null;
}
