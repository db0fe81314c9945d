/** What the numbers panel computes: the ELBO's terms from a history, and PCA from its components. */

import type { History } from "./context.ts";

/** Whether a loss is a bound with two terms: a plain autoencoder's KL is absent or nothing at all. */
export function isBound(history: History): boolean {
  return history.reconstruction !== null && (history.kl?.some((value) => value !== null && value !== 0) ?? false);
}

export interface Terms {
  /** E_q[log p(x|z)], nats per image. */
  readonly reconstruction: readonly (number | null)[];
  readonly kl: readonly (number | null)[];
  readonly elbo: readonly (number | null)[];
}

/** The two terms of the ELBO and the ELBO itself, whatever the loss weighs them with; null for a plain autoencoder. */
export function terms(history: History): Terms | null {
  if (!isBound(history) || !history.reconstruction || !history.kl) return null;
  const kl = history.kl;
  const reconstruction = history.reconstruction.map((cost) => (cost === null ? null : -cost));
  const elbo = reconstruction.map((gain, i) => {
    const rate = kl[i];
    return gain === null || rate === null || rate === undefined ? null : gain - rate;
  });
  return { reconstruction, kl, elbo };
}

/** Least and greatest of most of a curve: what lies beyond the given share of its values, at its wild beginning, is cut. */
export function settled(values: readonly (number | null)[], share: number, from: "below" | "above"): [number, number] {
  const sorted = values.filter((value) => value !== null).sort((a, b) => a - b);
  if (!sorted.length) return [0, 1];
  const cut = Math.floor(share * sorted.length);
  const low = sorted[from === "below" ? cut : 0] as number;
  const high = sorted[sorted.length - 1 - (from === "above" ? cut : 0)] as number;
  const room = 0.06 * (high - low) || Math.abs(high) * 0.1 || 1;
  return [low - room, high + room];
}

/** PCA of images of P pixels: coordinates of one, and what the first K of them make of it. */
export class Components {
  readonly count: number;
  readonly rows: Float32Array;
  readonly mean: Float32Array;

  /** `rows` is [M, P], orthonormal. */
  constructor(rows: Float32Array, mean: ArrayLike<number>) {
    this.rows = rows;
    this.mean = Float32Array.from(mean);
    this.count = Math.floor(rows.length / this.mean.length);
  }

  /** Coordinates of x [P] along every component, [M]. */
  project(x: ArrayLike<number>): Float32Array {
    const [size, mean, rows] = [this.mean.length, this.mean, this.rows];
    const z = new Float32Array(this.count);
    for (let m = 0; m < this.count; m++) {
      let sum = 0;
      for (let p = 0; p < size; p++) sum += ((x[p] as number) - (mean[p] as number)) * (rows[m * size + p] as number);
      z[m] = sum;
    }
    return z;
  }

  /** The mean and the first k components as far as the coordinates say, [P]. */
  rebuild(z: ArrayLike<number>, k: number): Float32Array {
    const [size, rows] = [this.mean.length, this.rows];
    const x = this.mean.slice();
    for (let m = 0; m < Math.min(k, this.count); m++) {
      const along = z[m] as number;
      for (let p = 0; p < size; p++) x[p] = (x[p] as number) + along * (rows[m * size + p] as number);
    }
    return x;
  }

  /** Component m as an image around a middle grey, [P]; a blank grey for m beyond. */
  picture(m: number): Float32Array {
    const size = this.mean.length;
    if (m < 0 || m >= this.count) return new Float32Array(size).fill(0.5);
    const row = this.rows.subarray(m * size, (m + 1) * size);
    const most = row.reduce((a, b) => Math.max(a, Math.abs(b)), 1e-12);
    return row.map((value) => 0.5 + (0.5 * value) / most);
  }
}

/** Mean squared difference per pixel. */
export function meanSquared(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let p = 0; p < a.length; p++) sum += ((a[p] as number) - (b[p] as number)) ** 2;
  return sum / a.length;
}

/** Words of advice and the command in them, apart: "try this: lowerbound train x" has both, either may be empty. */
export function advice(text: string): { readonly words: string; readonly command: string } {
  const at = text.search(/(?<![\w/])lowerbound [a-z]/u);
  if (at < 0) return { words: text, command: "" };
  return { words: text.slice(0, at).replace(/[\s:,]+$/u, ""), command: text.slice(at).trim() };
}
