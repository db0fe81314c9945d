/** Pixels of the shown images, and drawing of images that a decoder made. */

import { PageError } from "./assets.ts";
import type { ImageStore, Meta, Shape } from "./context.ts";

/** Images of one shape, `bytes` uint8 [N, C, H, W]. */
export function createImages(bytes: Uint8Array, count: number, shape: Shape): ImageStore {
  const size = shape[0] * shape[1] * shape[2];
  if (bytes.length < count * size) {
    throw new PageError(`This page holds ${Math.floor(bytes.length / size)} of its ${count} images: it was cut short. Make it again.`);
  }
  return {
    count,
    shape,
    size,
    pixels(i) {
      const x = new Float32Array(size);
      for (let p = 0; p < size; p++) x[p] = (bytes[i * size + p] as number) / 255;
      return x;
    },
    draw: (canvas, x, offset = 0) => paint(canvas, shape, x, offset, 255),
    drawImage: (canvas, i) => paint(canvas, shape, bytes, i * size, 1),
  };
}

/** Fill a canvas of the image's own size; style.css scales it in crisp squares. */
function paint(canvas: HTMLCanvasElement, shape: Shape, x: ArrayLike<number>, offset: number, factor: number): void {
  const [, height, width] = shape;
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  canvas.classList.add("pixels");
  const pen = canvas.getContext("2d");
  if (!pen) return;
  const image = pen.createImageData(width, height);
  toRgba(image.data, shape, x, offset, factor);
  pen.putImageData(image, 0, 0);
}

/** Planes of C channels as RGBA; three are red, green, blue, else the first is a grey. Rounds and cuts at 0 and 255. */
export function toRgba(rgba: Uint8ClampedArray, shape: Shape, x: ArrayLike<number>, offset: number, factor: number): void {
  const plane = shape[1] * shape[2];
  const [green, blue] = shape[0] === 3 ? [plane, 2 * plane] : [0, 0];
  for (let p = 0; p < plane; p++) {
    rgba[4 * p] = (x[offset + p] as number) * factor;
    rgba[4 * p + 1] = (x[offset + green + p] as number) * factor;
    rgba[4 * p + 2] = (x[offset + blue + p] as number) * factor;
    rgba[4 * p + 3] = 255;
  }
}

/** The pixels of a run's images: raw, or from WebP sheets of `columns` images a row, read row by row, sheet by sheet. */
export async function loadImages(meta: Meta, asset: (name: string) => Promise<ArrayBuffer>): Promise<ImageStore> {
  if (meta.images.encoding === "raw") return createImages(new Uint8Array(await asset("images")), meta.shown, meta.shape);
  const names = Array.from({ length: meta.images.sheets }, (_, sheet) => `images:${sheet}`);
  return createImages(await readSheets(names, meta.images.columns, meta.shown, meta.shape, asset), meta.shown, meta.shape);
}

/** uint8 [N, C, H, W] from WebP sheets; images go on from one sheet to the next. */
export async function readSheets(
  names: readonly string[], columns: number, count: number, shape: Shape, asset: (name: string) => Promise<ArrayBuffer>,
): Promise<Uint8Array> {
  const [channels, height, width] = shape;
  const size = channels * height * width;
  const bytes = new Uint8Array(count * size);
  let done = 0;
  for (const name of names) {
    const sheet = await bitmap(await asset(name), name);
    const fits = Math.floor(sheet.height / height) * columns;
    if (sheet.width < columns * width) throw new PageError(`The sheet "${name}" is narrower than ${columns} images. Make the page again.`);
    const canvas = new OffscreenCanvas(sheet.width, height);
    const pen = canvas.getContext("2d", { willReadFrequently: true });
    if (!pen) throw new PageError("This browser gives no canvas to read images from.");
    for (let i = 0; i < fits && done < count; i++, done++) {
      const column = i % columns;
      if (column === 0) pen.drawImage(sheet, 0, -Math.floor(i / columns) * height);
      const rgba = pen.getImageData(column * width, 0, width, height).data;
      for (let c = 0; c < channels; c++) {
        for (let p = 0; p < height * width; p++) {
          bytes[done * size + c * height * width + p] = rgba[4 * p + Math.min(c, 2)] as number;
        }
      }
    }
    sheet.close();
  }
  if (done < count) throw new PageError(`This page holds ${done} of its ${count} images: it was cut short. Make it again.`);
  return bytes;
}

async function bitmap(bytes: ArrayBuffer, name: string): Promise<ImageBitmap> {
  try {
    return await createImageBitmap(new Blob([bytes], { type: "image/webp" }), { colorSpaceConversion: "none" });
  } catch {
    throw new PageError(`The sheet of images "${name}" is damaged. Make the page again.`);
  }
}
