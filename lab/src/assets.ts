/** The bytes that the page carries: base64 of gzip in a tag, or a file beside the page where a web host serves it. */

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
  return gunzip(tag ? fromBase64(tag.textContent ?? "", name) : await fetched(name), name);
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

/** Bytes of base64 text. */
export function fromBase64(text: string, name = "asset"): Uint8Array<ArrayBuffer> {
  const native = Uint8Array as typeof Uint8Array & { fromBase64?: (text: string) => Uint8Array<ArrayBuffer> };
  try {
    if (native.fromBase64) return native.fromBase64(text);
    const letters = atob(text.trim());
    const bytes = new Uint8Array(letters.length);
    for (let i = 0; i < letters.length; i++) bytes[i] = letters.charCodeAt(i);
    return bytes;
  } catch {
    throw new PageError(`The part "${name}" of this page is damaged (not base64). Make the page again.`);
  }
}

/** What gzip packed. */
export async function gunzip(bytes: Uint8Array<ArrayBuffer>, name = "asset"): Promise<ArrayBuffer> {
  if (typeof DecompressionStream === "undefined") {
    throw new PageError("This browser cannot unpack the page (no DecompressionStream). A browser of 2023 or later can.");
  }
  try {
    return await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
  } catch {
    throw new PageError(`The part "${name}" of this page is damaged (gzip ends too soon or is wrong). Make the page again.`);
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
