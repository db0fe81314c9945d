/** A slider for each number of a code, and what the decoder makes of them. */

import "./dimensions.css";

import { words } from "../assets.ts";
import { codeSliders, type CodeSliders } from "../code_sliders.ts";
import { fromCodeText, toCodeText } from "../code_text.ts";
import type { Context, Model, ModelMeta, Panel } from "../context.ts";
import { button, choice, menu, row, tile } from "../controls.ts";
import { defaultModel, directionName } from "../directions.ts";
import { fixed, short } from "../format.ts";
import { el, notLive, problem } from "../layout.ts";
import { normals } from "../normal.ts";
import { meanSquared } from "../numbering.ts";
import { along, type Kind, meanVariance, moved } from "../plane.ts";
import { latest } from "../queue.ts";
import { whenSeen } from "../seen.ts";
import { strip, traverse } from "../traversal.ts";
import { imageWords, within } from "../wording.ts";

const [CODE, AXES, SEED, OPEN] = ["dimensions.z", "dimensions.axes", "dimensions.seed", "dimensions.open"];
const [NORMAL, MOST_SEED] = ["N(0, I)", 2 ** 32 - 1] as const;

export const panel: Panel = {
  id: "dimensions",
  title: "Dimensions",
  about:
    "A code is K numbers, and each slider is one of them, the one that carries most first: move it to see what it means to the decoder. " +
    "The strip shows the whole way of the slider under your hand; along a collapsed one nothing changes.",
  unfit: (meta) => (meta.models.length ? null : "No model of this run can be decoded here."),
  mount,
};

/** A code drawn from the prior that N(0, I) is, else from a normal fitted to the codes; a seed decides it. */
export function drawCode(about: Pick<ModelMeta, "k" | "prior" | "mean" | "axes" | "scale">, seed: number): Float32Array {
  const draws = normals(seed, about.k);
  if (about.prior === NORMAL) return draws;
  const z = Float64Array.from(about.mean);
  draws.forEach((draw, j) => about.axes[j]?.forEach((share, i) => (z[i] = (z[i] as number) + draw * (about.scale[j] as number) * share)));
  return Float32Array.from(z);
}

function mount(root: HTMLElement, context: Context): void {
  const { images, meta, labels, models, state, theme } = context;
  if (!context.live) {
    root.append(notLive("Moving a code"));
    return;
  }
  const queue = latest();
  const widths = new Map<string, Float64Array | null>();
  const model = (): Model => models.find(({ about }) => about.name === state.get("model", "")) ?? defaultModel(models);
  const kind = (): Kind => (state.get(AXES, "raw") === "principal" ? "principal" : "raw");
  const image = (): number => {
    const picked = state.get("image", -1);
    return picked >= 0 ? within(picked, images.count) : -1;
  };
  const codeOf = ({ codes, about: { k } }: Model, i: number): Float32Array => codes.slice(i * k, (i + 1) * k);

  // The code: as it was moved, else the picked image's, else the mean. A moved code belongs to its model and its image.
  let last: { readonly text: string; readonly z: Float32Array } = { text: "", z: new Float32Array() };
  const code = (): Float32Array => {
    const [text, { about }] = [state.get(CODE, ""), model()];
    if (text && text === last.text && last.z.length === about.k && text.startsWith(`${about.name},${image()},`)) return last.z;
    return fromCodeText(text, about.name, image(), about.k) ?? (image() >= 0 ? codeOf(model(), image()) : Float32Array.from(about.raw_mean));
  };
  const move = (z: Float32Array): void => {
    last = { text: toCodeText(model().about.name, image(), z), z };
    state.set(CODE, last.text);
  };

  const choose = menu("Decoder of", models.map(({ about }) => [about.name, about.label] as const), model().about.name, (name) => state.set("model", name));
  choose.select.dataset["role"] = "dimensions-model";
  const axes = choice<Kind>("Sliders are", [["raw", "raw dimensions"], ["principal", "principal axes"]], kind(), (chosen) => state.set(AXES, chosen));
  axes.element.dataset["role"] = "dimensions-axes";

  const decoded = tile("decoded", "Decoded image");
  const original = tile("original", "Original image");
  decoded.canvas.dataset["role"] = "decoded";
  original.canvas.dataset["role"] = "original";
  const facts = el("p", { class: "small quiet facts number", "data-role": "dimensions-facts" });
  const toMean = button("Mean", () => move(Float32Array.from(model().about.raw_mean)), "All sliders to the mean of the codes");
  const toImage = button("Picked image", () => state.set(CODE, null), "All sliders to the code of the picked image");
  const toDraw = button("", () => {
    const seed = within(state.get(SEED, 0), MOST_SEED) + 1;
    state.set(SEED, seed);
    move(drawCode(model().about, seed));
  });
  toMean.dataset["role"] = "to-mean";
  toImage.dataset["role"] = "to-image";
  toDraw.dataset["role"] = "to-prior";
  const seedWords = el("span", { class: "small quiet number", "data-role": "seed" });
  const resets = el("div", { class: "resets", role: "group", "aria-label": "Set all sliders to" }, el("span", { class: "small quiet" }, "Set all to"), toMean, toImage, toDraw, seedWords);
  const way = strip(images, (deviations) => shift(active, deviations));
  const legend = el("p", { class: "small quiet units" });
  const holder = el("div", {});
  root.append(
    row(choose.element, axes.element),
    el("div", { class: "top" }, el("div", { class: "pair" }, decoded.element, original.element), el("div", { class: "side" }, resets, facts)),
    way.element, legend, holder,
  );

  let sliders: CodeSliders | null = null;
  let built = "";
  let active = 0;
  let strippedOf = "";
  let started = false;

  const shift = (j: number, deviations: number): void => {
    active = j;
    move(moved(model().about, kind(), j, code(), deviations * (sliders?.unit(j) ?? 1)));
  };

  /** Another model or other directions: other sliders. */
  function build(): CodeSliders {
    const own = model();
    const { about, spread } = own;
    const key = `${about.name} ${kind()}`;
    if (sliders && key === built) return sliders;
    built = key;
    if (!widths.has(about.name)) widths.set(about.name, spread && about.rate ? meanVariance(spread, images.count, about.k) : null);
    const made = codeSliders(own, kind(), widths.get(about.name) ?? null, state.get(OPEN, false), (open) => state.set(OPEN, open || null), { onMove: shift, onTouch: touch });
    sliders = made;
    active = made.ranked[0] as number;
    strippedOf = "";
    holder.replaceChildren(made.element);
    paint();
    const dead = about.collapsed.filter(Boolean).length;
    const counted = about.rate && kind() === "raw" ? `the nats of a dimension are its KL divergence per image, ${fixed(about.rate.reduce((sum, rate) => sum + rate, 0), 1)} in all` : "the share is what it carries of the variance";
    legend.textContent = `Values count standard deviations (sd) of the codes from their mean; ${counted}.${dead && kind() === "raw" ? ` ${dead} of ${about.k} ${dead === 1 ? "is" : "are"} collapsed.` : ""}`;
    const normal = about.prior === NORMAL;
    toDraw.title = normal ? "A draw from the prior; press again for another" : `This model has no prior to draw from here (${about.prior}): a normal with the mean and covariance of its codes stands in; press again for another`;
    choose.set(about.name);
    axes.set(kind());
    return made;
  }

  function paint(): void {
    holder.style.setProperty("--own", theme.modelColour(model().about));
  }

  function touch(j: number): void {
    if (j === active) return;
    active = j;
    show();
  }

  const fail = (error: unknown): void => problem(root, words(error));

  function show(): void {
    const list = build();
    const [own, z, picked] = [model(), code(), image()];
    const { about } = own;
    list.set(z, picked >= 0 ? codeOf(own, picked) : null);
    list.mark(active);
    way.tell(directionName(kind(), active), along(about, kind(), active, z) / list.unit(active));
    toImage.disabled = picked < 0;
    const seed = within(state.get(SEED, 0), MOST_SEED);
    toDraw.textContent = `Draw ${seed ? "again " : ""}from ${about.prior === NORMAL ? NORMAL : "a fitted normal"}`;
    seedWords.textContent = seed ? `seed ${seed}` : "";
    original.element.hidden = picked < 0;
    if (picked >= 0) {
      images.drawImage(original.canvas, picked);
      original.caption.textContent = `original: ${imageWords(meta, labels, picked)}`;
      original.canvas.setAttribute("aria-label", original.caption.textContent);
    }
    if (!started) return;
    queue("image", () => own.decode(z, 1)).then((x) => {
      if (!x) return;
      problem(root, null);
      images.draw(decoded.canvas, x);
      decoded.canvas.dataset["count"] = String(Number(decoded.canvas.dataset["count"] ?? 0) + 1);
      decoded.caption.textContent = `decoded by the ${about.label}`;
      const most = along(about, kind(), active, z) / list.unit(active);
      decoded.canvas.setAttribute("aria-label", `What the ${about.label} decodes, with ${directionName(kind(), active)} at ${fixed(most, 2)} standard deviations`);
      const said = [];
      if (picked >= 0) said.push(`Differs from the original by MSE ${short(meanSquared(x, images.pixels(picked)))} per pixel.`);
      if (about.prior === NORMAL) said.push(`Length of z: ${fixed(Math.hypot(...z), 1)}; draws from N(0, I) have about ${fixed(Math.sqrt(about.k - 0.5), 1)} ± 0.7.`);
      facts.textContent = said.join(" ");
    }, fail);
    // Moving along the strip leaves the strip as it is.
    const held = `${built} ${active} ${toCodeText("", 0, moved(about, kind(), active, z, 0))}`;
    if (held === strippedOf) return;
    strippedOf = held;
    queue("strip", () => own.decode(traverse(about, kind(), active, z, list.unit(active)), 11)).then((x) => x && way.draw(x), fail);
  }

  for (const key of ["model", AXES, CODE, "image"]) state.on(key, show);
  theme.on(paint);
  show();
  whenSeen(root, () => {
    started = true;
    show();
  });
}
