/** The code that each model decodes for a point of one model's map. */

import type { ModelMeta } from "./context.ts";
import { codeAt, type Codes, type Kind, order, type Plane, plane, shifted } from "./plane.ts";

/** What of a model this file reads. */
export interface Coded {
  readonly about: Codes & Pick<ModelMeta, "name">;
  readonly codes: Float32Array;
}

export interface Point {
  /** The model of the map and its plane. */
  readonly own: Coded;
  readonly plane: Plane;
  readonly at: readonly [number, number];
  /** The nearest image, -1 where none is shown, and how far the point is from it. */
  readonly near: number;
  readonly shift: readonly [number, number];
  /** Whether the map's model decodes the plane's own point, not one around the nearest image. */
  readonly inPlane: boolean;
}

/**
 * Codes by model name. Other models start from their own code of the nearest image and go as many standard deviations along the
 * directions that stand at the same rank; without such an image they have no code.
 */
export function pointCodes(models: readonly Coded[], { own, plane: mine, at, near, shift, inPlane }: Point): Map<string, Float32Array> {
  const ranks = mine.pair.map((j) => order(own.about, mine.kind).indexOf(j)) as [number, number];
  const codes = new Map<string, Float32Array>();
  for (const { about, codes: all } of models) {
    const isOwn = about.name === own.about.name;
    if (isOwn && (inPlane || near < 0)) codes.set(about.name, codeAt(mine, ...at));
    if (codes.has(about.name) || near < 0) continue;
    const theirs = isOwn ? mine : planeAt(about, mine.kind, ranks);
    const steps = [0, 1].map((d) => (shift[d] as number) * ((theirs.scale[d] as number) / (mine.scale[d] as number))) as [number, number];
    codes.set(about.name, shifted(theirs, all.subarray(near * about.k, (near + 1) * about.k), steps[0], about.k > 1 ? steps[1] : 0));
  }
  return codes;
}

function planeAt(about: Codes, kind: Kind, ranks: readonly [number, number]): Plane {
  const ranked = order(about, kind);
  const [first, second] = ranks.map((rank) => ranked[Math.min(rank, about.k - 1)] as number) as [number, number];
  return plane(about, kind, first, second);
}
