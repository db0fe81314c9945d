/** The page's frame: elements from text, panels with their two sentences, the navigation, notes. */

import type { Context, Meta, Panel, State, Theme } from "./context.ts";

type Child = Node | string | null | undefined | false;

/** An element with attributes and children; strings become text, never markup. A null attribute is left out. */
export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K, attributes: Readonly<Record<string, string | number | boolean | null>> = {}, ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** The section a panel is mounted in: heading, what am I looking at, and an empty body. */
export function frame(panel: Panel): { section: HTMLElement; body: HTMLElement } {
  const heading = el("h2", { id: `${panel.id}-title`, tabindex: -1 }, panel.title);
  const body = el("div", { class: "body" });
  const section = el(
    "section", { class: "panel", id: sectionId(panel.id), "data-panel": panel.id, "aria-labelledby": heading.id },
    heading, el("p", { class: "about" }, panel.about), body,
  );
  return { section, body };
}

// Not the panel's bare name: the browser would jump there by itself when the state reads "#map".
const sectionId = (panel: string): string => `panel-${panel}`;

/** A quiet note inside a panel: what is missing, and why. */
export function note(text: string, kind: "quiet" | "warn" = "quiet"): HTMLParagraphElement {
  return el("p", { class: `note ${kind}`, role: kind === "warn" ? "alert" : null }, text);
}

/** What a live part says where it cannot be live. */
export function notLive(what: string): HTMLParagraphElement {
  return note(`${what} needs WebAssembly, which this browser has switched off or lacks.`);
}

/** Show words of a failure at the top of a panel's body; null takes them away. */
export function problem(body: HTMLElement, text: string | null): void {
  body.querySelector(":scope > .problem")?.remove();
  if (text === null) return;
  const shown = note(text, "warn");
  shown.classList.add("problem");
  body.prepend(shown);
}

/** Bring a panel into view and put the keyboard there. */
export function goTo(panel: string, still: boolean): void {
  const section = document.getElementById(sectionId(panel));
  if (!section) return;
  section.scrollIntoView({ behavior: still ? "auto" : "smooth", block: "start" });
  section.querySelector<HTMLElement>("h2")?.focus({ preventScroll: true });
}

/** A link to a panel of this page; it keeps the rest of the state. */
export function linkTo(panel: string, text: string, context: { readonly state: State; readonly theme: Theme }): HTMLAnchorElement {
  const link = el("a", { href: `#panel=${encodeURIComponent(panel)}` }, text);
  link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    context.state.set("panel", panel);
    goTo(panel, context.theme.still);
  });
  return link;
}

/** Title and verdict. */
export function masthead(meta: Meta): HTMLElement {
  return el(
    "header", { class: "masthead" },
    el("h1", {}, meta.title),
    el("ul", { class: "verdict" }, ...meta.verdict.map((sentence) => el("li", {}, sentence))),
  );
}

/** The slim bar that stays: the panels, and light or dark. Marks the panel that is being read. */
export function navigation(panels: readonly Panel[], context: Context): HTMLElement {
  const links = new Map(panels.map((panel) => [panel.id, linkTo(panel.id, panel.title, context)]));
  const list = el("ol", {}, ...[...links.values()].map((link) => el("li", {}, link)));
  const bar = el("nav", { class: "bar", "aria-label": "Panels" }, list, schemeButton(context.theme));
  const seen = new Set<string>();
  const watch = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) {
        const id = (entry.target as HTMLElement).dataset["panel"] as string;
        if (entry.isIntersecting) seen.add(id);
        else seen.delete(id);
      }
      const current = panels.find((panel) => seen.has(panel.id))?.id;
      for (const [id, link] of links) {
        if (id !== current) link.removeAttribute("aria-current");
        else if (!link.hasAttribute("aria-current")) {
          link.setAttribute("aria-current", "true");
          // Within the bar alone: scrollIntoView would move the page, too.
          list.scrollTo({ left: link.offsetLeft - list.clientWidth / 2 + link.clientWidth / 2 });
        }
      }
    },
    { rootMargin: "-20% 0px -60% 0px" },
  );
  queueMicrotask(() => document.querySelectorAll<HTMLElement>("section[data-panel]").forEach((section) => watch.observe(section)));
  return bar;
}

function schemeButton(theme: Theme): HTMLButtonElement {
  const button = el("button", { type: "button", class: "scheme" });
  const show = (): void => {
    const other = theme.dark ? "light" : "dark";
    button.textContent = theme.dark ? "☀" : "☾";
    button.setAttribute("aria-label", `Switch to ${other} colours`);
    button.title = `Switch to ${other} colours`;
  };
  button.addEventListener("click", () => theme.choose(theme.dark ? "light" : "dark"));
  theme.on(show);
  show();
  return button;
}

/** What this page does not show, and why. */
export function leftOut(rows: readonly { readonly title: string; readonly reason: string }[]): HTMLElement | null {
  if (!rows.length) return null;
  return el(
    "section", { class: "left-out", "aria-labelledby": "left-out-title" },
    el("h2", { id: "left-out-title" }, "Not on this page"),
    el("dl", {}, ...rows.flatMap(({ title, reason }) => [el("dt", {}, title), el("dd", {}, reason)])),
  );
}
