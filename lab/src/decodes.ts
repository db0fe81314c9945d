/** One code decoded by every model: a row of small images, the newest wins. */

import { words } from "./assets.ts";
import type { Context, Model } from "./context.ts";
import { tile } from "./controls.ts";
import { el } from "./layout.ts";
import { modelName } from "./model_name.ts";
import { latest } from "./queue.ts";
import { imageWords } from "./wording.ts";

export interface Asked {
  /** What each model decodes, by its name; a model without one shows nothing. */
  readonly codes: ReadonlyMap<string, Float32Array>;
  /** The image nearest to the point; -1 where there is none. */
  readonly near: number;
  /** The model whose point was chosen. */
  readonly own: string;
  /** The event's time in ms since the page was opened. */
  readonly when: number;
  /** Told with the image, for who reads the page by program. */
  readonly at: string;
}

export interface Decodes {
  readonly element: HTMLElement;
  show(asked: Asked): void;
}

export function decodes(context: Context, models: readonly Model[], onProblem: (text: string | null) => void): Decodes {
  const { images, meta, labels, theme } = context;
  const queue = latest();
  const real = tile("nearest image");
  real.canvas.dataset["role"] = "nearest-image";
  const shown = models.map((model) => {
    const made = tile("", `${model.about.label}: the decoded point`);
    made.canvas.dataset["role"] = "decode";
    made.canvas.dataset["model"] = model.about.name;
    made.caption.replaceChildren(modelName(model.about, theme));
    return { model, ...made, count: 0 };
  });
  const element = el("div", { class: "decodes", "data-role": "decodes" }, real.element, ...shown.map((each) => each.element));
  return {
    element,
    show({ codes, near, own, when, at }) {
      real.element.classList.toggle("empty", near < 0);
      if (near >= 0) {
        images.drawImage(real.canvas, near);
        real.canvas.setAttribute("aria-label", `Nearest image: ${imageWords(meta, labels, near)}`);
      }
      // The map's own model is first in turn: it is the one that is looked at.
      const turns = [...shown].sort((a, b) => Number(b.model.about.name === own) - Number(a.model.about.name === own));
      for (const each of turns) {
        const { model, canvas, element: figure } = each;
        const z = codes.get(model.about.name);
        figure.classList.toggle("chosen", model.about.name === own);
        figure.classList.toggle("empty", !z);
        if (!z) continue;
        queue(model.about.name, () => model.decode(z, 1)).then(
          (x) => {
            if (!x) return;
            images.draw(canvas, x);
            canvas.setAttribute("aria-label", `${model.about.label}: what it decodes at the point ${at}`);
            each.count++;
            Object.assign(canvas.dataset, { at, count: String(each.count), took: (performance.now() - when).toFixed(1) });
            onProblem(null);
          },
          (error: unknown) => onProblem(words(error)),
        );
      }
    },
  };
}
