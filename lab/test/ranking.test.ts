import assert from "node:assert/strict";
import { test } from "node:test";

import { around, meanOf, ranked, shareBelow, squaredError } from "../src/ranking.ts";

test("worst first, equal ones in their order, those without an error last", () => {
  assert.deepEqual([...ranked(Float32Array.of(0.1, NaN, 0.3, 0.1, 0.2))], [2, 4, 0, 3, 1]);
  assert.deepEqual([...ranked([])], []);
});

test("a window around a rank holds it and lies within the ranks", () => {
  for (let count = 1; count < 12; count++) {
    for (let width = 1; width <= 5; width++) {
      for (let rank = 0; rank < count; rank++) {
        const first = around(rank, width, count);
        assert.ok(first >= 0 && first <= rank && rank < first + width);
        if (count >= width) assert.ok(first + width <= count);
      }
    }
  }
});

test("the share of measured errors that are smaller", () => {
  const errors = Float32Array.of(1, 2, NaN, 3, 4);
  assert.equal(shareBelow(errors, 3), 0.5);
  assert.equal(shareBelow(errors, 0), 0);
  assert.equal(shareBelow(errors, 9), 1);
  assert.equal(shareBelow([NaN], 1), null);
});

test("means: over pixels, and over what was measured", () => {
  assert.equal(squaredError([0, 1, 0.5, 0], [1, 1, 0, 0]), 1.25 / 4);
  assert.equal(meanOf([1, NaN, 3]), 2);
  assert.ok(Number.isNaN(meanOf([NaN])));
});
