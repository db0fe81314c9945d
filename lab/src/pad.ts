/** A pad to draw on with mouse, pen or finger, in the proportions of the run's images. */

import type { Shape } from "./context.ts";
import { button, choice } from "./controls.ts";
import { el } from "./layout.ts";

const SIDE = 320; // pixels of the pad's longer side, about: what is drawn is averaged down to the image's size
const WIDTHS = { fine: 0.6, middle: 1, broad: 1.8 } as const;

export interface Pad {
  readonly element: HTMLElement;
  readonly canvas: HTMLCanvasElement;
  /** Red, green, blue and opacity of every pixel. */
  read(): ImageData;
  /** Draw on it from elsewhere; what was there is gone. */
  paint(draw: (pen: CanvasRenderingContext2D) => void): void;
  /** Light becomes dark and back. */
  swap(): void;
  clear(): void;
}

/** `ground` is the grey, 0 to 1, on which the run's images lie; `onChange` hears of every stroke as it is drawn. */
export function createPad(shape: Shape, ground: number, onChange: (empty: boolean) => void): Pad {
  const [channels, height, width] = shape;
  const scale = Math.max(1, Math.round(SIDE / Math.max(height, width)));
  const canvas = el("canvas", {
    class: "pad", width: width * scale, height: height * scale, role: "img", "data-role": "pad",
    "aria-label": "Drawing pad, for mouse, pen or finger; with the keyboard, choose a file or take the picked image instead",
  });
  const pen = canvas.getContext("2d", { willReadFrequently: true }) as CanvasRenderingContext2D;
  const grey = `rgb(${Array(3).fill(Math.round(ground * 255)).join(" ")})`;
  const opposite = ground < 0.5 ? "#ffffff" : "#000000";
  // A tenth of the side is how broad the strokes of MNIST are; below a pixel and a quarter they would fade.
  const brush = Math.max(Math.min(canvas.width, canvas.height) / 10, 1.25 * scale);
  let [tool, thickness] = ["draw", "middle" as keyof typeof WIDTHS];

  const colour = channels === 3 ? el("input", { type: "color", value: opposite, "data-role": "pad-colour" }) : null;
  const tools = choice("Tool", [["draw", "draw"], ["erase", "erase"]], "draw", (chosen) => void (tool = chosen));
  const widths = choice("Brush", [["fine", "fine"], ["middle", "middle"], ["broad", "broad"]], "middle", (chosen) => void (thickness = chosen));
  tools.element.dataset["role"] = "pad-tool";
  widths.element.dataset["role"] = "pad-brush";

  const fill = (): void => {
    pen.fillStyle = grey;
    pen.fillRect(0, 0, canvas.width, canvas.height);
  };
  const clear = (): void => {
    fill();
    onChange(true);
  };
  const wipe = button("Clear", clear);
  wipe.dataset["role"] = "pad-clear";

  let last: readonly [number, number] | null = null;
  const stroke = (event: PointerEvent): void => {
    const area = canvas.getBoundingClientRect();
    const to = [((event.clientX - area.left) / area.width) * canvas.width, ((event.clientY - area.top) / area.height) * canvas.height] as const;
    pen.strokeStyle = tool === "erase" ? grey : (colour?.value ?? opposite);
    pen.lineWidth = brush * WIDTHS[thickness] * (tool === "erase" ? 2 : 1);
    pen.lineCap = pen.lineJoin = "round";
    pen.beginPath();
    pen.moveTo(...(last ?? to));
    pen.lineTo(...to);
    pen.stroke();
    last = to;
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    event.preventDefault();
    canvas.setPointerCapture(event.pointerId);
    last = null;
    stroke(event);
    onChange(false);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!canvas.hasPointerCapture(event.pointerId)) return;
    const between = event.getCoalescedEvents?.() ?? [];
    for (const each of between.length ? between : [event]) stroke(each);
    onChange(false);
  });

  fill();
  return {
    element: el(
      "div", { class: "pad-holder" }, canvas,
      el("div", { class: "controls" }, tools.element, widths.element, colour && el("label", { class: "menu" }, el("span", { class: "name" }, "Colour"), colour), wipe),
    ),
    canvas,
    read: () => pen.getImageData(0, 0, canvas.width, canvas.height),
    paint(draw) {
      fill();
      draw(pen);
      onChange(false);
    },
    swap() {
      const shown = pen.getImageData(0, 0, canvas.width, canvas.height);
      for (let i = 0; i < shown.data.length; i++) if (i % 4 !== 3) shown.data[i] = 255 - (shown.data[i] as number);
      pen.putImageData(shown, 0, 0);
      onChange(false);
    },
    clear,
  };
}
