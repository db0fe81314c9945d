/** Eleven images along one direction, all else held: what the direction means to the decoder. */

import type { ImageStore } from "./context.ts";
import { el } from "./layout.ts";
import { along, type Codes, direction, type Kind } from "./plane.ts";

export const STEPS = 11;
export const END = 3; // standard deviations, to either side

/** Standard deviations of step i from the mean. */
export const stepAt = (i: number): number => (2 * END * i) / (STEPS - 1) - END;

/** z with direction j set to each step, [STEPS, K]; `unit` is one standard deviation. */
export function traverse(about: Codes, kind: Kind, j: number, z: ArrayLike<number>, unit: number): Float32Array {
  const [here, way] = [along(about, kind, j, z), direction(about, kind, j)];
  const codes = new Float32Array(STEPS * about.k);
  for (let i = 0; i < STEPS; i++) {
    for (let d = 0; d < about.k; d++) codes[i * about.k + d] = (z[d] as number) + (stepAt(i) * unit - here) * (way[d] as number);
  }
  return codes;
}

export interface Strip {
  readonly element: HTMLElement;
  draw(x: Float32Array): void;
  /** What is traversed, and where on it the code is, in standard deviations. */
  tell(name: string, here: number): void;
}

/** The strip; a press on an image takes its value. */
export function strip(images: ImageStore, onPick: (deviations: number) => void): Strip {
  const canvases = Array.from({ length: STEPS }, (_, i) => {
    const canvas = el("canvas", { class: "pixels", role: "img", "data-role": "traversal", "data-step": i });
    canvas.addEventListener("click", () => onPick(stepAt(i)));
    return canvas;
  });
  const heading = el("p", { class: "small", "data-role": "traversal-words" });
  const place = el("span", { class: "here", "aria-hidden": "true" });
  const scale = el("div", { class: "scale small quiet", "aria-hidden": "true" }, ...[`−${END} sd`, "mean", `+${END} sd`].map((text) => el("span", {}, text)));
  const element = el("div", { class: "traversal" }, heading, el("div", { class: "steps" }, ...canvases), el("div", { class: "rail" }, place), scale);
  return {
    element,
    draw: (x) => canvases.forEach((canvas, i) => images.draw(canvas, x, i * images.size)),
    tell(name, here) {
      heading.textContent = `Along ${name}, all else held as it is`;
      place.style.setProperty("--at", String((Math.min(END, Math.max(-END, here)) + END) / (2 * END)));
      place.classList.toggle("beyond", Math.abs(here) > END);
      canvases.forEach((canvas, i) => {
        const words = `${name} at ${stepAt(i) > 0 ? "+" : stepAt(i) < 0 ? "−" : ""}${Math.abs(stepAt(i)).toFixed(1)} sd`;
        canvas.setAttribute("aria-label", words);
        canvas.title = words;
      });
    },
  };
}
