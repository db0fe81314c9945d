/** The real image nearest to one that was made: is it new? */

import type { ImageStore } from "./context.ts";
import { pause } from "./queue.ts";

/** What a search reads of the images. */
export type Pool = Pick<ImageStore, "count" | "size" | "pixels">;

export interface Nearest {
  readonly image: number;
  /** Mean squared difference per pixel, of pixels as they are shown: cut to [0, 1]. */
  readonly distance: number;
}

const SLICE = 6; // ms of work between two moments in which the page can answer

/**
 * The nearest of all shown images to the P numbers of x from `offset` on, by squared distance in pixels. `skip` is an image that
 * does not count, so that a real one can be asked for its nearest other.
 */
export async function nearest(pool: Pool, x: ArrayLike<number>, offset = 0, skip = -1, rest: () => Promise<void> = pause): Promise<Nearest> {
  const cut = Float32Array.from({ length: pool.size }, (_, p) => Math.min(1, Math.max(0, x[offset + p] as number)));
  let [image, least] = [-1, Infinity];
  let began = performance.now();
  for (let i = 0; i < pool.count; i++) {
    if (i % 16 === 15 && performance.now() - began > SLICE) {
      await rest();
      began = performance.now();
    }
    if (i === skip) continue;
    const distance = squared(cut, pool.pixels(i), least);
    if (distance < least) [image, least] = [i, distance];
  }
  return { image, distance: least / pool.size };
}

/** Squared distance; whatever is at least `enough` where it is found to be. */
function squared(a: Float32Array, b: Float32Array, enough: number): number {
  let sum = 0;
  for (let p = 0; p < a.length; p++) {
    const difference = (a[p] as number) - (b[p] as number);
    sum += difference * difference;
    if (sum >= enough) return sum;
  }
  return sum;
}

/** How far a real image is from its nearest other one: the median of `tried` of them, MSE per pixel; null of a single image. */
export async function usual(pool: Pool, tried = 15, rest: () => Promise<void> = pause): Promise<number | null> {
  if (pool.count < 2) return null;
  const number = Math.min(tried, pool.count);
  const found: number[] = [];
  for (let i = 0; i < number; i++) {
    const image = Math.floor((i * pool.count) / number);
    found.push((await nearest(pool, pool.pixels(image), 0, image, rest)).distance);
  }
  return found.sort((a, b) => a - b)[number >> 1] as number;
}
