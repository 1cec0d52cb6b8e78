/** Topics as parts: `home/latest/kucoin/BTC-USDT` under the prefix `home` → latest, kucoin, BTC-USDT. Pure. */

/** A topic longer than this is nobody's. */
const LONGEST = 1024;

/** @param {string} prefix as in the settings, with or without slashes @returns {string} "" or "…/" */
export function rootOf(prefix) {
  const bare = prefix.replace(/^\/+|\/+$/g, "");
  return bare ? `${bare}/` : "";
}

/**
 * @param {string} topic @param {string} root from rootOf()
 * @returns {{root: string, exchange: string, rest: string} | null} null for a topic that is not ours
 */
export function route(topic, root) {
  if (topic.length > LONGEST || !topic.startsWith(root)) return null;
  const [head, exchange, ...rest] = topic.slice(root.length).split("/");
  return exchange ? { root: head, exchange, rest: rest.join("/") } : null;
}

/** What a page always subscribes to. @param {string} root */
export function standing(root) {
  return ["latest/#", "stats/#", "health/#", "catalogue/#", "gaps/#"].map((filter) => root + filter);
}

/** The error table's live side. */
export function errors(root) {
  return `${root}errors/#`;
}

/** What the chart of one symbol needs beside. */
export function forChart(root, exchange, symbol) {
  return ["forming", "candles"].map((stream) => `${root}${stream}/${exchange}/${symbol}/1m`);
}
