/** Buttons, sliders and choices that look and behave alike in every panel; 32 pixels high, reachable by keyboard. */

import { el } from "./layout.ts";

/** A button that does something. */
export function button(label: string, action: () => void, hint = ""): HTMLButtonElement {
  const made = el("button", { type: "button", title: hint || null }, label);
  made.addEventListener("click", action);
  return made;
}

export interface SliderOptions {
  readonly label: string;
  readonly min: number;
  readonly max: number;
  readonly step: number;
  readonly value: number;
  /** Where the filled part of the track begins: 0 of a number that goes both ways; the least unless given. */
  readonly from?: number;
  /** How the number beside it reads; also what a screen reader says. */
  readonly format?: (value: number) => string;
  readonly onInput: (value: number) => void;
}

export interface Slider {
  readonly element: HTMLElement;
  readonly input: HTMLInputElement;
  /** Show another value; `onInput` is not called. */
  set(value: number): void;
}

/** A slider with its label before and its value after it. */
export function slider(options: SliderOptions): Slider {
  const { label, min, max, step, value, onInput } = options;
  const format = options.format ?? String;
  const input = el("input", { type: "range", min, max, step });
  const output = el("output", {});
  const share = (of: number): string => String((of - min) / (max - min || 1));
  if (options.from !== undefined) input.style.setProperty("--from", share(options.from));
  const show = (): void => {
    output.textContent = format(input.valueAsNumber);
    input.setAttribute("aria-valuetext", format(input.valueAsNumber));
    input.style.setProperty("--share", share(input.valueAsNumber));
  };
  const set = (shown: number): void => {
    input.value = String(shown);
    show();
  };
  input.addEventListener("input", () => {
    show();
    onInput(input.valueAsNumber);
  });
  set(value);
  return { element: el("label", { class: "slider" }, el("span", { class: "name" }, label), input, output), input, set };
}

export interface Choice<T extends string> {
  readonly element: HTMLElement;
  /** Show another choice; `onChange` is not called. */
  set(value: T): void;
}

let groups = 0;

/** One of a few, side by side; arrow keys move within, as in any group of radio buttons. */
export function choice<T extends string>(
  label: string, options: readonly (readonly [value: T, text: string])[], value: T, onChange: (value: T) => void,
): Choice<T> {
  const name = `choice-${groups++}`;
  const inputs = options.map(([each, text]) => {
    const input = el("input", { type: "radio", name, value: each });
    input.checked = each === value;
    input.addEventListener("change", () => onChange(each));
    return { each, input, shown: el("label", {}, input, el("span", {}, text)) };
  });
  return {
    element: el(
      "fieldset", { class: "choice" },
      el("legend", {}, label), el("div", { class: "options" }, ...inputs.map(({ shown }) => shown)),
    ),
    set(chosen) {
      for (const { each, input } of inputs) input.checked = each === chosen;
    },
  };
}

export interface Menu {
  readonly element: HTMLElement;
  readonly select: HTMLSelectElement;
  set(value: string): void;
}

/** One of many, in a list that unfolds. */
export function menu(
  label: string, options: readonly (readonly [value: string, text: string])[], value: string, onChange: (value: string) => void,
): Menu {
  const select = el("select", {}, ...options.map(([each, text]) => el("option", { value: each }, text)));
  select.value = value;
  select.addEventListener("change", () => onChange(select.value));
  return {
    element: el("label", { class: "menu" }, el("span", { class: "name" }, label), select),
    select,
    set(chosen) {
      select.value = chosen;
    },
  };
}

/** Something that is on or off. */
export function toggle(label: string, on: boolean, onChange: (on: boolean) => void): { element: HTMLElement; set(on: boolean): void } {
  const input = el("input", { type: "checkbox" });
  input.checked = on;
  input.addEventListener("change", () => onChange(input.checked));
  return { element: el("label", { class: "toggle" }, input, el("span", {}, label)), set: (shown) => void (input.checked = shown) };
}

/** A picture with words under it; `canvas` is what `ImageStore.draw` draws on. */
export function tile(caption: string, label = caption): { element: HTMLElement; canvas: HTMLCanvasElement; caption: HTMLElement } {
  const canvas = el("canvas", { class: "pixels", role: "img", "aria-label": label });
  const under = el("figcaption", {}, caption);
  return { element: el("figure", { class: "tile" }, canvas, under), canvas, caption: under };
}

/** A row of controls that wraps. */
export function row(...controls: readonly (Node | string | null)[]): HTMLDivElement {
  return el("div", { class: "controls" }, ...controls);
}
