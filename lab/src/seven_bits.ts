/** Bytes from characters of seven bits each, as seven_bits.py of the package writes and explains them. */

/**
 * The bytes: of eight characters seven, the highest bits first; bits left over at the end are 0.
 * Throws RangeError where the text is none of this kind, or was cut or changed so that one can see it.
 */
export function fromSevenBits(text: string): Uint8Array<ArrayBuffer> {
  const length = text.length;
  const bytes = new Uint8Array(Math.floor((7 * length) / 8));
  const whole = length - (length % 8);
  let [seen, at] = [0, 0];
  for (let i = 0; i < whole; i += 8) {
    const a = text.charCodeAt(i), b = text.charCodeAt(i + 1), c = text.charCodeAt(i + 2), d = text.charCodeAt(i + 3);
    const e = text.charCodeAt(i + 4), f = text.charCodeAt(i + 5), g = text.charCodeAt(i + 6), h = text.charCodeAt(i + 7);
    seen |= a | b | c | d | e | f | g | h;
    const high = ((a & 127) << 21) | ((b & 127) << 14) | ((c & 127) << 7) | (d & 127);
    const low = ((e & 127) << 21) | ((f & 127) << 14) | ((g & 127) << 7) | (h & 127);
    bytes[at] = high >> 20; // an array of bytes keeps the low eight bits of what it is given
    bytes[at + 1] = high >> 12;
    bytes[at + 2] = high >> 4;
    bytes[at + 3] = (high << 4) | (low >> 24);
    bytes[at + 4] = low >> 16;
    bytes[at + 5] = low >> 8;
    bytes[at + 6] = low;
    at += 7;
  }
  let [held, bits] = [0, 0];
  for (let i = whole; i < length; i++) {
    const code = text.charCodeAt(i);
    seen |= code;
    held = ((held << 7) | (code & 127)) & 0x7fff;
    bits += 7;
    if (bits < 8) continue;
    bits -= 8;
    bytes[at++] = held >> bits;
  }
  const left = held & ((1 << bits) - 1);
  if (seen > 0xff || length % 8 === 1 || left) throw new RangeError("no text of seven bits a character");
  return bytes;
}
