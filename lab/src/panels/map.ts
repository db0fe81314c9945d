/** Every image as a point where its code lies; the plane under the hand decoded by every model. */

import "./map.css";

import { createAtlas } from "../atlas.ts";
import type { Context, Panel } from "../context.ts";
import { choice, row } from "../controls.ts";
import { decodes } from "../decodes.ts";
import { directionName, mapWords, placeWords } from "../directions.ts";
import { listen } from "../gestures.ts";
import { className, legend, present } from "../legend.ts";
import { el, notLive, problem } from "../layout.ts";
import { choices, KEY, type Mode } from "../map_choices.ts";
import { axisControls, zoomButtons } from "../map_controls.ts";
import { type Plane, plane, project, ring, shares } from "../plane.ts";
import { pointCodes } from "../point_codes.ts";
import { whenSeen } from "../seen.ts";
import { type Extent, extent, nearestPoint, panned, toPlane, toScreen, type View, zoomed } from "../view.ts";
import { imageWords } from "../wording.ts";

const [REACH, FINGER] = [14, 24]; // pixels around a point within which a pointer means it
const ARROWS: Readonly<Record<string, readonly [number, number]>> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

export const panel: Panel = {
  id: "map",
  title: "Map",
  about:
    "Every mark is a test image, placed where a model's code of it lies; images that the model takes to be alike lie together. " +
    "Drag over the map to decode the point under your hand, and click a mark to pick its image for the other panels.",
  unfit(meta) {
    if (!meta.models.length) return "No model of this run can be decoded here.";
    return meta.models.some(({ k }) => k > 1) ? null : "With K = 1 a code is a single number, and a map needs two.";
  },
  mount,
};

function mount(root: HTMLElement, context: Context): void {
  const { images, meta, labels, state, theme } = context;
  const models = context.models.filter(({ about }) => about.k > 1);
  const atlas = createAtlas(theme);

  const chosen = choices(context, models);
  const { model, kind, pair, mode, hidden, picked, at } = chosen;

  // What follows from what is chosen, kept until it changes.
  const here: { key: string; plane: Plane; points: Float32Array; whole: Extent } = { key: "", plane: plane(model().about, "principal", 0, 1), points: new Float32Array(), whole: { x: 0, y: 0, half: 1 } };
  const shown = new Uint8Array(images.count).fill(1);
  const classes = new Uint16Array(images.count);
  const found = labels ? present(labels) : [];
  const place = new Map(found.map((label, i) => [label, i]));
  if (labels) classes.set(Array.from(labels, (label) => place.get(label) as number));
  let hovered = -1;
  let nearest = -1;

  const view = (): View => chosen.view() ?? { x: here.whole.x, y: here.whole.y, zoom: 1 };
  const look = (next: View): void => state.set(KEY.view, next.zoom === 1 && next.x === here.whole.x && next.y === here.whole.y ? null : [next.x, next.y, next.zoom]);
  const pointOf = (i: number): readonly [number, number] => [here.points[2 * i] as number, here.points[2 * i + 1] as number];
  const probe = (): readonly [number, number] => {
    const to = at();
    if (to) return to;
    if (picked() >= 0) return pointOf(picked());
    const middle = project(here.plane, model().about.mean);
    const close = nearestPoint(here.points, shown, middle[0] as number, middle[1] as number).index;
    return close >= 0 ? pointOf(close) : [middle[0] as number, middle[1] as number];
  };
  const under = (left: number, top: number): readonly [number, number] => toPlane(here.whole, view(), atlas.size(), left, top);

  // Controls.
  const axes = axisControls(state, chosen, models);
  const modes = choice<Mode>("Decode", [["near", "around the nearest image"], ["plane", "in the plane"]], mode(), (wanted) => state.set(KEY.mode, wanted));
  modes.element.dataset["role"] = "map-mode";
  const classKey = legend(theme, found, className(meta.classes ?? []), (labels) => state.set(KEY.hide, labels.length ? labels : null));

  // The map itself.
  const middleZoom = (factor: number): void => look(zoomed(here.whole, view(), atlas.size(), factor));
  const whole = (): void => state.set(KEY.view, null);
  const thumb = el("canvas", { class: "pixels" });
  const tipWords = el("span", {});
  const tip = el("div", { class: "tip", "data-role": "map-tip", "aria-hidden": "true" }, thumb, tipWords);
  tip.hidden = true;
  const [nameAcross, nameUp] = [el("span", { class: "name across" }), el("span", { class: "name up" })];
  const box = el("div", { class: "atlas" }, atlas.points, atlas.marks, nameUp, nameAcross, zoomButtons(middleZoom, whole), tip);
  const tiles = context.live ? decodes(context, context.models, (text) => problem(root, text)) : null;
  const said = el("p", { class: "small quiet said", "data-role": "map-words" });
  const aloud = el("p", { class: "visually-hidden", role: "status" });
  const keys = el("p", { class: "small quiet keys", id: "map-keys" }, "Wheel, pinch or + and − enlarge, 0 shows all; space and drag, two fingers or arrow keys move. Shift and arrow keys move the point, Enter picks the image nearest to it.");
  atlas.marks.setAttribute("role", "application");
  atlas.marks.setAttribute("aria-describedby", keys.id);

  root.append(
    axes.element, box, ...(labels ? [classKey.element] : []),
    ...(tiles ? [row(modes.element), tiles.element, said] : [notLive("Decoding a point")]), keys, aloud,
  );

  listen(atlas.marks, {
    hover: (left, top) => hover(close(left, top, REACH)),
    leave: () => hover(-1),
    click(left, top, touch) {
      const image = close(left, top, touch ? FINGER : REACH);
      if (image < 0) return state.set(KEY.at, [...under(left, top)]);
      state.set(KEY.at, null);
      state.set("image", image);
    },
    drag: (left, top, when) => point(under(left, top), when),
    pan: (right, down) => look(panned(here.whole, view(), atlas.size(), right, down)),
    zoom: (factor, left, top) => look(zoomed(here.whole, view(), atlas.size(), factor, left, top)),
  });
  atlas.marks.addEventListener("keydown", (event) => {
    const [x, y] = ARROWS[event.key] ?? [0, 0];
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if ((x || y) && event.shiftKey) {
      const [left, top] = toScreen(here.whole, view(), atlas.size(), ...probe());
      point(under(left + 10 * x, top - 10 * y), event.timeStamp);
      speak();
    } else if (x || y) look(panned(here.whole, view(), atlas.size(), -40 * x, 40 * y));
    else if (event.key === "+" || event.key === "=") middleZoom(1.25);
    else if (event.key === "-" || event.key === "_") middleZoom(1 / 1.25);
    else if (event.key === "0") whole();
    else if (event.key === "Enter" && nearest >= 0) {
      const image = nearest;
      state.set(KEY.at, null);
      state.set("image", image);
      speak();
    } else return;
    event.preventDefault();
  });
  let speaking = 0;
  function speak(): void {
    clearTimeout(speaking);
    speaking = window.setTimeout(() => (aloud.textContent = said.textContent), 400);
  }

  function close(left: number, top: number, reach: number): number {
    const { index, distance } = nearestPoint(here.points, shown, ...under(left, top));
    const [x] = toScreen(here.whole, view(), atlas.size(), distance, 0);
    const [zero] = toScreen(here.whole, view(), atlas.size(), 0, 0);
    return index >= 0 && x - zero <= reach ? index : -1;
  }

  function hover(image: number): void {
    if (image === hovered) return;
    hovered = image;
    tip.hidden = image < 0;
    atlas.marks.dataset["hover"] = image < 0 ? "" : String(image);
    if (image >= 0) {
      images.drawImage(thumb, image);
      tipWords.textContent = imageWords(meta, labels, image);
      const [left, top] = toScreen(here.whole, view(), atlas.size(), ...pointOf(image));
      tip.style.left = `${left}px`;
      tip.style.top = `${top}px`;
      tip.classList.toggle("left", left > atlas.size().width / 2);
      tip.classList.toggle("above", top > atlas.size().height / 2);
    }
    mark();
  }

  /** "image 12 (class 3)": within a sentence. */
  const named = (image: number): string => imageWords(meta, labels, image).replace(/, (class .*)$/su, " ($1)");

  function describe(): void {
    const [{ about }, [first, second], carried, image] = [model(), pair(), shares(model().about, kind()), picked()];
    atlas.marks.setAttribute("aria-label", mapWords({
      model: about.label, kind: kind(), pair: [first, second], carried: [carried[first] as number, carried[second] as number],
      count: images.count, shown: shown.reduce((sum, each) => sum + each, 0), classes: found.length, picked: image < 0 ? null : named(image),
    }));
  }

  let eventTime = 0;
  function point(to: readonly [number, number], when: number): void {
    eventTime = when;
    state.set(KEY.at, [...to]);
  }

  const widths = (spread: Float32Array, i: number): Float32Array => spread.subarray((i * spread.length) / images.count, ((i + 1) * spread.length) / images.count);
  function ringed(): { of: string; reach: number } | null {
    const [{ spread }, image] = [model(), picked()];
    if (!spread || image < 0) return null;
    const points = ring(here.plane, widths(spread, image));
    return { of: named(image), reach: points.reduce((most, x, i) => (i % 2 ? most : Math.max(most, Math.hypot(x, points[i + 1] as number))), 0) };
  }

  function mark(): void {
    const { spread, about } = model();
    const image = picked();
    atlas.mark({
      picked: image, hovered, near: nearest, probe: probe(), ringColour: theme.modelColour(about),
      ring: spread && image >= 0 ? ring(here.plane, widths(spread, image)) : null,
    });
    const [left, top] = image >= 0 ? toScreen(here.whole, view(), atlas.size(), ...pointOf(image)) : [NaN, NaN];
    Object.assign(atlas.marks.dataset, { picked: image, pickedAt: image >= 0 ? `${left.toFixed(1)} ${top.toFixed(1)}` : "", ring: String(Boolean(spread && image >= 0)) });
  }

  /** Decode the probe's point with every model. */
  function decode(): void {
    const to = probe();
    const own = model();
    nearest = nearestPoint(here.points, shown, ...to).index;
    const shift = nearest < 0 ? ([0, 0] as const) : ([to[0] - pointOf(nearest)[0], to[1] - pointOf(nearest)[1]] as const);
    const inPlane = mode() === "plane";
    const codes = pointCodes(context.models, { own, plane: here.plane, at: to, near: nearest, shift, inPlane });
    const text = `${to[0].toFixed(4)} ${to[1].toFixed(4)}`;
    Object.assign(atlas.marks.dataset, { at: text, near: String(nearest) });
    tiles?.show({ codes, near: nearest, own: own.about.name, when: eventTime || performance.now(), at: text });
    eventTime = 0;
    const near = nearest < 0 ? null : named(nearest);
    tell(() => placeWords({ model: own.about, plane: here.plane, at: to, shift, inPlane, near, others: context.models.length > 1, ring: ringed() }));
    mark();
  }

  /** Say what is decoded; under a hand that moves ten times a second at most, since other words lay out the page anew. */
  let [words, told, waits] = [(): string => "", -Infinity, false];
  function tell(newest: () => string): void {
    words = newest;
    if (waits) return;
    waits = true;
    setTimeout(() => {
      said.textContent = words();
      [told, waits] = [performance.now(), false];
    }, Math.max(0, told + 100 - performance.now()));
  }

  /** Bring all in line with the state; `glide` where the points themselves moved by the reader's choice. */
  function sync(glide: boolean): void {
    const { about, codes } = model();
    const [first, second] = pair();
    const key = `${about.name} ${kind()} ${first} ${second}`;
    const gone = hidden();
    for (let i = 0; i < shown.length; i++) shown[i] = labels && gone.has(labels[i] as number) ? 0 : 1;
    if (key !== here.key) {
      const before = here.key ? nearest : -1;
      here.key = key;
      here.plane = plane(about, kind(), first, second);
      here.points = project(here.plane, codes);
      here.whole = extent(here.points);
      // Another plane: the place on the old one means nothing, the image it was nearest to does.
      if (glide && !state.sent) {
        state.set(KEY.view, null);
        if (at()) state.set(KEY.at, before >= 0 ? [...pointOf(before)] : null);
      }
      axes.set();
      nameAcross.textContent = `${directionName(kind(), first)} →`;
      nameUp.textContent = `↑ ${directionName(kind(), second)}`;
      hover(-1);
    }
    atlas.show(
      {
        cloud: { points: here.points, shown, classes }, whole: here.whole,
        colours: () => (labels ? found.map((label) => theme.classColour(label)) : [theme.modelColour(model().about)]),
        markers: labels ? found.map((label) => theme.classMarker(label)) : ["o"],
      },
      glide,
    );
    classKey.set(gone);
    modes.set(mode());
    describe();
    atlas.look(view());
    if (started) decode();
  }

  let started = false;
  for (const key of ["model", KEY.axes, KEY.across, KEY.up]) state.on(key, () => sync(true));
  for (const key of [KEY.hide, KEY.mode]) state.on(key, () => sync(false));
  state.on(KEY.view, () => {
    atlas.look(view());
    hover(-1);
    mark();
  });
  state.on(KEY.at, decode);
  state.on("image", () => {
    describe();
    // Picked elsewhere: the point goes there.
    if (at() && !state.sent) state.set(KEY.at, null);
    else decode();
  });
  theme.on(() => {
    atlas.redraw();
    mark();
  });
  new ResizeObserver(() => {
    atlas.redraw();
    mark();
  }).observe(box);
  sync(false);
  whenSeen(box, () => {
    started = true;
    decode();
  });
}
