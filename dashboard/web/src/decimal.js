/** Decimal texts: exact differences and the places a price step asks for. Pure. */

const PLAIN = /^-?\d+(?:\.\d+)?$/;
const LONGEST = 60; // no price has more digits; beyond it BigInt arithmetic would be a way to keep us busy

/**
 * a − b, exactly, with as many places as the longer of the two.
 * @param {string} a @param {string} b decimal texts
 * @returns {string | null} null when either is no plain decimal
 */
export function subtract(a, b) {
  if (!isPlain(a) || !isPlain(b)) return null;
  const places = Math.max(fraction(a).length, fraction(b).length);
  return unscaled(scaled(a, places) - scaled(b, places), places);
}

/**
 * How many places a step has: 0.1 → 1, 1e-8 → 8, 5 → 0.
 * @param {number} step
 * @returns {number} 0 to 18
 */
export function places(step) {
  const [mantissa, exponent = "0"] = String(step).split("e");
  return Math.min(18, Math.max(0, fraction(mantissa).length - Number(exponent)));
}

/** The places of a published price, for symbols whose step is not known. @param {string} text */
export function placesOf(text) {
  return isPlain(text) ? Math.min(18, fraction(text).length) : places(Number(text));
}

/**
 * A decimal text as what counts and the zeros that its step makes idle: 85673.00000000 with one place → 85673.0 and
 * 0000000. Together they are the text.
 * @param {string} text @param {number | null} places of the step, null where it is not known
 * @returns {[string, string]}
 */
export function parted(text, places) {
  const point = text.indexOf(".");
  if (places === null || point < 0 || !isPlain(text)) return [text, ""];
  const zeros = text.length - text.replace(/0+$/, "").length;
  const idle = Math.min(zeros, Math.max(0, text.length - point - 1 - places));
  const end = text.length - idle;
  const from = end === point + 1 && places === 0 ? point : end; // the point goes with the last of its zeros
  return [text.slice(0, from), text.slice(from)];
}

function isPlain(text) {
  return text.length <= LONGEST && PLAIN.test(text);
}

function fraction(text) {
  const point = text.indexOf(".");
  return point < 0 ? "" : text.slice(point + 1);
}

function scaled(text, places) {
  const [whole, part = ""] = text.split(".");
  return BigInt(whole + part.padEnd(places, "0"));
}

function unscaled(value, places) {
  const sign = value < 0n ? "-" : "";
  const digits = String(value < 0n ? -value : value).padStart(places + 1, "0");
  const whole = digits.slice(0, digits.length - places);
  return places ? `${sign}${whole}.${digits.slice(digits.length - places)}` : sign + whole;
}
