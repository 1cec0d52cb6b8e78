/** What the dashboard says of its keeping (store, proof, Telegraf) in people's words. Pure; times are ms by its clock. */

import { age, clock, count } from "./format.js";

/** Telegraf tells of itself every 10 s: so much silence means that it is away. */
export const TELEGRAF_SILENT_MS = 60_000;
const WELL = new Set(["ok", "off", undefined]);
const TONES = new Map([["complete", "good"], ["late", "resting"], ["waiting", "resting"], ["starting", "resting"], ["repairing", "resting"], ["off", "resting"]]);

/**
 * @typedef {{name: string, status: string, tone: "good" | "resting" | "bad", reason: string, figures: [string, string][]}} Card
 * @param {object} told what /api/v1/health answered @returns {string | null} what is wrong with the history, in one line
 */
export function trouble(told) {
  if (typeof told.history?.problem === "string" && told.history.problem) return told.history.problem;
  const store = told.recorder?.store;
  return WELL.has(store) ? null : String(store);
}

/** @param {object} told @param {number} nowMs @returns {Card[]} */
export function cards(told, nowMs) {
  const telegraf = told.telegraf;
  return [history(told), ...(isObject(telegraf) ? [telegrafCard(telegraf, nowMs)] : [])];
}

function history(told) {
  const card = { name: "history", figures: proofFigures(told.proof) };
  if (!isObject(told.history)) return { ...card, status: "off", tone: "resting", reason: "nothing is stored (history.enabled)" };
  const wrong = trouble(told);
  if (wrong !== null) return { ...card, status: "trouble", tone: "bad", reason: wrong };
  if (!isObject(told.proof)) return { ...card, status: "online", tone: "good", reason: "" };
  const { state, reason } = told.proof;
  return { ...card, status: proofWords(told.proof), tone: TONES.get(state) ?? "bad", reason: String(reason ?? "") };
}

function proofWords({ state, complete_until_ns: to }) {
  const upTo = to === undefined || to === null ? null : clock(new Date(Number(to) / 1e6));
  const complete = upTo === null ? "not proven yet" : `complete up to ${upTo}`;
  switch (state) {
    case "complete": return complete;
    case "late": return `${complete}, the rest is on its way`;
    case "repairing": return `${complete}, the rest is being repaired`;
    case "missing": return upTo === null ? "rows are missing" : `rows are missing after ${upTo}`;
    case "unproven": return upTo === null ? "not proven" : `not proven after ${upTo}`;
    case "off": return "not audited";
    case "starting": case "waiting": return upTo === null ? "waiting for the first audit" : complete;
    default: return String(state);
  }
}

function proofFigures(proof) {
  return isObject(proof) ? given([["Repaired", proof.repaired], ["Lost", proof.lost]]) : [];
}

function telegrafCard(told, nowMs) {
  const { rejected, dropped, input_errors: unreadable, buffer, seen_ns: seen } = told;
  const card = {
    name: "telegraf",
    figures: given([["Rejected", rejected], ["Dropped", dropped], ["Input errors", unreadable], ["Waiting", buffer]]),
  };
  if (typeof told.problem === "string" && told.problem) return { ...card, status: "unknown", tone: "resting", reason: told.problem };
  if (seen === undefined || seen === null) return { ...card, status: "silent", tone: "bad", reason: "it has told nothing of itself" };
  const silence = nowMs - Number(seen) / 1e6;
  if (silence > TELEGRAF_SILENT_MS) return { ...card, status: "silent", tone: "bad", reason: `no word from it for ${age(silence)}` };
  const losing = [rejected, dropped].some((number) => number > 0); // an input error may be a mere reconnect
  const reason = losing ? "some messages did not become rows: its log says which" : "";
  return { ...card, status: "online", tone: losing ? "resting" : "good", reason };
}

function given(figures) {
  return figures.filter(([, value]) => Number.isFinite(value)).map(([label, value]) => [label, count(value)]);
}

function isObject(value) {
  return typeof value === "object" && value !== null;
}
