import assert from "node:assert/strict";
import { test } from "node:test";

import { normals, uniforms } from "../src/normal.ts";
import { radiusOf, splat, stamp } from "../src/scatter.ts";
import { extent, LEAST, MOST, nearestPoint, panned, ticks, toPlane, toScreen, zoomed } from "../src/view.ts";

const size = { width: 640, height: 560 };
const whole = { x: 1, y: -2, half: 4 };
const close = (found: readonly number[], wanted: readonly number[], within = 1e-6): void =>
  wanted.forEach((value, i) => assert.ok(Math.abs((found[i] as number) - value) <= within, `${found} is not ${wanted}`));

test("to the screen and back; the whole extent fits, y goes up", () => {
  const view = { x: 0.5, y: -1, zoom: 3 };
  const [left, top] = toScreen(whole, view, size, 1.7, -0.2);
  close(toPlane(whole, view, size, left, top), [1.7, -0.2]);
  const plain = { x: whole.x, y: whole.y, zoom: 1 };
  close(toScreen(whole, plain, size, 1, 2), [320, 0]);
  close(toScreen(whole, plain, size, 1, -6), [320, 560]);
});

test("what is under the hand stays there while the map is enlarged, and follows it when the map is moved", () => {
  const view = { x: 1, y: -2, zoom: 1.5 };
  const under = toPlane(whole, view, size, 200, 300);
  for (const factor of [1.1, 0.9, 4]) close(toScreen(whole, zoomed(whole, view, size, factor, 200, 300), size, ...under), [200, 300]);
  close(toScreen(whole, panned(whole, view, size, 30, -20), size, ...under), [230, 280]);
});

test("neither zoom nor pan loses the points", () => {
  let view = { x: 1, y: -2, zoom: 1 };
  for (let i = 0; i < 100; i++) view = zoomed(whole, view, size, 2, 0, 0);
  assert.equal(view.zoom, MOST);
  for (let i = 0; i < 100; i++) view = zoomed(whole, view, size, 0.5, 640, 0);
  assert.equal(view.zoom, LEAST);
  for (let i = 0; i < 100; i++) view = panned(whole, view, size, 500, 900);
  assert.ok(Math.abs(view.x - whole.x) <= whole.half && Math.abs(view.y - whole.y) <= whole.half);
});

test("the extent holds a normal cloud, and one point far out does not shrink the rest to a dot", () => {
  const cloud = normals(1, 4000);
  const plain = extent(cloud);
  assert.ok(plain.half > 3 && plain.half < 5);
  const far = Float32Array.from([...cloud, 1e4, 1e4]);
  assert.ok(extent(far).half < 6);
  assert.deepEqual(extent(Float32Array.of(2, 3)), { x: 2, y: 3, half: 1 });
  const pair = extent(Float32Array.of(0, 0, 2, 0));
  close([pair.x, pair.y, pair.half], [1, 0, 1.08], 1e-6);
});

test("the nearest point is that of a plain search, and a hidden one is none", () => {
  const uniform = uniforms(4);
  const points = Float32Array.from({ length: 400 }, uniform);
  const shown = new Uint8Array(200).fill(1);
  const distances = Array.from({ length: 200 }, (_, i) => Math.hypot((points[2 * i] as number) - 0.4, (points[2 * i + 1] as number) - 0.6));
  const wanted = distances.indexOf(Math.min(...distances));
  const found = nearestPoint(points, shown, 0.4, 0.6);
  assert.equal(found.index, wanted);
  close([found.distance], [distances[wanted] as number]);
  shown[wanted] = 0;
  assert.notEqual(nearestPoint(points, shown, 0.4, 0.6).index, wanted);
  assert.equal(nearestPoint(points, shown.fill(0), 0, 0).index, -1);
});

test("ticks are round, inside, and zero is exactly zero", () => {
  assert.deepEqual(ticks(-2.3, 2.3, 5), [-2, -1, 0, 1, 2]);
  assert.deepEqual(ticks(0.01, 0.062, 5), [0.02, 0.04, 0.06]);
  assert.deepEqual(ticks(-0.3, 0.3, 6), [-0.3, -0.2, -0.1, 0, 0.1, 0.2, 0.3]);
  assert.deepEqual(ticks(1, 1), []);
  assert.deepEqual(ticks(NaN, 1), []);
});

test("a disc covers its area, and stamps of shown points alone change the pixels, in their class's colour", () => {
  for (const radius of [1, 2.5, 6]) {
    const area = stamp(radius).cover.reduce((sum, cover) => sum + cover / 255, 0);
    assert.ok(Math.abs(area / (Math.PI * radius * radius) - 1) < 0.15, `${radius}: ${area}`);
  }
  const [width, height] = [20, 10];
  const rgba = new Uint8ClampedArray(4 * width * height);
  const cloud = { points: Float32Array.of(5, 5, 15, 5, 10, 1, 1e9, 0, NaN, 0), shown: Uint8Array.of(1, 1, 0, 1, 1), classes: Uint16Array.of(0, 1, 0, 0, 0) };
  const drawn = splat(rgba, width, height, cloud, { scale: 1, right: 0, down: 10 }, ["#ff0000", "#0000ff"], stamp(2));
  assert.equal(drawn, 2);
  const at = (x: number, y: number): number[] => [...rgba.subarray(4 * (y * width + x), 4 * (y * width + x) + 3)];
  assert.deepEqual(at(5, 5), [255, 0, 0]);
  assert.deepEqual(at(15, 5), [0, 0, 255]);
  assert.deepEqual(at(10, 9), [0, 0, 0]);
});

test("points at the edge are cut, not wrapped to the other side", () => {
  const rgba = new Uint8ClampedArray(4 * 100);
  splat(rgba, 10, 10, { points: Float32Array.of(0, 5), shown: Uint8Array.of(1), classes: Uint16Array.of(0) }, { scale: 1, right: 0, down: 10 }, ["#ffffff"], stamp(3));
  for (let y = 0; y < 10; y++) assert.equal(rgba[4 * (10 * y + 9)], 0);
});

test("many points are smaller than few, and grow as the map is enlarged", () => {
  const sizes = [100, 1000, 10_000, 60_000].map((count) => radiusOf(count, 1, 600));
  assert.deepEqual(sizes, [...sizes].sort((a, b) => b - a));
  assert.ok(radiusOf(60_000, 8, 600) > radiusOf(60_000, 1, 600));
});
