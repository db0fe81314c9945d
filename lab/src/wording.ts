/** Images in words, and the small whole numbers of panels. */

import type { Meta } from "./context.ts";
import { NO_LABEL } from "./context.ts";
import { short } from "./format.ts";

/** "image 12, class 3". */
export function imageWords(meta: Pick<Meta, "classes">, labels: ArrayLike<number> | null, image: number): string {
  const label = labels?.[image] ?? NO_LABEL;
  const name = meta.classes?.[label];
  return name === undefined ? `image ${image}` : `image ${image}, class ${name}`;
}

/** Three digits that count and the zeros among them, so that errors one beside another line up: 0.0250 as 0.0244. */
export const threeDigits = (value: number): string => (Math.abs(value) >= 1e-4 && Math.abs(value) < 1 ? value.toPrecision(3) : short(value));

/** A whole number of the range, whatever an address or a field holds. */
export const within = (value: number, count: number): number => Math.min(count - 1, Math.max(0, Math.round(value) || 0));

/** The arrow keys of a grid that is one stop of the Tab key: where to from `at`; null for other keys. */
export function step(key: string, at: number, count: number, columns: number): number | null {
  const to = { ArrowLeft: at - 1, ArrowRight: at + 1, ArrowUp: at - columns, ArrowDown: at + columns, Home: 0, End: count - 1 }[key];
  return to === undefined ? null : to < 0 || to >= count ? at : to;
}
