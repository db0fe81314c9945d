/** A code in the address: whose it is, which image was picked when it was made, and its numbers with four digits. */

/** "vae,12,0.5,-1.25": of a model's name, an image (-1 is none) and a code. */
export function toCodeText(name: string, image: number, z: ArrayLike<number>): string {
  return [name, image, ...Array.from(z, (value) => String(Number(value.toPrecision(4))))].join(",");
}

/** The code, if the text is one of this model and image; else null, since another model's numbers mean nothing here. */
export function fromCodeText(text: string, name: string, image: number, k: number): Float32Array | null {
  const parts = text.split(",");
  const numbers = parts.splice(-k - 1).map((part) => (part.trim() === "" ? NaN : Number(part)));
  if (parts.join(",") !== name || numbers.length !== k + 1 || numbers[0] !== image) return null;
  return numbers.every(Number.isFinite) ? Float32Array.from(numbers.slice(1)) : null;
}
