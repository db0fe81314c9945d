import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { test } from "node:test";

import { fileName, fromBase64, fromHalf, gunzip, half, PageError, words } from "../src/assets.ts";

test("half floats of IEEE 754, table of known values", () => {
  const known: [number, number][] = [
    [0x0000, 0], [0x3c00, 1], [0x3c01, 1.0009765625], [0xc000, -2], [0x7bff, 65504], [0x0400, 2 ** -14],
    [0x03ff, 2 ** -14 - 2 ** -24], [0x0001, 2 ** -24], [0x3555, 0.333251953125], [0x4248, 3.140625], [0x7c00, Infinity], [0xfc00, -Infinity],
  ];
  for (const [bits, value] of known) assert.equal(half(bits), value, bits.toString(16));
  assert.ok(Object.is(half(0x8000), -0));
  assert.ok(Number.isNaN(half(0x7e00)));
});

test("every finite half goes back to its bits by way of a half array of this engine, where it has one", (t) => {
  const Halves = (globalThis as { Float16Array?: new (buffer: ArrayBuffer) => ArrayLike<number> }).Float16Array;
  if (!Halves) return t.skip("no Float16Array");
  const bits = Uint16Array.from({ length: 65536 }, (_, i) => i);
  const [ours, theirs] = [fromHalf(bits.buffer), new Halves(bits.buffer)];
  for (let i = 0; i < 65536; i++) assert.ok(Object.is(ours[i], theirs[i]) || Number.isNaN(ours[i]) === Number.isNaN(theirs[i] as number) && Number.isNaN(ours[i]), String(i));
});

test("half floats of an odd number of bytes: the last byte is left", () => {
  assert.deepEqual([...fromHalf(new Uint8Array([0x00, 0x3c, 0xff]).buffer)], [1]);
});

test("base64 and gzip there and back, any bytes and sizes", async () => {
  for (const size of [0, 1, 2, 3, 255, 100_003]) {
    const bytes = Uint8Array.from({ length: size }, (_, i) => (i * 7919 + (i >> 8)) % 256);
    const text = gzipSync(bytes).toString("base64");
    assert.deepEqual(new Uint8Array(await gunzip(fromBase64(text))), bytes);
    assert.deepEqual(new Uint8Array(await gunzip(fromBase64(`\n${text}\n`))), bytes);
  }
});

test("damage is told in words, with the name of the part", async () => {
  assert.throws(() => fromBase64("<script>", "meta"), (error: Error) => error instanceof PageError && /"meta".*damaged/.test(error.message));
  const whole = new Uint8Array(gzipSync(Buffer.from("some hundred bytes ".repeat(100))));
  for (const bad of [whole.slice(0, whole.length >> 1), new Uint8Array([1, 2, 3]), new Uint8Array()]) {
    await assert.rejects(gunzip(bad, "codes:vae"), (error: Error) => error instanceof PageError && /"codes:vae".*damaged/.test(error.message));
  }
});

test("files beside a linked page have names that any file system takes", () => {
  assert.equal(fileName("codes:vae"), "codes-vae.gz");
  assert.equal(fileName("film:my model/..:codes"), "film-my%20model%2F..-codes.gz");
});

test("words of anything that was thrown", () => {
  assert.equal(words(new Error("too long")), "too long");
  assert.equal(words("text"), "text");
  assert.equal(words(undefined), "undefined");
});
