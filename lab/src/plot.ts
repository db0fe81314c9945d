/** Curves by uPlot in the page's letters and colours: units on the axes, markers beside colours, and a place to take hold of. */

import "./plot.css";

import uPlot from "uplot";

import type { Theme } from "./context.ts";
import { short } from "./format.ts";
import { el } from "./layout.ts";
import { markerIcon, trace } from "./markers.ts";

export interface Line {
  readonly label: string;
  readonly values: readonly (number | null)[];
  /** Asked again whenever light turns dark. */
  readonly colour: () => string;
  readonly width?: number;
  readonly dash?: readonly number[];
  /** One at every point, beside the line. */
  readonly marker?: string;
  /** Half the height of a bar at every point. */
  readonly errors?: readonly (number | null)[];
}

export interface PlotOptions {
  readonly x: readonly number[];
  readonly lines: readonly Line[];
  readonly xLabel: string;
  /** What a screen reader says of the picture. */
  readonly label: string;
  readonly height: number;
  readonly log?: "x" | "y" | "both";
  readonly xRange?: readonly [number, number];
  readonly yRange?: readonly [number, number];
  /** Where the horizontal axis has numbers; uPlot's choice unless given. */
  readonly xTicks?: readonly number[];
  readonly yTicks?: readonly number[];
  readonly formatX?: (x: number) => string;
  readonly formatY?: (y: number) => string;
  /** Names and values of the lines under the curves; on unless false. */
  readonly legend?: boolean;
  /** Painted above the curves; `at` gives the place of a point on the canvas. */
  readonly paint?: (pen: CanvasRenderingContext2D, place: Place) => void;
  /** The horizontal value under a pointer that presses, or drags on. */
  readonly onPick?: (x: number) => void;
}

export interface Place {
  readonly x: (value: number) => number;
  readonly y: (value: number) => number;
  readonly top: number;
  readonly bottom: number;
  readonly left: number;
  readonly right: number;
  /** Pixels of the canvas to one of the screen. */
  readonly ratio: number;
}

export interface Plot {
  readonly element: HTMLElement;
  readonly over: HTMLElement;
  redraw(): void;
  /** End what it listens to. */
  remove(): void;
}

const FONT = "12px system-ui, sans-serif";

/** Curves in an element that is as wide as there is room. */
export function plot(theme: Theme, options: PlotOptions): Plot {
  const { lines, height } = options;
  const box = el("div", { class: "plot", role: "img", "aria-label": options.label });
  const values = lines.map(() => el("output", { class: "number" }));
  const samples = lines.map(sample);
  const keys = lines.map((line, i) => el("span", { class: "key" }, samples[i], line.label, values[i]));
  const when = el("span", {});
  const legend = el("div", { class: "keys small quiet" }, ...keys, when);
  const tint = (): void => samples.forEach((each, i) => (each.style.color = (lines[i] as Line).colour()));
  tint();
  const element = el("div", { class: "curves" }, box, options.legend === false ? null : legend);
  const formatY = options.formatY ?? short;

  const tell = (index: number | null | undefined): void => lines.forEach((line, i) => {
    const known = line.values.findLastIndex((value) => value !== null);
    const value = line.values[index ?? known];
    (values[i] as HTMLElement).textContent = value === null || value === undefined ? "" : formatY(value);
    const x = options.x[index ?? -1];
    when.textContent = x === undefined ? "at the end" : `at ${options.xLabel} ${(options.formatX ?? short)(x)}`;
  });
  const axis = (label: string, format: (value: number) => string): uPlot.Axis => ({
    stroke: () => theme.colour("quiet"), font: FONT, labelFont: FONT, ...(label ? { label, labelSize: 18, labelGap: 0 } : {}),
    grid: { stroke: () => theme.colour("line"), width: 0.5 }, ticks: { stroke: () => theme.colour("line"), width: 1, size: 4 },
    values: (_, splits) => splits.map((value) => (value === null ? "" : format(value))),
  });
  const across = options.log === "x" || options.log === "both";
  const up = options.log === "y" || options.log === "both";
  const chart = new uPlot(
    {
      width: 320, height, padding: [8, 20, 0, 0],
      scales: {
        x: { time: false, distr: across ? 3 : 1, ...(options.xRange ? { range: [...options.xRange] as [number, number] } : {}) },
        y: { distr: up ? 3 : 1, ...(options.yRange ? { range: [...options.yRange] as [number, number] } : {}) },
      },
      axes: [
        { ...axis(options.xLabel, options.formatX ?? short), size: 28, space: 56, ...(options.xTicks ? { splits: () => [...(options.xTicks as number[])], filter: apart } : {}) },
        { ...axis("", formatY), size: (_, shown) => 14 + 7 * Math.max(2, ...(shown ?? []).map((text) => text.length)), space: 32, ...(options.yTicks ? { splits: () => [...(options.yTicks as number[])], filter: (_, splits) => splits } : {}) },
      ],
      series: [{}, ...lines.map((line): uPlot.Series => ({
        stroke: line.colour, width: line.width ?? 1.8, points: { show: false }, spanGaps: true, ...(line.dash ? { dash: [...line.dash] } : {}),
      }))],
      legend: { show: false },
      cursor: { x: true, y: false, drag: { x: false, y: false, setScale: false }, points: { size: 7 } },
      hooks: {
        setCursor: [(self) => tell(self.cursor.idx)],
        draw: [(self) => {
          const place = placeOf(self);
          self.ctx.save();
          lines.forEach((line) => mark(self, line, options.x, place));
          options.paint?.(self.ctx, place);
          self.ctx.restore();
        }],
      },
    },
    [[...options.x], ...lines.map(({ values: shown }) => [...shown])],
    box,
  );
  tell(null);
  if (options.onPick) picks(chart, options.onPick);
  const sized = new ResizeObserver(() => {
    if (box.clientWidth) chart.setSize({ width: box.clientWidth, height });
  });
  sized.observe(box);
  const ended = theme.on(() => {
    tint();
    chart.redraw(false);
  });
  return {
    element, over: chart.over,
    redraw: () => chart.redraw(false),
    remove() {
      sized.disconnect();
      ended();
      chart.destroy();
      element.remove();
    },
  };
}

/** Numbers along an axis at places of our own: those that would touch the one before stay away. */
function apart(self: uPlot, splits: number[]): (number | null)[] {
  let last = -Infinity;
  return splits.map((value) => {
    const at = self.valToPos(value, "x");
    if (at - last < 30) return null;
    last = at;
    return value;
  });
}

function placeOf(self: uPlot): Place {
  const { left, top, width, height } = self.bbox;
  return {
    x: (value) => self.valToPos(value, "x", true), y: (value) => self.valToPos(value, "y", true),
    left, top, right: left + width, bottom: top + height, ratio: uPlot.pxRatio,
  };
}

function mark(self: uPlot, line: Line, x: readonly number[], place: Place): void {
  const pen = self.ctx;
  pen.fillStyle = pen.strokeStyle = line.colour();
  pen.lineWidth = 1.5 * place.ratio;
  const marker = line.marker ?? (line.values.filter((value) => value !== null).length === 1 ? "o" : null); // one point makes no line
  line.values.forEach((value, i) => {
    if (value === null) return;
    const [at, half] = [place.x(x[i] as number), line.errors?.[i]];
    pen.beginPath();
    if (half) {
      pen.moveTo(at, place.y(value + half));
      pen.lineTo(at, place.y(Math.max(value - half, 1e-12)));
      pen.stroke();
      pen.beginPath();
    }
    if (!marker) return;
    trace(pen, marker, at, place.y(value), 4 * place.ratio);
    pen.fill();
  });
}

/** A line as it looks, for the legend; in the colour of the text around it. */
function sample(line: Line): HTMLElement | SVGSVGElement {
  if (line.marker) return markerIcon(line.marker);
  return el("i", { class: line.dash ? "stroke dashed" : "stroke", "aria-hidden": "true" });
}

function picks(chart: uPlot, onPick: (x: number) => void): void {
  const { over } = chart;
  over.style.touchAction = "pan-y";
  over.style.cursor = "ew-resize";
  const pick = (event: PointerEvent): void => {
    const left = Math.min(Math.max(event.clientX - over.getBoundingClientRect().left, 0), over.clientWidth);
    onPick(chart.posToVal(left, "x"));
  };
  over.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    over.setPointerCapture(event.pointerId);
    pick(event);
  });
  over.addEventListener("pointermove", (event) => {
    if (over.hasPointerCapture(event.pointerId)) pick(event);
  });
}
