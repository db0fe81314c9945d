/** The film of a training: codes laid on one plane for all moments, and the images of each moment, read when they are wanted. */

import { fromHalf, PageError } from "./assets.ts";
import type { FilmMeta, ModelMeta, Shape } from "./context.ts";
import { readSheets } from "./images.ts";

/** Codes [T, F, K] on the plane of two axes through a mean: [T, F, 2]. With K = 1 the images stand in rows, one above another. */
export function onPlane(
  codes: Float32Array, moments: number, images: number, mean: readonly number[], axes: readonly (readonly number[])[],
): Float32Array {
  const k = mean.length;
  const [first, second] = [axes[0] ?? [1], axes[1]];
  const plane = new Float32Array(moments * images * 2);
  for (let row = 0; row < moments * images; row++) {
    let [x, y] = [0, 0];
    for (let j = 0; j < k; j++) {
      const away = (codes[row * k + j] as number) - (mean[j] as number);
      x += away * (first[j] as number);
      if (second) y += away * (second[j] as number);
    }
    plane[2 * row] = x;
    plane[2 * row + 1] = second ? y : 0;
  }
  if (second) return plane;
  const half = extent(plane, images);
  for (let row = 0; row < moments * images; row++) plane[2 * row + 1] = 0.8 * half * ((2 * ((row % images) + 0.5)) / images - 1);
  return plane;
}

/** Half the side of the square that is shown: all of the last moment, and earlier ones as far as they do not make it small. */
export function extent(plane: Float32Array, images: number): number {
  let [last, ever] = [0, 0];
  const finite = plane.map((value) => (Number.isFinite(value) ? Math.abs(value) : 0));
  finite.forEach((value, i) => {
    ever = Math.max(ever, value);
    if (i >= plane.length - 2 * images) last = Math.max(last, value);
  });
  const wide = last > 0 ? Math.min(ever, 1.6 * last) : ever;
  return wide > 0 ? 1.08 * wide : 1;
}

/** Standard deviation of codes [T, F, K] over the images, along each dimension: [T, K]. */
export function spreads(codes: Float32Array, moments: number, images: number, k: number): Float32Array {
  const found = new Float32Array(moments * k);
  for (let t = 0; t < moments; t++) {
    for (let j = 0; j < k; j++) {
      let [sum, squares] = [0, 0];
      for (let i = 0; i < images; i++) sum += codes[(t * images + i) * k + j] as number;
      for (let i = 0; i < images; i++) squares += ((codes[(t * images + i) * k + j] as number) - sum / images) ** 2;
      found[t * k + j] = Math.sqrt(squares / images);
    }
  }
  return found;
}

/** Which dimensions tell images apart. Of a VAE: variance of the mean code over 0.01, as Burda et al. (2015) count them. */
export function inUse(spread: ArrayLike<number>, isVae: boolean): boolean[] {
  const all = Array.from(spread);
  const least = isVae ? 0.1 : 1e-4 * Math.max(...all, 1e-12);
  return all.map((each) => each > least);
}

/** The moment whose step is nearest to one. */
export function nearestMoment(steps: readonly number[], step: number): number {
  return steps.reduce((best, each, i) => (Math.abs(each - step) < Math.abs((steps[best] as number) - step) ? i : best), 0);
}

export interface Footage {
  /** [T, F, 2] */
  readonly plane: Float32Array;
  readonly half: number;
  /** [T, K] */
  readonly spread: Float32Array;
  /** The images of a moment, uint8 [F', P] and [S, P]. */
  reconstructions(moment: number): Promise<Uint8Array>;
  samples(moment: number): Promise<Uint8Array>;
}

/** Read the film of a model: codes now, sheets of images moment by moment. */
export async function footage(
  film: FilmMeta, model: ModelMeta, shape: Shape, asset: (name: string) => Promise<ArrayBuffer>,
): Promise<Footage> {
  const [moments, images, size] = [film.steps.length, film.images.length, shape[0] * shape[1] * shape[2]];
  const codes = fromHalf(await asset(`film:${model.name}:codes`));
  if (codes.length !== moments * images * model.k) throw new PageError("The film of this page is cut short. Make the page again.");
  const plane = onPlane(codes, moments, images, model.mean, model.axes);

  const reader = (kind: string, count: number): ((moment: number) => Promise<Uint8Array>) => {
    const kept = new Map<string, Promise<Uint8Array>>();
    const once = (name: string, read: () => Promise<Uint8Array>): Promise<Uint8Array> => {
      const found = kept.get(name) ?? read();
      kept.set(name, found);
      return found;
    };
    const name = `film:${model.name}:${kind}`;
    if (film.encoding === "webp") {
      return (moment) => once(String(moment), () => readSheets([`${name}:${moment}`], film.columns ?? 1, count, shape, asset));
    }
    return async (moment) => {
      const all = await once("", async () => new Uint8Array(await asset(name)));
      if (all.length !== moments * count * size) throw new PageError("The film of this page is cut short. Make the page again.");
      return all.subarray(moment * count * size, (moment + 1) * count * size);
    };
  };
  return {
    plane,
    half: extent(plane, images),
    spread: spreads(codes, moments, images, model.k),
    reconstructions: reader("reconstructions", film.shown_images),
    samples: reader("samples", film.samples ?? 25),
  };
}
