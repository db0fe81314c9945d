import assert from "node:assert/strict";
import { test } from "node:test";

import { NO_LABEL } from "../src/context.ts";
import { imageWords, step, threeDigits, within } from "../src/wording.ts";

test("an image in words: its class where it has one", () => {
  const meta = { classes: ["cat", "<b>dog</b>"] };
  assert.equal(imageWords(meta, Uint16Array.of(1, NO_LABEL), 0), "image 0, class <b>dog</b>");
  assert.equal(imageWords(meta, Uint16Array.of(1, NO_LABEL), 1), "image 1");
  assert.equal(imageWords({ classes: null }, null, 7), "image 7");
});

test("numbers from an address are brought into their range", () => {
  assert.deepEqual([-3, 2.4, 99, NaN, Infinity].map((value) => within(value, 10)), [0, 2, 9, 0, 9]);
});

test("arrow keys move within a grid and stay in it", () => {
  assert.equal(step("ArrowRight", 3, 25, 5), 4);
  assert.equal(step("ArrowDown", 3, 25, 5), 8);
  assert.equal(step("ArrowUp", 3, 25, 5), 3);
  assert.equal(step("ArrowRight", 24, 25, 5), 24);
  assert.equal(step("End", 3, 25, 5), 24);
  assert.equal(step("Enter", 3, 25, 5), null);
});

test("errors one beside another have three digits each", () => {
  assert.deepEqual([0.025, 0.0244, 0.00898, 0.4, 0, 3e-7, 12].map(threeDigits), ["0.0250", "0.0244", "0.00898", "0.400", "0", "3.0e−7", "12"]);
  assert.equal(threeDigits(NaN), "none");
});
