/** Choosing an image: by its number, from thumbnails, or the one that was picked in another panel. */

import type { Context } from "./context.ts";
import { button, menu } from "./controls.ts";
import { someOf } from "./format.ts";
import { el } from "./layout.ts";
import { imageWords, step, within } from "./wording.ts";

const THUMBS = 24; // a page of thumbnails

export interface Picker {
  readonly element: HTMLElement;
  /** Show another image; `onPick` is not called. */
  set(image: number): void;
}

/** One image with its number, a button that unfolds thumbnails in `tray`, and one that takes the picked image. */
export function picker(context: Context, role: string, title: string, tray: Tray, onPick: (image: number) => void): Picker {
  const { images, meta, labels, state } = context;
  const canvas = el("canvas", { class: "pixels", role: "img", "data-role": `${role}-image` });
  const words = el("span", { class: "small quiet", "data-role": `${role}-words` });
  const number = el("input", {
    type: "number", min: 0, max: images.count - 1, step: 1, "data-role": `${role}-number`, "aria-label": `${title}: number of the image, 0 to ${images.count - 1}`,
  });
  number.addEventListener("change", () => {
    if (Number.isFinite(number.valueAsNumber)) onPick(within(number.valueAsNumber, images.count));
    else number.value = String(shown);
  });
  let shown = 0;
  const choose = button("Choose …", () => tray.toggle(choose, title, onPick, shown), "From small pictures of all images");
  choose.setAttribute("data-role", `${role}-choose`);
  choose.setAttribute("aria-expanded", "false");
  const take = button("Take the picked one", () => onPick(within(state.get("image", 0), images.count)), "The image picked in the map or anywhere on this page");
  take.setAttribute("data-role", `${role}-take`);
  return {
    element: el(
      "div", { class: "picker", role: "group", "aria-label": title },
      canvas, el("div", {}, el("strong", { class: "small" }, title), words, el("div", { class: "controls" }, number, choose, take)),
    ),
    set(image) {
      shown = image;
      images.drawImage(canvas, image);
      words.textContent = imageWords(meta, labels, image);
      canvas.setAttribute("aria-label", `${title}: ${words.textContent}`);
      canvas.dataset["image"] = String(image);
      number.value = String(image);
    },
  };
}

export interface Tray {
  readonly element: HTMLElement;
  /** Unfold beneath the pickers for one of them, or fold. */
  toggle(opener: HTMLButtonElement, title: string, onPick: (image: number) => void, image: number): void;
}

/** Small pictures of all images, a page at a time, of all classes or one; one stop of the Tab key, arrows move within. */
export function tray(context: Context): Tray {
  const { images, meta, labels } = context;
  let [opener, first, kind] = [null as HTMLButtonElement | null, 0, "all"];
  let pick: (image: number) => void = () => undefined;
  const heading = el("strong", { class: "small" });
  const where = el("span", { class: "small quiet number" });
  const grid = el("div", { class: "thumbs", role: "group", "aria-label": "Images" });
  const turn = (by: number) => (): void => fill(first + by);
  const [back, on] = [button("Earlier", turn(-THUMBS)), button("Later", turn(THUMBS))];
  const kinds = meta.classes && menu(
    "Class", [["all", "all"], ...meta.classes.map((name, label) => [String(label), name] as const)], "all",
    (chosen) => {
      kind = chosen;
      fill(0);
    },
  );
  const close = (): void => {
    opener?.setAttribute("aria-expanded", "false");
    element.hidden = true;
    opener?.focus({ preventScroll: true });
    opener = null;
  };
  const element = el(
    "div", { class: "card tray", "data-role": "tray" },
    el("div", { class: "controls" }, heading, kinds?.element ?? "", back, on, where, button("Close", close)), grid,
  );
  element.hidden = true;
  element.addEventListener("keydown", (event) => {
    if (event.key === "Escape") close();
    const thumbs = [...grid.children] as HTMLElement[];
    const at = thumbs.indexOf(document.activeElement as HTMLElement);
    const rowOf = thumbs.filter((thumb) => thumb.offsetTop === thumbs[0]?.offsetTop).length;
    const to = at < 0 ? null : step(event.key, at, thumbs.length, rowOf);
    if (to === null) return;
    event.preventDefault();
    thumbs.forEach((thumb, i) => (thumb.tabIndex = i === to ? 0 : -1));
    thumbs[to]?.focus();
  });

  function fill(from: number): void {
    const all = Array.from({ length: images.count }, (_, i) => i).filter((i) => kind === "all" || labels?.[i] === Number(kind));
    first = Math.max(0, Math.min(from, all.length - 1));
    const page = all.slice(first, first + THUMBS);
    where.textContent = page.length ? someOf(first + 1, first + page.length, all.length) : "no such image is shown";
    back.disabled = first === 0;
    on.disabled = first + THUMBS >= all.length;
    grid.replaceChildren(
      ...page.map((image, place) => {
        const canvas = el("canvas", {});
        images.drawImage(canvas, image);
        const words = imageWords(meta, labels, image);
        const thumb = el("button", { type: "button", class: "thumb", title: words, "aria-label": words, "data-image": image, tabindex: place ? -1 : 0 }, canvas);
        thumb.addEventListener("click", () => {
          pick(image);
          close();
        });
        return thumb;
      }),
    );
  }

  return {
    element,
    toggle(by, title, onPick, image) {
      if (opener === by) return close();
      opener?.setAttribute("aria-expanded", "false");
      opener = by;
      by.setAttribute("aria-expanded", "true");
      heading.textContent = title;
      pick = onPick;
      kind = "all";
      kinds?.set("all");
      element.hidden = false;
      fill(Math.floor(image / THUMBS) * THUMBS);
    },
  };
}
