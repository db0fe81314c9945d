/** A curve in a sentence with numbers, for readers who hear the page. */

import { short } from "./format.ts";

/** "from 12.1 at training step 0 to 51.8 at 600, at most 52.3"; what is neither end is told where it lies beyond both. */
export function curveWords(x: readonly number[], values: readonly (number | null)[], along: string): string {
  const known = values.flatMap((value, i) => (value === null || !Number.isFinite(value) ? [] : [i]));
  const [first, last] = [known[0], known.at(-1)];
  if (first === undefined || last === undefined) return "no values";
  const at = (i: number): number => values[i] as number;
  if (first === last) return `${short(at(first))} at ${along} ${short(x[first] as number)}`;
  const [least, most] = [known.reduce((a, i) => Math.min(a, at(i)), Infinity), known.reduce((a, i) => Math.max(a, at(i)), -Infinity)];
  const beyond = [
    least < Math.min(at(first), at(last)) ? `at least ${short(least)}` : "", most > Math.max(at(first), at(last)) ? `at most ${short(most)}` : "",
  ].filter(Boolean);
  return [`from ${short(at(first))} at ${along} ${short(x[first] as number)} to ${short(at(last))} at ${short(x[last] as number)}`, ...beyond].join(", ");
}
