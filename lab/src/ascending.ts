/** An ascent on phi in numbers: where q is at a step, how far its bound is from the best, and what the encoder gives away. */

import type { PosteriorMeta } from "./context.ts";
import { counted, fixed } from "./format.ts";

/** Standard deviations of q along K dimensions: one for all, or one each. */
export function deviations(spread: readonly number[], k: number): Float32Array {
  return Float32Array.from({ length: k }, (_, j) => spread[spread.length === 1 ? 0 : j] ?? 0);
}

/** Codes mean + deviation * noise, one a row of noise [n, K]. */
export function drawnCodes(mean: ArrayLike<number>, deviation: ArrayLike<number>, noise: Float32Array): Float32Array {
  const k = mean.length;
  return noise.map((value, i) => (mean[i % k] as number) + (deviation[i % k] as number) * value);
}

/** A bound on an axis that is stretched near the best one, where ascents spend their steps: 0 at the best, below it negative. */
export function stretched(bound: number, best: number): number {
  return -Math.asinh(best - bound);
}

/** The bound that stands at a place of that axis. */
export function unstretched(place: number, best: number): number {
  return best - Math.sinh(-place);
}

/** Whole bounds for the numbers of that axis, from the best down to the lowest. */
export function boundTicks(best: number, lowest: number): number[] {
  const down = [0, 3, 10, 30, 100, 300, 1000, 3000, 10_000, 30_000, 100_000];
  const whole = down.filter((d) => d <= Math.max(3, best - lowest)).map((d) => Math.floor(best - d));
  return [...new Set(whole)].sort((a, b) => a - b);
}

/** The amortisation gap of an image in nats: what the encoder's q falls short of the best one that was found. */
export const gap = (ascent: PosteriorMeta): number => ascent.best_elbo - ascent.encoder_elbo;

const nats = (value: number): string => `${fixed(value, 1)} nats`;

/** What a reader is told at a moment of the ascent. */
export function told(ascent: PosteriorMeta, moment: number): { readonly now: string; readonly gap: string } {
  const step = ascent.steps[moment] as number;
  const bound = ascent.elbo[moment] as number;
  const begin = step === 0 ? "Before the first step q is N(0, I), and knows nothing of the image" : `After ${counted(step, "step")} q has moved towards the image`;
  const past = ascent.elbo.findIndex((each) => each >= ascent.encoder_elbo);
  const whether = bound >= ascent.encoder_elbo ? "better than the encoder's one guess" : "not yet as good as the encoder's one guess";
  const short = gap(ascent);
  const lost =
    short > 0.05
      ? `The encoder's q reaches ${nats(ascent.encoder_elbo)}, the best q found ${nats(ascent.best_elbo)}. The difference, ${nats(short)}, is the amortisation gap of this image: what is lost by guessing q from the pixels at once instead of seeking it.`
      : `The encoder's q reaches ${nats(ascent.encoder_elbo)}, and the ascent finds none that is better by more than 0.05 nats: this image has no amortisation gap to speak of.`;
  const above = bound > ascent.best_elbo + 0.05 ? " A bound is estimated from draws of q, so that one may come out a little above the best." : "";
  const overtaken = past > 0 ? ` The ascent overtakes the encoder within ${counted(ascent.steps[past] as number, "step")}.` : "";
  return { now: `${begin}: its ELBO is ${nats(bound)} per image, ${whether}.${above}`, gap: lost + overtaken };
}
