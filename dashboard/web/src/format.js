/** Numbers and times as people read them. Pure. */

const UNITS = ["B", "kB", "MB", "GB", "TB"];

/** @param {number} ms @returns {string} "4 s", "3 min", "2 h", "5 d" */
export function age(ms) {
  const s = Math.floor(ms / 1000);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86_400) return `${Math.floor(s / 3600)} h`;
  return `${Math.floor(s / 86_400)} d`;
}

/** A fraction as signed per cent: 0.0213 → "+2.13 %". @param {number | null} fraction */
export function change(fraction) {
  if (fraction === null || !Number.isFinite(fraction)) return "–";
  const text = (Math.abs(fraction) * 100).toFixed(2);
  if (Number(text) === 0) return "0.00 %";
  return `${fraction < 0 ? "−" : "+"}${text} %`;
}

/** A fraction as per cent with three places, "< 0.001 %" below them. @param {number | null} fraction */
export function part(fraction) {
  if (fraction === null || !Number.isFinite(fraction)) return "";
  const percent = fraction * 100;
  if (percent > 0 && percent < 0.001) return "< 0.001 %";
  return `${percent.toFixed(3)} %`;
}

/** @param {number} count of bytes @returns {string} "3.2 GB" */
export function bytes(count) {
  let left = count;
  let unit = 0;
  while (left >= 1000 && unit < UNITS.length - 1) {
    left /= 1000;
    unit += 1;
  }
  return `${left < 10 && unit > 0 ? left.toFixed(1) : Math.round(left)} ${UNITS[unit]}`;
}

/** The local time of day. @param {Date} date */
export function clock(date) {
  return date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
}

/** How long something lasted: "under 1 s", else as age(). @param {number} ms */
export function duration(ms) {
  return ms < 1000 ? "under 1 s" : age(ms);
}

/** A whole number with its thousands apart. @param {number} number */
export function count(number) {
  return number.toLocaleString("en-US", { maximumFractionDigits: 0 });
}

/**
 * A moment in local time: "21 Nov 14:03:20"; the day only where it differs from `besideMs`, the year where it is not this one.
 * @param {number} ms since the epoch @param {number | undefined} besideMs a moment that stands beside it
 */
export function moment(ms, besideMs) {
  const date = new Date(ms);
  if (Number.isNaN(date.getTime())) return "?";
  if (besideMs !== undefined && date.toDateString() === new Date(besideMs).toDateString()) return clock(date);
  const year = date.getFullYear() === new Date().getFullYear() ? undefined : "numeric";
  return `${date.toLocaleDateString("en-GB", { day: "numeric", month: "short", year })} ${clock(date)}`;
}
