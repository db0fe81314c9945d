/** The eigenspectrum with a handle at K: drag it, and the picked image is rebuilt by PCA from K numbers, here and now. */

import { PageError, words } from "./assets.ts";
import type { Context, Spectrum } from "./context.ts";
import { button, row, slider, tile } from "./controls.ts";
import { counted, short } from "./format.ts";
import { el, problem } from "./layout.ts";
import { trace } from "./markers.ts";
import { Components, meanSquared } from "./numbering.ts";
import { plot } from "./plot.ts";
import { whenSeen } from "./seen.ts";
import { imageWords, within } from "./wording.ts";

const percent = (share: number): string => `${short(100 * share)} %`;

/** Curve, handle and images, in an element of its own. */
export function spectrumPart(context: Context, spectrum: Spectrum): HTMLElement {
  const { meta, state, theme, images } = context;
  const most = spectrum.fractions.length - 1;
  const usual = Math.min(meta.k, most);
  const k = (): number => within(state.get("k", usual), most + 1);
  const image = (): number => within(state.get("image", 0), meta.shown);
  let pca: Components | null = null;
  let [of, z, x]: [number, Float32Array, Float32Array] = [-1, new Float32Array(0), new Float32Array(0)];

  const original = tile("original");
  const rebuilt = tile("PCA");
  const added = tile("component");
  for (const [each, role] of [[original, "pca-original"], [rebuilt, "pca-rebuilt"], [added, "pca-component"]] as const) each.canvas.dataset["role"] = role;
  const said = el("p", { class: "small quiet", "data-role": "pca-words", "aria-live": "polite" });
  const choose = (to: number): void => state.set("k", Math.min(most, Math.max(0, Math.round(to))));
  const handle = slider({ label: "K", min: 0, max: most, step: 1, value: k(), format: (value) => counted(value, "number"), onInput: choose });
  handle.input.dataset["role"] = "k";
  handle.input.setAttribute("aria-label", "K, how many principal components");

  const accent = (): string => theme.colour("accent");
  const curve = plot(theme, {
    x: spectrum.fractions.map((_, m) => m), height: 240, xLabel: "number of components K", legend: false,
    lines: [{ label: "variance kept", values: spectrum.fractions.map((share) => 100 * share), colour: accent }],
    label: `Variance of the training pixels kept by the first K principal components, in percent: ${percent(spectrum.fractions[usual] ?? 0)} at K = ${usual}`,
    xRange: [0, Math.max(1, most)], yRange: [0, 104], formatX: (value) => (Number.isInteger(value) ? String(value) : ""), formatY: (value) => `${value} %`,
    onPick: choose,
    paint(pen, place) {
      const at = place.x(k());
      const top = place.y(100 * (spectrum.fractions[k()] as number));
      pen.lineWidth = place.ratio;
      pen.strokeStyle = theme.colour("quiet");
      pen.setLineDash([4 * place.ratio, 4 * place.ratio]);
      pen.beginPath();
      pen.moveTo(place.x(usual), place.bottom);
      pen.lineTo(place.x(usual), place.y(100 * (spectrum.fractions[usual] as number)));
      pen.stroke();
      pen.setLineDash([]);
      pen.lineWidth = 2 * place.ratio;
      pen.strokeStyle = pen.fillStyle = accent();
      pen.beginPath();
      pen.moveTo(at, place.bottom);
      pen.lineTo(at, top);
      pen.stroke();
      pen.beginPath();
      trace(pen, "o", at, top, 8 * place.ratio);
      pen.fill();
      pen.lineWidth = 2 * place.ratio;
      pen.strokeStyle = theme.colour("card");
      pen.stroke();
    },
  });
  curve.over.dataset["role"] = "k-drag";

  const element = el("div", { class: "spectrum" },
    el("div", {}, el("h3", {}, "Variance of the training pixels that K principal components keep"), curve.element, handle.element),
    el("div", {},
      el("h3", {}, "One image through them"),
      el("div", { class: "tiles" }, original.element, rebuilt.element, added.element), said,
      row(
        button("← Image", () => state.set("image", (image() + meta.shown - 1) % meta.shown), "The test image before"),
        button("Image →", () => state.set("image", (image() + 1) % meta.shown), "The next test image"),
      )),
  );

  function show(): void {
    handle.set(k());
    curve.redraw();
    element.dataset["k"] = String(k());
    const name = imageWords(meta, context.labels, image());
    original.caption.textContent = name;
    original.canvas.setAttribute("aria-label", name);
    images.drawImage(original.canvas, image());
    if (!pca) return;
    if (of !== image()) {
      of = image();
      x = images.pixels(of);
      z = pca.project(x);
    }
    const made = pca.rebuild(z, k());
    images.draw(rebuilt.canvas, made);
    images.draw(added.canvas, pca.picture(k() - 1));
    rebuilt.caption.textContent = `PCA, K = ${k()}`;
    added.caption.textContent = k() > 0 ? `component ${k()}, the last one added` : "no component yet: the mean alone";
    added.canvas.setAttribute("aria-label", added.caption.textContent);
    rebuilt.canvas.setAttribute("aria-label", `${name}, rebuilt by PCA from ${counted(k(), "number")}`);
    said.textContent =
      `${counted(k(), "number")} an image: PCA keeps ${percent(spectrum.fractions[k()] as number)} of the variance, ` +
      `and gives this image back with a mean squared error of ${short(meanSquared(x, made))} per pixel. The dashed line is this run's K = ${meta.k}.`;
  }

  async function read(): Promise<void> {
    const rows = new Float32Array(await context.asset("spectrum"));
    if (spectrum.mean.length !== images.size || rows.length !== most * images.size) {
      throw new PageError("The principal components of this page do not fit its images. Make the page again.");
    }
    pca = new Components(rows, spectrum.mean);
    show();
  }

  show();
  state.on("k", show);
  state.on("image", show);
  whenSeen(element, () => void read().catch((error: unknown) => problem(element, words(error))));
  return element;
}
