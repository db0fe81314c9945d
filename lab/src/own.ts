/** An image of the reader's own, drawn or from a file, through every model that can encode it. */

import { words } from "./assets.ts";
import type { Context, Model } from "./context.ts";
import { button, tile, toggle } from "./controls.ts";
import { el, note, notLive, problem } from "./layout.ts";
import { modelName } from "./model_name.ts";
import { cropped, formatOf, habit, type Habit, planes, shaped } from "./own_image.ts";
import { createPad } from "./pad.ts";
import { latest } from "./queue.ts";
import { shareBelow, squaredError } from "./ranking.ts";
import { imageWords, threeDigits, within } from "./wording.ts";

const ENCODING = "Encoding an image of your own";
const [LARGEST, MOST_PIXELS] = [20_000_000, 100_000_000]; // bytes of a file, and pixels of what it unpacks to

/** Why nothing can be encoded on this page; null where a model can. */
export function withoutEncoders({ meta }: Pick<Context, "meta">): string | null {
  if (meta.models.some(({ encoder }) => encoder)) return null;
  const reason = meta.left_out.find(({ panel }) => panel === "drawing")?.reason;
  return `${reason ?? "No model of this page has an encoder."} So nothing can be drawn or dropped here.`;
}

/** Why no image of the reader's can be taken; null where it can. */
export function cannotTake(context: Pick<Context, "meta" | "live">): string | null {
  return withoutEncoders(context) ?? (context.live ? null : `${ENCODING} needs WebAssembly, which this browser has switched off or lacks.`);
}

/** How the drawing gets its place, in words: as the run's images have theirs. */
export function fitWords({ box }: Habit, [, height, width]: Context["meta"]["shape"]): string {
  const mnist = height === 28 && width === 28 ? ", as MNIST's digits are" : ", as the images of this run are";
  return `fitted to ${Math.round(box)} of ${Math.max(height, width)} pixels and centred by mass${mnist}`;
}

/** Bring the place of the reader's own image into view; it is filled when it is seen. */
export function showOwn(still: boolean): void {
  document.querySelector(".own-body")?.scrollIntoView({ behavior: still ? "auto" : "smooth", block: "start" });
}

export function mountOwn(root: HTMLElement, context: Context): void {
  const { images, labels, meta, models, state, theme } = context;
  const missing = withoutEncoders(context);
  if (missing !== null) return root.append(note(missing));
  if (!context.live) return root.append(notLive(ENCODING));
  const able = models.filter((model) => model.encode !== null);
  const unable = models.filter((model) => model.encode === null).map(({ about }) => about.label);
  const lies = habit(images);
  const places = lies.plain && images.shape[0] === 1;
  const queue = latest();
  let [fit, wanted, empty, due] = [places, places, true, false]; // an image of the run already lies as it should: `fit` is off for it

  const said = el("p", { class: "small quiet", role: "status", "data-role": "own-words" });
  const start = "Draw on the pad, drop an image file on it, or choose one.";
  const seen = tile("as models see it", "Your image as the models see it");
  seen.canvas.dataset["role"] = "own-input";
  const made = able.map((model) => {
    const shown = tile("", `Your image through the ${model.about.label}`);
    shown.canvas.dataset["role"] = "own-output";
    shown.canvas.dataset["model"] = model.about.name;
    const error = el("span", { "data-role": "own-error" });
    shown.caption.replaceWith(el("figcaption", {}, modelName(model.about, theme), error));
    return { model, canvas: shown.canvas, element: shown.element, error };
  });
  const blank = (): void => {
    for (const canvas of [seen.canvas, ...made.map((each) => each.canvas)]) {
      [canvas.width, canvas.height] = [images.shape[2], images.shape[1]];
      delete canvas.dataset["drawn"];
    }
    for (const { error } of made) error.textContent = "";
    said.textContent = start;
  };

  const pad = createPad(images.shape, lies.ground, (cleared) => {
    empty = cleared;
    if (cleared) {
      blank();
      setFit(wanted);
    }
    if (due) return;
    due = true;
    requestAnimationFrame(() => {
      due = false;
      if (!empty) show();
    });
  });

  function show(): void {
    const { data, width, height } = pad.read();
    const x = shaped(data, width, height, images.shape, lies, fit);
    images.draw(seen.canvas, x);
    seen.canvas.dataset["drawn"] = String(Math.round(x.reduce((sum, value) => sum + value, 0) * 1000) / 1000);
    if (said.textContent === start) said.textContent = "";
    for (const each of made) void through(each, x);
  }

  async function through({ model, canvas, error }: { model: Model; canvas: HTMLCanvasElement; error: HTMLElement }, x: Float32Array): Promise<void> {
    try {
      const y = await queue(model.about.name, async () => model.decode((await model.encode!(x, 1)).mean, 1));
      if (!y || empty) return;
      images.draw(canvas, y);
      const off = squaredError(x, y);
      const share = shareBelow(model.errors, off);
      canvas.dataset["drawn"] = threeDigits(off);
      canvas.setAttribute("aria-label", `Your image through the ${model.about.label}: mean squared error ${threeDigits(off)} per pixel`);
      error.textContent = `${threeDigits(off)} MSE per pixel${share === null ? "" : `, larger than for ${Math.round(share * 100)} % of the images here`}`;
    } catch (failure) {
      problem(root, words(failure));
    }
  }

  async function take(file: File): Promise<void> {
    try {
      said.textContent = await fromFile(file);
    } catch (failure) {
      said.textContent = words(failure);
    }
  }

  /** The file's picture on the pad; what was done to it, in words. */
  async function fromFile(file: File): Promise<string> {
    const name = `“${file.name}”`;
    if (file.size > LARGEST) return `${name} has ${Math.ceil(file.size / 1e6)} MB; at most ${LARGEST / 1e6} MB are read.`;
    const format = formatOf(new Uint8Array(await file.slice(0, 12).arrayBuffer()));
    if (format === null) return `${name} is no image that can be read here: PNG, JPEG, WebP and GIF are.`;
    let picture: ImageBitmap;
    try {
      picture = await createImageBitmap(file);
    } catch {
      return `${name} begins like a ${format} image, but is damaged or too large for this browser.`;
    }
    if (picture.width * picture.height > MOST_PIXELS) {
      picture.close();
      return `${name} has more than ${MOST_PIXELS / 1e6} million pixels; make it smaller first.`;
    }
    const part = cropped(picture.width, picture.height, images.shape[2] / images.shape[1]);
    const whole = part.width > picture.width - 1 && part.height > picture.height - 1;
    setFit(wanted);
    pad.paint((pen) => {
      pen.imageSmoothingEnabled = picture.width > pad.canvas.width; // small pictures keep their squares
      pen.imageSmoothingQuality = "high";
      pen.drawImage(picture, part.x, part.y, part.width, part.height, 0, 0, pad.canvas.width, pad.canvas.height);
    });
    picture.close();
    const swapped = places && liesOnTheOther();
    if (swapped) pad.swap();
    return [
      `${name}: ${pictureWords(whole, images.shape)}${images.shape[0] === 3 ? "" : ", in grey"}.`,
      ...(swapped ? ["Light and dark were swapped, since the images of this run lie on the other ground."] : []),
    ].join(" ");
  }

  /** Whether what is on the pad lies on the opposite of the run's ground, as ink on paper does. */
  function liesOnTheOther(): boolean {
    const { data, width, height } = pad.read();
    const [plane] = planes(data, width, height, 1);
    const edge = plane ? [...plane.values.subarray(0, width), ...plane.values.subarray(width * (height - 1))] : [];
    return Math.abs(edge.reduce((sum, value) => sum + value, 0) / edge.length - lies.ground) > 0.5;
  }

  const picked = button("Take the picked image", () => {
    const image = within(state.get("image", 0), images.count);
    const small = el("canvas", {});
    images.drawImage(small, image);
    setFit(false);
    pad.paint((pen) => {
      pen.imageSmoothingEnabled = false;
      pen.drawImage(small, 0, 0, pad.canvas.width, pad.canvas.height);
    });
    said.textContent = `This is ${imageWords(meta, labels, image)}: erase a part of it, or add to it.`;
  }, "The image picked in the map or anywhere on this page, to be changed by hand");
  picked.dataset["role"] = "own-take";
  const file = el("input", { type: "file", accept: "image/png,image/jpeg,image/webp,image/gif", "data-role": "own-file", "aria-label": "Image file", hidden: true });
  file.addEventListener("change", () => {
    const [chosen] = file.files ?? [];
    if (chosen) void take(chosen);
    file.value = ""; // the same file can be chosen again
  });
  const choose = button("Choose a file …", () => file.click(), "PNG, JPEG, WebP or GIF; it stays on this machine");
  choose.dataset["role"] = "own-choose";
  const swap = button("Swap light and dark", () => pad.swap());
  swap.dataset["role"] = "own-swap";
  const place = toggle(fitWords(lies, images.shape), fit, (on) => {
    fit = wanted = on;
    if (!empty) show();
  });
  place.element.dataset["role"] = "own-fit";
  const setFit = (on: boolean): void => place.set((fit = on));

  const area = el(
    "div", { class: "own", "data-role": "own" },
    pad.element,
    el("div", { class: "own-made" }, el("div", { class: "controls" }, choose, picked, swap, file), places ? place.element : null, el("div", { class: "own-tiles" }, seen.element, ...made.map(({ element }) => element)), said,
      unable.length ? el("p", { class: "small quiet" }, `Without an encoder on this page: ${unable.join(", ")}.`) : null),
  );
  for (const kind of ["dragenter", "dragover"] as const) {
    area.addEventListener(kind, (event) => {
      event.preventDefault();
      area.classList.add("over");
    });
  }
  area.addEventListener("dragleave", (event) => {
    if (!area.contains(event.relatedTarget as Node | null)) area.classList.remove("over");
  });
  area.addEventListener("drop", () => area.classList.remove("over")); // it is taken as one that falls anywhere else
  root.append(area);
  blank();
  context.drops.give((dropped) => {
    if (dropped) void take(dropped);
    else said.textContent = "What was dropped is no file. Save the image, and drop the file.";
  });
}

/** What became of a picture. */
function pictureWords(whole: boolean, [, height, width]: Context["meta"]["shape"]): string {
  const size = `scaled to ${height} × ${width} pixels`;
  return whole ? size : `cut to ${height === width ? "a square" : "the run's proportions"} from its middle, ${size}`;
}
