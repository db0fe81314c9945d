/** A slider for each direction of a model's codes, in standard deviations, the one that carries most first. */

import type { Model } from "./context.ts";
import { button, type Slider, slider } from "./controls.ts";
import { directionName, percent } from "./directions.ts";
import { fixed } from "./format.ts";
import { el } from "./layout.ts";
import { along, deviation, type Kind, order, shares, silent } from "./plane.ts";

export const REACH = 4; // standard deviations to either side
const FOLD = 24; // sliders shown at first

export interface CodeSliders {
  readonly element: HTMLElement;
  /** Directions as they are listed. */
  readonly ranked: readonly number[];
  /** Standard deviation along direction j: what a slider's 1 means. */
  unit(j: number): number;
  /** Show a code, and on each track where the picked image's code is. */
  set(z: ArrayLike<number>, picked: ArrayLike<number> | null): void;
  mark(active: number): void;
}

export interface Moves {
  /** Direction j was dragged to so many standard deviations from the mean. */
  readonly onMove: (j: number, deviations: number) => void;
  /** The pointer or the keyboard came to direction j. */
  readonly onTouch: (j: number) => void;
}

/** `spread` is the mean variance of q per raw dimension, where codes have a width. */
export function codeSliders({ about }: Model, kind: Kind, spread: ArrayLike<number> | null, unfolded: boolean, onFold: (open: boolean) => void, { onMove, onTouch }: Moves): CodeSliders {
  const [ranked, carried] = [order(about, kind), shares(about, kind)];
  const units = Float64Array.from(ranked, () => 1);
  for (const j of ranked) units[j] = deviation(about, kind, j, spread);
  const byRate = kind === "raw" ? about.rate : null;
  const most = Math.max(...(byRate ?? carried), 1e-12);
  const sliders = new Map<number, Slider>();
  const items = ranked.map((j) => {
    const dead = silent(about, kind, j);
    const share = byRate ? `${fixed(byRate[j] as number, most < 100 ? 2 : 0)} nats` : percent(carried[j] as number);
    const made = slider({
      label: directionName(kind, j), min: -REACH, max: REACH, step: 0.01, value: 0, from: 0, format: deviations, onInput: (value) => onMove(j, value),
    });
    made.input.dataset["role"] = "dimension";
    made.input.dataset["index"] = String(j);
    made.input.dataset["collapsed"] = String(dead);
    const bar = el("span", { class: "bar-of", "aria-hidden": "true" });
    bar.style.setProperty("--part", String(Math.max(0, (byRate ?? carried)[j] as number) / most));
    made.element.querySelector(".name")?.append(el("span", { class: "share" }, dead ? "collapsed" : share), bar);
    if (dead) made.element.title = `Collapsed, ${share}: the model tells nothing of the image along it, and its decoder hardly listens to it.`;
    made.element.classList.toggle("silent", dead);
    made.element.addEventListener("pointerenter", () => onTouch(j));
    made.input.addEventListener("focus", () => onTouch(j));
    sliders.set(j, made);
    return made.element;
  });
  const list = el("div", { class: "sliders", "data-role": "dimensions" }, ...items);
  const element = el("div", {}, list);
  if (ranked.length > FOLD) {
    const rest = ranked.length - FOLD;
    const fold = button("", () => show(fold.getAttribute("aria-expanded") !== "true", true));
    fold.dataset["role"] = "more-dimensions";
    const show = (open: boolean, told: boolean): void => {
      items.forEach((item, rank) => (item.hidden = !open && rank >= FOLD));
      fold.setAttribute("aria-expanded", String(open));
      fold.textContent = open ? `Fold away the ${rest} that carry least` : `Show the ${rest} that carry less`;
      if (told) onFold(open);
    };
    show(unfolded, false);
    element.append(fold);
  }
  return {
    element,
    ranked,
    unit: (j) => units[j] as number,
    set(z, picked) {
      for (const [j, each] of sliders) {
        const value = along(about, kind, j, z) / (units[j] as number);
        each.set(value);
        const output = each.element.querySelector("output");
        if (Math.abs(value) > REACH && output) output.textContent = deviations(value); // beyond the track, yet told as it is
        const there = picked ? along(about, kind, j, picked) / (units[j] as number) : NaN;
        each.element.classList.toggle("has-picked", Math.abs(there) <= REACH);
        each.input.style.setProperty("--picked", String((there + REACH) / (2 * REACH)));
      }
    },
    mark(active) {
      for (const [j, each] of sliders) each.element.classList.toggle("active", j === active);
    },
  };
}

const deviations = (value: number): string => `${value > 0.004 ? "+" : ""}${fixed(value, 2)} sd`;
