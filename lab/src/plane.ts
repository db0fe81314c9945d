/** Codes along directions: principal axes of a model's codes or its raw dimensions, and the plane that two of them span. */

import type { ModelMeta } from "./context.ts";

export type Kind = "principal" | "raw";

/** What of a model this file reads. */
export type Codes = Pick<ModelMeta, "k" | "mean" | "axes" | "scale" | "raw_mean" | "raw_scale" | "carries" | "rate" | "collapsed">;

const [STILL, FLAT] = [0.01, 1e-8]; // variance of a VAE's mean code, and share of the largest of a plain code: below, nothing is said

/** Direction j, K numbers of length one. */
export function direction(about: Codes, kind: Kind, j: number): Float64Array {
  if (kind === "principal") return Float64Array.from(about.axes[j] as readonly number[]);
  const unit = new Float64Array(about.k);
  unit[j] = 1;
  return unit;
}

/** Share of variance that each direction carries. PCA's own axes are whitened; what they carry of the pixels is told raw. */
export function shares(about: Codes, kind: Kind): readonly number[] {
  if (kind === "raw" || about.axes.every((row, j) => row[j] === 1)) return about.carries;
  const total = about.scale.reduce((sum, scale) => sum + scale * scale, 0);
  return about.scale.map((scale) => (total > 0 ? (scale * scale) / total : 0));
}

/** Directions, the one that carries most first: by KL where a dimension has one, else by its share of variance. */
export function order(about: Codes, kind: Kind): number[] {
  const by = kind === "raw" && about.rate ? about.rate : shares(about, kind);
  return Array.from({ length: about.k }, (_, j) => j).sort((a, b) => (by[b] as number) - (by[a] as number) || a - b);
}

/** Whether a direction says nothing of the image. */
export function silent(about: Codes, kind: Kind, j: number): boolean {
  if (kind === "raw") return about.collapsed[j] as boolean;
  if (about.axes.every((row, i) => row[i] === 1)) return about.collapsed[j] as boolean;
  const variance = (about.scale[j] as number) ** 2;
  return about.rate ? variance < STILL : variance <= FLAT * Math.max(...about.scale) ** 2;
}

/** Standard deviation of codes along direction j; with `spread`, mean variance of q per raw dimension, of draws from q. */
export function deviation(about: Codes, kind: Kind, j: number, spread: ArrayLike<number> | null = null): number {
  const scale = (kind === "raw" ? about.raw_scale : about.scale)[j] as number;
  let variance = scale * scale;
  if (spread) direction(about, kind, j).forEach((share, i) => (variance += share * share * (spread[i] as number)));
  return variance > 0 ? Math.sqrt(variance) : 1; // a code that never moves still gets a step
}

/** Mean over images of the variance of q per raw dimension, [K], from N*S standard deviations, S = 1 or K. */
export function meanVariance(spread: Float32Array, count: number, k: number): Float64Array {
  const each = spread.length / count;
  const sums = new Float64Array(k);
  for (let i = 0; i < count; i++) {
    for (let j = 0; j < k; j++) sums[j] = (sums[j] as number) + (spread[i * each + (each === 1 ? 0 : j)] as number) ** 2 / count;
  }
  return sums;
}

/** How far z is from the mean along direction j. */
export function along(about: Codes, kind: Kind, j: number, z: ArrayLike<number>): number {
  if (kind === "raw") return (z[j] as number) - (about.raw_mean[j] as number);
  const axis = about.axes[j] as readonly number[];
  return axis.reduce((sum, share, i) => sum + share * ((z[i] as number) - (about.mean[i] as number)), 0);
}

/** z moved along direction j to be `to` from the mean; the other directions stay. */
export function moved(about: Codes, kind: Kind, j: number, z: ArrayLike<number>, to: number): Float32Array {
  const by = to - along(about, kind, j, z);
  const unit = direction(about, kind, j);
  return Float32Array.from(z, (value, i) => value + by * (unit[i] as number));
}

/** z = origin + x p1 + y p2: where a code lies in the plane, and which code lies at a point of it. */
export interface Plane {
  readonly kind: Kind;
  /** Which two directions. */
  readonly pair: readonly [number, number];
  readonly origin: Float64Array;
  readonly p1: Float64Array;
  readonly p2: Float64Array;
  /** Standard deviation of the codes along each of the two. */
  readonly scale: readonly [number, number];
}

/** Principal axes count from the mean; raw dimensions are the code's own numbers, the others being at their mean. */
export function plane(about: Codes, kind: Kind, first: number, second: number): Plane {
  const origin = Float64Array.from(about.mean);
  if (kind === "raw") origin[first] = origin[second] = 0;
  return {
    kind, pair: [first, second], origin, p1: direction(about, kind, first), p2: direction(about, kind, second),
    scale: [deviation(about, kind, first), deviation(about, kind, second)],
  };
}

/** Where codes [N, K] lie in the plane, [N, 2]. */
export function project({ origin, p1, p2 }: Plane, codes: ArrayLike<number>): Float32Array {
  const k = origin.length;
  const count = codes.length / k;
  const points = new Float32Array(2 * count);
  for (let i = 0; i < count; i++) {
    let [x, y] = [0, 0];
    for (let j = 0; j < k; j++) {
      const value = (codes[i * k + j] as number) - (origin[j] as number);
      x += value * (p1[j] as number);
      y += value * (p2[j] as number);
    }
    points[2 * i] = x;
    points[2 * i + 1] = y;
  }
  return points;
}

/** The code of the plane at a point. */
export function codeAt({ origin, p1, p2 }: Plane, x: number, y: number): Float32Array {
  return Float32Array.from(origin, (value, j) => value + x * (p1[j] as number) + y * (p2[j] as number));
}

/** A code moved by so much along the plane's two directions; what it is in the other K - 2 stays. */
export function shifted({ p1, p2 }: Plane, z: ArrayLike<number>, dx: number, dy: number): Float32Array {
  return Float32Array.from(z, (value, j) => value + dx * (p1[j] as number) + dy * (p2[j] as number));
}

/** The ring of so many standard deviations of N(z, diag(spread^2)) seen in the plane: points around (0, 0), [steps, 2]. */
export function ring({ p1, p2 }: Plane, spread: ArrayLike<number>, deviations = 2, steps = 96): Float32Array {
  let [xx, xy, yy] = [0, 0, 0];
  for (let j = 0; j < p1.length; j++) {
    const variance = (spread[spread.length === 1 ? 0 : j] as number) ** 2;
    xx += variance * (p1[j] as number) ** 2;
    xy += variance * (p1[j] as number) * (p2[j] as number);
    yy += variance * (p2[j] as number) ** 2;
  }
  // Cholesky of the 2x2 covariance P diag(spread^2) P^T; a circle through it is the ellipse.
  const a = Math.sqrt(xx);
  const b = a > 0 ? xy / a : 0;
  const c = Math.sqrt(Math.max(0, yy - b * b));
  const points = new Float32Array(2 * steps);
  for (let i = 0; i < steps; i++) {
    const angle = (2 * Math.PI * i) / steps;
    points[2 * i] = deviations * a * Math.cos(angle);
    points[2 * i + 1] = deviations * (b * Math.cos(angle) + c * Math.sin(angle));
  }
  return points;
}
