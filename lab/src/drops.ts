/** Files let go anywhere on the page: a browser would leave the page to show one; here it becomes the reader's own image, or words say why not. */

import type { Drops } from "./context.ts";
import { el } from "./layout.ts";

const STAYS = 12_000; // ms that words stay

/** Listen on the whole window. `refused` says why no image can be taken, null where one can; `show` brings its taker into view. */
export function catchDrops(refused: () => string | null, show: () => void): Drops {
  let taker: Parameters<Drops["give"]>[0] | null = null;
  let waiting: File | null = null;
  let timer = 0;
  const told = el("p", { class: "told", role: "status", "data-role": "dropped-words" });
  document.body.append(told);
  const tell = (text: string): void => {
    told.textContent = text;
    clearTimeout(timer);
    timer = window.setTimeout(() => (told.textContent = ""), STAYS);
  };
  /** Text dragged into a field is the field's. */
  const ours = (event: DragEvent): boolean => !event.defaultPrevented && !(event.target instanceof HTMLInputElement && event.target.type !== "range");

  addEventListener("dragover", (event) => ours(event) && event.preventDefault());
  addEventListener("drop", (event) => {
    if (!ours(event)) return;
    event.preventDefault();
    const file = event.dataTransfer?.files[0] ?? null;
    const reason = refused();
    if (reason !== null) return tell(`${file ? `“${file.name}” is not opened. ` : ""}${reason}`);
    if (!taker) waiting = file;
    show();
    taker?.(file);
  });
  return {
    give(next) {
      taker = next;
      if (waiting) taker(waiting);
      waiting = null;
    },
  };
}
