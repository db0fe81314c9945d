import assert from "node:assert/strict";
import { constants, gzipSync, zstdCompressSync } from "node:zlib";
import { test } from "node:test";

import { asset, fileName, fromHalf, fromPlanes, gunzip, half, PageError, unzstd, words } from "../src/assets.ts";

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

/** The text of a tag that holds bytes, from its definition. */
function text(bytes: Uint8Array): string {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  const numbers = (bits.match(/.{1,7}/g) ?? []).map((seven) => parseInt(seven.padEnd(7, "0"), 2));
  return numbers.map((number) => String.fromCharCode([0, 13, 60].includes(number) ? number + 128 : number)).join("");
}

/** Read an asset from a page of one tag. */
async function fromTag(textContent: string, name = "codes:vae"): Promise<Uint8Array> {
  const page = { getElementById: (id: string) => (id === `asset:${name}` ? { textContent } : null), querySelector: () => null };
  Object.assign(globalThis, { document: page });
  try {
    return new Uint8Array(await asset(name));
  } finally {
    Reflect.deleteProperty(globalThis, "document");
  }
}

const damaged = (name: string) => (error: Error) => error instanceof PageError && error.message.includes(`"${name}"`) && error.message.includes("damaged");
const some = (size: number): Uint8Array<ArrayBuffer> => Uint8Array.from({ length: size }, (_, i) => (i * 7919 + (i >> 8)) % 256);

test("gzip there and back, any bytes and sizes", async () => {
  for (const size of [0, 1, 2, 3, 255, 100_003]) {
    const bytes = some(size);
    assert.deepEqual(new Uint8Array(await gunzip(new Uint8Array(gzipSync(bytes)))), bytes);
  }
});

test("planes lie together again", () => {
  const of = (...bytes: number[]): number[] => [...new Uint8Array(fromPlanes(new Uint8Array(bytes).buffer))];
  assert.deepEqual(of(1), []);
  assert.deepEqual(of(1, 5, 6, 7), [5, 6, 7]);
  assert.deepEqual(of(2), []);
  assert.deepEqual(of(2, 1, 3, 5, 2, 4, 6), [1, 2, 3, 4, 5, 6]);
  assert.deepEqual(of(2, 1, 3, 2, 4, 9), [1, 2, 3, 4, 9]);
  assert.deepEqual(of(4, 1, 5, 2, 6, 3, 7, 4, 8), [1, 2, 3, 4, 5, 6, 7, 8]);
  assert.deepEqual(of(4, 1, 2, 3, 4, 7, 8, 9), [1, 2, 3, 4, 7, 8, 9]);
  assert.deepEqual(of(4, 7, 8), [7, 8]);
  for (const stride of [0, 3, 8, 255]) assert.throws(() => fromPlanes(new Uint8Array([stride, 1, 2]).buffer, "meta"), damaged("meta"));
  assert.throws(() => fromPlanes(new ArrayBuffer(0), "meta"), damaged("meta"));
});

test("an asset is read from its tag: text, gzip, planes", async () => {
  const bytes = some(5000);
  assert.deepEqual(await fromTag(text(gzipSync(Buffer.from([1, ...bytes])))), bytes);
  const halves = [...bytes.filter((_, i) => i % 2 === 0), ...bytes.filter((_, i) => i % 2 === 1)];
  assert.deepEqual(await fromTag(text(gzipSync(Buffer.from([2, ...halves])))), bytes);
});

test("text that was cut or changed anywhere is damaged, in words", async () => {
  const whole = text(gzipSync(Buffer.from([1, ...some(300)])));
  for (let length = 0; length < whole.length; length++) await assert.rejects(fromTag(whole.slice(0, length)), damaged("codes:vae"), String(length));
  for (let place = 0; place < whole.length; place++) {
    const changed = whole.slice(0, place) + String.fromCharCode((whole.charCodeAt(place) & 127) ^ 1) + whole.slice(place + 1);
    // gzip's own header tells of a date and a system, which nobody reads.
    const read = await fromTag(changed).catch((error: unknown) => error);
    if (read instanceof Uint8Array) assert.ok(place < 12 && Buffer.from(read).equals(some(300)), String(place));
    else assert.ok(damaged("codes:vae")(read as Error), String(place));
  }
  await assert.rejects(fromTag("<script>"), damaged("codes:vae"));
  await assert.rejects(fromTag(`${whole}\n`), damaged("codes:vae"));
});

test("zstd there and back; cut short it is damaged", () => {
  const bytes = some(300_000);
  const params = { [constants.ZSTD_c_compressionLevel]: 22 };
  const packed = new Uint8Array(zstdCompressSync(bytes, { params }));
  assert.deepEqual(unzstd(packed.buffer, "wasm"), bytes);
  for (const length of [1, 4, 7, 20, packed.length >> 1, packed.length - 1]) {
    assert.throws(() => unzstd(packed.slice(0, length).buffer, "wasm"), damaged("wasm"), String(length));
  }
  assert.throws(() => unzstd(new Uint8Array(gzipSync(bytes)).buffer, "wasm"), damaged("wasm"));
});

test("damage is told in words, with the name of the part", async () => {
  const whole = new Uint8Array(gzipSync(Buffer.from("some hundred bytes ".repeat(100))));
  for (const bad of [whole.slice(0, whole.length >> 1), new Uint8Array([1, 2, 3]), new Uint8Array()]) {
    await assert.rejects(gunzip(bad, "codes:vae"), damaged("codes:vae"));
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
