/** Originals and what every model makes of them, worst or best first; and an image of the reader's own. */

import "./reconstruct.css";

import { words } from "../assets.ts";
import { codeOf } from "../between.ts";
import type { Context, Model, Panel } from "../context.ts";
import { button, choice, menu } from "../controls.ts";
import { someOf } from "../format.ts";
import { el, notLive, problem } from "../layout.ts";
import { modelName } from "../model_name.ts";
import { mountOwn } from "../own.ts";
import { latest } from "../queue.ts";
import { around, meanOf, ranked } from "../ranking.ts";
import { whenSeen } from "../seen.ts";
import { imageWords, step, threeDigits, within } from "../wording.ts";

const [ORDER, BY, START] = ["reconstruct.order", "reconstruct.by", "reconstruct.start"];
const [NAMES, CELL, FEWEST, MOST] = [142, 78, 4, 16]; // pixels of the names' column and of an image; images a row

type Order = "worst" | "best" | "around";
const ORDERS: readonly (readonly [Order, string])[] = [["worst", "worst first"], ["best", "best first"], ["around", "around the picked image"]];

export const panel: Panel = {
  id: "reconstruct",
  title: "Reconstruct",
  about:
    "Images that no model was trained on, and below each what every model makes of it: the image is squeezed into K numbers and decoded again. " +
    "The number under a reconstruction is its mean squared error per pixel (MSE per pixel; pixels go from 0 to 1), so smaller is better.",
  unfit: (meta) => (meta.models.length ? null : "No model of this run can be decoded here."),
  mount,
};

function mount(root: HTMLElement, context: Context): void {
  const { images, labels, meta, models, state, theme } = context;
  const queue = latest();
  const ranks = new Map<Model, Uint32Array>();
  const by = (): Model => models.find(({ about }) => about.name === state.get(BY, "")) ?? (models.at(-1) as Model);
  const picked = (): number => within(state.get("image", -1), images.count);
  /** Until the reader chose an order, picking an image anywhere shows it. */
  const order = (): Order => ORDERS.find(([each]) => each === state.get(ORDER, ""))?.[0] ?? (state.get("image", -1) >= 0 ? "around" : "worst");

  /** All images in the order they are shown, and the place of the first one on the page. */
  function page(): { all: Uint32Array; start: number } {
    const model = by();
    const worst = ranks.get(model) ?? ranked(model.errors);
    ranks.set(model, worst);
    const all = order() === "best" ? worst.toReversed() : worst;
    const anchor = order() === "around" ? around(all.indexOf(picked()), columns, all.length) : 0;
    return { all, start: Math.max(0, Math.min(within(state.get(START, anchor), all.length), all.length - columns)) };
  }

  const orders = choice("Order", ORDERS, order(), (chosen) => {
    state.set(START, null);
    state.set(ORDER, chosen);
  });
  orders.element.dataset["role"] = "reconstruct-order";
  const judges = menu("By the error of", models.map(({ about }) => [about.name, about.label] as const), by().about.name, (chosen) => {
    state.set(START, null);
    state.set(BY, chosen);
  });
  judges.select.dataset["role"] = "reconstruct-by";
  const turn = (by: number) => (): void => state.set(START, Math.max(0, page().start + by * columns));
  const [back, on] = [button("Earlier", turn(-1)), button("Later", turn(1))];
  back.dataset["role"] = "reconstruct-earlier";
  on.dataset["role"] = "reconstruct-later";
  const where = el("span", { class: "small quiet number", "data-role": "reconstruct-where" });
  const rows = el("div", { class: context.live ? "rows" : "rows undecoded", "data-role": "reconstruct-rows" });
  const originals = el("div", { class: "cells", role: "group", "aria-label": "Originals; press one to pick it" });
  const lines = models.map((model) => ({ model, cells: el("div", { class: "cells", "data-model": model.about.name }) }));
  rows.append(
    el("div", { class: "row-name" }, el("span", { class: "model-name" }, "original")), originals,
    ...lines.flatMap(({ model, cells }) => [
      el("div", { class: "row-name" }, modelName(model.about, theme), el("span", { class: "small quiet number" }, `mean MSE ${threeDigits(meanOf(model.errors))}`)), cells,
    ]),
  );
  const own = el("div", { class: "own-body" });
  root.append(
    el("div", { class: "controls" }, orders.element, judges.element), el("div", { class: "controls" }, back, on, where),
    ...(context.live ? [] : [notLive("Decoding")]), rows,
    el("h3", {}, "Your own"), own,
  );

  function pick(image: number): void {
    state.set(ORDER, order()); // the row stays as it is under the hand
    state.set("image", image);
    originals.querySelector<HTMLElement>(`[data-image="${image}"]`)?.focus({ preventScroll: true });
  }
  originals.addEventListener("keydown", (event) => {
    const keys = [...originals.children] as HTMLElement[];
    const at = keys.indexOf(document.activeElement as HTMLElement);
    const to = at < 0 ? null : step(event.key, at, keys.length, keys.length);
    if (to === null) return;
    event.preventDefault();
    keys.forEach((key, i) => (key.tabIndex = i === to ? 0 : -1));
    keys[to]?.focus();
  });

  let [columns, seen] = [FEWEST, false];
  let shownBy: Order = order();
  function show(): void {
    shownBy = order();
    orders.set(shownBy);
    judges.set(by().about.name);
    const { all, start } = page();
    const shown = [...all.subarray(start, start + columns)];
    rows.style.setProperty("--columns", String(columns));
    rows.dataset["images"] = shown.join(" ");
    back.disabled = start === 0;
    on.disabled = start + columns >= all.length;
    const sense = order() === "best" ? "best first" : "worst first";
    where.textContent = `${someOf(start + 1, start + shown.length, all.length)}, ${sense}`;
    originals.replaceChildren(...shown.map((image, place) => original(image, place)));
    mark();
    for (const { model, cells } of lines) {
      const made = shown.map((image) => {
        const canvas = el("canvas", { class: "pixels", role: "img", width: images.shape[2], height: images.shape[1], "aria-label": `${imageWords(meta, labels, image)}, through the ${model.about.label}: mean squared error ${threeDigits(model.errors[image] as number)} per pixel` });
        return el("figure", { class: "tile", "data-image": image }, canvas, el("figcaption", { class: "number", "data-role": "error" }, threeDigits(model.errors[image] as number)));
      });
      cells.replaceChildren(...made);
      if (seen && context.live) void decode(model, shown, made.map((figure) => figure.firstElementChild as HTMLCanvasElement), cells);
    }
  }

  function original(image: number, place: number): HTMLElement {
    const canvas = el("canvas", { class: "pixels" });
    images.drawImage(canvas, image);
    const name = imageWords(meta, labels, image);
    const key = el("button", { type: "button", class: "original tile", "data-image": image, "data-role": "original", tabindex: place ? -1 : 0, title: `Pick ${name}` }, canvas, el("figcaption", {}, name));
    key.addEventListener("click", () => pick(image));
    return key;
  }

  function mark(): void {
    for (const key of originals.children) key.setAttribute("aria-pressed", String(Number((key as HTMLElement).dataset["image"]) === state.get("image", -1)));
  }

  async function decode(model: Model, shown: readonly number[], canvases: readonly HTMLCanvasElement[], cells: HTMLElement): Promise<void> {
    const { k, name } = model.about;
    const z = new Float32Array(shown.length * k);
    shown.forEach((image, i) => z.set(codeOf(model.codes, k, image), i * k));
    try {
      const x = await queue(name, () => model.decode(z, shown.length));
      if (!x) return;
      canvases.forEach((canvas, i) => images.draw(canvas, x, i * images.size));
      cells.dataset["drawn"] = shown.join(" ");
    } catch (error) {
      problem(root, words(error));
    }
  }

  state.on(ORDER, show);
  state.on(BY, show);
  state.on(START, show);
  state.on("image", () => {
    if (order() !== "around" && order() === shownBy) return mark();
    state.set(START, null);
    show();
  });
  new ResizeObserver(() => {
    const width = root.clientWidth;
    const room = width > 640 ? width - NAMES : width;
    const fits = Math.max(Math.min(FEWEST, images.count), Math.min(MOST, images.count, Math.floor((room + 6) / CELL)));
    if (fits === columns) return;
    columns = fits;
    show();
  }).observe(root);
  columns = Math.min(FEWEST, images.count);
  show();
  whenSeen(root, () => {
    seen = true;
    show();
    if (!own.firstChild) mountOwn(own, context);
  });
}
