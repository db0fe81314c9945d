/** The map's two canvases: points and ticks beneath, and above them what is marked. Knows places and colours, nothing of models. */

import type { Theme } from "./context.ts";
import { short } from "./format.ts";
import { el } from "./layout.ts";
import { type Cloud, drawMarkers, inside, pack, radiusOf, splat, stamp, type Transform } from "./scatter.ts";
import { type Extent, type Size, ticks, toScreen, unit, type View } from "./view.ts";

const [FEW, GLIDES, GLIDE] = [2500, 20_000, 550]; // points drawn as markers, points that glide, ms of a glide

export interface Scene {
  readonly cloud: Cloud;
  readonly whole: Extent;
  /** Of each class in the cloud; asked anew when the theme changes. */
  readonly colours: () => readonly string[];
  readonly markers: readonly string[];
}

/** What is marked, by index of a point or place in the plane; -1 and null are nothing. */
export interface Marks {
  readonly picked: number;
  readonly hovered: number;
  readonly near: number;
  readonly probe: readonly [number, number] | null;
  /** Around the picked point, [steps, 2]. */
  readonly ring: Float32Array | null;
  readonly ringColour: string;
}

export interface Atlas {
  readonly points: HTMLCanvasElement;
  readonly marks: HTMLCanvasElement;
  size(): Size;
  /** Other points; they glide from where they were, so that one sees who goes where, unless the reader wants less motion. */
  show(scene: Scene, glide: boolean): void;
  look(view: View): void;
  mark(marks: Marks): void;
  redraw(): void;
}

export function createAtlas(theme: Theme): Atlas {
  const points = el("canvas", { "data-role": "map-points", "aria-hidden": "true" });
  const marks = el("canvas", { "data-role": "map-marks", tabindex: 0 });
  let scene: Scene | null = null;
  let now: Float32Array = new Float32Array();
  let view: View = { x: 0, y: 0, zoom: 1 };
  let marked: Marks = { picked: -1, hovered: -1, near: -1, probe: null, ring: null, ringColour: "" };
  let [frame, wanted] = [0, false];
  let buffer: ImageData | null = null;
  let font = ""; // asked for once: asking makes the browser lay out the page

  const size = (): Size => ({ width: marks.clientWidth || 1, height: marks.clientHeight || 1 });
  const ratio = (): number => Math.min(devicePixelRatio || 1, 3);
  const fit = (canvas: HTMLCanvasElement): void => {
    const [width, height] = [Math.round(size().width * ratio()), Math.round(size().height * ratio())];
    if (canvas.width !== width) canvas.width = width;
    if (canvas.height !== height) canvas.height = height;
  };
  const radius = (): number => radiusOf(scene?.cloud.shown.length ?? 1, view.zoom, Math.min(size().width, size().height));

  function drawPoints(): void {
    const pen = points.getContext("2d", { willReadFrequently: true });
    if (!pen || !scene) return;
    const began = performance.now();
    fit(points);
    const { width, height } = points;
    const scale = unit(scene.whole, view, size()) * ratio();
    const transform: Transform = { scale, right: width / 2 - view.x * scale, down: height / 2 + view.y * scale };
    const cloud: Cloud = { ...scene.cloud, points: now };
    const paper = theme.colour("card");
    if (buffer?.width !== width || buffer.height !== height) buffer = pen.createImageData(width, height);
    fill(buffer, paper);
    crosses(buffer, Math.round(transform.right), Math.round(transform.down), theme.colour("line"));
    const few = inside(cloud, transform, width, height, FEW + 1) <= FEW;
    let drawn = 0;
    if (!few) drawn = splat(buffer.data, width, height, cloud, transform, scene.colours(), stamp(radius() * ratio() * 0.9));
    pen.putImageData(buffer, 0, 0);
    if (few) drawn = drawMarkers(pen, cloud, transform, scene.colours(), scene.markers, radius() * ratio(), paper);
    drawTicks(pen);
    points.dataset["drawn"] = String(drawn);
    points.dataset["shapes"] = String(few);
    points.dataset["redraw"] = (performance.now() - began).toFixed(1);
  }

  function drawMarks(): void {
    const pen = marks.getContext("2d");
    if (!pen || !scene) return;
    fit(marks);
    pen.setTransform(ratio(), 0, 0, ratio(), 0, 0);
    pen.clearRect(0, 0, size().width, size().height);
    pen.lineJoin = "round";
    const { whole } = scene;
    const at = (x: number, y: number): readonly [number, number] => toScreen(whole, view, size(), x, y);
    const pointAt = (i: number): readonly [number, number] => at(now[2 * i] as number, now[2 * i + 1] as number);
    const { ring, picked, hovered, near, probe, ringColour } = marked;
    const [ink, paper] = [theme.colour("ink"), theme.colour("card")];
    const lines = (path: Path2D, colour: string, wide: number, halo = paper): void => {
      for (const [stroke, width] of [[halo, wide + 2.5], [colour, wide]] as const) {
        pen.strokeStyle = stroke;
        pen.lineWidth = width;
        pen.stroke(path);
      }
    };
    const circle = ([x, y]: readonly [number, number], r: number): Path2D => {
      const path = new Path2D();
      path.arc(x, y, r, 0, 2 * Math.PI);
      return path;
    };
    if (ring && picked >= 0 && !frame) {
      const path = new Path2D();
      for (let i = 0; i < ring.length; i += 2) {
        path.lineTo(...at((now[2 * picked] as number) + (ring[i] as number), (now[2 * picked + 1] as number) + (ring[i + 1] as number)));
      }
      path.closePath();
      pen.globalAlpha = 0.14;
      pen.fillStyle = ringColour;
      pen.fill(path);
      pen.globalAlpha = 1;
      lines(path, ringColour, 2);
    }
    if (probe && !frame) {
      const [x, y] = at(...probe);
      if (near >= 0) {
        const tie = new Path2D();
        tie.moveTo(...pointAt(near));
        tie.lineTo(x, y);
        pen.setLineDash([4, 3]);
        lines(tie, ink, 1.2);
        pen.setLineDash([]);
        lines(circle(pointAt(near), radius() + 2.5), ink, 1.2);
      }
      const cross = new Path2D();
      for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]] as const) {
        cross.moveTo(x + 4 * dx, y + 4 * dy);
        cross.lineTo(x + 12 * dx, y + 12 * dy);
      }
      lines(cross, ink, 2);
    }
    if (picked >= 0) lines(circle(pointAt(picked), radius() + 4.5), ink, 2.2);
    if (hovered >= 0) lines(circle(pointAt(hovered), radius() + 3), theme.colour("accent"), 2);
  }

  /** Round numbers along the edges, in the units of the codes; with the points, since they change with them alone. */
  function drawTicks(pen: CanvasRenderingContext2D): void {
    if (!scene) return;
    const { width, height } = size();
    const scale = unit(scene.whole, view, size());
    pen.save();
    pen.setTransform(ratio(), 0, 0, ratio(), 0, 0);
    pen.lineJoin = "round";
    pen.font = font ||= `11px ${getComputedStyle(marks).fontFamily}`;
    pen.fillStyle = theme.colour("quiet");
    pen.strokeStyle = theme.colour("card");
    pen.lineWidth = 3;
    const write = (text: string, x: number, y: number): void => {
      pen.strokeText(text, x, y);
      pen.fillText(text, x, y);
    };
    pen.textBaseline = "alphabetic";
    pen.textAlign = "center";
    for (const value of ticks(view.x - width / 2 / scale, view.x + width / 2 / scale, Math.max(4, width / 110))) {
      const x = toScreen(scene.whole, view, size(), value, 0)[0];
      if (x > 34 && x < width - 12) write(short(value), x, height - 6);
    }
    pen.textBaseline = "middle";
    pen.textAlign = "left";
    for (const value of ticks(view.y - height / 2 / scale, view.y + height / 2 / scale, Math.max(4, height / 110))) {
      const y = toScreen(scene.whole, view, size(), 0, value)[1];
      if (y > 34 && y < height - 24) write(short(value), 6, y);
    }
    pen.restore();
  }

  /** Both canvases at the browser's next frame, however often they are asked for. */
  function redraw(): void {
    if (wanted) return;
    wanted = true;
    requestAnimationFrame(() => {
      wanted = false;
      drawPoints();
      drawMarks();
    });
  }

  return {
    points,
    marks,
    size,
    redraw,
    show(next, glide) {
      const [before, from] = [scene, now];
      scene = next;
      cancelAnimationFrame(frame);
      frame = 0;
      const to = next.cloud.points;
      if (!before || !glide || theme.still || from.length !== to.length || to.length > 2 * GLIDES) {
        now = to;
        redraw();
        return;
      }
      // From where they are on the screen now, in the units of the new plane.
      const [old, shrink] = [before.whole, next.whole.half / before.whole.half];
      const start = from.map((value, i) => (i % 2 ? next.whole.y + (value - old.y) * shrink : next.whole.x + (value - old.x) * shrink));
      const began = performance.now();
      now = start.slice();
      const step = (): void => {
        const share = Math.min(1, (performance.now() - began) / GLIDE);
        const eased = share < 0.5 ? 4 * share ** 3 : 1 - (2 - 2 * share) ** 3 / 2;
        if (share < 1) for (let i = 0; i < now.length; i++) now[i] = (start[i] as number) + eased * ((to[i] as number) - (start[i] as number));
        else now = to;
        frame = share < 1 ? requestAnimationFrame(step) : 0;
        points.dataset["still"] = String(share === 1);
        drawPoints();
        drawMarks();
      };
      points.dataset["still"] = "false";
      frame = requestAnimationFrame(step);
    },
    look(next) {
      view = next;
      redraw();
    },
    mark(next) {
      marked = next;
      drawMarks();
    },
  };
}

function fill(image: ImageData, colour: string): void {
  new Uint32Array(image.data.buffer).fill(pack(colour));
}

/** Lines through zero. */
function crosses(image: ImageData, x: number, y: number, colour: string): void {
  const packed = pack(colour);
  const whole = new Uint32Array(image.data.buffer);
  if (x >= 0 && x < image.width) for (let row = 0; row < image.height; row++) whole[row * image.width + x] = packed;
  if (y >= 0 && y < image.height) whole.fill(packed, y * image.width, (y + 1) * image.width);
}
