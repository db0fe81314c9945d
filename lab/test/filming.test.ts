import assert from "node:assert/strict";
import { test } from "node:test";

import { extent, footage, inUse, nearestMoment, onPlane, spreads } from "../src/filming.ts";
import type { FilmMeta, ModelMeta } from "../src/context.ts";

const near = (found: ArrayLike<number>, wanted: readonly number[]): void =>
  assert.ok(found.length === wanted.length && wanted.every((value, i) => Math.abs(value - (found[i] as number)) < 1e-6), `${Array.from(found)} is not ${wanted}`);

test("codes on two axes through the mean: lengths within the plane are kept, what stands upright on it is not seen", () => {
  const codes = Float32Array.from([1, 2, 3, 4, 2, 3]); // T = 1, F = 2, K = 3
  const half = Math.SQRT1_2;
  near(onPlane(codes, 1, 2, [1, 2, 3], [[half, half, 0], [half, -half, 0], [0, 0, 1]]), [0, 0, 3 * half, 3 * half]);
  const moved = Float32Array.from([1, 2, 99, 4, 2, -99]);
  near(onPlane(moved, 1, 2, [1, 2, 3], [[half, half, 0], [half, -half, 0], [0, 0, 1]]), [0, 0, 3 * half, 3 * half]);
});

test("K = 1: one axis, images in rows that stay at every moment and within the square", () => {
  const plane = onPlane(Float32Array.from([0, 1, 2, 4, 8, 6]), 2, 3, [2], [[1]]);
  near([0, 2, 4, 6, 8, 10].map((i) => plane[i] as number), [-2, -1, 0, 2, 6, 4]);
  for (let i = 0; i < 3; i++) assert.equal(plane[2 * i + 1], plane[2 * (3 + i) + 1]);
  const half = extent(plane, 3);
  assert.ok(plane.every((value) => Math.abs(value) < half));
});

test("the square holds the last moment, and is not made for one that flew away earlier", () => {
  const wild = Float32Array.from([1000, 0, 0, 0, 1, 0, 0, -2]); // T = 2, F = 2
  assert.ok(extent(wild, 2) > 2 && extent(wild, 2) < 4);
  assert.ok(extent(Float32Array.from([0, 0, NaN, Infinity]), 1) > 0);
});

test("spread of every dimension at every moment, and which tell images apart", () => {
  const found = spreads(Float32Array.from([0, 5, 2, 5, 1, 0, 1, 6]), 2, 2, 2);
  near(found, [1, 0, 0, 3]);
  assert.deepEqual(inUse([1, 0.09, 0.11, 0], true), [true, false, true, false]); // variance over 0.01
  assert.deepEqual(inUse([1, 0.09, 1e-6], false), [true, true, false]);
  assert.deepEqual(inUse([0, 0], false), [false, false]);
});

test("the moment nearest to a step", () => {
  assert.deepEqual([-5, 0, 4, 7, 1e9].map((step) => nearestMoment([0, 2, 10], step)), [0, 0, 1, 2, 2]);
});

test("a film that is cut short is refused in words; one that is whole gives each moment its images", async () => {
  const film: FilmMeta = { steps: [0, 9], epochs: [0, 1], elbo_or_loss: [1, null], images: [0, 1], shown_images: 1, encoding: "raw", samples: 2 };
  const model = { name: "vae", k: 1, mean: [0], axes: [[1]] } as unknown as ModelMeta;
  const parts: Record<string, Uint8Array> = {
    "film:vae:codes": new Uint8Array(2 * 2 * 1 * 2), "film:vae:reconstructions": Uint8Array.of(1, 2, 3, 4), "film:vae:samples": Uint8Array.of(1, 2, 3, 4, 5, 6, 7),
  };
  const asset = async (name: string): Promise<ArrayBuffer> => (parts[name] as Uint8Array).slice().buffer as ArrayBuffer;
  const read = await footage(film, model, [1, 1, 2], asset);
  assert.deepEqual(Array.from(await read.reconstructions(1)), [3, 4]);
  await assert.rejects(read.samples(0), /cut short/);
  parts["film:vae:codes"] = new Uint8Array(6);
  await assert.rejects(footage(film, model, [1, 1, 2], asset), /cut short/);
});
