/** The numbers of the run: what was measured, what was found, what training lowered, what K costs, how it was made. */

import "./numbers.css";

import type { Context, Panel } from "../context.ts";
import { findingsPart } from "../findings.ts";
import { el, note } from "../layout.ts";
import { lossCurves, sweepCurve } from "../loss_curves.ts";
import { markerIcon } from "../markers.ts";
import { spectrumPart } from "../spectrum.ts";

export const panel: Panel = {
  id: "numbers",
  title: "Numbers",
  about:
    "What was measured on test images, what an examination of the model found, and what training lowered, step by step. " +
    "Drag the handle of the eigenspectrum to see how many principal components an image needs.",
  unfit: () => null,
  mount,
};

function mount(root: HTMLElement, context: Context): void {
  const { meta } = context;
  const curves = lossCurves(context);
  const sweep = sweepCurve(context);
  root.append(
    el("ul", { class: "verdict", "data-role": "verdict" }, ...meta.verdict.map((sentence) => el("li", {}, sentence))),
    el("h3", {}, "What was measured on test images"),
    table(context),
    el("p", { class: "small quiet below" }, `Of MSE (mean squared error) less is better; of PSNR, SSIM and ELBO more is better. ${meta.footnote}`),
    el("h3", {}, "What an examination found"),
    findingsPart(context),
    el("h3", { id: "numbers-curves" }, "What training lowered, or raised"),
    curves.length
      ? el("div", { class: "loss-curves" }, ...curves)
      : note("No model here was trained step by step: PCA is computed at once."),
    ...(meta.spectrum && meta.spectrum.fractions.length > 1 ? [spectrumPart(context, meta.spectrum)] : [note("This run has no PCA, so there is no eigenspectrum.")]),
    ...(sweep ? [el("h3", {}, "Test error against K: mean squared error per pixel"), sweep] : []),
    facts(context),
  );
}

/** The evaluation, a row a model; it scrolls within its box. */
function table({ meta, theme }: Context): HTMLElement {
  const rows = meta.table.rows.map((cells) => {
    const model = meta.models.find(({ label }) => cells[0] === label || cells[0]?.startsWith(`${label},`));
    const icon = model ? markerIcon(model.marker) : null;
    const tint = (): void => {
      if (icon && model) icon.style.color = theme.modelColour(model);
    };
    tint();
    theme.on(tint);
    return el("tr", {}, ...cells.map((cell, i) => (i ? el("td", {}, cell) : el("th", { scope: "row" }, el("span", { class: "key" }, icon, cell)))));
  });
  return el("div", { class: "table", tabindex: 0, role: "region", "aria-label": "Evaluation of every model", "data-role": "evaluation" },
    el("table", {}, el("thead", {}, el("tr", {}, ...meta.table.header.map((name) => el("th", { scope: "col" }, name)))), el("tbody", {}, ...rows)));
}

function facts({ meta }: Context): HTMLElement {
  return el("details", { class: "facts", "data-role": "facts" },
    el("summary", {}, "How this was made"),
    el("dl", {}, ...meta.facts.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])));
}
