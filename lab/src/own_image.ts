/** An image of the reader's own, made like the images of the run: their size, their channels, their ground, their place. */

import type { ImageStore, Shape } from "./context.ts";

/** How the run's images lie: on what ground, and where on it. */
export interface Habit {
  /** The commonest value at the border, 0 to 1: grey, the channels' mean. */
  readonly ground: number;
  /** Whether they lie on one ground, as drawings do and photographs do not. */
  readonly plain: boolean;
  /** The longer side of what stands on the ground, in pixels, and the middle of its mass: medians; the whole where there is no ground. */
  readonly box: number;
  readonly middle: readonly [x: number, y: number];
}

/** What stands on the ground differs from it by more than this; scanners and JPEG blur the rest. */
const INK = 0.2;

/** A plane of grey values, 0 to 1. */
export interface Plane {
  readonly values: Float32Array;
  readonly width: number;
  readonly height: number;
}

/** The habit of the first images, at most `most` of them. */
export function habit(images: Pick<ImageStore, "count" | "shape" | "pixels">, most = 200): Habit {
  const [channels, height, width] = images.shape;
  const planes = Array.from({ length: Math.min(most, images.count) }, (_, i) => {
    const x = images.pixels(i);
    const values = new Float32Array(height * width);
    for (let c = 0; c < channels; c++) for (let p = 0; p < values.length; p++) values[p] = (values[p] as number) + (x[c * values.length + p] as number) / channels;
    return { values, width, height };
  });
  const border = planes.flatMap((plane) => borderOf(plane));
  const ground = median(border);
  const plain = border.filter((value) => Math.abs(value - ground) < 0.05).length > border.length / 2;
  const found = plain ? planes.map((plane) => inked(plane, ground)).filter((each) => each !== null) : [];
  if (!found.length) return { ground, plain: false, box: Math.max(width, height), middle: [width / 2, height / 2] };
  return {
    ground, plain, box: median(found.map(({ left, top, right, bottom }) => Math.max(right - left, bottom - top))),
    middle: [median(found.map(({ x }) => x)), median(found.map(({ y }) => y))],
  };
}

function borderOf({ values, width, height }: Plane): number[] {
  const found: number[] = [];
  for (let p = 0; p < values.length; p++) {
    const [x, y] = [p % width, Math.floor(p / width)];
    if (x === 0 || y === 0 || x === width - 1 || y === height - 1) found.push(values[p] as number);
  }
  return found;
}

const median = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1] ?? 0;

interface Inked {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
  /** The middle of its mass. */
  readonly x: number;
  readonly y: number;
}

/** Where a plane has something on its ground, in its pixels; null of an empty one. */
export function inked({ values, width, height }: Plane, ground: number): Inked | null {
  let [left, top, right, bottom, mass, x, y] = [width, height, 0, 0, 0, 0, 0];
  for (let p = 0; p < values.length; p++) {
    const ink = Math.abs((values[p] as number) - ground);
    if (ink < INK) continue;
    const [column, row] = [p % width, Math.floor(p / width)];
    [left, top, right, bottom] = [Math.min(left, column), Math.min(top, row), Math.max(right, column + 1), Math.max(bottom, row + 1)];
    mass += ink;
    x += ink * (column + 0.5);
    y += ink * (row + 0.5);
  }
  return mass ? { left, top, right, bottom, x: x / mass, y: y / mass } : null;
}

/** The window of a plane that becomes the image, in its pixels; `step` is how many of them make one pixel. */
export interface Window {
  readonly left: number;
  readonly top: number;
  readonly step: number;
}

/** The window that puts what is drawn where the run's images have theirs; all of it stays inside. The whole plane of an empty one. */
export function fitted(plane: Plane, shape: Shape, habit: Habit): Window {
  const [, height, width] = shape;
  const ink = inked(plane, habit.ground);
  if (!ink) return whole(plane, shape);
  const step = Math.max(ink.right - ink.left, ink.bottom - ink.top) / habit.box;
  const place = (middle: number, wanted: number, first: number, last: number, size: number): number =>
    Math.max(last - size * step, Math.min(first, middle - wanted * step));
  return {
    left: place(ink.x, habit.middle[0], ink.left, ink.right, width),
    top: place(ink.y, habit.middle[1], ink.top, ink.bottom, height),
    step,
  };
}

export const whole = (plane: Plane, shape: Shape): Window => ({ left: 0, top: 0, step: plane.width / shape[2] });

/** Each pixel the mean over its part of the window, `ground` beyond the plane: [height*width]. */
export function averaged(plane: Plane, { left, top, step }: Window, height: number, width: number, ground: number): Float32Array {
  const made = new Float32Array(height * width);
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      made[row * width + column] = meanWithin(plane, left + column * step, top + row * step, step, ground);
    }
  }
  return made;
}

function meanWithin({ values, width, height }: Plane, x: number, y: number, step: number, ground: number): number {
  let [sum, weight] = [0, 0];
  for (let row = Math.max(0, Math.floor(y)); row < Math.min(height, y + step); row++) {
    const tall = Math.min(row + 1, y + step) - Math.max(row, y);
    for (let column = Math.max(0, Math.floor(x)); column < Math.min(width, x + step); column++) {
      const share = tall * (Math.min(column + 1, x + step) - Math.max(column, x));
      sum += share * (values[row * width + column] as number);
      weight += share;
    }
  }
  return (sum + Math.max(0, step * step - weight) * ground) / (step * step);
}

/** Red, green and blue as a canvas has them, as planes of the run's channels: three, or grey (ITU-R BT.601) for each. */
export function planes(rgba: Uint8ClampedArray, width: number, height: number, channels: number): Plane[] {
  const of = (red: number, green: number, blue: number): Plane => {
    const values = new Float32Array(width * height);
    for (let p = 0; p < values.length; p++) {
      values[p] = (red * (rgba[4 * p] as number) + green * (rgba[4 * p + 1] as number) + blue * (rgba[4 * p + 2] as number)) / 255;
    }
    return { values, width, height };
  };
  if (channels === 3) return [of(1, 0, 0), of(0, 1, 0), of(0, 0, 1)];
  const grey = of(0.299, 0.587, 0.114);
  return Array.from({ length: channels }, () => grey);
}

/** The P numbers of the run's shape, from a canvas's pixels; where `fit` is, placed as the run's images are. */
export function shaped(rgba: Uint8ClampedArray, width: number, height: number, shape: Shape, habit: Habit, fit: boolean): Float32Array {
  const [channels, rows, columns] = shape;
  const all = planes(rgba, width, height, channels);
  const frame = fit ? fitted(all[0] as Plane, shape, habit) : whole(all[0] as Plane, shape);
  const x = new Float32Array(channels * rows * columns);
  all.forEach((plane, c) => x.set(averaged(plane, frame, rows, columns, habit.ground), c * rows * columns));
  return x;
}

/** The largest part of a picture that has the image's proportions, from its middle. */
export function cropped(width: number, height: number, proportion: number): { x: number; y: number; width: number; height: number } {
  const wide = Math.min(width, height * proportion);
  const tall = wide / proportion;
  return { x: (width - wide) / 2, y: (height - tall) / 2, width: wide, height: tall };
}

/** What a file is by its first bytes: its name's ending may be anything. */
export function formatOf(bytes: Uint8Array): "PNG" | "JPEG" | "WebP" | "GIF" | null {
  const text = String.fromCharCode(...bytes.subarray(0, 12));
  if (text.startsWith("\x89PNG\r\n\x1a\n")) return "PNG";
  if (text.startsWith("\xff\xd8\xff")) return "JPEG";
  if (text.startsWith("RIFF") && text.endsWith("WEBP")) return "WebP";
  return text.startsWith("GIF87a") || text.startsWith("GIF89a") ? "GIF" : null;
}
