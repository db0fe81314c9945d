/** Read the page's parts, build what the panels share, mount them in order, and check the first decoded image. */

import "uplot/dist/uPlot.min.css";
import "./style.css";

import { asset, PageError, words } from "./assets.ts";
import type { Context, Model, Panel } from "./context.ts";
import { catchDrops } from "./drops.ts";
import { loadImages } from "./images.ts";
import { el, frame, goTo, leftOut, masthead, navigation, note, problem } from "./layout.ts";
import { readMeta } from "./meta.ts";
import { oneByOne } from "./one_by_one.ts";
import { pause } from "./queue.ts";
import { cannotTake, showOwn } from "./own.ts";
import { canDecode, loadModels } from "./runtime.ts";
import { createState, windowAddress } from "./state.ts";
import { createTheme } from "./theme.ts";

/** In the order they are read; the file of a panel bears its name. */
const ORDER = ["map", "dimensions", "interpolate", "generate", "reconstruct", "film", "posterior", "numbers"];
const modules = import.meta.glob<{ panel: Panel }>("./panels/*.ts", { eager: true });

function known(): Panel[] {
  const panels = Object.values(modules).map((module) => module.panel).filter((panel) => panel !== undefined);
  return ORDER.flatMap((id) => panels.filter((panel) => panel.id === id));
}

async function start(root: HTMLElement): Promise<void> {
  const theme = createTheme();
  let held: Pick<Context, "meta" | "live"> | null = null;
  const drops = catchDrops(() => (held ? cannotTake(held) : "This page shows nothing yet that could take an image."), () => showOwn(theme.still));
  const meta = readMeta(await asset("meta"));
  document.title = meta.title;
  const live = canDecode();
  const [images, models, labels] = await Promise.all([
    loadImages(meta, asset),
    loadModels(meta, asset, live).then((found) => oneByOne(found)),
    meta.classes ? asset("labels").then((bytes) => labelled(bytes, meta.shown)) : null,
  ]);
  const state = createState(windowAddress());
  held = { meta, live };
  const context: Context = { meta, images, labels, models, state, theme, live, asset, drops };

  const panels = known();
  const reasons = new Map(meta.left_out.map(({ panel, reason }) => [panel, reason]));
  for (const panel of panels) {
    const reason = reasons.get(panel.id) ?? panel.unfit(meta);
    if (reason !== null) reasons.set(panel.id, reason);
  }
  const shown = panels.filter((panel) => !reasons.has(panel.id));
  const title = (id: string): string => panels.find((panel) => panel.id === id)?.title ?? id.replace(/^./u, (letter) => letter.toUpperCase());

  const main = el("main", {});
  root.replaceChildren(
    masthead(meta),
    navigation(shown, context),
    ...(live ? [] : [note("This browser has WebAssembly switched off or lacks it: figures stay, but nothing can be decoded here.", "warn")]),
    main,
    leftOut([...reasons].map(([id, reason]) => ({ title: title(id), reason }))) ?? "",
    el("footer", {}, el("p", {}, meta.program)),
  );
  const bodies = shown.map((panel) => {
    const { section, body } = frame(panel);
    main.append(section);
    return { panel, body };
  });
  for (const { panel, body } of bodies) {
    try {
      panel.mount(body, context);
    } catch (error) {
      problem(body, `This panel could not be shown: ${words(error)}`);
      console.error(error);
    }
    await pause(); // what is on top is seen before what is further down is made
  }
  document.body.dataset["state"] = "drawn";
  document.body.dataset["panels"] = shown.map(({ id }) => id).join(" ");
  const wanted = state.get("panel", "");
  if (wanted) goTo(wanted, true);
  state.on("panel", () => goTo(state.get("panel", ""), theme.still));
  if (live) await check(models, context);
}

function labelled(bytes: ArrayBuffer, count: number): Uint16Array {
  if (bytes.byteLength !== 2 * count) throw new PageError("The labels of this page are cut short. Make it again.");
  return new Uint16Array(bytes);
}

/** Decode the stored code of each model and say, on <body>, how far the pixels are from those that torch made. */
async function check(models: readonly Model[], context: Context): Promise<void> {
  const found: Record<string, number | string> = {};
  for (const model of models) {
    const { name } = model.about;
    try {
      const x = await model.decode(Float32Array.from(model.about.check), 1);
      document.body.dataset["decoded"] ??= String(Math.round(performance.now())); // ms since the page was opened
      const wanted = new Float32Array(await context.asset(`check:${name}`));
      found[name] = wanted.length === x.length ? wanted.reduce((most, value, p) => Math.max(most, Math.abs(value - (x[p] as number))), 0) : NaN;
    } catch (error) {
      found[name] = words(error);
    }
    await pause();
  }
  const failed = Object.values(found).find((value) => typeof value === "string");
  if (failed !== undefined) document.querySelector("main")?.before(note(`Not every model can be decoded here. ${failed}`, "warn"));
  document.body.dataset["differences"] = JSON.stringify(found);
  const numbers = Object.values(found);
  document.body.dataset["difference"] = numbers.every((value) => typeof value === "number") ? String(Math.max(0, ...(numbers as number[]))) : "failed";
}

const root = document.getElementById("page") as HTMLElement;
start(root).catch((error: unknown) => {
  document.body.dataset["state"] = "failed";
  root.replaceChildren(el("h1", {}, "This page cannot be shown"), note(words(error), "warn"));
  if (!(error instanceof PageError)) console.error(error);
});
