/** What stands around a film's map: bars of the dimensions' spread, the loss with the moment on it, the classes' colours. */

import type { Context, FilmMeta, History, Model } from "./context.ts";
import { curveWords } from "./curve_words.ts";
import { inUse } from "./filming.ts";
import { short } from "./format.ts";
import { el } from "./layout.ts";
import { markerIcon, trace } from "./markers.ts";
import { isBound, settled } from "./numbering.ts";
import { plot, type Plot } from "./plot.ts";

/** One bar a dimension, as high as the codes spread along it; those that tell no images apart are hollow. */
export function dimensionBars(context: Context): { readonly canvas: HTMLCanvasElement; draw(spread: Float32Array, moment: number, model: Model): void } {
  const { theme } = context;
  const canvas = el("canvas", { class: "bars", role: "img", "data-role": "dimension-bars" });
  let last: (() => void) | null = null;
  const again = (): void => last?.();
  theme.on(again);
  new ResizeObserver(again).observe(canvas);
  return {
    canvas,
    draw(spread, moment, model) {
      last = () => {
        const pen = canvas.getContext("2d");
        if (!pen) return;
        const { k, rate } = model.about;
        const ratio = devicePixelRatio || 1;
        const [width, height] = [Math.max(1, Math.round(canvas.clientWidth * ratio)), Math.max(1, Math.round(canvas.clientHeight * ratio))];
        if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
        pen.clearRect(0, 0, width, height);
        const now = spread.subarray(moment * k, (moment + 1) * k);
        const used = inUse(now, rate !== null);
        const most = spread.reduce((a, b) => (Number.isFinite(b) ? Math.max(a, b) : a), 1e-9);
        const pitch = width / k;
        const wide = Math.max(1, Math.min(pitch * 0.7, 36 * ratio));
        for (let j = 0; j < k; j++) {
          const high = Math.max(ratio, ((now[j] as number) / most) * (height - 3 * ratio));
          pen.fillStyle = used[j] ? theme.modelColour(model.about) : theme.colour("line");
          pen.fillRect((j + 0.5) * pitch - wide / 2, height - high, wide, high);
        }
        pen.fillStyle = theme.colour("quiet");
        pen.fillRect(0, height - ratio, width, ratio);
        canvas.setAttribute("aria-label", `Standard deviation of the codes along each dimension: ${Array.from(now.subarray(0, 40), short).join(", ")}`);
      };
      last();
    },
  };
}

/** What the curve of a model's loss is called, with its unit. */
export function lossTitle(history: History | undefined): string {
  if (!history) return "Loss at each moment";
  return isBound(history) ? "Loss: negative ELBO, nats per image" : "Loss: mean squared error per pixel";
}

/** The loss against the step, a point at every moment of the film, and a line at the one that is shown. */
export function lossCurve(context: Context, model: Model, film: FilmMeta, moment: () => number, onPick: (step: number) => void): Plot {
  const { theme, meta } = context;
  const history = meta.histories[model.about.name];
  const bound = history ? isBound(history) : film.elbo_or_loss.some((value) => value !== null && value < 0);
  const [x, values] = history ? [history.step, history.loss] : [film.steps, film.elbo_or_loss];
  const colour = (): string => theme.modelColour(model.about);
  const positive = !bound && values.every((value) => value === null || value > 0);
  const yRange = settled([...values, ...film.elbo_or_loss], bound ? 0.03 : 0, "above");
  return plot(theme, {
    x, lines: [{ label: "loss", values, colour }], xLabel: "training step", height: 190, legend: false,
    label: `${lossTitle(history)}: ${curveWords(x, values, "training step")}`, onPick,
    ...(positive ? { log: "y" as const } : { yRange }),
    xRange: [0, Math.max(1, film.steps.at(-1) ?? 1, x.at(-1) ?? 1)],
    paint(pen, place) {
      const t = moment();
      const at = place.x(film.steps[t] as number);
      pen.strokeStyle = theme.colour("quiet");
      pen.lineWidth = 1.5 * place.ratio;
      pen.beginPath();
      pen.moveTo(at, place.top);
      pen.lineTo(at, place.bottom);
      pen.stroke();
      film.elbo_or_loss.forEach((loss, i) => {
        if (loss === null) return;
        const y = Math.min(Math.max(place.y(loss), place.top), place.bottom);
        pen.beginPath();
        trace(pen, model.about.marker, place.x(film.steps[i] as number), y, (i === t ? 6 : 3) * place.ratio);
        pen.fillStyle = i === t ? colour() : theme.colour("card");
        pen.strokeStyle = i === t ? theme.colour("card") : colour();
        pen.fill();
        pen.stroke();
      });
    },
  });
}

/** Classes with their colours and markers, in one line that wraps. */
export function classLegend(context: Context): HTMLElement | null {
  const { meta, theme } = context;
  if (!meta.classes || !context.labels) return null;
  const keys = meta.classes.slice(0, 40).map((name, label) => {
    const icon = markerIcon(theme.classMarker(label));
    const tint = (): void => void (icon.style.color = theme.classColour(label));
    tint();
    theme.on(tint);
    return el("span", { class: "key" }, icon, name);
  });
  return el("div", { class: "keys small quiet" }, ...keys);
}
