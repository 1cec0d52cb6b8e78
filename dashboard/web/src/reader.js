/**
 * Reads one JSON object and keeps its digits: a number stays the text it was published as, `0.00000012` never
 * becomes `1.2e-7`. Only the top level is read; nested values are stepped over (nobody here needs them).
 */

const KEY = /\s*"((?:[^"\\]|\\.)*)"\s*:\s*/y;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?=\s*[,}])/y;
const WORD = /(?:"(?:[^"\\]|\\.)*"|true|false|null)(?=\s*[,}])/y;
const OPENING = /\s*\{\s*/y;
const NEXT = /\s*([,}])/y;
const STRING_OR_BRACKET = /"(?:[^"\\]|\\.)*"|[[\]{}]/g;

/**
 * @param {string} text one JSON object
 * @returns {{digits: Record<string, string>, told: Record<string, unknown>}} numbers as text, and strings and booleans
 * @throws {SyntaxError} when the text is no JSON object
 */
export function read(text) {
  const digits = Object.create(null);
  const told = Object.create(null);
  let at = end(OPENING, text, 0);
  if (text[at] === "}") return { digits, told };
  for (;;) {
    const key = match(KEY, text, at);
    const from = KEY.lastIndex;
    const number = NUMBER.test(rewound(NUMBER, from, text)) ? NUMBER.lastIndex : 0;
    if (number) digits[key[1]] = text.slice(from, number);
    at = number || other(text, from, key[1], told);
    const next = match(NEXT, text, at);
    at = NEXT.lastIndex;
    if (next[1] === "}") return { digits, told };
  }
}

function other(text, from, name, told) {
  if (WORD.test(rewound(WORD, from, text))) {
    told[name] = JSON.parse(text.slice(from, WORD.lastIndex));
    return WORD.lastIndex;
  }
  return afterNested(text, from);
}

function afterNested(text, from) {
  if (text[from] !== "[" && text[from] !== "{") throw new SyntaxError(`no value at ${from}`);
  STRING_OR_BRACKET.lastIndex = from;
  let depth = 0;
  for (let found; (found = STRING_OR_BRACKET.exec(text)) !== null; ) {
    if (found[0] === "[" || found[0] === "{") depth += 1;
    else if (found[0] === "]" || found[0] === "}") depth -= 1;
    if (depth === 0) return STRING_OR_BRACKET.lastIndex;
  }
  throw new SyntaxError("a nested value does not end");
}

function match(pattern, text, at) {
  pattern.lastIndex = at;
  const found = pattern.exec(text);
  if (found === null) throw new SyntaxError(`no JSON object at ${at}`);
  return found;
}

function end(pattern, text, at) {
  match(pattern, text, at);
  return pattern.lastIndex;
}

function rewound(pattern, at, text) {
  pattern.lastIndex = at;
  return text;
}
