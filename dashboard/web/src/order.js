/** Which rows are shown, and in which order: favourites first, then by the chosen column, else as the settings list them. Pure. */

import { ageMs } from "./age.js";

const number = (text) => (text === null ? null : Number(text));

/** No column is chosen: the order of the watchlist, what is not in it after it from A to Z. */
export const UNSORTED = "";

/** What each column sorts by; null goes last whatever the direction. @type {Record<string, (row: object) => any>} */
const BY = {
  symbol: (row) => row.symbol,
  price: (row) => number(row.price),
  bid: (row) => number(row.bid),
  ask: (row) => number(row.ask),
  spread: (row) => row.part,
  change: (row) => row.change,
  age: (row, nowMs) => (row.receipt === null ? null : ageMs(row.receipt, nowMs)),
};

/**
 * @param {Iterable<object>} rows
 * @param {{search: string, column: string, descending: boolean, favourites: Set<string>, nowMs: number, places: Map<string, number>}} wish
 *   `places`: where each symbol stands in the watchlist
 * @returns {object[]}
 */
export function arrange(rows, { search, column, descending, favourites, nowMs, places }) {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  const by = Object.hasOwn(BY, column) ? BY[column] : (row) => places.get(row.symbol) ?? null;
  const keyed = [];
  for (const row of rows) {
    if (words.every((word) => row.words.includes(word))) {
      keyed.push({ row, first: favourites.has(row.key) ? 0 : 1, value: by(row, nowMs) });
    }
  }
  keyed.sort((a, b) => a.first - b.first || compare(a, b, descending) || byName(a.row, b.row));
  return keyed.map((one) => one.row);
}

function compare(a, b, descending) {
  if (a.value === b.value) return 0;
  if (a.value === null) return 1;
  if (b.value === null) return -1;
  return (a.value < b.value ? -1 : 1) * (descending ? -1 : 1);
}

function byName(a, b) {
  if (a.symbol !== b.symbol) return a.symbol < b.symbol ? -1 : 1;
  return a.exchange < b.exchange ? -1 : 1;
}
