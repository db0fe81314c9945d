/** q of one image, dimension by dimension: where it is and how wide, beside the encoder's, over the prior. */

import { deviations } from "./ascending.ts";
import type { Context, ModelMeta, PosteriorMeta } from "./context.ts";
import { short } from "./format.ts";
import { el } from "./layout.ts";
import { trace } from "./markers.ts";

const WIDTHS = 2; // standard deviations to either side
const LEAST = 16; // px a dimension: more of them than fit scroll within their box

export interface CodesOfQ {
  readonly element: HTMLElement;
  draw(ascent: PosteriorMeta, model: ModelMeta, moment: number): void;
}

export function codesOfQ(context: Context): CodesOfQ {
  const { theme } = context;
  const canvas = el("canvas", { role: "img", "data-role": "q" });
  const element = el("div", { class: "q" }, canvas);
  let last: (() => void) | null = null;
  const again = (): void => last?.();
  theme.on(again);
  new ResizeObserver(again).observe(element);

  function paint(ascent: PosteriorMeta, model: ModelMeta, moment: number): void {
    const pen = canvas.getContext("2d");
    if (!pen) return;
    const { k } = model;
    const ratio = devicePixelRatio || 1;
    const [wide, high] = [Math.max(element.clientWidth, LEAST * k + 44), 240];
    canvas.style.width = `${wide}px`;
    [canvas.width, canvas.height] = [Math.round(wide * ratio), Math.round(high * ratio)];
    pen.scale(ratio, ratio);

    const mean = ascent.phi_mean[moment] as readonly number[];
    const deviation = deviations((ascent.phi_log_spread[moment] as readonly number[]).map(Math.exp), k);
    const encoderDeviation = deviations(ascent.encoder_spread, k);
    // The same height at every moment: what moves is q, not the ruler.
    const reach = [ascent.encoder_mean, ...ascent.phi_mean].flat().reduce((most, value) => Math.max(most, Math.abs(value)), 2) + 0.5;
    const [left, right, top, bottom] = [36, 8, 8, 26];
    const pitch = (wide - left - right) / k;
    const x = (j: number): number => left + (j + 0.5) * pitch;
    const y = (z: number): number => top + ((reach - z) / (2 * reach)) * (high - top - bottom);

    pen.fillStyle = theme.colour("line");
    pen.globalAlpha = 0.4;
    pen.fillRect(left, y(WIDTHS), wide - left - right, y(-WIDTHS) - y(WIDTHS));
    pen.globalAlpha = 1;
    pen.font = "12px system-ui, sans-serif";
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    pen.lineWidth = 1;
    pen.strokeStyle = theme.colour("line");
    const unit = reach > 8 ? 4 : 2;
    for (let z = -unit * Math.floor(reach / unit); z <= reach; z += unit) {
      pen.beginPath();
      pen.moveTo(left, y(z));
      pen.lineTo(wide - right, y(z));
      pen.stroke();
      pen.fillStyle = theme.colour("quiet");
      pen.fillText(short(z), left - 8, y(z));
    }
    pen.textAlign = "center";
    const every = Math.max(1, Math.ceil(22 / pitch));
    for (let j = 0; j < k; j += every) pen.fillText(String(j + 1), x(j), high - 12);

    const aside = Math.min(pitch * 0.17, 9);
    const radius = Math.max(2.5, Math.min(4.5, pitch * 0.16));
    const one = (at: number, middle: number, half: number, colour: string, marker: string, hollow: boolean): void => {
      pen.strokeStyle = pen.fillStyle = colour;
      pen.lineWidth = 2;
      pen.beginPath();
      pen.moveTo(at, y(Math.min(middle + half, reach)));
      pen.lineTo(at, y(Math.max(middle - half, -reach)));
      pen.stroke();
      pen.beginPath();
      trace(pen, marker, at, y(middle), radius);
      if (hollow) pen.fillStyle = theme.colour("card");
      pen.fill();
      pen.stroke();
    };
    for (let j = 0; j < k; j++) {
      one(x(j) - aside, ascent.encoder_mean[j] as number, WIDTHS * (encoderDeviation[j] as number), theme.modelColour(model), model.marker, true);
      one(x(j) + aside, mean[j] as number, WIDTHS * (deviation[j] as number), theme.colour("accent"), "o", false);
    }
    const said = Array.from(mean.slice(0, 20), (value, j) => `${j + 1}: ${short(value)} ± ${short(deviation[j] as number)}`).join("; ");
    canvas.setAttribute("aria-label", `Mean and standard deviation of q along each dimension. ${said}`);
  }

  return {
    element,
    draw(...what) {
      last = () => paint(...what);
      last();
    },
  };
}
