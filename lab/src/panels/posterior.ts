/** One image and its whole posterior: q climbs from the prior to where it explains the image best, beside the encoder's guess. */

import "./posterior.css";

import { boundTicks, deviations, drawnCodes, gap, stretched, told, unstretched } from "../ascending.ts";
import { words } from "../assets.ts";
import { codesOfQ } from "../codes_of_q.ts";
import type { Context, Meta, Model, Panel, PosteriorMeta } from "../context.ts";
import { button, row, tile } from "../controls.ts";
import { counted, fixed } from "../format.ts";
import { el, notLive, problem } from "../layout.ts";
import { markerIcon, trace } from "../markers.ts";
import { normals } from "../normal.ts";
import { plot, type Plot } from "../plot.ts";
import { player, type Player } from "../player.ts";
import { latest } from "../queue.ts";
import { whenSeen } from "../seen.ts";
import { imageWords, step as toNext, within } from "../wording.ts";

const DRAWS = 6;
const EACH = 700; // ms that a moment stays

export const panel: Panel = {
  id: "posterior",
  title: "One image, whole posterior",
  about:
    "An encoder guesses q(z|x), the codes that could have made an image, at one glance; here q is sought for one image by climbing its ELBO, step by step, from N(0, I). " +
    "Where the climb ends above the encoder's guess, the difference is the amortisation gap.",
  unfit: (meta: Meta) => (meta.posterior.some(({ steps }) => steps.length > 0) ? null : "No ascent to the best q of single images was stored with this run."),
  mount,
};

/** A whole bound without digits after the point, as at the axis's own numbers; others with one. */
function boundWords(bound: number): string {
  const whole = Math.round(bound);
  return Math.abs(bound - whole) < 1e-6 * Math.max(1, Math.abs(bound)) ? fixed(whole, 0) : fixed(bound, 1);
}

function mount(root: HTMLElement, context: Context): void {
  const { meta, models, state, theme, images, labels } = context;
  const ascents = meta.posterior.filter(({ steps }) => steps.length > 0);
  const at = (): number => within(state.get("posterior.image", 0), ascents.length);
  const ascent = (): PosteriorMeta => ascents[at()] as PosteriorMeta;
  const model = (): Model => models.find(({ about }) => about.name === ascent().model) as Model;
  const moment = (): number => within(state.get("posterior.moment", ascent().steps.length - 1), ascent().steps.length);
  const seed = (): number => Math.round(state.get("posterior.seed", 0));
  const queue = latest();
  let shown: Player | null = null;
  let curve: Plot | null = null;
  let seen = false;

  const picks = ascents.map((each, i) => {
    const name = imageWords(meta, labels, each.image);
    const canvas = el("canvas", { "aria-hidden": "true" });
    images.drawImage(canvas, each.image);
    const press = el("button", { type: "button", class: "tile", role: "radio", "aria-label": `${name}: amortisation gap ${fixed(gap(each), 1)} nats`, "data-role": "posterior-image" },
      canvas, el("span", { class: "small quiet" }, `gap ${fixed(gap(each), 1)} nats`));
    press.addEventListener("click", () => state.set("posterior.image", i));
    press.addEventListener("keydown", (event) => {
      const to = toNext(event.key, i, ascents.length, 1);
      if (to === null) return;
      event.preventDefault();
      state.set("posterior.image", to);
      picks[to]?.focus();
    });
    return press;
  });
  const playing = el("div", {});
  const bounds = el("div", { "data-role": "elbo" });
  const q = codesOfQ(context);
  const icon = markerIcon(model().about.marker);
  const ours = markerIcon("o");
  const tint = (): void => {
    icon.style.color = theme.modelColour(model().about);
    ours.style.color = theme.colour("accent");
  };
  const now = el("p", { "data-role": "posterior-words" });
  const lost = el("p", { "data-role": "gap" });
  const original = tile("the image");
  const centre = tile("mean of q");
  const guess = tile("encoder's mean");
  const draws = Array.from({ length: DRAWS }, (_, i) => tile(`draw ${i + 1}`));
  [centre, guess].forEach(({ canvas }, i) => (canvas.dataset["role"] = ["q-mean", "encoder-mean"][i]));
  draws.forEach(({ canvas }) => (canvas.dataset["role"] = "q-draw"));

  root.append(
    el("div", { class: "picks", role: "radiogroup", "aria-label": "Image" }, ...picks), playing,
    el("div", { class: "ascent" },
      el("div", {},
        el("h3", {}, "ELBO of this image, nats (stretched near the best)"), bounds, now, lost),
      el("div", {},
        el("h3", {}, "q along each dimension of z: mean, and two standard deviations to either side"), q.element,
        el("div", { class: "keys small quiet" },
          el("span", { class: "key" }, ours, "q at this step"), el("span", { class: "key" }, icon, "the encoder's q"), el("span", { class: "key" }, el("i", { class: "band" }), "95 % of the prior")),
        el("h3", {}, "What codes drawn from this q decode to"),
        context.live ? el("div", { class: "tiles q-tiles" }, ...[original, guess, centre, ...draws].map(({ element }) => element)) : notLive("Decoding draws of q"),
        context.live ? row(button("Draw again", () => state.set("posterior.seed", seed() + 1), "Other draws from the same q")) : null)),
  );
  (root.querySelector('[title="Other draws from the same q"]') as HTMLElement | null)?.setAttribute("data-role", "q-again");

  /** Another image: another curve and another slider. */
  function open(): void {
    const each = ascent();
    picks.forEach((press, i) => {
      press.setAttribute("aria-checked", String(i === at()));
      press.tabIndex = i === at() ? 0 : -1;
    });
    shown?.remove();
    shown = player({
      label: "Ascent", count: each.steps.length, value: moment(), each: EACH,
      format: (t) => `after ${counted(each.steps[t] as number, "step")}`, onShow: (t) => state.set("posterior.moment", t),
    });
    playing.replaceChildren(shown.element);
    curve?.remove();
    curve = boundCurve(each);
    bounds.replaceChildren(curve.element);
    images.drawImage(original.canvas, each.image);
    original.caption.textContent = imageWords(meta, labels, each.image);
    original.canvas.setAttribute("aria-label", `The image itself: ${original.caption.textContent}`);
    tint();
    show();
  }

  /** The ELBO at every step, the encoder's and the best as lines. */
  function boundCurve(each: PosteriorMeta): Plot {
    const best = Math.max(each.best_elbo, ...each.elbo, each.encoder_elbo);
    const place = (bound: number): number => stretched(bound, best);
    const lowest = Math.min(...each.elbo, each.encoder_elbo);
    const x = each.steps.map((step) => Math.log1p(step));
    const flat = (bound: number): number[] => x.map(() => place(bound));
    const about = model().about;
    return plot(theme, {
      x, height: 250, xLabel: "steps of the ascent", xTicks: x, formatX: (value) => String(Math.round(Math.expm1(value))),
      yTicks: boundTicks(best, lowest).map(place), formatY: (value) => boundWords(unstretched(value, best)),
      yRange: [place(lowest) - 0.3, 0.35], label: `ELBO of the image after every step of the ascent, from ${fixed(lowest, 1)} to ${fixed(best, 1)} nats`,
      lines: [
        { label: "best q found", values: flat(each.best_elbo), colour: () => theme.colour("quiet"), width: 1.2 },
        { label: "encoder's q", values: flat(each.encoder_elbo), colour: () => theme.modelColour(about), dash: [6, 4] },
        { label: "ascent", values: each.elbo.map(place), colour: () => theme.colour("accent"), marker: "o" },
      ],
      onPick: (value) => {
        shown?.stop();
        state.set("posterior.moment", x.reduce((near, each, i) => (Math.abs(each - value) < Math.abs((x[near] as number) - value) ? i : near), 0));
      },
      paint(pen, to) {
        pen.beginPath();
        trace(pen, "o", to.x(x[moment()] as number), to.y(place(each.elbo[moment()] as number)), 7 * to.ratio);
        pen.fillStyle = theme.colour("accent");
        pen.strokeStyle = theme.colour("card");
        pen.lineWidth = 2 * to.ratio;
        pen.fill();
        pen.stroke();
      },
    });
  }

  /** The moment as the state has it. */
  function show(): void {
    const [each, t] = [ascent(), moment()];
    shown?.set(t);
    curve?.redraw();
    const words = told(each, t);
    now.textContent = words.now;
    lost.textContent = words.gap;
    q.draw(each, model().about, t);
    root.dataset["moment"] = String(t);
    if (context.live && seen) decode(each, t);
  }

  function decode(each: PosteriorMeta, t: number): void {
    const k = model().about.k;
    const mean = each.phi_mean[t] as readonly number[];
    const spread = deviations((each.phi_log_spread[t] as readonly number[]).map(Math.exp), k);
    const codes = Float32Array.from([...each.encoder_mean, ...mean, ...drawnCodes(mean, spread, normals(seed(), DRAWS * k))]);
    queue("draws", () => model().decode(codes, DRAWS + 2)).then((x) => {
      if (!x) return;
      [guess, centre, ...draws].forEach(({ canvas, caption }, i) => {
        images.draw(canvas, x, i * images.size);
        canvas.setAttribute("aria-label", `Decoded: ${caption.textContent}${i ? `, after ${counted(each.steps[t] as number, "step")} of the ascent` : ""}`);
      });
      root.dataset["drawn"] = `${at()} ${t} ${seed()}`;
      problem(root, null);
    }).catch((error: unknown) => problem(root, words(error)));
  }

  open();
  theme.on(tint);
  state.on("posterior.image", open);
  for (const key of ["posterior.moment", "posterior.seed"]) state.on(key, show);
  whenSeen(root, () => {
    seen = true;
    show();
  });
}
