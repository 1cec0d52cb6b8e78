/** The chart by keyboard: what each key does to the view, in candles. Pure. */

const PART = 0.15;
const ZOOM = 1.25;
const FEWEST = 10;
const ROOM = 4; // empty slots right of the newest

/**
 * @param {{from: number, to: number}} range places of the axis that are seen @param {number} count of all candles
 * @returns {{from: number, to: number} | null} null for a key that does nothing here
 */
export function moved({ from, to }, count, key) {
  const width = to - from;
  const by = (places) => ({ from: from + places, to: to + places });
  switch (key) {
    case "ArrowLeft": return by(-width * PART);
    case "ArrowRight": return by(Math.min(width * PART, Math.max(0, count + ROOM - to)));
    case "PageUp": return by(-width);
    case "PageDown": return by(Math.min(width, Math.max(0, count + ROOM - to)));
    case "Home": return { from: 0, to: width };
    case "End": return { from: count + ROOM - width, to: count + ROOM };
    case "+": case "=": return { from: to - Math.max(FEWEST, width / ZOOM), to };
    case "-": case "_": return { from: to - width * ZOOM, to };
    default: return null;
  }
}
