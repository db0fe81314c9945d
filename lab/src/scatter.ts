/** Points on a canvas: discs written straight into its pixels where there are many, markers where there are few. */

import { trace } from "./markers.ts";
import { toRgb } from "./theme.ts";

/** A disc's pixels around its middle: offsets, and how much of each it covers, 0 to 255. */
export interface Stamp {
  readonly dx: Int16Array;
  readonly dy: Int16Array;
  readonly cover: Uint8Array;
}

/** A disc of a radius in pixels, its edge smoothed by how much of each pixel it covers. */
export function stamp(radius: number): Stamp {
  const reach = Math.ceil(radius + 0.5);
  const [dx, dy, cover]: [number[], number[], number[]] = [[], [], []];
  for (let y = -reach; y <= reach; y++) {
    for (let x = -reach; x <= reach; x++) {
      const covered = Math.round(255 * Math.min(1, Math.max(0, radius + 0.5 - Math.hypot(x, y))));
      if (!covered) continue;
      dx.push(x);
      dy.push(y);
      cover.push(covered);
    }
  }
  return { dx: Int16Array.from(dx), dy: Int16Array.from(dy), cover: Uint8Array.from(cover) };
}

export interface Cloud {
  /** [N, 2] in the plane. */
  readonly points: Float32Array;
  /** N: 0 is not drawn. */
  readonly shown: Uint8Array;
  /** N indices into colours and markers. */
  readonly classes: Uint16Array;
}

/** Pixels of a point: left = x * scale + right, top = down - y * scale. */
export interface Transform {
  readonly scale: number;
  readonly right: number;
  readonly down: number;
}

/** Stamp each shown point into RGBA of width by height; those outside are passed over. How many were drawn. */
export function splat(rgba: Uint8ClampedArray, width: number, height: number, cloud: Cloud, transform: Transform, colours: readonly string[], disc: Stamp): number {
  const { points, shown, classes } = cloud;
  const { scale, right, down } = transform;
  const whole = new Uint32Array(rgba.buffer, rgba.byteOffset, rgba.length >> 2);
  const packed = Uint32Array.from(colours, pack);
  const { dx, dy, cover } = disc;
  const reach = dx.reduce((most, x) => Math.max(most, x), 0);
  const offsets = Int32Array.from(dx, (x, p) => x + width * (dy[p] as number));
  let drawn = 0;
  for (let i = 0; i < shown.length; i++) {
    if (shown[i] === 0) continue;
    const x = (points[2 * i] as number) * scale + right + 0.5;
    const y = down - (points[2 * i + 1] as number) * scale + 0.5;
    if (!(x > -reach && y > -reach && x < width + reach && y < height + reach)) continue;
    const left = Math.floor(x);
    const top = Math.floor(y);
    const within = left >= reach && top >= reach && left < width - reach && top < height - reach;
    const colour = packed[classes[i] as number] as number;
    const middle = top * width + left;
    drawn++;
    for (let p = 0; p < offsets.length; p++) {
      if (!within) {
        const across = left + (dx[p] as number);
        const below = top + (dy[p] as number);
        if (across < 0 || below < 0 || across >= width || below >= height) continue;
      }
      const at = middle + (offsets[p] as number);
      const part = cover[p] as number;
      whole[at] = part === 255 ? colour : mix(whole[at] as number, colour, part);
    }
  }
  return drawn;
}

/** Two packed colours, `part` of 255 of the second: two channels at a time. */
function mix(a: number, b: number, part: number): number {
  const even = ((a & 0xff00ff) * (255 - part) + (b & 0xff00ff) * (part + 1)) >>> 8;
  const odd = ((a >>> 8) & 0xff00ff) * (255 - part) + ((b >>> 8) & 0xff00ff) * (part + 1);
  return (even & 0xff00ff) | (odd & 0xff00ff00);
}

/** An opaque colour as one number, in whatever order this machine keeps bytes. */
export function pack(colour: string): number {
  return new Uint32Array(new Uint8Array([...toRgb(colour), 255]).buffer)[0] as number;
}

/** Draw each shown point as its class's marker with a thin edge of paper, so that neighbours stay apart. */
export function drawMarkers(
  pen: CanvasRenderingContext2D, cloud: Cloud, transform: Transform, colours: readonly string[], markers: readonly string[], radius: number, edge: string,
): number {
  const { points, shown, classes } = cloud;
  const { width, height } = pen.canvas;
  const side = Math.ceil(2 * radius * 1.25 + 4);
  const sprites: OffscreenCanvas[] = [];
  const make = (c: number): OffscreenCanvas => {
    const sprite = new OffscreenCanvas(side, side);
    const brush = sprite.getContext("2d") as OffscreenCanvasRenderingContext2D;
    const outline = new Path2D();
    trace(outline, markers[c] as string, side / 2, side / 2, radius);
    brush.lineWidth = Math.max(1, radius * 0.3);
    brush.strokeStyle = edge;
    brush.stroke(outline);
    brush.fillStyle = colours[c] as string;
    brush.fill(outline);
    return sprite;
  };
  let drawn = 0;
  for (let i = 0; i < shown.length; i++) {
    if (!shown[i]) continue;
    const left = (points[2 * i] as number) * transform.scale + transform.right;
    const top = transform.down - (points[2 * i + 1] as number) * transform.scale;
    if (!(left > -side && top > -side && left < width + side && top < height + side)) continue;
    pen.drawImage((sprites[classes[i] as number] ??= make(classes[i] as number)), left - side / 2, top - side / 2);
    drawn++;
  }
  return drawn;
}

/** Radius in pixels of the page: many points are small, and grow as the map is enlarged. */
export function radiusOf(count: number, zoom: number, side: number): number {
  const crowd = (0.28 * side) / Math.sqrt(Math.max(1, count)); // the discs together cover at most a quarter of the square
  return Math.min(6.5, Math.min(4.2, Math.max(1, crowd)) * Math.max(1, zoom) ** 0.35);
}

/** How many shown points are inside; counting ends at `enough`. */
export function inside(cloud: Cloud, transform: Transform, width: number, height: number, enough: number): number {
  let found = 0;
  for (let i = 0; i < cloud.shown.length && found < enough; i++) {
    if (!cloud.shown[i]) continue;
    const left = (cloud.points[2 * i] as number) * transform.scale + transform.right;
    const top = transform.down - (cloud.points[2 * i + 1] as number) * transform.scale;
    if (left >= 0 && top >= 0 && left < width && top < height) found++;
  }
  return found;
}
