import assert from "node:assert/strict";
import { test } from "node:test";

import { fromCodeText, toCodeText } from "../src/code_text.ts";
import { percent, placeWords } from "../src/directions.ts";
import { normals } from "../src/normal.ts";
import { along, codeAt, type Codes, deviation, meanVariance, moved, order, plane, project, ring, shares, shifted, silent } from "../src/plane.ts";
import { stepAt, STEPS, traverse } from "../src/traversal.ts";

const close = (found: ArrayLike<number>, wanted: ArrayLike<number>, within = 1e-5): void => {
  assert.equal(found.length, wanted.length);
  for (let i = 0; i < wanted.length; i++) assert.ok(Math.abs((found[i] as number) - (wanted[i] as number)) <= within, `${i}: ${found[i]} is not ${wanted[i]}`);
};

/** Codes whose axes are a random orthonormal basis, by Gram and Schmidt. */
function about(k: number, seed: number, rate: readonly number[] | null = null): Codes {
  const rows: number[][] = [];
  for (let j = 0; j < k; j++) {
    const row = [...normals(seed + 100 * j, k)];
    for (const other of rows) {
      const dot = row.reduce((sum, value, i) => sum + value * (other[i] as number), 0);
      row.forEach((value, i) => (row[i] = value - dot * (other[i] as number)));
    }
    const size = Math.hypot(...row);
    rows.push(row.map((value) => value / size));
  }
  const scale = Array.from({ length: k }, (_, j) => 3 / (j + 1));
  const mean = [...normals(seed + 7, k)];
  const raw = mean.map((_, i) => Math.hypot(...rows.map((row, j) => (row[i] as number) * (scale[j] as number))));
  const total = raw.reduce((sum, value) => sum + value * value, 0);
  return { k, mean, axes: rows, scale, raw_mean: mean, raw_scale: raw, carries: raw.map((value) => (value * value) / total), rate, collapsed: mean.map((_, j) => j === 1) };
}

for (const k of [2, 3, 20]) {
  test(`a point of the plane has a code, and that code lies at the point, K = ${k}`, () => {
    const model = about(k, 3 * k);
    for (const kind of ["principal", "raw"] as const) {
      const flat = plane(model, kind, k - 1, 0);
      close(project(flat, codeAt(flat, 0.7, -1.9)), [0.7, -1.9]);
      const z = normals(k, k);
      const [x, y] = project(flat, z) as unknown as [number, number];
      close(project(flat, shifted(flat, z, 0.5, -0.25)), [x + 0.5, y - 0.25]);
    }
    const flat = plane(model, "principal", 0, 1);
    close(project(flat, model.mean), [0, 0]);
    close(project(plane(model, "raw", 1, 0), model.mean), [model.mean[1] as number, model.mean[0] as number]);
  });

  test(`moving along one direction leaves the others as they were, K = ${k}`, () => {
    const [model, z] = [about(k, 5 * k), normals(1, k)];
    for (const kind of ["principal", "raw"] as const) {
      const to = moved(model, kind, 1, z, 2.5);
      for (let j = 0; j < k; j++) close([along(model, kind, j, to)], [j === 1 ? 2.5 : along(model, kind, j, z)]);
    }
  });

  test(`the strip goes from -3 to +3 standard deviations and holds all else, K = ${k}`, () => {
    const [model, z] = [about(k, 2 * k), normals(2, k)];
    const codes = traverse(model, "principal", 0, z, 1.5);
    assert.equal(codes.length, STEPS * k);
    for (let i = 0; i < STEPS; i++) {
      const step = codes.subarray(i * k, (i + 1) * k);
      close([along(model, "principal", 0, step)], [1.5 * stepAt(i)], 1e-4);
      close([along(model, "principal", 1, step)], [along(model, "principal", 1, z)], 1e-4);
    }
    close([stepAt(0), stepAt(5), stepAt(10)], [-3, 0, 3]);
  });
}

test("shares add up to one, and the directions are sorted by what they carry", () => {
  const model = about(6, 4);
  for (const kind of ["principal", "raw"] as const) {
    close([shares(model, kind).reduce((sum, share) => sum + share, 0)], [1]);
    const carried = order(model, kind).map((j) => shares(model, kind)[j] as number);
    assert.deepEqual(carried, [...carried].sort((a, b) => b - a));
  }
  const rated = about(3, 4, [0.1, 2, 1]);
  assert.deepEqual(order(rated, "raw"), [1, 2, 0]);
  assert.deepEqual(order(rated, "principal"), [0, 1, 2]);
});

test("a direction is silent where the model said so, or where a VAE's mean code stands still along it", () => {
  const model = about(3, 4, [1, 0, 1]);
  assert.deepEqual([0, 1, 2].map((j) => silent(model, "raw", j)), [false, true, false]);
  const still = { ...model, scale: [1, 0.5, 0.05] };
  assert.deepEqual([0, 1, 2].map((j) => silent(still, "principal", j)), [false, false, true]);
  assert.equal(silent({ ...still, rate: null }, "principal", 2), false);
});

test("the deviation of draws from q has the codes' variance and q's own; a still code still gets a step", () => {
  const spread = Float32Array.of(0.6, 0.8, 0.6, 0.8);
  close(meanVariance(spread, 2, 2), [0.36, 0.64], 1e-6);
  close(meanVariance(Float32Array.of(1, 3), 2, 3), [5, 5, 5]);
  const model = { ...about(2, 1), raw_scale: [0.8, 0] };
  close([deviation(model, "raw", 0, [0.36, 0.64]), deviation(model, "raw", 1, [0.36, 0.64]), deviation(model, "raw", 1)], [1, 0.8, 1]);
  close([deviation(model, "principal", 0, [4, 4])], [Math.hypot(3, 2)]); // the same in every direction, whatever the axes
});

test("the ring of a round q is a circle of two standard deviations on any plane of axes", () => {
  const points = ring(plane(about(5, 9), "principal", 0, 3), Float32Array.of(0.3));
  for (let i = 0; i < points.length; i += 2) close([Math.hypot(points[i] as number, points[i + 1] as number)], [0.6]);
});

test("the ring of a diagonal q is its projection: reach along each axis, and every point at Mahalanobis distance two", () => {
  const model = about(4, 8);
  const [spread, flat] = [Float32Array.of(0.2, 1, 0.5, 2), plane(model, "principal", 0, 1)];
  const [xx, xy, yy] = [[flat.p1, flat.p1], [flat.p1, flat.p2], [flat.p2, flat.p2]].map(([a, b]) =>
    [...spread].reduce((sum, s, j) => sum + s * s * (a?.[j] as number) * (b?.[j] as number), 0)) as [number, number, number];
  const points = ring(flat, spread, 2, 400);
  const determinant = xx * yy - xy * xy;
  for (let i = 0; i < points.length; i += 2) {
    const [x, y] = [points[i] as number, points[i + 1] as number];
    close([(yy * x * x - 2 * xy * x * y + xx * y * y) / determinant], [4], 1e-3);
  }
  close([Math.max(...points.filter((_, i) => i % 2 === 0)), Math.max(...points.filter((_, i) => i % 2 === 1))], [2 * Math.sqrt(xx), 2 * Math.sqrt(yy)], 1e-3);
});

test("a code in the address there and back; another model's or image's code, or a damaged one, is none", () => {
  const z = Float32Array.of(0.5, -1.25, 1e-7, 12345.6);
  for (const name of ["vae", "my, own vae", ""]) {
    const text = toCodeText(name, 12, z);
    close(fromCodeText(text, name, 12, 4) as Float32Array, [0.5, -1.25, 1e-7, 12350], 1e-2);
    for (const wrong of [fromCodeText(text, "pca", 12, 4), fromCodeText(text, name, -1, 4), fromCodeText(text, name, 12, 3), fromCodeText(text, name, 12, 5)]) assert.equal(wrong, null);
  }
  for (const text of ["", "vae", "vae,12", "vae,12,a,b", "vae,12,1,", "vae,12,NaN,1", "vae,12,1,Infinity", "<img src=x>,12,1,2"]) assert.equal(fromCodeText(text, "vae", 12, 2), null);
});

test("shares and places in words", () => {
  assert.deepEqual([0, 0.0004, 0.004, 0.0996, 0.234, 1].map(percent), ["0 %", "< 0.1 %", "0.4 %", "10 %", "23 %", "100 %"]);
  const told = { model: { label: "VAE", k: 8 }, plane: { kind: "principal", pair: [0, 11] }, at: [1.2, -3], shift: [0.25, -0.1], inPlane: false, near: "image 5", others: true, ring: null } as const;
  assert.match(placeWords(told), /^VAE: z = code of image 5 \+ 0\.25 p₁ − 0\.1 p₁₂\. The other models do the same/u);
  assert.match(placeWords({ ...told, inPlane: true }), /^VAE: z = mean \+ 1\.2 p₁ − 3 p₁₂; along all other axes it is the mean\. The other models decode their own code of image 5/u);
  assert.match(placeWords({ ...told, near: null }), /z = mean .* No image is shown/u);
  assert.match(placeWords({ ...told, plane: { kind: "raw", pair: [2, 0] } }), /the code of image 5 with dimension 3 at 1\.2 and dimension 1 at −3\./u);
});
