/** What of a plane a map shows: its middle and how much it is enlarged; the same unit along both directions, y up. */

export interface Extent {
  /** Middle of the points, and half the side of the square that holds most of them. */
  readonly x: number;
  readonly y: number;
  readonly half: number;
}

export interface View {
  readonly x: number;
  readonly y: number;
  /** 1 shows the whole extent. */
  readonly zoom: number;
}

export interface Size {
  readonly width: number;
  readonly height: number;
}

export const [LEAST, MOST] = [0.5, 200]; // of zoom

/** The square around all points; where a few are far out, it stays close to the many and these lie beyond its edge. */
export function extent(points: Float32Array): Extent {
  const [x, y] = [span(points, 0), span(points, 1)];
  const half = Math.max(x[1] - x[0], y[1] - y[0]) / 2;
  return { x: (x[0] + x[1]) / 2, y: (y[0] + y[1]) / 2, half: half > 0 && Number.isFinite(half) ? half * 1.08 : 1 };
}

function span(points: Float32Array, from: 0 | 1): readonly [number, number] {
  const values = new Float32Array(points.length / 2);
  for (let i = 0; i < values.length; i++) values[i] = points[2 * i + from] as number;
  values.sort();
  const at = (share: number): number => values[Math.round(share * (values.length - 1))] ?? 0;
  const [low, high] = [at(0.005), at(0.995)];
  const room = 0.35 * (high - low); // of a normal cloud this holds some 3.5 standard deviations
  return [Math.max(at(0), low - room), Math.min(at(1), high + room)];
}

/** Pixels a unit of the plane. */
export const unit = (whole: Extent, view: View, size: Size): number => (view.zoom * Math.min(size.width, size.height)) / (2 * whole.half);

/** From the plane to pixels. */
export function toScreen(whole: Extent, view: View, size: Size, x: number, y: number): readonly [number, number] {
  const scale = unit(whole, view, size);
  return [size.width / 2 + (x - view.x) * scale, size.height / 2 - (y - view.y) * scale];
}

/** From pixels to the plane. */
export function toPlane(whole: Extent, view: View, size: Size, left: number, top: number): readonly [number, number] {
  const scale = unit(whole, view, size);
  return [view.x + (left - size.width / 2) / scale, view.y - (top - size.height / 2) / scale];
}

/** Enlarged by a factor so that the point under the hand stays there. */
export function zoomed(whole: Extent, view: View, size: Size, factor: number, left = size.width / 2, top = size.height / 2): View {
  const zoom = Math.min(MOST, Math.max(LEAST, view.zoom * factor));
  const [x, y] = toPlane(whole, view, size, left, top);
  const shrunk = view.zoom / zoom;
  return held(whole, { x: x + (view.x - x) * shrunk, y: y + (view.y - y) * shrunk, zoom });
}

/** Moved by so many pixels, as a sheet of paper under the hand. */
export function panned(whole: Extent, view: View, size: Size, right: number, down: number): View {
  const scale = unit(whole, view, size);
  return held(whole, { ...view, x: view.x - right / scale, y: view.y + down / scale });
}

/** The middle never leaves the points: nobody gets lost in empty paper. */
function held(whole: Extent, view: View): View {
  const within = (value: number, middle: number): number => Math.min(middle + whole.half, Math.max(middle - whole.half, value));
  return { x: within(view.x, whole.x), y: within(view.y, whole.y), zoom: view.zoom };
}

/** The point nearest to (x, y) among those shown and its distance in units of the plane; -1 where none is. All are tried: no index is needed. */
export function nearestPoint(points: Float32Array, shown: Uint8Array, x: number, y: number): { readonly index: number; readonly distance: number } {
  let index = -1;
  let least = Infinity;
  for (let i = 0; i < shown.length; i++) {
    if (!shown[i]) continue;
    const dx = (points[2 * i] as number) - x;
    const dy = (points[2 * i + 1] as number) - y;
    const distance = dx * dx + dy * dy;
    if (distance < least) {
      least = distance;
      index = i;
    }
  }
  return { index, distance: Math.sqrt(least) };
}

/** Round numbers from `low` to `high`, about `wanted` of them: 1, 2 or 5 times a power of ten apart. */
export function ticks(low: number, high: number, wanted = 5): number[] {
  const rough = (high - low) / wanted;
  if (!(rough > 0) || !Number.isFinite(rough)) return [];
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5].find((times) => times * power >= rough * 0.999) ?? 10);
  const found: number[] = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i++) found.push(Number((i * step).toPrecision(12)));
  return found;
}
