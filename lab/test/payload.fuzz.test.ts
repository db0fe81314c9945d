/**
 * Damaged payloads through every reader of the page: a result of bounded size, or words. 300 inputs each, or as many as
 * LOWERBOUND_FUZZ says; an input is made from its number, so that what was found once is found again.
 */

import assert from "node:assert/strict";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { test } from "node:test";

import { asset, fromHalf, fromPlanes, gunzip, PageError, unzstd } from "../src/assets.ts";
import { readMeta } from "../src/meta.ts";
import { fromSevenBits } from "../src/seven_bits.ts";
import { fromText, parse } from "../src/state.ts";
import { sound, type Json } from "./sound_meta.ts";

const COUNT = Number(process.env["LOWERBOUND_FUZZ"] ?? 300);
const SLOWEST = 2000; // milliseconds of processor time for one input

type Random = () => number;

/** Numbers in [0, 1) from a seed (mulberry32). */
function randomOf(seed: number): Random {
  let state = (seed * 0x9e3779b1) | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const below = (random: Random, most: number): number => Math.floor(random() * most);
const pick = <T>(random: Random, from: readonly T[]): T => from[below(random, from.length)] as T;

/** Bytes with one to four of them turned over, cut off, put in, taken out or repeated. */
function damaged(random: Random, content: Uint8Array): Uint8Array<ArrayBuffer> {
  let made = [...content];
  for (let times = pick(random, [1, 1, 1, 2, 4]); times > 0; times--) {
    const at = below(random, Math.max(1, random() < 0.5 ? Math.min(made.length, 40) : made.length));
    const how = below(random, 6);
    if (how === 0) made[at] = (made[at] ?? 0) ^ (1 << below(random, 8));
    else if (how === 1) made = made.slice(0, below(random, made.length + 1));
    else if (how === 2) made.splice(at, pick(random, [1, 4, 64]));
    else if (how === 3) made.splice(at, 0, ...Array.from({ length: pick(random, [1, 4, 64]) }, () => below(random, 256)));
    else if (how === 4) made.splice(at, 0, ...made.slice(at, at + 256));
    else made.splice(at, 4, ...pick(random, [[255, 255, 255, 255], [0, 0, 0, 0], [0, 0, 0, 128], [255, 255, 255, 127]]));
  }
  return Uint8Array.from(made);
}

const ODD: readonly unknown[] = [
  null, true, 0, -1, 1.5, 2 ** 31, 1e12, 1e308, "", "text", "../../etc/passwd", "\ud800", "<script>", "9".repeat(5000), [], {}, [[]],
  { length: 1e9 }, { __proto__: null, constructor: 1 }, Array(300).fill(0), Array(300).fill({}),
];

/** One value somewhere in it replaced, taken away or doubled. */
function changed(random: Random, value: unknown): unknown {
  if (typeof value !== "object" || value === null || random() < 0.15) {
    return typeof value === "number" && random() < 0.5 ? pick(random, [value + 1, -value, value * 1e6, 1e9, 0.5]) : pick(random, ODD);
  }
  if (Array.isArray(value)) {
    if (!value.length) return pick(random, ODD);
    const at = below(random, value.length);
    if (random() < 0.1) return value.toSpliced(at, 1);
    if (random() < 0.1) return [...value, ...Array(pick(random, [1, 3, 500])).fill(value[at])];
    return value.with(at, changed(random, value[at]));
  }
  const key = pick(random, Object.keys(value));
  if (key === undefined) return pick(random, ODD);
  const { [key]: old, ...rest } = value as Json;
  return random() < 0.1 ? rest : { ...rest, [key]: changed(random, old) };
}

/** The text of a tag that holds bytes, from its definition. */
function text(bytes: Uint8Array): string {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  const numbers = (bits.match(/.{1,7}/g) ?? []).map((seven) => parseInt(seven.padEnd(7, "0"), 2));
  return numbers.map((number) => String.fromCharCode([0, 13, 60].includes(number) ? number + 128 : number)).join("");
}

const some = Uint8Array.from({ length: 900 }, (_, i) => (i * 7919 + (i >> 5)) % 256);
const packed = gzipSync(Buffer.from([1, ...some]));

/** Put inputs through a reader; what it throws must be words for people, of the class that the page shows. */
async function fuzz(read: (random: Random) => unknown, expected: (error: unknown) => boolean): Promise<{ read: number; refused: number }> {
  const told = { read: 0, refused: 0 };
  for (let number = 0; number < COUNT; number++) {
    const before = process.cpuUsage();
    try {
      await read(randomOf(number));
      told.read++;
    } catch (error) {
      assert.ok(expected(error), `input ${number}: ${error instanceof Error ? error.stack : String(error)}`);
      told.refused++;
    }
    const { user, system } = process.cpuUsage(before);
    assert.ok((user + system) / 1000 < SLOWEST, `input ${number} took ${(user + system) / 1000} ms`);
  }
  return told;
}

const words = (error: unknown): boolean => error instanceof PageError && error.message.length < 400 && !error.message.includes("\n");
const both = (told: { read: number; refused: number }): void => assert.ok(told.read > 0 && told.refused > 0, JSON.stringify(told));

test("text of seven bits: bytes of seven eighths its length, or a RangeError", async () => {
  const whole = text(some);
  both(await fuzz((random) => {
    const letters = damaged(random, Uint8Array.from(whole, (letter) => letter.charCodeAt(0)));
    const made = random() < 0.1 ? whole.replace(whole[below(random, whole.length)] as string, "\u1234") : String.fromCharCode(...letters);
    const bytes = fromSevenBits(made);
    assert.equal(bytes.length, Math.floor((7 * made.length) / 8));
  }, (error) => error instanceof RangeError));
});

test("planes: as many bytes as there were, or words", async () => {
  both(await fuzz((random) => {
    const made = damaged(random, Uint8Array.from([pick(random, [1, 2, 4]), ...some.slice(0, 100)]));
    assert.equal(fromPlanes(made.buffer).byteLength, made.length - 1);
    assert.equal(fromHalf(made.buffer).length, made.length >> 1);
  }, words));
});

test("gzip: what was packed, or words", async () => {
  const told = await fuzz(async (random) => {
    const made = await gunzip(damaged(random, packed), "codes:vae", 1_000_000);
    assert.ok(made.byteLength <= 1_000_000);
  }, words);
  assert.ok(told.refused > told.read);
});

test("gzip that unpacks to more than a part may have is given up in the middle", async () => {
  const bomb = new Uint8Array(gzipSync(Buffer.alloc(50_000_000)));
  await assert.rejects(gunzip(bomb, "codes:vae", 1_000_000), /unpacks to more than a page has/);
  assert.equal((await gunzip(bomb, "codes:vae", 50_000_000)).byteLength, 50_000_000);
  assert.ok(bomb.length < 100_000);
});

test("zstd that claims more than a part may have is refused before room is made for it", () => {
  const magic = [0x28, 0xb5, 0x2f, 0xfd];
  for (const claim of [[0xc0, 0x00, 0, 0, 0, 0, 1, 0, 0, 0], [0xa0, 0xff, 0xff, 0xff, 0x7f], [0x00, 0xf8], [0xe0, 255, 255, 255, 255, 255, 255, 255, 255]]) {
    const before = process.memoryUsage().arrayBuffers;
    assert.throws(() => unzstd(Uint8Array.from([...magic, ...claim, 1, 0, 0]).buffer, "wasm"), PageError);
    assert.ok(process.memoryUsage().arrayBuffers - before < 10_000_000);
  }
  const whole = new Uint8Array(zstdCompressSync(Buffer.from(some)));
  assert.throws(() => unzstd(whole.buffer, "wasm", some.length - 1), PageError);
  assert.equal(unzstd(whole.buffer, "wasm", 2 ** 20).length, some.length);
});

for (const [what, inner] of [["numbers", [1, ...some]], ["WebAssembly as zstd", [1, ...zstdCompressSync(Buffer.from([...some, ...some]))]]] as const) {
  test(`a whole part, from the text of its tag to its bytes: ${what}`, async () => {
    const whole = text(gzipSync(Buffer.from(inner)));
    let made = whole;
    Object.assign(globalThis, { document: { getElementById: () => ({ textContent: made }), querySelector: () => null } });
    try {
      const told = await fuzz(async (random) => {
        made = String.fromCharCode(...damaged(random, Uint8Array.from(whole, (letter) => letter.charCodeAt(0))));
        // gzip's sum comes before zstd: its reader is a library's, which may take half a minute over bytes that nothing guards.
        const bytes = await asset("wasm");
        if (inner.length < 800) assert.equal(unzstd(bytes, "wasm").length, 2 * some.length);
      }, words);
      assert.ok(told.refused > told.read);
    } finally {
      Reflect.deleteProperty(globalThis, "document");
    }
  });
}

test("the page's numbers: what context.ts promises, or words", async () => {
  const encoder = new TextEncoder();
  both(await fuzz((random) => {
    let value: unknown = sound();
    for (let times = pick(random, [1, 1, 2, 3]); times > 0; times--) value = changed(random, value);
    const json = encoder.encode(JSON.stringify(value) ?? "");
    const { models, shown, shape } = readMeta((random() < 0.15 ? damaged(random, json) : json).buffer as ArrayBuffer);
    assert.ok(shown >= 1 && shape.length === 3);
    for (const { k, mean, axes, collapsed } of models) {
      assert.deepEqual([mean.length, axes.length, collapsed.length], [k, k, k]);
      assert.ok([...mean, ...axes.flat()].every(Number.isFinite));
    }
  }, words));
});

test("an address: keys and values of the type that was asked for, whatever stands in it", async () => {
  const whole = new TextEncoder().encode("#model=vae&k=8&interpolate.t=0.5&map.view=1,2,3&sure=true&%E2%82%AC=%41");
  const told = await fuzz((random) => {
    const found = parse(new TextDecoder("latin1").decode(damaged(random, whole)));
    for (const value of found.values()) {
      assert.equal(typeof fromText(value, 1), "number");
      assert.ok(Number.isFinite(fromText(value, 1)));
      assert.equal(typeof fromText(value, false), "boolean");
      assert.ok((fromText(value, [1]) as number[]).every(Number.isFinite));
    }
  }, () => false);
  assert.equal(told.read, COUNT);
});
