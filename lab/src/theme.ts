/** Light and dark, and the colours and shapes that stand for classes and models on either. */

import type { ModelMeta, Scheme, Theme, Token } from "./context.ts";
import { NO_LABEL } from "./context.ts";
import { remember, remembered } from "./memory.ts";

// Petroff (2021, arXiv:2107.02270), as in the figures: ten colours that stay apart for colour-blind eyes.
const CLASS_COLOURS = [
  "#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6", "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd",
];
// matplotlib's letters; markers.ts draws them.
const CLASS_MARKERS = ["o", "^", "s", "D", "v", "P", "X", "<", ">", "p"];

type Rgb = readonly [number, number, number];

/** Numbers of "#rrggbb" or "rgb(r, g, b)"; grey for what is neither, since a page's colours may be anybody's text. */
export function toRgb(colour: string): Rgb {
  const hex = /^#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})$/i.exec(colour.trim());
  if (hex) return [parseInt(hex[1] as string, 16), parseInt(hex[2] as string, 16), parseInt(hex[3] as string, 16)];
  const called = /^rgba?\(\s*([\d.]+)[,\s]+([\d.]+)[,\s]+([\d.]+)/.exec(colour.trim());
  return called ? [Number(called[1]), Number(called[2]), Number(called[3])] : [113, 117, 129];
}

/** Relative luminance, WCAG 2.2. */
export function luminance(colour: Rgb): number {
  const [r, g, b] = colour.map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4)) as unknown as Rgb;
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/** Contrast ratio of two colours, 1 to 21, WCAG 2.2. */
export function contrast(a: Rgb, b: Rgb): number {
  const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x) as [number, number];
  return (light + 0.05) / (dark + 0.05);
}

/** The colour itself where it stands out enough from the paper, else mixed with white or black until it does. */
export function standOut(colour: string, paper: string, ratio: number): string {
  const [ink, ground] = [toRgb(colour), toRgb(paper)];
  const towards = luminance(ground) > 0.18 ? 0 : 255;
  let mixed = ink;
  for (let share = 0; share <= 1; share += 0.05) {
    mixed = ink.map((v) => Math.round(v + share * (towards - v))) as unknown as Rgb;
    if (contrast(mixed, ground) >= ratio) break;
  }
  return `rgb(${mixed.join(", ")})`;
}

/** The page's theme: what the system asks for, until the reader chooses. */
export function createTheme(): Theme {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const motion = matchMedia("(prefers-reduced-motion: reduce)");
  const listeners = new Set<() => void>();
  const known = new Map<string, string>();
  const probe = document.createElement("span");
  probe.hidden = true;
  document.body.append(probe);

  let scheme: Scheme = remembered("scheme", ["system", "light", "dark"]) ?? "system";
  const apply = (): void => {
    if (scheme === "system") root.removeAttribute("data-theme");
    else root.dataset["theme"] = scheme;
    known.clear();
    for (const listener of [...listeners]) listener();
  };
  system.addEventListener("change", apply);
  apply();

  /** Kept until the theme changes: canvases ask for thousands. */
  function cached(key: string, make: () => string): string {
    const found = known.get(key) ?? make();
    known.set(key, found);
    return found;
  }
  const colour = (token: Token): string =>
    cached(`token ${token}`, () => {
      probe.style.color = `var(--${token})`;
      return getComputedStyle(probe).color;
    });

  return {
    get dark() {
      return scheme === "system" ? system.matches : scheme === "dark";
    },
    get scheme() {
      return scheme;
    },
    get still() {
      return motion.matches;
    },
    choose(chosen) {
      scheme = chosen;
      remember("scheme", chosen);
      apply();
    },
    on(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    colour,
    classColour(label) {
      if (label === NO_LABEL) return colour("quiet");
      const plain = CLASS_COLOURS[label % CLASS_COLOURS.length] as string;
      return cached(`class ${plain}`, () => standOut(plain, colour("card"), 2));
    },
    // Ten classes differ by colour and by marker; each further ten have other pairs of the two.
    classMarker: (label) => (label === NO_LABEL ? "o" : (CLASS_MARKERS[(label + Math.floor(label / 10)) % CLASS_MARKERS.length] as string)),
    modelColour: (model: ModelMeta) => cached(`model ${model.colour}`, () => standOut(model.colour, colour("card"), 2.2)),
  };
}
