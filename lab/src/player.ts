/** Moments in a row: a slider to go through them, and a button that plays them. */

import "./player.css";

import { button, slider } from "./controls.ts";
import { el } from "./layout.ts";

export interface PlayerOptions {
  readonly label: string;
  readonly count: number;
  readonly value: number;
  /** How moment i reads beside the slider. */
  readonly format: (moment: number) => string;
  readonly onShow: (moment: number) => void;
  /** Milliseconds that each moment stays. */
  readonly each: number;
}

export interface Player {
  readonly element: HTMLElement;
  /** Show another moment; `onShow` is not called. */
  set(moment: number): void;
  /** Stop playing. */
  stop(): void;
  /** Stop, and listen to nothing any more. */
  remove(): void;
}

/** A slider and a button. For readers who ask for less motion nothing plays: they go from moment to moment by the slider. */
export function player(options: PlayerOptions): Player {
  const { count, each, onShow } = options;
  let at = options.value;
  let timer: ReturnType<typeof setInterval> | null = null;

  const show = (moment: number): void => {
    at = moment;
    moments.set(moment);
    onShow(moment);
  };
  const stop = (): void => {
    if (timer !== null) clearInterval(timer);
    timer = null;
    tell();
  };
  const play = (): void => {
    if (at >= count - 1) show(0);
    timer = setInterval(() => {
      show(Math.min(at + 1, count - 1));
      if (at >= count - 1) stop();
    }, each);
    tell();
  };
  const pressed = button("▶ Play", () => (timer === null ? play() : stop()));
  pressed.dataset["role"] = "play";
  const tell = (): void => {
    pressed.textContent = timer === null ? "▶ Play" : "❚❚ Pause";
    pressed.setAttribute("aria-label", timer === null ? "Play" : "Pause");
    pressed.dataset["playing"] = String(timer !== null);
  };
  const moments = slider({
    label: options.label, min: 0, max: count - 1, step: 1, value: at, format: options.format,
    onInput(moment) {
      stop();
      at = moment;
      onShow(moment);
    },
  });
  moments.input.dataset["role"] = "moment";
  tell();

  const ended = new AbortController();
  const motion = matchMedia("(prefers-reduced-motion: reduce)");
  const still = (): void => {
    if (motion.matches) stop();
    pressed.disabled = motion.matches || count < 2;
    pressed.title = motion.matches ? "Your system asks for less motion: go through the moments with the slider." : "";
  };
  motion.addEventListener("change", still, { signal: ended.signal });
  still();
  document.addEventListener("visibilitychange", () => document.hidden && stop(), { signal: ended.signal });
  return {
    element: el("div", { class: "player" }, pressed, moments.element),
    set(moment) {
      at = moment;
      moments.set(moment);
    },
    stop,
    remove() {
      stop();
      ended.abort();
    },
  };
}
