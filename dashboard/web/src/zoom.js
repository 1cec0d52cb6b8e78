/** Which candles suit what is seen: as many as the width can show, no more. Pure; times are seconds, UTC. */

import { INTERVALS_S } from "./candles.js";

/** Candles held from the left of the view up to now, at most: finer ones far in the past would be too many. */
export const MOST_HELD = 20_000;
const MOST_ASKED = 5000;
/** How far the view must leave the interval behind before another one is taken: else it would flutter at the border. */
const FINER_BELOW = 0.7;
const COARSER_ABOVE = 1.15;

/**
 * What to ask for: from half a view further left up to now, and so few candles that the view has at most `slots`.
 * @param {{fromS: number, toS: number}} view @param {number} slots candles that the width can show
 * @returns {{fromS: number, limit: number}}
 */
export function wanted({ fromS, toS }, slots, nowS) {
  const spanS = Math.max(1, toS - fromS);
  const leftS = Math.max(0, fromS - spanS / 2);
  const limit = Math.ceil((slots * Math.max(spanS, nowS - leftS)) / spanS);
  return { fromS: leftS, limit: Math.max(1, Math.min(MOST_ASKED, limit)) };
}

/** Whether another interval than the one of `stepS` suits the view better. */
export function isUnsuited(view, slots, nowS, stepS) {
  const spanS = view.toS - view.fromS;
  const { fromS, limit } = wanted(view, slots, nowS);
  const bestS = suiting(nowS - fromS, limit);
  if (bestS > stepS) return spanS / stepS > slots * COARSER_ABOVE || (nowS - fromS) / stepS > MOST_HELD;
  return bestS < stepS && spanS / bestS < slots * FINER_BELOW;
}

/** The smallest interval of which a span has at most `limit`, s: as the dashboard answers `interval=auto`. */
export function suiting(spanS, limit) {
  const steps = Object.values(INTERVALS_S);
  return steps.find((stepS) => spanS <= stepS * limit) ?? steps.at(-1);
}

/** The time at a place of the axis, places between and beyond candles included. @param {number[]} times rising */
export function timeAt(times, stepS, place) {
  const index = Math.max(0, Math.min(times.length - 1, Math.floor(place)));
  const width = index < times.length - 1 && place >= 0 ? times[index + 1] - times[index] : stepS;
  return times[index] + (place - index) * width;
}

/** The place of a time on the axis: the other way round. */
export function placeAt(times, stepS, timeS) {
  let [low, high] = [0, times.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (times[middle] <= timeS) low = middle;
    else high = middle - 1;
  }
  const width = low < times.length - 1 && timeS >= times[0] ? times[low + 1] - times[low] : stepS;
  return low + (timeS - times[low]) / width;
}
