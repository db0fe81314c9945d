/** The map of a film: where each image's code is at a moment, and whence it came. */

import type { Context, FilmMeta } from "./context.ts";
import { NO_LABEL } from "./context.ts";
import type { Footage } from "./filming.ts";
import { short } from "./format.ts";
import { el } from "./layout.ts";
import { trace } from "./markers.ts";
import { ticks } from "./view.ts";

const TRAIL = [0.6, 0.4, 0.25, 0.12]; // how much is left of the last steps, newest first
const GLIDE = 380; // ms from one moment to the next

export interface FilmedMap {
  readonly canvas: HTMLCanvasElement;
  /** Another film; with `flat` codes are single numbers, and what is up means nothing. */
  load(film: FilmMeta, footage: Footage, flat: boolean): void;
  /** Go to a moment; the points glide there unless the reader asked for less motion. */
  go(moment: number): void;
  redraw(): void;
}

export function filmedMap(context: Context): FilmedMap {
  const { theme, labels, state } = context;
  const canvas = el("canvas", { class: "filmed", role: "img", tabindex: -1, "data-role": "film-map" });
  let film: FilmMeta | null = null;
  let footage: Footage | null = null;
  let flat = false;
  let [at, from, to, began, frame] = [0, 0, 0, 0, 0];
  const labelOf = (i: number): number => labels?.[film?.images[i] as number] ?? NO_LABEL;
  const scale = (): number => canvas.width / (2 * (footage?.half ?? 1));

  /** Place of image i at a time between moments, in pixels of the canvas. */
  function place(i: number, time: number): readonly [number, number] {
    const [plane, count] = [footage?.plane as Float32Array, film?.images.length ?? 0];
    const before = Math.max(0, Math.floor(time));
    const after = Math.min(before + 1, (film?.steps.length ?? 1) - 1);
    const share = time - before;
    const along = (d: number): number => {
      const a = plane[2 * (before * count + i) + d] as number;
      return share ? a + share * ((plane[2 * (after * count + i) + d] as number) - a) : a;
    };
    const middle = canvas.width / 2;
    return [middle + along(0) * scale(), middle - along(1) * scale()];
  }

  function draw(): void {
    const pen = canvas.getContext("2d");
    if (!pen || !film || !footage) return;
    const ratio = devicePixelRatio || 1;
    const side = Math.max(1, Math.round(canvas.clientWidth * ratio));
    if (canvas.width !== side || canvas.height !== side) canvas.width = canvas.height = side;
    pen.clearRect(0, 0, side, side);
    pen.strokeStyle = theme.colour("line");
    pen.lineWidth = ratio;
    pen.beginPath();
    for (const [x, y, u, v] of [[side / 2, 0, side / 2, side], [0, side / 2, side, side / 2]] as const) {
      pen.moveTo(x, y);
      pen.lineTo(u, v);
    }
    pen.stroke();
    drawTicks(pen, side, ratio);
    const byLabel = new Map<number, number[]>();
    film.images.forEach((_, i) => byLabel.set(labelOf(i), [...(byLabel.get(labelOf(i)) ?? []), i]));
    pen.lineWidth = 1.4 * ratio;
    TRAIL.forEach((strength, age) => {
      const [newer, older] = [Math.max(0, at - age), Math.max(0, at - age - 1)];
      if (newer === older) return;
      pen.globalAlpha = strength;
      for (const [label, images] of byLabel) {
        pen.strokeStyle = theme.classColour(label);
        pen.beginPath();
        for (const i of images) {
          pen.moveTo(...place(i, older));
          pen.lineTo(...place(i, newer));
        }
        pen.stroke();
      }
    });
    pen.globalAlpha = 1;
    const picked = film.images.indexOf(state.get("image", -1));
    for (const [label, images] of byLabel) {
      pen.fillStyle = theme.classColour(label);
      pen.beginPath();
      for (const i of images) trace(pen, theme.classMarker(label), ...place(i, at), 3.4 * ratio);
      pen.fill();
    }
    if (picked >= 0) {
      pen.strokeStyle = theme.colour("ink");
      pen.lineWidth = 2 * ratio;
      pen.beginPath();
      trace(pen, "o", ...place(picked, at), 8 * ratio);
      pen.stroke();
    }
  }

  /** Round numbers along the edges, in the units of the codes. */
  function drawTicks(pen: CanvasRenderingContext2D, side: number, ratio: number): void {
    const half = footage?.half ?? 1;
    pen.font = `${11 * ratio}px system-ui, sans-serif`;
    pen.fillStyle = theme.colour("quiet");
    for (const value of ticks(-half, half, 7)) {
      const at = side / 2 + value * scale();
      pen.textAlign = "center";
      pen.textBaseline = "alphabetic";
      if (at > 24 * ratio && at < side - 12 * ratio) pen.fillText(short(value), at, side - 6 * ratio);
      pen.textAlign = "left";
      pen.textBaseline = "middle";
      if (!flat && at > 12 * ratio && at < side - 24 * ratio) pen.fillText(short(-value), 6 * ratio, at);
    }
  }

  function glide(now: number): void {
    const share = Math.min(1, (now - began) / GLIDE);
    at = from + (to - from) * (1 - (1 - share) ** 3);
    draw();
    frame = share < 1 ? requestAnimationFrame(glide) : 0;
    canvas.dataset["still"] = String(share >= 1);
  }

  canvas.addEventListener("click", (event) => {
    if (!film) return;
    const box = canvas.getBoundingClientRect();
    const ratio = canvas.width / box.width;
    const distances = film.images.map((_, i) => {
      const [x, y] = place(i, at);
      return Math.hypot(x / ratio - (event.clientX - box.left), y / ratio - (event.clientY - box.top));
    });
    const nearest = distances.indexOf(Math.min(...distances));
    if ((distances[nearest] as number) < 18) state.set("image", film.images[nearest] as number);
  });
  new ResizeObserver(draw).observe(canvas);
  theme.on(draw);
  state.on("image", draw);

  return {
    canvas,
    load(shown, read, one) {
      [film, footage, flat] = [shown, read, one];
      cancelAnimationFrame(frame);
      at = to;
      draw();
    },
    go(moment) {
      cancelAnimationFrame(frame);
      [from, to] = [at, moment];
      // Beyond a neighbour nothing glides: the slider was dragged, and what is between has been seen or is skipped on purpose.
      if (theme.still || !footage || Math.abs(to - from) > 2) {
        at = moment;
        canvas.dataset["still"] = "true";
        draw();
        return;
      }
      began = performance.now();
      canvas.dataset["still"] = "false";
      frame = requestAnimationFrame(glide);
    },
    redraw: draw,
  };
}
