/** Classes by marker and colour; a press hides or shows one, a double press shows it alone. One stop of the Tab key. */

import type { Theme } from "./context.ts";
import { NO_LABEL } from "./context.ts";
import { button } from "./controls.ts";
import { el } from "./layout.ts";
import { markerIcon } from "./markers.ts";
import { step } from "./wording.ts";

export interface Legend {
  readonly element: HTMLElement;
  /** Show which classes are hidden; `onChange` is not called. */
  set(hidden: ReadonlySet<number>): void;
}

/** `labels` are those that images have, by number; `name` puts one in words. */
export function legend(theme: Theme, labels: readonly number[], name: (label: number) => string, onChange: (hidden: readonly number[]) => void): Legend {
  let now: ReadonlySet<number> = new Set();
  const tell = (hidden: Iterable<number>): void => onChange([...hidden].sort((a, b) => a - b));
  const flip = (label: number): void => {
    const hidden = new Set(now);
    if (!hidden.delete(label)) hidden.add(label);
    tell(hidden);
  };
  const entries = labels.map((label, place) => {
    const icon = el("span", { class: "icon" });
    const entry = el("button", {
      type: "button", "aria-pressed": "true", "data-role": "class", "data-label": label, tabindex: place ? -1 : 0,
      title: `${name(label)}: press to hide or show, twice to show it alone`,
    }, icon, el("span", { class: "word" }, name(label)));
    entry.addEventListener("click", () => flip(label));
    entry.addEventListener("dblclick", () => tell(labels.filter((other) => other !== label)));
    return { label, icon, entry };
  });
  const all = button("Show all", () => tell([]));
  all.dataset["role"] = "all-classes";
  const list = el("div", { class: "list", role: "group", "aria-label": "Classes" }, ...entries.map(({ entry }) => entry));
  list.addEventListener("keydown", (event) => {
    const at = entries.findIndex(({ entry }) => entry === document.activeElement);
    const to = at < 0 ? null : step(event.key, at, entries.length, 1);
    if (to === null) return;
    event.preventDefault();
    entries.forEach(({ entry }, i) => (entry.tabIndex = i === to ? 0 : -1));
    entries[to]?.entry.focus();
  });
  const paint = (): void => {
    for (const { label, icon } of entries) icon.replaceChildren(markerIcon(theme.classMarker(label), theme.classColour(label)));
  };
  theme.on(paint);
  paint();
  return {
    element: el("div", { class: "legend", "data-role": "legend" }, list, all),
    set(hidden) {
      now = hidden;
      for (const { label, entry } of entries) entry.setAttribute("aria-pressed", String(!hidden.has(label)));
      all.hidden = hidden.size === 0;
    },
  };
}

/** The labels that images have, in order, none last. */
export function present(labels: ArrayLike<number>): number[] {
  return [...new Set(Array.from(labels))].sort((a, b) => a - b);
}

export const className = (classes: readonly string[]) => (label: number): string =>
  label === NO_LABEL ? "no class" : (classes[label] ?? `class ${label}`);
