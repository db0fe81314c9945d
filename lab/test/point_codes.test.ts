import assert from "node:assert/strict";
import { test } from "node:test";

import type { Context, Model } from "../src/context.ts";
import { choices, KEY } from "../src/map_choices.ts";
import { along, type Codes, plane, project } from "../src/plane.ts";
import { type Coded, pointCodes } from "../src/point_codes.ts";
import { createState, format } from "../src/state.ts";

/** A model whose axes are its dimensions in another order, with codes of two images. */
function model(name: string, order: readonly number[], scale: readonly number[]): Coded {
  const k = order.length;
  const axes = order.map((d) => Array.from({ length: k }, (_, i) => Number(i === d)));
  const raw = Array.from({ length: k }, (_, i) => scale[order.indexOf(i)] as number);
  const total = raw.reduce((sum, value) => sum + value * value, 0);
  const about: Codes = {
    k, axes, scale, mean: Array<number>(k).fill(1), raw_mean: Array<number>(k).fill(1), raw_scale: raw,
    carries: raw.map((value) => (value * value) / total), rate: null, collapsed: Array<boolean>(k).fill(false),
  };
  return { about: { ...about, name }, codes: Float32Array.from({ length: 2 * k }, (_, i) => (i + 1) / 10) };
}

const own = model("own", [2, 0, 1], [3, 2, 1]);
const other = model("other", [1, 2, 0], [30, 10, 5]);

for (const kind of ["principal", "raw"] as const) {
  test(`other models go as many of their own standard deviations along directions of the same rank, ${kind}`, () => {
    const mine = plane(own.about, kind, kind === "raw" ? 2 : 0, kind === "raw" ? 0 : 1);
    const codes = pointCodes([own, other], { own, plane: mine, at: [0, 0], near: 1, shift: [1.5, -4], inPlane: false });
    const moves = (of: Coded, j: number): number => along(of.about, "principal", j, codes.get(of.about.name) as Float32Array) - along(of.about, "principal", j, of.codes.subarray(3));
    for (const [of, wanted] of [[own, [1.5, -4, 0]], [other, [15, -20, 0]]] as const) {
      for (let j = 0; j < 3; j++) assert.ok(Math.abs(moves(of, j) - (wanted[j] as number)) < 1e-4, `${of.about.name} ${j}: ${moves(of, j)}`);
    }
  });
}

test("in the plane the map's own model decodes the point itself, whatever image is near", () => {
  const mine = plane(own.about, "principal", 0, 2);
  const codes = pointCodes([own, other], { own, plane: mine, at: [0.5, 0.25], near: 0, shift: [9, 9], inPlane: true });
  assert.deepEqual([...(codes.get("own") as Float32Array)], [1, 1.25, 1.5]);
  assert.equal(codes.size, 2);
});

test("where no image is shown only the map's own model has a point, that of the plane", () => {
  const mine = plane(own.about, "raw", 0, 1);
  const codes = pointCodes([other, own], { own, plane: mine, at: [7, 8], near: -1, shift: [0, 0], inPlane: false });
  assert.deepEqual([...codes.keys()], ["own"]);
  assert.deepEqual([...project(mine, codes.get("own") as Float32Array)], [7, 8]);
});

test("around an image without a shift, every model decodes its own code of it", () => {
  const codes = pointCodes([own, other], { own, plane: plane(own.about, "principal", 0, 1), at: [0, 0], near: 0, shift: [0, 0], inPlane: false });
  for (const each of [own, other]) assert.deepEqual([...(codes.get(each.about.name) as Float32Array)], [...each.codes.subarray(0, 3)]);
});

test("choices of a hostile or outdated address are as if nothing had been chosen", () => {
  const of = (entries: Record<string, string>) => {
    const hash = `#${format(new Map(Object.entries(entries)))}`;
    const state = createState({ read: () => hash, write: () => undefined, changed: () => undefined });
    return choices({ state, images: { count: 2 } as Context["images"] }, [own, other].map((each) => ({ ...each, spread: null }) as unknown as Model));
  };
  const plain = of({});
  assert.equal(plain.model().about.name, "other");
  assert.deepEqual([plain.pair(), plain.picked(), plain.at(), plain.view(), plain.mode(), plain.kind()], [[0, 1], -1, null, null, "near", "principal"]);
  const odd = of({ model: "<img>", image: "99", [KEY.across]: "77", [KEY.up]: "1.5", [KEY.at]: "1,x", [KEY.view]: "1,2,0", [KEY.mode]: "!", [KEY.axes]: "__proto__" });
  assert.deepEqual([odd.model().about.name, odd.pair(), odd.picked(), odd.at(), odd.view(), odd.mode(), odd.kind()], ["other", [0, 1], 1, null, null, "near", "principal"]);
  assert.deepEqual(of({ model: "own", [KEY.across]: "1" }).pair(), [1, 0]);
  assert.deepEqual(of({ model: "own", [KEY.up]: "0" }).pair(), [1, 0]);
  assert.deepEqual(of({ model: "own", [KEY.across]: "2", [KEY.up]: "2", [KEY.axes]: "raw" }).pair(), [2, 0]);
});
