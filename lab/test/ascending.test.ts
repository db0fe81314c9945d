import assert from "node:assert/strict";
import { test } from "node:test";

import { boundTicks, deviations, drawnCodes, gap, stretched, told, unstretched } from "../src/ascending.ts";
import type { PosteriorMeta } from "../src/context.ts";

const ascent: PosteriorMeta = {
  image: 3, model: "vae", steps: [0, 1, 5], phi_mean: [[0, 0], [1, 1], [2, 1]], phi_log_spread: [[0], [-1], [-2]], elbo: [-450, -20, 30.5],
  encoder_mean: [1, 1], encoder_spread: [0.1], encoder_elbo: 19.1, best_elbo: 30.1,
};

test("one standard deviation serves all dimensions, K serve one each", () => {
  assert.deepEqual(Array.from(deviations([2], 3)), [2, 2, 2]);
  assert.deepEqual(Array.from(deviations([1, 2, 3], 3)), [1, 2, 3]);
});

test("draws are the mean, scaled and shifted row by row", () => {
  assert.deepEqual(Array.from(drawnCodes([1, -1], [2, 0.5], Float32Array.from([0, 0, 1, -2]))), [1, -1, 3, -2]);
});

test("the stretched axis keeps order and can be read back", () => {
  const bounds = [-5000, -450, -20, 19, 29.9, 30.1];
  const places = bounds.map((bound) => stretched(bound, 30.1));
  places.forEach((place, i) => {
    assert.ok(i === 0 || place > (places[i - 1] as number));
    assert.ok(Math.abs(unstretched(place, 30.1) - (bounds[i] as number)) < 1e-6 * 5000);
  });
  assert.ok(Math.abs(places.at(-1) as number) === 0);
});

test("the axis has whole numbers, rising, none far below the lowest bound", () => {
  for (const [best, lowest] of [[30.1, -450], [-3.2, -3.3], [1234.5, -90_000]] as const) {
    const ticks = boundTicks(best, lowest);
    assert.ok(ticks.length >= 2 && ticks.every(Number.isInteger));
    assert.ok(ticks.every((tick, i) => i === 0 || tick > (ticks[i - 1] as number)));
    assert.ok((ticks[0] as number) >= Math.min(lowest, best - 3) - 1 && (ticks.at(-1) as number) <= best);
  }
});

test("words: the bound now, the gap in nats, and when the encoder is overtaken", () => {
  assert.ok(Math.abs(gap(ascent) - 11) < 1e-9);
  assert.match(told(ascent, 0).now, /knows nothing.*−450\.0 nats.*not yet/);
  assert.match(told(ascent, 1).now, /After 1 step /);
  assert.match(told(ascent, 2).now, /After 5 steps.*better than the encoder/);
  assert.match(told(ascent, 2).gap, /11\.0 nats, is the amortisation gap.*within 5 steps/);
  assert.match(told({ ...ascent, encoder_elbo: 30.3 }, 2).gap, /no amortisation gap/);
  assert.doesNotMatch(told({ ...ascent, encoder_elbo: 99 }, 2).gap, /overtakes/);
});
