import assert from "node:assert/strict";
import { test } from "node:test";

import { nearest, type Pool, usual } from "../src/nearest.ts";
import { uniforms } from "../src/normal.ts";

function pool(count: number, size: number): Pool & { data: Float32Array } {
  const uniform = uniforms(5);
  const data = Float32Array.from({ length: count * size }, uniform);
  return { count, size, data, pixels: (i) => data.subarray(i * size, (i + 1) * size) };
}

const distance = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  let sum = 0;
  for (let p = 0; p < a.length; p++) sum += ((a[p] as number) - (b[p] as number)) ** 2;
  return sum / a.length;
};

test("the nearest image is the one that a search without short cuts finds", async () => {
  const images = pool(200, 12);
  const uniform = uniforms(6);
  for (let round = 0; round < 20; round++) {
    const x = Float32Array.from({ length: 36 }, uniform);
    const all = Array.from({ length: 200 }, (_, i) => distance(x.subarray(12, 24), images.pixels(i)));
    const found = await nearest(images, x, 12);
    assert.equal(found.distance.toFixed(6), Math.min(...all).toFixed(6));
    assert.equal(found.image, all.indexOf(Math.min(...all)));
  }
});

test("an image is nearest to itself, and skipped it has another nearest", async () => {
  const images = pool(50, 8);
  assert.deepEqual(await nearest(images, images.pixels(17)), { image: 17, distance: 0 });
  const other = await nearest(images, images.pixels(17), 0, 17);
  assert.ok(other.image !== 17 && other.distance > 0);
});

test("pixels count as they are shown: cut to [0, 1]", async () => {
  const images: Pool = { count: 2, size: 2, pixels: (i) => Float32Array.of(i, i) };
  assert.deepEqual(await nearest(images, [5, 1.5]), { image: 1, distance: 0 });
  assert.deepEqual(await nearest(images, [-3, 0]), { image: 0, distance: 0 });
});

test("a long search rests, so that the page answers meanwhile", async () => {
  let rests = 0;
  const slow: Pool = {
    count: 64, size: 1,
    pixels(i) {
      for (const end = performance.now() + 1; performance.now() < end; );
      return Float32Array.of(i / 64);
    },
  };
  const found = await nearest(slow, [0.5], 0, -1, async () => void rests++);
  assert.equal(found.image, 32);
  assert.ok(rests >= 3);
});

test("what is usual: the median over real images of the distance to the nearest other", async () => {
  const images: Pool = { count: 4, size: 1, pixels: (i) => Float32Array.of([0, 0.1, 0.3, 1][i] as number) };
  // Nearest others: 0.1, 0.1, 0.2, 0.7 away; the upper median of the squares is 0.04.
  assert.equal((await usual(images, 4))?.toFixed(6), "0.040000");
  assert.equal(await usual({ ...images, count: 1 }), null);
});
