/**
 * Age without a clock (docs/topics.md): the broker counts a message's expiry down, so what is missing of it is the
 * time the message spent there, and from receipt on our own monotonic clock counts. The laptop's wall clock only
 * ever makes things older: it shows time that the monotonic one slept through. Pure: times are arguments, in ms.
 */

/** No message for so long: the price is old, whatever the connection says (topics.md: "The promise"). */
export const HEARTBEAT_MS = 35_000;
const SLEEP_MS = 5_000;

/** Monotonic time that also counts a laptop's sleep, which performance.now() leaves out on some systems. */
export class Elapsed {
  #mono;
  #wall;
  #slept = 0;

  /** @param {number} mono performance.now() @param {number} wall Date.now() */
  constructor(mono, wall) {
    this.#mono = mono;
    this.#wall = wall;
  }

  /** @returns {number} ms, never running backward */
  now(mono, wall) {
    const jump = wall - this.#wall - (mono - this.#mono);
    if (jump > SLEEP_MS) this.#slept += jump;
    this.#mono = mono;
    this.#wall = wall;
    return mono + this.#slept;
  }

  /** All time slept through so far, ms. */
  get sleptMs() {
    return this.#slept;
  }
}

/**
 * What is known of a message's time when it comes.
 * @param {{retain: boolean, expiryS?: number, ageMs?: number}} message `expiryS` is what the broker says is left
 * @param {number} givenS the expiry it was published with
 * @param {number} atMs when it was received, by Elapsed
 */
export function receipt({ retain, expiryS, ageMs }, givenS, atMs) {
  const doubtful = retain && (expiryS === undefined || expiryS > givenS);
  const spentMs = expiryS === undefined ? 0 : Math.max(0, givenS - expiryS) * 1000;
  return { atMs, spentMs, ageMs: ageMs ?? 0, retain, doubtful };
}

/**
 * Whether the age of a message cannot be told yet: it was retained, and its exchange has not spoken live since we
 * connected, or the broker's countdown is impossible.
 */
export function provisional(receipt, exchangeLive) {
  return receipt.retain && (receipt.doubtful || !exchangeLive);
}

/** Age of the tick in the message, ms. */
export function ageMs(receipt, nowMs) {
  return receipt.ageMs + silenceMs(receipt, nowMs);
}

/** What its age is at least, ms: without the time it spent at the broker, whose countdown may be wrong. */
export function leastMs(receipt, nowMs) {
  return receipt.ageMs + Math.max(0, nowMs - receipt.atMs);
}

/** Time since the message was sent, ms: the heartbeat rule's measure. */
export function silenceMs(receipt, nowMs) {
  return receipt.spentMs + Math.max(0, nowMs - receipt.atMs);
}
