/** A model's name beside its marker in its colour, as the figures show it. */

import type { ModelMeta, Theme } from "./context.ts";
import { el } from "./layout.ts";
import { markerIcon } from "./markers.ts";

export function modelName(model: ModelMeta, theme: Theme): HTMLElement {
  const title = el("span", { class: "model-name" });
  const show = (): void => title.replaceChildren(markerIcon(model.marker, theme.modelColour(model)), model.label);
  theme.on(show);
  show();
  return title;
}
