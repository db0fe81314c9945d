/** The map's controls: whose codes, along which two directions; and the buttons that enlarge. */

import type { Model, State } from "./context.ts";
import { button, choice, menu, row } from "./controls.ts";
import { directionName, percent } from "./directions.ts";
import { el } from "./layout.ts";
import { type Choices, KEY } from "./map_choices.ts";
import { type Kind, order, shares } from "./plane.ts";

export interface AxisControls {
  readonly element: HTMLElement;
  /** Show what is chosen now. */
  set(): void;
}

export function axisControls(state: State, { model, kind, pair }: Choices, models: readonly Model[]): AxisControls {
  const choose = menu("Codes of", models.map(({ about }) => [about.name, about.label] as const), model().about.name, (name) => state.set("model", name));
  const axes = choice<Kind>("Along", [["principal", "principal axes"], ["raw", "raw dimensions"]], kind(), (chosen) => {
    state.set(KEY.across, null);
    state.set(KEY.up, null);
    state.set(KEY.axes, chosen);
  });
  const across = menu("→", [], "", (j) => turn(KEY.across, KEY.up, Number(j)));
  const up = menu("↑", [], "", (j) => turn(KEY.up, KEY.across, Number(j)));
  for (const [select, role, words] of [[choose.select, "map-model", null], [across.select, "map-x", "To the right"], [up.select, "map-y", "Upwards"]] as const) {
    select.dataset["role"] = role;
    if (words) select.setAttribute("aria-label", words);
  }
  axes.element.dataset["role"] = "map-axes";

  function turn(key: string, other: string, j: number): void {
    const [first, second] = pair();
    const [mine, theirs] = key === KEY.across ? [first, second] : [second, first];
    state.set(other, theirs === j ? mine : theirs); // chosen twice: the two change places
    state.set(key, j);
  }

  return {
    element: row(choose.element, axes.element, el("div", { class: "pair" }, across.element, up.element)),
    set() {
      const { about } = model();
      choose.set(about.name);
      axes.set(kind());
      const [carried, ranked] = [shares(about, kind()), order(about, kind())];
      [across, up].forEach((each, d) => {
        each.select.replaceChildren(...ranked.map((j) => el("option", { value: j }, `${directionName(kind(), j)} · ${percent(carried[j] as number)}`)));
        each.set(String(pair()[d]));
      });
    },
  };
}

/** Buttons that enlarge by a factor and that show all. */
export function zoomButtons(onZoom: (factor: number) => void, onWhole: () => void): HTMLElement {
  const buttons = [
    ["+", "zoom-in", "Enlarge (+)", () => onZoom(1.5)], ["−", "zoom-out", "Shrink (−)", () => onZoom(1 / 1.5)], ["⤢", "zoom-whole", "Show the whole map (0)", onWhole],
  ] as const;
  return el("div", { class: "zooms" }, ...buttons.map(([sign, role, words, action]) => {
    const made = button(sign, action, words);
    made.setAttribute("aria-label", words);
    made.dataset["role"] = role;
    return made;
  }));
}
