import assert from "node:assert/strict";
import { test } from "node:test";

import { counted, fixed, short } from "../src/format.ts";
import { advice, Components, isBound, meanSquared, settled, terms } from "../src/numbering.ts";

const history = { step: [1, 2, 3], loss: [5, 4, null], reconstruction: [3, 2.5, null], kl: [2, 1.5, 1], sigma: null };

test("the two terms of a bound, with the ELBO they make; a plain autoencoder has none", () => {
  assert.deepEqual(terms(history), { reconstruction: [-3, -2.5, null], kl: [2, 1.5, 1], elbo: [-5, -4, null] });
  for (const plain of [{ ...history, kl: [0, 0, 0] }, { ...history, kl: null }, { ...history, reconstruction: null }]) {
    assert.equal(isBound(plain), false);
    assert.equal(terms(plain), null);
  }
});

test("a wild beginning does not make a curve flat", () => {
  const values = [1e6, ...Array.from({ length: 99 }, (_, i) => i)];
  const [low, high] = settled(values, 0.02, "above");
  assert.ok(low < 0 && high > 97 && high < 110);
  assert.ok(settled(values.map((value) => -value), 0.02, "below")[0] > -110);
  const [a, b] = settled([3, 3, null], 0.02, "above");
  assert.ok(a < 3 && b > 3);
  assert.ok(settled([null], 0, "below").every(Number.isFinite));
});

test("PCA from its components: nothing gives the mean, all give the image, each more never a larger error", () => {
  const h = Math.SQRT1_2;
  const pca = new Components(Float32Array.from([h, h, 0, h, -h, 0, 0, 0, 1]), [0.5, 0.25, 0.125]);
  const x = [0.9, 0.1, 0.3];
  const z = pca.project(x);
  assert.equal(pca.count, 3);
  assert.deepEqual(Array.from(pca.rebuild(z, 0)), [0.5, 0.25, 0.125]);
  const errors = [0, 1, 2, 3, 9].map((k) => meanSquared(x, pca.rebuild(z, k)));
  errors.forEach((error, k) => assert.ok(k === 0 || error <= (errors[k - 1] as number) + 1e-12));
  assert.ok((errors[3] as number) < 1e-12 && errors[4] === errors[3]);
  const picture = pca.picture(1);
  assert.ok(Math.abs((picture[0] as number) - 1) < 1e-6 && Math.abs(picture[1] as number) < 1e-6 && picture[2] === 0.5);
  assert.ok(pca.picture(-1).every((value) => value === 0.5) && pca.picture(3).every((value) => value === 0.5));
});

test("advice: the command apart from the words before it", () => {
  assert.deepEqual(advice("lowerbound train digits -k 8"), { words: "", command: "lowerbound train digits -k 8" });
  assert.deepEqual(advice("look at both, and split anew: lowerbound data show x"), { words: "look at both, and split anew", command: "lowerbound data show x" });
  assert.deepEqual(advice("train longer"), { words: "train longer", command: "" });
  assert.equal(advice("run /tmp/lowerbound train").command, "");
});

test("numbers as they are read", () => {
  assert.deepEqual([0, 0.0123456, 1234.5, -4.5, 99.95, 1e-7, -0, NaN, 12345678].map(short), ["0", "0.0123", "1,230", "−4.5", "100", "1.0e−7", "0", "none", "12,300,000"]);
  assert.deepEqual([fixed(-0.04, 1), fixed(1234.56, 1), fixed(-70, 0)], ["0.0", "1,234.6", "−70"]);
  assert.deepEqual([counted(1, "step"), counted(0, "step"), counted(1500, "step")], ["1 step", "0 steps", "1,500 steps"]);
});
