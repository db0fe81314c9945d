/** Straight lines between two images or two codes. */

import { NO_LABEL } from "./context.ts";

/** (1 - t) a + t b. */
export function between(a: ArrayLike<number>, b: ArrayLike<number>, t: number): Float32Array {
  return Float32Array.from({ length: a.length }, (_, i) => (1 - t) * (a[i] as number) + t * (b[i] as number));
}

/** The points of the line at t = 0, 1/(steps - 1), ..., 1, one after another. */
export function line(a: ArrayLike<number>, b: ArrayLike<number>, steps: number): Float32Array {
  const points = new Float32Array(steps * a.length);
  for (let step = 0; step < steps; step++) points.set(between(a, b, step / (steps - 1)), step * a.length);
  return points;
}

/** The code of image i among N*K. */
export const codeOf = (codes: Float32Array, k: number, i: number): Float32Array => codes.subarray(i * k, (i + 1) * k);

/** t at a share of a strip's width: the strip's ends are halves of a step beyond the first and the last image. */
export const tAt = (share: number, steps: number): number => Math.min(1, Math.max(0, (share * steps - 0.5) / (steps - 1)));

/** Two images, of different classes where there are any two; `uniform` gives numbers in [0, 1). */
export function dice(count: number, labels: ArrayLike<number> | null, uniform: () => number): [first: number, second: number] {
  const first = Math.floor(uniform() * count);
  const mine = labels?.[first] ?? NO_LABEL;
  const all = Array.from({ length: count }, (_, i) => i).filter((i) => i !== first);
  const others = mine === NO_LABEL ? [] : all.filter((i) => labels?.[i] !== mine && labels?.[i] !== NO_LABEL);
  const pool = others.length ? others : all;
  return [first, pool[Math.floor(uniform() * pool.length)] ?? first];
}
