import assert from "node:assert/strict";
import { test } from "node:test";

import { curveWords } from "../src/curve_words.ts";
import { mapWords } from "../src/directions.ts";

test("a curve in words has both of its ends, and what lies beyond them", () => {
  assert.equal(curveWords([0, 10, 20], [1, 2, 3], "step"), "from 1 at step 0 to 3 at 20");
  assert.equal(curveWords([0, 10, 20], [2, 5, 1], "step"), "from 2 at step 0 to 1 at 20, at most 5");
  assert.equal(curveWords([0, 10, 20, 30], [2, -1, 4, 3], "step"), "from 2 at step 0 to 3 at 30, at least −1, at most 4");
});

test("what was not measured is passed over; of one value that one is told, of none that", () => {
  assert.equal(curveWords([1, 2, 3, 4], [null, 7, NaN, 8], "K ="), "from 7 at K = 2 to 8 at 4");
  assert.equal(curveWords([1, 2], [null, 7], "K ="), "7 at K = 2");
  assert.equal(curveWords([1, 2], [null, null], "K ="), "no values");
});

test("a map in words says whose codes, along what, of how many, and what is picked", () => {
  const map = { model: "VAE", kind: "principal", pair: [0, 2], carried: [0.5, 0.0004], count: 360, shown: 360, classes: 10, picked: null } as const;
  assert.equal(
    mapWords(map),
    "Map of the codes that the VAE gives 360 test images of 10 classes: axis 1 (50 % of the variance) to the right, axis 3 (< 0.1 % of the variance) upwards. No image is picked.",
  );
  assert.match(mapWords({ ...map, kind: "raw", shown: 30, classes: 0, picked: "image 7" }), /^Map .* gives 30 of 360 test images: dimension 1 .* Picked is image 7\.$/);
});
