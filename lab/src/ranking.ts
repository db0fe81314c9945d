/** Images by how badly a model reconstructs them. */

/** Images from the largest error to the smallest; those without one come last. */
export function ranked(errors: ArrayLike<number>): Uint32Array {
  const value = (i: number): number => {
    const error = errors[i] as number;
    return Number.isNaN(error) ? -Infinity : error;
  };
  return Uint32Array.from({ length: errors.length }, (_, i) => i).sort((a, b) => value(b) - value(a) || a - b);
}

/** The first rank of a window of `width` ranks around one, which lies within `count` ranks wherever there is room. */
export const around = (rank: number, width: number, count: number): number => Math.max(0, Math.min(rank - (width >> 1), count - width));

/** The share of measured errors that are smaller, 0 to 1; null where none was measured. */
export function shareBelow(errors: ArrayLike<number>, error: number): number | null {
  let [below, measured] = [0, 0];
  for (let i = 0; i < errors.length; i++) {
    const other = errors[i] as number;
    if (Number.isNaN(other)) continue;
    measured++;
    if (other < error) below++;
  }
  return measured ? below / measured : null;
}

/** Mean squared difference per pixel of P numbers. */
export function squaredError(x: ArrayLike<number>, y: ArrayLike<number>): number {
  let sum = 0;
  for (let p = 0; p < x.length; p++) sum += ((x[p] as number) - (y[p] as number)) ** 2;
  return sum / x.length;
}

/** The mean of what was measured; NaN where nothing was. */
export function meanOf(errors: ArrayLike<number>): number {
  let [sum, measured] = [0, 0];
  for (let i = 0; i < errors.length; i++) {
    const error = errors[i] as number;
    if (Number.isNaN(error)) continue;
    sum += error;
    measured++;
  }
  return measured ? sum / measured : NaN;
}
