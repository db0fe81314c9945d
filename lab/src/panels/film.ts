/** The film of a training: one moment after another, the map forms, the images sharpen, or dimensions fall asleep. */

import "./film.css";

import { words } from "../assets.ts";
import type { Context, FilmMeta, Meta, Model, Panel } from "../context.ts";
import { choice, row } from "../controls.ts";
import { classLegend, dimensionBars, lossCurve, lossTitle } from "../film_parts.ts";
import { filmedMap } from "../filmed_map.ts";
import { footage, inUse, nearestMoment, spreads, type Footage } from "../filming.ts";
import { short } from "../format.ts";
import { el, problem } from "../layout.ts";
import type { Plot } from "../plot.ts";
import { player, type Player } from "../player.ts";
import { latest } from "../queue.ts";
import { whenSeen } from "../seen.ts";

const PAIRS = 8; // images whose reconstructions are shown
const EACH = 650; // ms that a moment stays while the film plays

export const panel: Panel = {
  id: "film",
  title: "Training film",
  about:
    "The same test images and the same random codes, at some twenty moments of a training; more of them early, when more happens. " +
    "Play it to see the map of codes form and the images sharpen; a dimension whose bar shrinks to nothing has collapsed.",
  unfit: (meta: Meta) => (filmed(meta).length ? null : "No moments of this run's training were kept."),
  mount,
};

const filmed = (meta: Meta): string[] =>
  meta.models.map(({ name }) => name).filter((name) => (meta.film?.[name]?.steps.length ?? 0) > 0);

function mount(root: HTMLElement, context: Context): void {
  const { meta, models, state, theme, images } = context;
  const names = filmed(meta);
  const usual = names.includes("vae") ? "vae" : (names.at(-1) as string);
  const named = (name: string): Model => models.find(({ about }) => about.name === name) as Model;
  const chosen = (): Model => {
    const wanted = state.get("film.model", state.get("model", usual));
    return named(names.includes(wanted) ? wanted : usual);
  };
  const filmOf = (model: Model): FilmMeta => meta.film?.[model.about.name] as FilmMeta;

  const picker = choice("Model", names.map((name) => [name, named(name).about.label]), chosen().about.name, (name) => state.set("film.model", name));
  picker.element.dataset["role"] = "film-model";
  const map = filmedMap(context);
  const bars = dimensionBars(context);
  const use = el("p", { class: "small quiet", "data-role": "dimensions-in-use" });
  const pairs = el("div", { class: "pairs", "data-role": "reconstructions" });
  const grid = el("div", { class: "draws", "data-role": "samples" });
  const curve = el("div", { "data-role": "loss" });
  const mapTitle = el("h3", {});
  const axes = el("p", { class: "small quiet axes" });
  const drawsTitle = el("h3", {});
  const playing = el("div", {});
  const queue = latest();
  const films = new Map<string, Promise<Footage>>();
  let shown: Player | null = null;
  let loss: Plot | null = null;
  let seen = false;

  root.append(
    row(names.length > 1 ? picker.element : null), playing,
    el("div", { class: "film" },
      el("div", { class: "where" }, mapTitle, el("div", { class: "card" }, map.canvas), classLegend(context), axes),
      el("div", { class: "what" }, curve, el("h3", {}, "Spread of the codes along each dimension"), bars.canvas, use,
        el("h3", {}, "Test images, and what is made of them"), pairs),
      el("div", { class: "drawn" }, drawsTitle, grid)),
  );

  const momentOf = (film: FilmMeta): number => {
    const last = film.steps.length - 1;
    return Math.min(Math.max(0, Math.round(state.get("film.moment", last))), last);
  };

  /** Everything of another model; its film is read when the panel is near. */
  function open(): void {
    const model = chosen();
    const film = filmOf(model);
    const { name, label } = model.about;
    picker.set(name);
    shown?.remove();
    shown = player({
      label: "Moment", count: film.steps.length, value: momentOf(film), each: EACH,
      format: (t) => `step ${(film.steps[t] as number).toLocaleString("en")}, epoch ${short(film.epochs[t] as number)}`,
      onShow: (t) => state.set("film.moment", t),
    });
    playing.replaceChildren(shown.element);
    axes.textContent =
      model.about.k === 1
        ? "From left to right the one number of each image, which the rows keep apart. A line behind a point shows whence it came."
        : "Across and up: the two principal axes of the codes as training ended, the same at every moment. A line behind a point shows whence it came.";
    mapTitle.textContent = `Codes of ${film.images.length} test images`;
    drawsTitle.textContent = `The same ${film.samples ?? 25} draws from N(0,\u00a0I), decoded`;
    loss?.remove();
    loss = lossCurve(context, model, film, () => momentOf(film), (step) => {
      shown?.stop();
      state.set("film.moment", nearestMoment(film.steps, step));
    });
    curve.replaceChildren(el("h3", {}, lossTitle(meta.histories[name])), loss.element);
    pairs.replaceChildren(...film.images.slice(0, Math.min(PAIRS, film.shown_images)).map((image) => {
      const above = el("canvas", { role: "img", "aria-label": `Test image ${image}` });
      images.drawImage(above, image);
      return el("div", {}, above, picture(`The ${label} makes this of test image ${image}`));
    }));
    grid.replaceChildren(...Array.from({ length: film.samples ?? 25 }, (_, s) => picture(`Draw ${s + 1} of the ${label}`)));
    if (!seen) return;
    problem(root, null);
    if (!films.has(name)) films.set(name, footage(film, model.about, meta.shape, context.asset));
    films.get(name)?.then((read) => {
      if (chosen() === model) map.load(film, read, model.about.k === 1);
      show();
    }).catch((error: unknown) => problem(root, words(error)));
  }

  /** The moment as the state has it. */
  function show(): void {
    const model = chosen();
    const film = filmOf(model);
    const moment = momentOf(film);
    shown?.set(moment);
    loss?.redraw();
    root.dataset["moment"] = String(moment);
    const reading = films.get(model.about.name);
    if (!reading) return;
    map.go(moment);
    queue("moment", async () => {
      const read = await reading;
      const [rebuilt, drawn] = await Promise.all([read.reconstructions(moment), read.samples(moment)]);
      if (chosen() !== model) return;
      const { k, rate } = model.about;
      bars.draw(read.spread, moment, model);
      const [across, up] = spreads(read.plane.subarray(2 * moment * film.images.length, 2 * (moment + 1) * film.images.length), 1, film.images.length, 2);
      map.canvas.setAttribute("aria-label", `Map of the codes of ${film.images.length} test images at training step ${film.steps[moment]}. They spread by ${short(across as number)} ${k === 1 ? "from left to right" : `along the first principal axis of the last moment, by ${short(up as number)} along the second`} (standard deviation).`);
      const used = inUse(read.spread.subarray(moment * k, (moment + 1) * k), rate !== null).filter(Boolean).length;
      const widest = read.spread.subarray(moment * k, (moment + 1) * k).reduce((most, each) => Math.max(most, each), 0);
      const wide = `a standard deviation of ${short(widest)}`;
      use.textContent = k === 1 ? `The one dimension ${used ? "tells" : "does not tell"} images apart at this moment: ${wide}.` : `${used} of ${k} dimensions tell images apart at this moment; the widest spreads by ${wide}.`;
      use.dataset["used"] = String(used);
      [...pairs.children].forEach((pair, i) => draw(pair.lastElementChild as HTMLCanvasElement, rebuilt, i));
      [...grid.children].forEach((canvas, s) => draw(canvas as HTMLCanvasElement, drawn, s));
      root.dataset["drawn"] = String(moment);
    }).catch((error: unknown) => problem(root, words(error)));
  }

  function draw(canvas: HTMLCanvasElement, bytes: Uint8Array, i: number): void {
    images.draw(canvas, Float32Array.from(bytes.subarray(i * images.size, (i + 1) * images.size), (value) => value / 255));
  }

  open();
  show();
  state.on("film.moment", show);
  for (const key of ["film.model", "model"]) state.on(key, open);
  theme.on(() => map.redraw());
  whenSeen(root, () => {
    seen = true;
    open();
  });
}

const picture = (label: string): HTMLCanvasElement => el("canvas", { class: "pixels", width: 1, height: 1, role: "img", "aria-label": label });
