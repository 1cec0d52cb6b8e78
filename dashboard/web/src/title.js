/** The tab's title: all that is seen of a page in the background. Pure. */

import { parted } from "./decimal.js";

const NAME = "Tickbridge";

/**
 * Only a price that may be believed is told as a number.
 * @param {import("./prices.js").Row | undefined} row the open one @param {string | undefined} kind of its verdict @param {number | null | undefined} places
 */
export function title(row, kind, places) {
  if (!row?.price) return NAME;
  if (kind === "fresh") return `${parted(row.price, places)[0]} ${row.symbol} · ${NAME}`;
  return `${kind === "stale" ? "old: " : ""}${row.symbol} · ${NAME}`;
}
