import assert from "node:assert/strict";
import { test } from "node:test";

import { toRgba } from "../src/images.ts";
import { contrast, standOut, toRgb } from "../src/theme.ts";

test("contrast of black on white is 21, of a colour with itself 1", () => {
  assert.equal(Math.round(contrast([0, 0, 0], [255, 255, 255])), 21);
  assert.equal(contrast([9, 99, 199], [9, 99, 199]), 1);
});

test("a colour that stands out stays; one that does not is moved until it does, on either paper", () => {
  assert.equal(standOut("#0072B2", "#fbfaf7", 3), "rgb(0, 114, 178)");
  for (const paper of ["#fbfaf7", "#16191d", "rgb(255, 255, 255)", "rgb(28, 32, 37)"]) {
    for (const colour of ["#333333", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#ffffff", "#000000", "no colour"]) {
      assert.ok(contrast(toRgb(standOut(colour, paper, 3)), toRgb(paper)) >= 3, `${colour} on ${paper}`);
    }
  }
});

test("planes become pixels, grey or colour; what is outside is cut", () => {
  const rgba = new Uint8ClampedArray(8);
  toRgba(rgba, [1, 1, 2], [9, -0.5, 1.5], 1, 255);
  assert.deepEqual([...rgba], [0, 0, 0, 255, 255, 255, 255, 255]);
  toRgba(rgba, [3, 1, 2], [0, 1, 0.2, 0.4, 1, 0], 0, 255);
  assert.deepEqual([...rgba], [0, 51, 255, 255, 255, 102, 0, 255]);
});
