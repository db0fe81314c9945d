import assert from "node:assert/strict";
import { test } from "node:test";

import { normals, uniforms } from "../src/normal.ts";

const mean = (values: ArrayLike<number>, of: (value: number) => number): number => {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += of(values[i] as number);
  return sum / values.length;
};

test("mulberry32 gives the numbers that its author's code gives", () => {
  const uniform = uniforms(1);
  // Of the widely copied JavaScript version, seed 1, before the division by 2^32.
  assert.deepEqual([uniform(), uniform(), uniform()].map((u) => u * 2 ** 32), [2693262067, 11749833, 2265367787]);
});

test("moments of N(0, 1): within four standard errors of 0, 1, 0 and 3, for many seeds", () => {
  const n = 100_000;
  for (const seed of [0, 1, 2, 12345, 2 ** 32 - 1]) {
    const z = normals(seed, n);
    assert.ok(Math.abs(mean(z, (v) => v)) < 4 * Math.sqrt(1 / n));
    assert.ok(Math.abs(mean(z, (v) => v * v) - 1) < 4 * Math.sqrt(2 / n));
    assert.ok(Math.abs(mean(z, (v) => v ** 3)) < 4 * Math.sqrt(15 / n));
    assert.ok(Math.abs(mean(z, (v) => v ** 4) - 3) < 4 * Math.sqrt(96 / n));
    assert.ok(Math.abs(mean(z, (v) => Number(Math.abs(v) < 1)) - 0.6827) < 4 * Math.sqrt(0.217 / n));
  }
});

test("the same seed gives the same draws, however many are asked for; another seed gives others that have nothing to do with them", () => {
  const z = normals(7, 1001);
  assert.deepEqual([...normals(7, 10)], [...z.subarray(0, 10)]);
  const other = normals(8, 1001);
  assert.ok(z.every(Number.isFinite));
  const correlation = z.reduce((sum, value, i) => sum + value * (other[i] as number), 0) / z.length;
  assert.ok(Math.abs(correlation) < 4 / Math.sqrt(z.length));
});
