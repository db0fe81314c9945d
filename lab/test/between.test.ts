import assert from "node:assert/strict";
import { test } from "node:test";

import { between, codeOf, dice, line, tAt } from "../src/between.ts";
import { NO_LABEL } from "../src/context.ts";
import { uniforms } from "../src/normal.ts";

test("a line begins at its first end, ends at its second, and goes evenly", () => {
  const [a, b] = [[0, 2, -1], [1, 2, 3]];
  assert.deepEqual([...between(a, b, 0.25)], [0.25, 2, 0]);
  const points = line(a, b, 5);
  assert.deepEqual([...points.subarray(0, 3)], a);
  assert.deepEqual([...points.subarray(12)], b);
  for (let step = 0; step < 5; step++) assert.deepEqual([...points.subarray(3 * step, 3 * step + 3)], [...between(a, b, step / 4)]);
});

test("the code of an image is its row", () => {
  assert.deepEqual([...codeOf(Float32Array.of(0, 1, 2, 3, 4, 5), 2, 1)], [2, 3]);
});

test("t under the hand: the middle of each picture of a strip is its t, the ends hold", () => {
  for (let i = 0; i < 11; i++) assert.ok(Math.abs(tAt((i + 0.5) / 11, 11) - i / 10) < 1e-12);
  assert.equal(tAt(-1, 11), 0);
  assert.equal(tAt(2, 11), 1);
});

test("dice: two images of different classes, of every pair of classes sometimes", () => {
  const uniform = uniforms(1);
  const labels = Uint16Array.of(0, 0, 1, 2, NO_LABEL, 1);
  const seen = new Set<string>();
  for (let i = 0; i < 500; i++) {
    const [first, second] = dice(6, labels, uniform);
    assert.notEqual(first, second);
    if (first !== 4) assert.ok(labels[first] !== labels[second] && second !== 4);
    seen.add(`${labels[first]} ${labels[second]}`);
  }
  for (const pair of ["0 1", "0 2", "1 0", "1 2", "2 0", "2 1"]) assert.ok(seen.has(pair), pair);
});

test("dice without classes, or of one class alone: two different images", () => {
  const uniform = uniforms(2);
  for (const labels of [null, Uint16Array.of(3, 3, 3), Uint16Array.of(NO_LABEL, NO_LABEL, NO_LABEL)]) {
    for (let i = 0; i < 50; i++) {
      const [first, second] = dice(3, labels, uniform);
      assert.ok(first !== second && first < 3 && second < 3);
    }
  }
  assert.deepEqual(dice(1, null, uniform), [0, 0]);
});
