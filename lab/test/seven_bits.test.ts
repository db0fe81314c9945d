import assert from "node:assert/strict";
import { test } from "node:test";

import { fromSevenBits } from "../src/seven_bits.ts";

/** The text of bytes from its definition: all bits in a row, cut into sevens, three of the 128 numbers written 128 higher. */
function written(bytes: readonly number[]): string {
  const bits = bytes.map((byte) => byte.toString(2).padStart(8, "0")).join("");
  const numbers = (bits.match(/.{1,7}/g) ?? []).map((seven) => parseInt(seven.padEnd(7, "0"), 2));
  return numbers.map((number) => String.fromCharCode([0, 13, 60].includes(number) ? number + 128 : number)).join("");
}

test("texts written by hand", () => {
  const known: [string, number[]][] = [
    ["", []],
    ["\x80\x80", [0]],
    ["\x7f\x40", [255]],
    ["A@", [0b10000011]],
    ["AB\xbc\x80", [0b10000011, 0b00001001, 0b11100000]],
    ["\x8d".repeat(8), [0b00011010, 0b00110100, 0b01101000, 0b11010001, 0b10100011, 0b01000110, 0b10001101]],
    ["\x80".repeat(8), [0, 0, 0, 0, 0, 0, 0]],
    ["\x01\x02\x03\x04\x05\x06\x07\x08", [0b00000010, 0b00001000, 0b00011000, 0b01000000, 0b10100001, 0b10000011, 0b10001000]],
    ["\n\t\f\x1a \x7f&>", [0b00010100, 0b00100100, 0b01100001, 0b10100100, 0b00011111, 0b11010011, 0b00111110]],
  ];
  for (const [text, bytes] of known) {
    assert.equal(written(bytes), text);
    assert.deepEqual([...fromSevenBits(text)], bytes, JSON.stringify(text));
  }
});

test("every byte at every place, lengths 0 to 20", () => {
  for (let length = 0; length <= 20; length++) {
    for (let byte = 0; byte < 256; byte++) {
      const bytes = Array.from({ length }, (_, i) => (byte + 37 * i) % 256);
      const text = written(bytes);
      assert.equal(text.length, Math.ceil((8 * length) / 7));
      assert.deepEqual([...fromSevenBits(text)], bytes);
    }
  }
});

test("what is no such text is refused", () => {
  const whole = written(Array.from({ length: 60 }, (_, i) => (i * 7919) % 256));
  const last = whole.charCodeAt(whole.length - 1);
  const wrong: Record<string, string> = {
    "a length that no bytes have": "\x80",
    "nine letters": "\x01".repeat(9),
    "bits left over": "AC",
    "bits left over after seven bytes": `${"A".repeat(8)}AC`,
    "a letter cut on its way": `${whole.slice(0, 20)}\ufffd${whole.slice(21)}`,
    "such a letter at the end": `${whole.slice(0, -1)}\ufffd`,
    "another alphabet": `${whole.slice(0, 20)}\u0100${whole.slice(21)}`,
    "the last letter changed": whole.slice(0, -1) + String.fromCharCode((last & 127) ^ 1),
  };
  for (const [what, text] of Object.entries(wrong)) assert.throws(() => fromSevenBits(text), RangeError, what);
});
