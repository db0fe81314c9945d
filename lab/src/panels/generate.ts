/** Draws from N(0, I), the same for every model, decoded; beside a sample the real image that is nearest to it. */

import "./generate.css";

import { words } from "../assets.ts";
import type { Context, Model, ModelMeta, Panel } from "../context.ts";
import { button, slider, tile } from "../controls.ts";
import { short } from "../format.ts";
import { el, notLive, problem } from "../layout.ts";
import { modelName } from "../model_name.ts";
import { type Nearest, nearest, usual } from "../nearest.ts";
import { normals } from "../normal.ts";
import { latest } from "../queue.ts";
import { whenSeen } from "../seen.ts";
import { imageWords, step, threeDigits, within } from "../wording.ts";

const [COUNT, COLUMNS, HOTTEST, MOST_SEED] = [25, 5, 2, 2 ** 32];
const [SEED, HEAT, SAMPLE] = ["generate.seed", "generate.temperature", "generate.sample"];

export const panel: Panel = {
  id: "generate",
  title: "Generate",
  about:
    "Twenty-five codes drawn from N(0, I), decoded by every model: the same draw stands at the same place in every grid, and what is shown is the decoder's mean, without pixel noise. " +
    "Point at a sample to see the real image nearest to it, and so whether it is new.",
  unfit: (meta) => (meta.models.length ? null : "No model of this run can be decoded here."),
  mount,
};

const HOW = "Distances are to the images of this page, which no model was trained on; a sample far from all of them is new, or no such image at all.";

/** What the draws have to do with a model: whether N(0, I) is where its codes are. */
export function aboutPrior(model: ModelMeta): string {
  if (model.prior === "N(0, I)") return "Made to be drawn from N(0, I).";
  if (model.generates) return `Its own prior is not N(0, I): ${model.prior}.`;
  const spread = Math.sqrt(model.raw_scale.reduce((sum, scale) => sum + scale * scale, 0) / model.k);
  return `Nothing has decided where its codes lie: N(0, I) is a guess. They spread by ${short(spread)} a dimension.`;
}

/** The sample of a model beside its nearest real image. */
interface Grid {
  readonly model: Model;
  readonly samples: readonly { readonly key: HTMLButtonElement; readonly canvas: HTMLCanvasElement }[];
  readonly mine: HTMLCanvasElement;
  readonly real: HTMLCanvasElement;
  readonly pick: HTMLButtonElement;
  readonly said: HTMLElement;
  /** What the grid shows now, and the searches in it that are done. */
  x: Float32Array | null;
  found: Map<number, Nearest>;
}

function mount(root: HTMLElement, context: Context): void {
  const { images, labels, meta, models, state, theme } = context;
  if (!context.live) {
    root.append(notLive("Decoding new codes"));
    return;
  }
  const queue = latest();
  const seed = (): number => within(state.get(SEED, 1), MOST_SEED);
  const heat = (): number => Math.min(HOTTEST, Math.max(0, state.get(HEAT, 1)));
  const sample = (): number => within(state.get(SAMPLE, 0), COUNT);

  const field = el("input", { type: "number", min: 0, max: MOST_SEED - 1, step: 1, "data-role": "generate-seed" });
  field.addEventListener("change", () => {
    if (Number.isFinite(field.valueAsNumber)) state.set(SEED, within(field.valueAsNumber, MOST_SEED));
    field.value = String(seed());
  });
  const again = button("Again", () => state.set(SEED, (seed() + 1) % MOST_SEED), "Twenty-five new draws: the next seed");
  again.classList.add("main");
  again.dataset["role"] = "generate-again";
  const warmth = slider({
    label: "Temperature", min: 0, max: HOTTEST, step: 0.05, value: heat(), format: (value) => value.toFixed(2), onInput: (value) => state.set(HEAT, value),
  });
  warmth.input.dataset["role"] = "generate-temperature";
  warmth.element.title = "Every draw z is multiplied by it: 0 is the code in the middle, below 1 the samples are more alike, above 1 more unusual";
  const scale = el("p", { class: "small quiet scale", "data-role": "usual" }, HOW);
  let measured = false;
  let pointed: string | null = null; // the model whose sample is under the pointer or the keyboard: its search goes first
  const grids = models.map(makeGrid);
  root.append(
    el("div", { class: "controls" }, again, el("label", { class: "menu" }, el("span", { class: "name" }, "Seed"), field), warmth.element),
    el("div", { class: "grids", style: `--models: ${models.length}` }, ...grids.map(({ element }) => element)), scale,
  );

  function makeGrid(model: Model): Grid & { element: HTMLElement } {
    const { about } = model;
    const samples = Array.from({ length: COUNT }, (_, i) => {
      const canvas = el("canvas", { class: "pixels", width: images.shape[2], height: images.shape[1] });
      const key = el("button", { type: "button", class: "sample", "data-role": "sample", "data-index": i, "aria-label": `${about.label}, draw ${i + 1} of ${COUNT}` }, canvas);
      const choose = (): void => point(i, about.name);
      key.addEventListener("pointerenter", choose);
      key.addEventListener("focus", choose);
      key.addEventListener("click", choose);
      return { key, canvas };
    });
    const holder = el("div", { class: "samples", role: "group", "aria-label": `${about.label}: ${COUNT} draws`, "data-role": "samples", "data-model": about.name }, ...samples.map(({ key }) => key));
    holder.addEventListener("keydown", (event) => {
      const to = step(event.key, sample(), COUNT, COLUMNS);
      if (to === null) return;
      event.preventDefault();
      samples[to]?.key.focus();
    });
    const [mine, real] = [tile("this draw"), tile("nearest real image")];
    real.canvas.dataset["role"] = "nearest";
    const pick = el("button", { type: "button", class: "real", title: "Pick this image everywhere on the page" }, real.canvas);
    pick.disabled = true;
    pick.addEventListener("click", () => state.set("image", Number(pick.dataset["image"])));
    real.element.prepend(pick);
    for (const canvas of [mine.canvas, real.canvas]) [canvas.width, canvas.height] = [images.shape[2], images.shape[1]];
    const said = el("p", { class: "small quiet number said", "data-role": "distance" });
    const element = el(
      "div", { class: "grid", "data-model": about.name },
      modelName(about, theme), el("p", { class: "small quiet prior" }, aboutPrior(about)), holder,
      el("div", { class: "beside" }, mine.element, real.element), said,
    );
    return { model, samples, mine: mine.canvas, real: real.canvas, pick, said, x: null, found: new Map(), element };
  }

  function point(i: number, model: string): void {
    pointed = model;
    state.set(SAMPLE, i);
  }

  function beside(): void {
    const i = sample();
    for (const grid of grids) {
      grid.said.setAttribute("aria-live", grid.model.about.name === pointed ? "polite" : "off"); // one voice, not four
      grid.samples.forEach(({ key }, place) => {
        key.setAttribute("aria-pressed", String(place === i));
        key.tabIndex = place === i ? 0 : -1;
      });
      if (grid.x) images.draw(grid.mine, grid.x, i * images.size);
      if (grid.x) tell(grid, i);
    }
    void queue("nearest", search);
  }

  async function search(): Promise<void> {
    const i = sample();
    const order = [...grids].sort((a, b) => Number(b.model.about.name === pointed) - Number(a.model.about.name === pointed));
    for (const grid of order) {
      const { x } = grid;
      if (i !== sample()) return; // the hand has moved on, and a newer search waits
      if (!x || grid.found.has(i)) continue;
      const found = await nearest(images, x, i * images.size);
      if (grid.x !== x) continue;
      grid.found.set(i, found);
      if (i === sample()) tell(grid, i);
    }
    if (!measured) void measure();
  }

  async function measure(): Promise<void> {
    measured = true;
    const common = await usual(images);
    if (common !== null) scale.textContent = `${HOW} From a real image to the nearest other one it is ${threeDigits(common)} MSE per pixel (median of some).`;
  }

  function tell(grid: Grid, i: number): void {
    const found = grid.found.get(i);
    grid.pick.disabled = !found;
    if (!found) {
      grid.said.textContent = "Looking for the nearest real image …";
      delete grid.real.dataset["image"];
      return;
    }
    images.drawImage(grid.real, found.image);
    grid.real.dataset["image"] = grid.pick.dataset["image"] = String(found.image);
    const name = imageWords(meta, labels, found.image);
    grid.real.setAttribute("aria-label", name);
    grid.real.setAttribute("role", "img");
    grid.said.textContent = `${threeDigits(found.distance)} MSE per pixel to ${name}.`;
  }

  /** Temperature goes with the hand: each grid draws the newest wish it gets to. */
  async function draw(grid: Grid): Promise<void> {
    const { k, name } = grid.model.about;
    try {
      const [from, warm] = [seed(), heat()];
      const x = await queue(name, () => grid.model.decode(normals(from, COUNT * k).map((z) => z * warm), COUNT));
      if (!x) return;
      grid.samples.forEach(({ canvas }, i) => images.draw(canvas, x, i * images.size));
      grid.x = x;
      grid.found = new Map();
      const holder = grid.samples[0]?.key.parentElement as HTMLElement;
      holder.dataset["drawn"] = `${from} ${warm.toFixed(2)}`;
      beside();
    } catch (error) {
      problem(root, words(error));
    }
  }

  let seen = false;
  function all(): void {
    field.value = String(seed());
    warmth.set(heat());
    if (seen) for (const grid of grids) void draw(grid);
  }
  state.on(SEED, all);
  state.on(HEAT, all);
  state.on(SAMPLE, beside);
  all();
  whenSeen(root, () => {
    seen = true;
    all();
  });
}
