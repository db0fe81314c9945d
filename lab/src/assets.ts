/** The bytes that the page carries: gzip as text in a tag, or as a file beside the page where a web host serves it. */

import { decompress } from "fzstd";

import { fromSevenBits } from "./seven_bits.ts";

/** What is wrong, in words that can be shown as they are. */
export class PageError extends Error {}

/** Any failure in words. */
export function words(error: unknown): string {
  if (error instanceof Error) return error.message || error.name;
  return String(error);
}

/** The bytes of one asset, unpacked. Every call unpacks anew: keep the result, not the packed text. */
export async function asset(name: string): Promise<ArrayBuffer> {
  const tag = document.getElementById(`asset:${name}`);
  return fromPlanes(await gunzip(tag ? read(tag.textContent ?? "", name) : await fetched(name), name), name);
}

/** Whether the page carries an asset; a page of several files is believed to. */
export function carries(name: string): boolean {
  return document.getElementById(`asset:${name}`) !== null || document.querySelector('[id^="asset:"]') === null;
}

async function fetched(name: string): Promise<Uint8Array<ArrayBuffer>> {
  if (!carries(name)) throw new PageError(`This page lacks its part "${name}": it was cut short or changed. Make it again.`);
  const address = `assets/${fileName(name)}`;
  let answer: Response;
  try {
    answer = await fetch(address);
  } catch {
    throw new PageError(`The file ${address} beside this page cannot be read. A page of several files needs a web server.`);
  }
  if (!answer.ok) throw new PageError(`The file ${address} beside this page is missing (${answer.status}).`);
  return new Uint8Array(await answer.arrayBuffer());
}

/** The file that holds an asset beside a linked page: no colon, which file systems of Windows refuse. */
export function fileName(name: string): string {
  return `${encodeURIComponent(name.replaceAll(":", "-"))}.gz`;
}

/** Bytes of a tag's text. */
function read(text: string, name: string): Uint8Array<ArrayBuffer> {
  try {
    return fromSevenBits(text);
  } catch {
    throw new PageError(`The part "${name}" of this page is damaged (its text ends too soon or is wrong). Make the page again.`);
  }
}

/**
 * What follows the first byte, which tells how it lies: as it is (1), or the bytes of numbers of 2 or 4 in as many planes, the
 * first bytes of all numbers, then the second ones; what is left of the last number comes as it is.
 */
export function fromPlanes(stored: ArrayBuffer, name = "asset"): ArrayBuffer {
  const bytes = new Uint8Array(stored);
  const stride = bytes[0] ?? 0;
  if (stride === 1) return stored.slice(1);
  if (stride !== 2 && stride !== 4) throw new PageError(`The part "${name}" of this page is damaged (stored in no known way). Make the page again.`);
  const made = new Uint8Array(stored.byteLength - 1);
  const numbers = Math.floor(made.length / stride);
  let from = 1;
  for (let plane = 0; plane < stride; plane++) {
    for (let at = plane; at < numbers * stride; at += stride) made[at] = bytes[from++] as number;
  }
  made.set(bytes.subarray(from), numbers * stride);
  return made.buffer;
}

const MOST = 2 ** 30; // bytes of one part, unpacked: gzip makes a thousand of one

/** What gzip packed, at most so many bytes of it. */
export async function gunzip(bytes: Uint8Array<ArrayBuffer>, name = "asset", most = MOST): Promise<ArrayBuffer> {
  if (typeof DecompressionStream === "undefined") {
    throw new PageError("This browser cannot unpack the page (no DecompressionStream). A browser of 2023 or later can.");
  }
  let size = 0;
  const counted = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
    transform(chunk, out) {
      size += chunk.length;
      if (size > most) throw new RangeError("too large");
      out.enqueue(chunk);
    },
  });
  try {
    return await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip")).pipeThrough(counted)).arrayBuffer();
  } catch {
    throw new PageError(`The part "${name}" of this page is damaged (${size > most ? "it unpacks to more than a page has" : "gzip ends too soon or is wrong"}). Make the page again.`);
  }
}

/** Bytes that zstd says it will unpack to, or needs at a time: what is made room for at once (RFC 8878, 3.1.1.1). */
function claimed(bytes: Uint8Array): number {
  const [flags, window] = [bytes[4] ?? 0, bytes[5] ?? 0];
  const single = (flags >> 5) & 1;
  const start = 6 - single + ([0, 1, 2, 4][flags & 3] as number);
  const size = flags >> 6 ? 2 ** (flags >> 6) : single;
  let content = size === 2 ? 256 : 0;
  for (let i = 0; i < size; i++) content += (bytes[start + i] ?? 0) * 256 ** i;
  return Math.max(content, single ? 0 : 2 ** (10 + (window >> 3)) * (1 + (window & 7) / 8));
}

/** What zstd packed, which no browser unpacks for a page by itself; at most so many bytes of it. */
export function unzstd(packed: ArrayBuffer, name = "asset", most = MOST / 4): Uint8Array<ArrayBuffer> {
  try {
    const bytes = new Uint8Array(packed);
    if (claimed(bytes) > most) throw new RangeError("too large");
    return decompress(bytes) as Uint8Array<ArrayBuffer>;
  } catch {
    throw new PageError(`The part "${name}" of this page is damaged (zstd ends too soon or is wrong). Make the page again.`);
  }
}

/** Half floats, little endian, as floats. */
export function fromHalf(bytes: ArrayBuffer): Float32Array {
  const halves = new Uint16Array(bytes, 0, bytes.byteLength >> 1);
  const floats = new Float32Array(halves.length);
  for (let i = 0; i < halves.length; i++) floats[i] = half(halves[i] as number);
  return floats;
}

/** One half float: sign, 5 bits of exponent, 10 of fraction (IEEE 754 binary16). */
export function half(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
