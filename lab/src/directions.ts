/** Directions of codes and places on the map in words. */

import type { ModelMeta } from "./context.ts";
import { short } from "./format.ts";
import type { Kind, Plane } from "./plane.ts";

/** "axis 1", "dimension 3": counted from one, as readers do. */
export const directionName = (kind: Kind, j: number): string => `${kind === "raw" ? "dimension" : "axis"} ${j + 1}`;

/** A share in words: "23 %", "0.4 %", "< 0.1 %". */
export function percent(share: number): string {
  if (share > 0 && share < 0.001) return "< 0.1 %";
  return `${share === 0 || share >= 0.0995 ? Math.round(100 * share) : (100 * share).toFixed(1)} %`;
}

/** The model to begin with: one whose codes have a width, since there is more of it to see, else the last. */
export function defaultModel<M extends { readonly spread: unknown }>(models: readonly M[]): M {
  return models.find(({ spread }) => spread !== null) ?? (models[models.length - 1] as M);
}

export interface Told {
  readonly model: Pick<ModelMeta, "label" | "k">;
  readonly plane: Pick<Plane, "kind" | "pair">;
  readonly at: readonly [number, number];
  /** From the nearest image to the place. */
  readonly shift: readonly [number, number];
  readonly inPlane: boolean;
  /** The nearest image in words; null where none is shown. */
  readonly near: string | null;
  /** Whether there are other models. */
  readonly others: boolean;
  /** The picked image in words and how far its ring reaches, where there is one. */
  readonly ring: { readonly of: string; readonly reach: number } | null;
}

/** What is decoded, in words and in the tutorial's letters. */
export function placeWords({ model, plane, at, shift, inPlane, near, others, ring }: Told): string {
  const ownPlane = inPlane || near === null;
  const sentences = [
    plane.kind === "raw"
      ? `${model.label}: ${ownPlane ? "z is the mean code" : `z is the code of ${near}`} with ${directionName("raw", plane.pair[0])} at ${short(at[0])} and ${directionName("raw", plane.pair[1])} at ${short(at[1])}.`
      : ownPlane
        ? `${model.label}: z = mean ${term(at[0], plane.pair[0])} ${term(at[1], plane.pair[1])}${model.k > 2 ? "; along all other axes it is the mean" : ""}.`
        : !shift[0] && !shift[1]
          ? `${model.label}: z is the code of ${near} itself; drag away from it.`
          : `${model.label}: z = code of ${near} ${term(shift[0], plane.pair[0])} ${term(shift[1], plane.pair[1])}.`,
  ];
  if (others && near === null) sentences.push("No image is shown, so the other models have none to start from.");
  else if (others) {
    const code = `decode their own code of ${inPlane ? near : "that image"}, moved along their own two ${plane.kind === "raw" ? "dimensions" : "axes"} by as many standard deviations`;
    sentences.push(inPlane ? `The other models ${code}.` : `The other models do the same: they ${code}.`);
  }
  if (ring !== null) sentences.push(`The ring is q(z|x) of ${ring.of} out to two standard deviations, at most ${short(ring.reach)} wide to a side; enlarge the map if the mark hides it.`);
  return sentences.join(" ");
}

/** "+ 0.3 p₁". */
function term(value: number, j: number): string {
  const below = [...String(j + 1)].map((digit) => String.fromCodePoint(0x2080 + Number(digit))).join("");
  return `${value < 0 ? "−" : "+"} ${short(Math.abs(value))} p${below}`;
}


export interface Mapped {
  readonly model: string;
  readonly kind: Kind;
  readonly pair: readonly [number, number];
  /** Shares of variance of the two directions. */
  readonly carried: readonly [number, number];
  /** Images in all, and those whose class is shown. */
  readonly count: number;
  readonly shown: number;
  readonly classes: number;
  /** The picked image in words; null where none is. */
  readonly picked: string | null;
}

/** The map in two sentences, for readers who hear the page. */
export function mapWords({ model, kind, pair, carried, count, shown, classes, picked }: Mapped): string {
  const [first, second] = pair.map((j, d) => `${directionName(kind, j)} (${percent(carried[d] as number)} of the variance)`);
  const of = shown === count ? `${count}` : `${shown} of ${count}`;
  return (
    `Map of the codes that the ${model} gives ${of} test images${classes ? ` of ${classes} ${classes === 1 ? "class" : "classes"}` : ""}: ${first} to the right, ${second} upwards. ` +
    (picked === null ? "No image is picked." : `Picked is ${picked}.`)
  );
}
