/** Digits, decimals and how people read them. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { parted, places, placesOf, subtract } from "../../../dashboard/web/src/decimal.js";
import { age, bytes, change, part } from "../../../dashboard/web/src/format.js";
import { read } from "../../../dashboard/web/src/reader.js";

test("numbers keep the digits they were published with", () => {
  const { digits } = read('{"price":0.00000012,"bid":67523,"ask":1.50,"big":23242050174000000001,"exp":1E-7,"neg":-0.10}');
  assert.deepEqual({ ...digits }, { price: "0.00000012", bid: "67523", ask: "1.50", big: "23242050174000000001", exp: "1E-7", neg: "-0.10" });
});

test("strings and booleans are read beside them, escapes included", () => {
  const { told } = read(' { "stale" : true , "reason":"a \\"quoted\\" \\u20ac, {brace}" , "no":null } ');
  assert.equal(told.stale, true);
  assert.equal(told.reason, 'a "quoted" €, {brace}');
  assert.equal(told.no, null);
});

test("fields that nobody knows are stepped over, however deep", () => {
  const { digits } = read('{"new":{"a":[1,{"b":"]}"}]},"list":[[],{}],"price":2.0}');
  assert.equal(digits.price, "2.0");
});

test("an empty object has no fields, and __proto__ is a name like any other", () => {
  assert.deepEqual({ ...read("{}").digits }, {});
  assert.equal(read('{"__proto__":7}').digits.__proto__, "7");
  assert.equal({}.polluted, undefined);
});

for (const broken of ["", "[]", "{", '{"a"}', '{"a":}', '{"a":1', '{"a":1,}', '{"a":007}', '{"a":.5}', '{"a":+1}', '{"a":[1}', '{"a":x}', "null", '{"a":"b']) {
  test(`what is no JSON object is a SyntaxError: ${JSON.stringify(broken)}`, () => {
    assert.throws(() => read(broken), SyntaxError);
  });
}

test("differences of decimals are exact", () => {
  assert.equal(subtract("85440.1", "85439.9"), "0.2");
  assert.equal(subtract("0.00000013", "0.00000012"), "0.00000001");
  assert.equal(subtract("67523", "67522.50"), "0.50");
  assert.equal(subtract("1", "2"), "-1");
  assert.equal(subtract("1e-7", "1"), null);
  assert.equal(subtract("1".repeat(61), "1"), null);
});

test("the places of a step and of a price", () => {
  assert.deepEqual([0.1, 1e-8, 0.05, 5, 1e21, 1.5e-7].map(places), [1, 8, 2, 0, 0, 8]);
  assert.deepEqual(["67523", "1.50", "1E-7"].map(placesOf), [0, 2, 7]);
});

test("the zeros behind a step are told apart, and no digit is lost", () => {
  assert.deepEqual(parted("85673.00000000", 1), ["85673.0", "0000000"]);
  assert.deepEqual(parted("0.00000810", 8), ["0.00000810", ""]);
  assert.deepEqual(parted("1.25000000", 1), ["1.25", "000000"]);
  assert.deepEqual(parted("100.000", 0), ["100", ".000"]);
  assert.deepEqual([parted("100", 0), parted("–", 2), parted("1.500", null)], [["100", ""], ["–", ""], ["1.500", ""]]);
});

test("people read ages, changes, parts and bytes", () => {
  assert.deepEqual([0, 59_999, 60_000, 7_200_000, 172_800_000].map(age), ["0 s", "59 s", "1 min", "2 h", "2 d"]);
  assert.deepEqual([0.0213, -0.5, 0.00001, null].map(change), ["+2.13 %", "−50.00 %", "0.00 %", "–"]);
  assert.deepEqual([0.0000001, 0.01, null].map(part), ["< 0.001 %", "1.000 %", ""]);
  assert.deepEqual([999, 3_200_000_000, 12_345].map(bytes), ["999 B", "3.2 GB", "12 kB"]);
});
