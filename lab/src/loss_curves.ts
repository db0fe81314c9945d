/** What training lowered: of a bound its two terms and sigma apart, of plain autoencoders their error; and error against K. */

import type { Context, History, ModelMeta } from "./context.ts";
import { curveWords } from "./curve_words.ts";
import { fixed } from "./format.ts";
import { el } from "./layout.ts";
import { settled, terms } from "./numbering.ts";
import { plot, type Line, type PlotOptions } from "./plot.ts";

const HEIGHT = 190;

/** A heading and curves under it. */
function figure(context: Context, title: string, options: PlotOptions): HTMLElement {
  return el("figure", { class: "curve" }, el("h4", {}, title), plot(context.theme, options).element);
}

/** The curves of every model that was trained step by step, in one grid. */
export function lossCurves(context: Context): HTMLElement[] {
  const trained = context.meta.models.filter(({ name }) => (context.meta.histories[name]?.step.length ?? 0) > 0);
  const historyOf = (model: ModelMeta): History => context.meta.histories[model.name] as History;
  const bounds = trained.filter((model) => terms(historyOf(model)));
  const plain = trained.filter((model) => !terms(historyOf(model)));
  return [...bounds.flatMap((model) => boundCurves(context, model, historyOf(model))), ...(plain.length ? [plainCurves(context, plain, historyOf)] : [])];
}

function boundCurves(context: Context, model: ModelMeta, history: History): HTMLElement[] {
  const { theme } = context;
  const found = terms(history);
  if (!found) return [];
  const one = (title: string, values: Line["values"], colour: () => string, from: "below" | "above", role: string): HTMLElement => {
    const made = figure(context, title, {
      x: history.step, height: HEIGHT, xLabel: "training step",
      lines: [{ label: "", values, colour }], yRange: settled(values, 0.02, from), label: `${title}: ${curveWords(history.step, values, "training step")}`,
    });
    made.dataset["role"] = role;
    return made;
  };
  const { label } = model;
  return [
    one(`${label}: ELBO = reconstruction − KL, nats per image`, found.elbo, () => theme.modelColour(model), "below", "curve-elbo"),
    one(`${label}: reconstruction E_q[log p(x|z)], nats per image`, found.reconstruction, () => theme.colour("reconstruction"), "below", "curve-reconstruction"),
    one(`${label}: KL of q(z|x) from p(z), nats per image`, found.kl, () => theme.colour("kl"), "above", "curve-kl"),
    ...(history.sigma ? [one(`${label}: sigma, noise of a pixel (pixels go from 0 to 1)`, history.sigma, () => theme.colour("ink"), "above", "curve-sigma")] : []),
  ];
}

function plainCurves(context: Context, models: readonly ModelMeta[], historyOf: (model: ModelMeta) => History): HTMLElement {
  const steps = [...new Set(models.flatMap((model) => historyOf(model).step))].sort((a, b) => a - b);
  const lines = models.map((model): Line => {
    const history = historyOf(model);
    const at = new Map(history.step.map((step, i) => [step, history.loss[i] ?? null]));
    return { label: model.label, values: steps.map((step) => at.get(step) ?? null), colour: () => context.theme.modelColour(model) };
  });
  const positive = lines.every(({ values }) => values.every((value) => value === null || value > 0));
  const title = `${models.map(({ label }) => label).join(", ")}: mean squared error per pixel of the training batches`;
  const made = figure(context, title, { x: steps, lines, height: HEIGHT, xLabel: "training step", label: `${title}. ${told(lines, steps, "training step")}`, ...(positive ? { log: "y" } : {}) });
  made.dataset["role"] = "curve-loss";
  return made;
}

/** Every line in words. */
const told = (lines: readonly Line[], x: readonly number[], along: string): string =>
  lines.map(({ label, values }) => `${label}: ${curveWords(x, values, along)}.`).join(" ");

/** Error of test images against K, one line a model, bars of one standard error; null where the run has one K. */
export function sweepCurve(context: Context): HTMLElement | null {
  const { meta, theme } = context;
  if (!meta.sweep) return null;
  const names = Object.keys(meta.sweep);
  const ks = [...new Set(names.flatMap((name) => (meta.sweep?.[name] ?? []).map(([k]) => k)))].sort((a, b) => a - b);
  if (ks.length < 2) return null;
  const lines = names.map((name): Line => {
    const at = new Map((meta.sweep?.[name] ?? []).map(([k, error, deviation]) => [k, { error, deviation }]));
    const model = meta.models.find((each) => each.name === name);
    return {
      label: model?.label ?? name, marker: model?.marker ?? "P", colour: () => (model ? theme.modelColour(model) : theme.colour("quiet")),
      values: ks.map((k) => at.get(k)?.error ?? null), errors: ks.map((k) => at.get(k)?.deviation ?? null),
    };
  });
  const positive = lines.every(({ values }) => values.every((value) => value === null || value > 0));
  const room = ((ks.at(-1) as number) / (ks[0] as number)) ** 0.06;
  return el("div", { class: "sweep", "data-role": "sweep" }, plot(theme, {
    x: ks, lines, height: 280, log: positive ? "both" : "x", xLabel: "numbers per image K", xTicks: ks, formatX: (k) => fixed(k, 0),
    xRange: [(ks[0] as number) / room, (ks.at(-1) as number) * room], label: `Mean squared error per pixel of test images against K. ${told(lines, ks, "K =")}`,
  }).element);
}
