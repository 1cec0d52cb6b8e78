/** The house's short codes (docs/topics.md) in people's words. Pure; a word it does not know stands as it came. */

const CAUSES = new Map([
  ["line lost", "the connection to the exchange broke"],
  ["sequence", "the exchange's own numbering has a hole"],
  ["outbox full", "the broker was away for longer than the bridge can remember"],
  ["refused", "the broker refused the messages"],
  ["clock", "the clock was not synchronised yet"],
  ["stalled", "the bridge stood still for a while"],
  ["stopped", "the bridge was not running"],
  ["lost", "published, but never reached the store"],
]);
const STATES = new Map([
  ["open", "open"],
  ["filling", "being filled"],
  ["filled", "filled"],
  ["partial", "partly filled"],
  ["unfillable", "cannot be filled"],
]);
const KINDS = new Map([
  ["frame", "unreadable message"],
  ["value", "value not believed"],
  ["symbol", "trouble with a symbol"],
  ["clock", "clock"],
  ["store", "the bridge's own files"],
  ["summary", "summary of more"],
]);

export const GAP_STATES = [...STATES.keys()];
export const ERROR_KINDS = [...KINDS.keys()];

/** Why something is missing. @param {unknown} cause */
export const cause = (cause) => known(CAUSES, cause, "unknown cause");

/** What became of a gap. @param {unknown} state */
export const state = (state) => known(STATES, state, "open");

/** What sort of trouble. @param {unknown} kind */
export const kind = (kind) => known(KINDS, kind, "unknown");

function known(words, code, without) {
  if (code === undefined || code === null || code === "") return without;
  return words.get(code) ?? String(code);
}
