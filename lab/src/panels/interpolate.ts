/** Two images and the straight line between them, in pixels and in the codes of every model. */

import "./interpolate.css";

import { words } from "../assets.ts";
import { between, codeOf, dice, line, tAt } from "../between.ts";
import type { Context, Model, Panel } from "../context.ts";
import { button, slider, tile } from "../controls.ts";
import { el, notLive, problem } from "../layout.ts";
import { modelName } from "../model_name.ts";
import { picker, tray } from "../picker.ts";
import { latest } from "../queue.ts";
import { whenSeen } from "../seen.ts";
import { imageWords, within } from "../wording.ts";

const STEPS = 11;
const [FIRST, SECOND, T] = ["interpolate.first", "interpolate.second", "interpolate.t"];

/** A row of the panel: a large picture of now, and its strip. */
interface Row {
  readonly now: HTMLCanvasElement;
  readonly strip: HTMLElement;
  readonly steps: readonly HTMLCanvasElement[];
  readonly model: Model | null;
}

export const panel: Panel = {
  id: "interpolate",
  title: "Interpolate",
  about:
    "Two images, and what lies on the straight line between them: between their pixels in the first row, between their codes in the others, " +
    "each point decoded. Pixels, and every linear decoder, can only fade one image out while the other comes in; a decoder that bends can move and reshape strokes on the way.",
  unfit: (meta) => (!meta.models.length ? "No model of this run can be decoded here." : meta.shown < 2 ? "There is one image alone, and a line needs two." : null),
  mount,
};

function mount(root: HTMLElement, context: Context): void {
  const { images, labels, meta, models, state, theme } = context;
  const queue = latest();
  const ends = (): [number, number] => {
    const first = within(state.get(FIRST, 0), images.count);
    return [first, within(state.get(SECOND, dice(images.count, labels, () => 0.0)[1]), images.count)];
  };
  const t = (): number => Math.min(1, Math.max(0, state.get(T, 0.5)));

  const name = (model: Model | null): HTMLElement => (model ? modelName(model.about, theme) : el("span", { class: "model-name" }, "pixels"));
  const shelf = tray(context);
  const pickers = [
    picker(context, "interpolate-first", "First image, t = 0", shelf, (image) => state.set(FIRST, image)),
    picker(context, "interpolate-second", "Second image, t = 1", shelf, (image) => state.set(SECOND, image)),
  ] as const;
  const both = (first: number, second: number): void => {
    state.set(FIRST, first);
    state.set(SECOND, second);
  };
  const throwDice = button("Dice", () => both(...dice(images.count, labels, Math.random)), labels ? "Two images of different classes" : "Two images at random");
  throwDice.dataset["role"] = "interpolate-dice";
  const swap = button("Swap", () => both(...(ends().reverse() as [number, number])), "First and second change places");
  swap.dataset["role"] = "interpolate-swap";
  const hand = slider({
    label: "t", min: 0, max: 1, step: 0.01, value: t(), format: (value) => value.toFixed(2), onInput: (value) => state.set(T, value),
  });
  hand.input.dataset["role"] = "interpolate-t";
  hand.input.setAttribute("aria-label", "t: how far from the first image to the second");

  const rows: Row[] = [null, ...(context.live ? models : [])].map((model) => makeRow(model));
  const axis = el("div", { class: "axis", "aria-hidden": "true" }, ...[0, 0.5, 1].map((at) => el("span", { style: `left: ${((0.5 + 10 * at) / 11) * 100}%` }, `${at === 0 ? "t = " : ""}${at}`)));
  const strips = el(
    "div", { class: "strips" }, el("span", { class: "model-name" }), axis,
    ...rows.flatMap(({ model, strip }) => [name(model), strip]),
  );
  const now = el("div", { class: "now", style: `--pictures: ${rows.length}`, "data-role": "interpolate-now" }, ...rows.map((row) => row.now.parentElement));
  root.append(
    el("div", { class: "ends" }, ...pickers.map(({ element }) => element)), shelf.element,
    el("div", { class: "controls dice" }, throwDice, swap, hand.element),
    ...(context.live ? [] : [notLive("Decoding what lies between two codes")]), now, strips,
  );

  function makeRow(model: Model | null): Row {
    const key = model?.about.name ?? "pixels";
    const made = tile("");
    made.caption.replaceWith(el("figcaption", {}, name(model)));
    made.canvas.dataset["role"] = "now";
    made.canvas.dataset["model"] = key;
    const steps = Array.from({ length: STEPS }, () => el("canvas", { class: "pixels" }));
    const strip = el("div", { class: "steps", role: "img", "data-role": "strip", "data-model": key }, ...steps);
    for (const canvas of [made.canvas, ...steps]) [canvas.width, canvas.height] = [images.shape[2], images.shape[1]];
    return { now: made.canvas, strip, steps, model };
  }

  /** Pixels are blended here; a code is blended here and decoded. Undefined where a newer wish overtook this one. */
  function made(model: Model | null, count: number): Promise<Float32Array | undefined> | Float32Array {
    const [first, second] = ends();
    const points = (a: Float32Array, b: Float32Array): Float32Array => (count === 1 ? between(a, b, t()) : line(a, b, count));
    if (!model) return points(images.pixels(first), images.pixels(second));
    const { k, name: key } = model.about;
    const z = points(codeOf(model.codes, k, first), codeOf(model.codes, k, second));
    return queue(`${key} ${count}`, () => model.decode(z, count));
  }

  async function draw(row: Row, canvases: readonly HTMLCanvasElement[]): Promise<void> {
    if (row.model && !context.live) return;
    const asked = t().toFixed(2);
    try {
      const found = made(row.model, canvases.length);
      const x = found instanceof Float32Array ? found : await found;
      if (!x) return;
      canvases.forEach((canvas, i) => images.draw(canvas, x, i * images.size));
      (canvases.length === 1 ? (canvases[0] as HTMLElement) : row.strip).dataset["drawn"] = canvases.length === 1 ? asked : ends().join(" ");
    } catch (error) {
      problem(root, words(error));
    }
  }

  let seen = false;
  function move(): void {
    hand.set(t());
    strips.style.setProperty("--t", String(t()));
    root.dataset["t"] = t().toFixed(2);
    for (const row of rows) {
      row.now.setAttribute("aria-label", `${row.model?.about.label ?? "pixels"} at t = ${t().toFixed(2)}`);
      if (seen) void draw(row, [row.now]);
    }
  }
  function change(): void {
    const [first, second] = ends();
    pickers[0].set(first);
    pickers[1].set(second);
    const [from, to] = [first, second].map((image) => imageWords(meta, labels, image));
    for (const row of rows) {
      row.strip.setAttribute("aria-label", `${row.model?.about.label ?? "pixels"}: ${STEPS} steps from ${from} to ${to}`);
      if (seen) void draw(row, row.steps);
    }
    move();
  }

  /** Press and drag along any strip: t follows the hand. */
  const scrub = (event: PointerEvent): void => {
    const area = axis.getBoundingClientRect();
    state.set(T, Math.round(tAt((event.clientX - area.left) / area.width, STEPS) * 100) / 100);
  };
  for (const area of [axis, ...rows.map(({ strip }) => strip)]) {
    area.addEventListener("pointerdown", (event) => {
      area.setPointerCapture(event.pointerId);
      scrub(event);
    });
    area.addEventListener("pointermove", (event) => {
      if (area.hasPointerCapture(event.pointerId)) scrub(event);
    });
  }
  state.on(T, move);
  for (const key of [FIRST, SECOND]) state.on(key, change);
  change();
  whenSeen(root, () => {
    seen = true;
    change();
  });
}
