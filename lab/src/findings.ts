/** What an examination of the model found: how sure, by which numbers, what to try, and where on this page it is seen. */

import type { Context, Finding } from "./context.ts";
import { button } from "./controls.ts";
import { el, linkTo } from "./layout.ts";
import { advice } from "./numbering.ts";

/** Findings as cards; words where there are none, or nobody looked. */
export function findingsPart(context: Context): HTMLElement {
  const { findings } = context.meta;
  if (findings === null) {
    const reason = context.meta.left_out.find(({ panel }) => panel === "findings")?.reason;
    return el("p", { class: "quiet", "data-role": "findings" }, reason ?? "A VAE is what is examined, and there is none on this page.");
  }
  if (!findings.length) return el("p", { "data-role": "findings" }, "The model was examined, and nothing was found that is wrong with it.");
  return el("ul", { class: "findings", "data-role": "findings" }, ...findings.map((finding) => el("li", { class: "card" }, ...card(context, finding))));
}

function card(context: Context, finding: Finding): (Node | null)[] {
  const model = context.meta.models.find(({ name }) => name === finding.model);
  const { words, command } = advice(finding.try);
  return [
    el("div", { class: "head" },
      el("h4", {}, finding.name), el("span", { class: "small quiet" }, [model?.label ?? finding.model, finding.certainty].filter(Boolean).join(", "))),
    el("p", {}, finding.evidence),
    words ? el("p", { class: "small" }, command ? `To try: ${words}:` : `To try: ${words}`) : command ? el("p", { class: "small" }, "To try:") : null,
    command ? copied(command) : null,
    seen(context, finding.panel),
  ];
}

/** The command, and a button that copies it. */
function copied(command: string): HTMLElement {
  const code = el("code", { tabindex: 0 }, command);
  const press = button("Copy", () => void copy());
  press.dataset["role"] = "copy";
  press.setAttribute("aria-label", `Copy the command: ${command}`);
  async function copy(): Promise<void> {
    try {
      await navigator.clipboard.writeText(command);
      press.textContent = "Copied";
    } catch {
      // No clipboard in this frame: the command is marked, and the keyboard copies it.
      getSelection()?.selectAllChildren(code);
      press.textContent = "Press Ctrl C";
    }
    setTimeout(() => (press.textContent = "Copy"), 2500);
  }
  return el("div", { class: "command" }, code, press);
}

function seen(context: Context, panel: string): HTMLElement | null {
  if (panel === "numbers") {
    const link = el("a", { href: "#panel=numbers", class: "small", "data-role": "finding-link" }, "See the curves below");
    link.addEventListener("click", (event) => {
      event.preventDefault();
      document.getElementById("numbers-curves")?.scrollIntoView({ behavior: context.theme.still ? "auto" : "smooth" });
    });
    return link;
  }
  const title = document.getElementById(`${panel}-title`)?.textContent;
  if (!title) return null; // the panel is not on this page
  const link = linkTo(panel, `See it under ${title}`, context);
  link.classList.add("small");
  link.dataset["role"] = "finding-link";
  return link;
}
