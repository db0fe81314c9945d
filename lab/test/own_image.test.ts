import assert from "node:assert/strict";
import { test } from "node:test";

import type { Shape } from "../src/context.ts";
import { averaged, cropped, fitted, formatOf, habit, inked, type Plane, planes, shaped, whole } from "../src/own_image.ts";
import { uniforms } from "../src/normal.ts";

/** A plane with a rectangle of ones on a ground of zeros. */
function rectangle(size: number, left: number, top: number, width: number, height: number): Plane {
  const values = new Float32Array(size * size);
  for (let row = top; row < top + height; row++) values.fill(1, row * size + left, row * size + left + width);
  return { values, width: size, height: size };
}

const rgba = (plane: Plane): Uint8ClampedArray => {
  const bytes = new Uint8ClampedArray(4 * plane.values.length);
  plane.values.forEach((value, p) => bytes.set([255 * value, 255 * value, 255 * value, 255], 4 * p));
  return bytes;
};

const MNIST: Shape = [1, 28, 28];
const LIKE_MNIST = { ground: 0, plain: true, box: 20, middle: [14, 14] as const };

test("a drawing anywhere, of any size, comes to a box of 20 pixels with its mass in the middle, as MNIST's", () => {
  for (const [left, top, wide, tall] of [[10, 20, 60, 120], [200, 10, 40, 30], [0, 0, 280, 280], [130, 130, 6, 9]] as const) {
    const x = shaped(rgba(rectangle(280, left, top, wide, tall)), 280, 280, MNIST, LIKE_MNIST, true);
    const ink = inked({ values: x, width: 28, height: 28 }, 0);
    assert.ok(ink);
    assert.ok(Math.abs(Math.max(ink.right - ink.left, ink.bottom - ink.top) - 20) <= 1);
    assert.ok(Math.abs(ink.x - 14) < 0.2 && Math.abs(ink.y - 14) < 0.2);
  }
});

test("what is far from the middle of its own mass stays inside the image", () => {
  const plane = rectangle(280, 0, 100, 60, 60);
  plane.values.fill(1, 130 * 280 + 60, 130 * 280 + 280); // a long thin tail at the right
  const window = fitted(plane, [1, 20, 20], { ...LIKE_MNIST, middle: [10, 10] });
  assert.ok(window.left <= 0 && window.left + 20 * window.step >= 280 - 1e-9);
});

test("averaging keeps the mean, whatever the sizes", () => {
  const uniform = uniforms(3);
  for (const [size, made] of [[12, 4], [10, 3], [5, 7], [28, 28], [9, 1]] as const) {
    const plane: Plane = { values: Float32Array.from({ length: size * size }, uniform), width: size, height: size };
    const found = averaged(plane, whole(plane, [1, made, made]), made, made, 0);
    const mean = (values: Float32Array): number => values.reduce((a, b) => a + b, 0) / values.length;
    assert.ok(Math.abs(mean(found) - mean(plane.values)) < 1e-6, `${size} to ${made}`);
  }
});

test("beyond the plane lies the ground", () => {
  const plane = rectangle(4, 0, 0, 4, 4);
  assert.deepEqual([...averaged(plane, { left: -4, top: 0, step: 4 }, 1, 2, 0.25)], [0.25, 1]);
  assert.deepEqual([...averaged(plane, { left: -2, top: 0, step: 4 }, 1, 1, 0.25)], [0.625]);
});

test("an empty pad is an image of the ground alone", () => {
  const empty = { values: new Float32Array(280 * 280), width: 280, height: 280 };
  assert.ok(shaped(rgba(empty), 280, 280, MNIST, LIKE_MNIST, true).every((value) => value === 0));
});

test("colours go to three channels in their order, to one as grey", () => {
  const bytes = Uint8ClampedArray.of(255, 0, 51, 255);
  assert.deepEqual(planes(bytes, 1, 1, 3).map(({ values }) => Number((values[0] as number).toFixed(3))), [1, 0, 0.2]);
  assert.equal(planes(bytes, 1, 1, 1)[0]?.values[0]?.toFixed(4), (0.299 + 0.114 * 0.2).toFixed(4));
  const x = shaped(bytes, 1, 1, [3, 1, 1], LIKE_MNIST, false);
  assert.deepEqual([...x].map((value) => Number(value.toFixed(3))), [1, 0, 0.2]);
});

test("the habit of drawings: their ground, their box, their middle; photographs have none", () => {
  const drawn = rectangle(28, 6, 4, 12, 20).values;
  const inverted = drawn.map((value) => 1 - value);
  for (const [x, ground] of [[drawn, 0], [inverted, 1]] as const) {
    assert.deepEqual(habit({ count: 3, shape: MNIST, pixels: () => x }), { ground, plain: true, box: 20, middle: [12, 14] });
  }
  const uniform = uniforms(4);
  const photograph = habit({ count: 20, shape: [3, 8, 8], pixels: () => Float32Array.from({ length: 192 }, uniform) });
  assert.equal(photograph.plain, false);
  assert.equal(photograph.box, 8);
});

test("the middle of a picture, in the proportions of the images", () => {
  assert.deepEqual(cropped(100, 60, 1), { x: 20, y: 0, width: 60, height: 60 });
  assert.deepEqual(cropped(60, 100, 1), { x: 0, y: 20, width: 60, height: 60 });
  assert.deepEqual(cropped(100, 100, 2), { x: 0, y: 25, width: 100, height: 50 });
});

test("a file is what its first bytes say", () => {
  const bytes = (text: string): Uint8Array => Uint8Array.from(text, (letter) => letter.charCodeAt(0));
  assert.equal(formatOf(bytes("\x89PNG\r\n\x1a\n0000")), "PNG");
  assert.equal(formatOf(bytes("\xff\xd8\xff\xe000000000")), "JPEG");
  assert.equal(formatOf(bytes("RIFF1234WEBPVP8 ")), "WebP");
  assert.equal(formatOf(bytes("RIFF1234WAVEfmt ")), null);
  assert.equal(formatOf(bytes("GIF89a000000")), "GIF");
  assert.equal(formatOf(bytes("<svg onload=alert(1)>")), null);
  assert.equal(formatOf(new Uint8Array()), null);
});
