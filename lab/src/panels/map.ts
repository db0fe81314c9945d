/** Every image as a point where its code lies; the plane under the hand decoded by every model. */

import "./map.css";

import { createAtlas } from "../atlas.ts";
import type { Context, Model, Panel } from "../context.ts";
import { button, choice, menu, row } from "../controls.ts";
import { decodes } from "../decodes.ts";
import { directionName, defaultModel, percent, placeWords } from "../directions.ts";
import { listen } from "../gestures.ts";
import { className, legend, present } from "../legend.ts";
import { el, notLive, problem } from "../layout.ts";
import { codeAt, type Kind, order, type Plane, plane, project, ring, shares, shifted } from "../plane.ts";
import { whenSeen } from "../seen.ts";
import { type Extent, extent, nearestPoint, panned, toPlane, toScreen, type View, zoomed } from "../view.ts";
import { imageWords, within } from "../wording.ts";

const [AXES, ACROSS, UP, AT, VIEW, HIDE, MODE] = ["map.axes", "map.x", "map.y", "map.at", "map.view", "map.hide", "map.mode"];
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

  // What is shown: derived from the state alone.
  const model = (): Model => models.find(({ about }) => about.name === state.get("model", "")) ?? defaultModel(models);
  const kind = (): Kind => (state.get(AXES, "principal") === "raw" ? "raw" : "principal");
  const hidden = (): ReadonlySet<number> => new Set(state.get(HIDE, [] as readonly number[]));
  const picked = (): number => {
    const image = state.get("image", -1);
    return image >= 0 ? within(image, images.count) : -1;
  };
  const pair = (): readonly [number, number] => {
    const [about, ranked] = [model().about, order(model().about, kind())];
    const asked = [state.get(ACROSS, -1), state.get(UP, -1)].map((j) => (Number.isInteger(j) && j >= 0 && j < about.k ? j : -1)) as [number, number];
    const first = asked[0] >= 0 ? asked[0] : (ranked.find((j) => j !== asked[1]) as number);
    const second = asked[1] >= 0 && asked[1] !== first ? asked[1] : (ranked.find((j) => j !== first) as number);
    return [first, second];
  };

  // What follows from it, kept until it changes.
  const here: { key: string; plane: Plane; points: Float32Array; whole: Extent } = { key: "", plane: plane(model().about, "principal", 0, 1), points: new Float32Array(), whole: { x: 0, y: 0, half: 1 } };
  const shown = new Uint8Array(images.count).fill(1);
  const classes = new Uint16Array(images.count);
  const found = labels ? present(labels) : [];
  const place = new Map(found.map((label, i) => [label, i]));
  if (labels) classes.set(Array.from(labels, (label) => place.get(label) as number));
  let hovered = -1;
  let nearest = -1;
  let pointed = ""; // the probe's place as it was when it was last drawn

  const view = (): View => {
    const [x, y, zoom] = state.get(VIEW, [] as readonly number[]);
    return x === undefined || y === undefined || zoom === undefined || !(zoom > 0) ? { x: here.whole.x, y: here.whole.y, zoom: 1 } : { x, y, zoom };
  };
  const look = (next: View): void => state.set(VIEW, next.zoom === 1 && next.x === here.whole.x && next.y === here.whole.y ? null : [next.x, next.y, next.zoom]);
  const pointOf = (i: number): readonly [number, number] => [here.points[2 * i] as number, here.points[2 * i + 1] as number];
  const probe = (): readonly [number, number] => {
    const [x, y] = state.get(AT, [] as readonly number[]);
    if (x !== undefined && y !== undefined) return [x, y];
    if (picked() >= 0) return pointOf(picked());
    const middle = project(here.plane, model().about.mean);
    const close = nearestPoint(here.points, shown, middle[0] as number, middle[1] as number).index;
    return close >= 0 ? pointOf(close) : [middle[0] as number, middle[1] as number];
  };
  const under = (left: number, top: number): readonly [number, number] => toPlane(here.whole, view(), atlas.size(), left, top);

  // Controls.
  const choose = menu("Codes of", models.map(({ about }) => [about.name, about.label] as const), model().about.name, (name) => state.set("model", name));
  choose.select.dataset["role"] = "map-model";
  const axes = choice<Kind>("Along", [["principal", "principal axes"], ["raw", "raw dimensions"]], kind(), (chosen) => {
    state.set(ACROSS, null);
    state.set(UP, null);
    state.set(AXES, chosen);
  });
  axes.element.dataset["role"] = "map-axes";
  const across = menu("→", [], "", (j) => turn(ACROSS, UP, Number(j)));
  const up = menu("↑", [], "", (j) => turn(UP, ACROSS, Number(j)));
  across.select.dataset["role"] = "map-x";
  up.select.dataset["role"] = "map-y";
  across.select.setAttribute("aria-label", "to the right");
  up.select.setAttribute("aria-label", "upwards");
  function turn(key: string, other: string, j: number): void {
    const [first, second] = pair();
    const [mine, theirs] = key === ACROSS ? [first, second] : [second, first];
    state.set(other, theirs === j ? mine : theirs); // chosen twice: the two change places
    state.set(key, j);
  }
  const mode = choice<"near" | "plane">("Decode", [["near", "around the nearest image"], ["plane", "in the plane"]], "near", (chosen) => state.set(MODE, chosen));
  mode.element.dataset["role"] = "map-mode";
  const classKey = legend(theme, found, className(meta.classes ?? []), (labels) => state.set(HIDE, labels.length ? labels : null));

  // The map itself.
  const middleZoom = (factor: number): void => look(zoomed(here.whole, view(), atlas.size(), factor));
  const whole = (): void => state.set(VIEW, null);
  const zooms = el(
    "div", { class: "zooms" },
    ...([["+", "zoom-in", "Enlarge (+)", () => middleZoom(1.5)], ["−", "zoom-out", "Shrink (−)", () => middleZoom(1 / 1.5)], ["⤢", "zoom-whole", "Show the whole map (0)", whole]] as const).map(
      ([sign, role, words, action]) => {
        const made = button(sign, action, words);
        made.setAttribute("aria-label", words);
        made.dataset["role"] = role;
        return made;
      },
    ),
  );
  const thumb = el("canvas", { class: "pixels" });
  const tipWords = el("span", {});
  const tip = el("div", { class: "tip", "data-role": "map-tip", role: "status" }, thumb, tipWords);
  tip.hidden = true;
  const [nameAcross, nameUp] = [el("span", { class: "name across" }), el("span", { class: "name up" })];
  const box = el("div", { class: "atlas" }, atlas.points, atlas.marks, nameUp, nameAcross, zooms, tip);
  const tiles = context.live ? decodes(context, context.models, (text) => problem(root, text)) : null;
  const said = el("p", { class: "small quiet said", "data-role": "map-words" });
  const aloud = el("p", { class: "visually-hidden", role: "status" });
  const keys = el("p", { class: "small quiet keys" }, "Wheel, pinch or + and − enlarge; space and drag, two fingers or arrow keys move. Shift and arrow keys move the point, Enter picks the image nearest to it.");
  atlas.marks.setAttribute("role", "application");
  atlas.marks.setAttribute("aria-label", "Map of codes. Arrow keys move it, plus and minus enlarge and shrink it, 0 shows all of it. Shift and arrow keys move the decoded point, Enter picks the nearest image.");

  root.append(
    row(choose.element, axes.element, across.element, up.element), box, ...(labels ? [classKey.element] : []),
    row(mode.element), ...(tiles ? [tiles.element] : [notLive("Decoding a point")]), said, keys,
  );
  root.append(aloud);

  listen(atlas.marks, {
    hover: (left, top) => hover(close(left, top, REACH)),
    leave: () => hover(-1),
    click(left, top, touch) {
      const image = close(left, top, touch ? FINGER : REACH);
      if (image < 0) return state.set(AT, [...under(left, top)]);
      state.set(AT, null);
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
      state.set(AT, null);
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

  let eventTime = 0;
  function point(to: readonly [number, number], when: number): void {
    eventTime = when;
    state.set(AT, [...to]);
  }

  function mark(): void {
    const { spread, about } = model();
    const image = picked();
    const each = spread ? spread.length / images.count : 0;
    atlas.mark({
      picked: image, hovered, near: nearest, probe: probe(), ringColour: theme.modelColour(about),
      ring: spread && image >= 0 ? ring(here.plane, spread.subarray(image * each, (image + 1) * each)) : null,
    });
    const [left, top] = image >= 0 ? toScreen(here.whole, view(), atlas.size(), ...pointOf(image)) : [NaN, NaN];
    Object.assign(atlas.marks.dataset, { picked: image, pickedAt: image >= 0 ? `${left.toFixed(1)} ${top.toFixed(1)}` : "", ring: String(Boolean(spread && image >= 0)) });
  }

  /** Decode the probe's point with every model. */
  function decode(): void {
    const at = probe();
    const own = model();
    const near = nearestPoint(here.points, shown, ...at).index;
    nearest = near;
    const inPlane = state.get(MODE, "near") === "plane";
    const [dx, dy] = near >= 0 ? [at[0] - pointOf(near)[0], at[1] - pointOf(near)[1]] : [0, 0];
    const ranks = pair().map((j) => order(own.about, kind()).indexOf(j)) as [number, number];
    const codes = new Map<string, Float32Array>();
    for (const { about, codes: all } of context.models) {
      if (about.name === own.about.name && (inPlane || near < 0)) codes.set(about.name, codeAt(here.plane, ...at));
      else if (near >= 0) {
        const z = all.subarray(near * about.k, (near + 1) * about.k);
        const ranked = order(about, kind());
        const [j, i] = ranks.map((rank) => ranked[Math.min(rank, about.k - 1)] as number) as [number, number];
        const theirs = about.name === own.about.name ? here.plane : plane(about, kind(), j, i);
        const [right, up] = [theirs.scale[0] / here.plane.scale[0], theirs.scale[1] / here.plane.scale[1]];
        codes.set(about.name, shifted(theirs, z, dx * right, about.k > 1 ? dy * up : 0));
      }
    }
    const text = `${at[0].toFixed(4)} ${at[1].toFixed(4)}`;
    Object.assign(atlas.marks.dataset, { at: text, near: String(near) });
    tiles?.show({ codes, near, own: own.about.name, when: eventTime || performance.now(), at: text });
    eventTime = 0;
    pointed = state.get(AT, [] as readonly number[]).join();
    said.textContent = placeWords({
      model: own.about, plane: here.plane, at, shift: [dx, dy], inPlane, near: near < 0 ? null : named(near),
      others: context.models.length > 1, ring: own.spread !== null && picked() >= 0 ? named(picked()) : null,
    });
    mark();
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
      const stayed = here.key !== "" && pointed === state.get(AT, [] as readonly number[]).join() && pointed !== "";
      here.key = key;
      here.plane = plane(about, kind(), first, second);
      here.points = project(here.plane, codes);
      here.whole = extent(here.points);
      // Another plane: the place on the old one means nothing, the image it was nearest to does.
      if (glide) state.set(VIEW, null);
      if (glide && stayed) state.set(AT, before >= 0 ? [...pointOf(before)] : null);
      choose.set(about.name);
      axes.set(kind());
      const [share, ranked] = [shares(about, kind()), order(about, kind())];
      for (const [each, chosen] of [[across, first], [up, second]] as const) {
        each.select.replaceChildren(...ranked.map((j) => el("option", { value: j }, `${directionName(kind(), j)} · ${percent(share[j] as number)}`)));
        each.set(String(chosen));
      }
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
    mode.set(state.get(MODE, "near") === "plane" ? "plane" : "near");
    atlas.look(view());
    if (started) decode();
  }

  let started = false;
  for (const key of ["model", AXES, ACROSS, UP]) state.on(key, () => sync(true));
  for (const key of [HIDE, MODE]) state.on(key, () => sync(false));
  state.on(VIEW, () => {
    atlas.look(view());
    hover(-1);
    mark();
  });
  state.on(AT, decode);
  state.on("image", () => {
    // Picked elsewhere: the point goes there, unless an address named another.
    if (pointed && pointed === state.get(AT, [] as readonly number[]).join()) state.set(AT, null);
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
