/** What the reader chose on the map, read from the shared state alone, whatever an address holds. */

import type { Context, Model } from "./context.ts";
import { defaultModel } from "./directions.ts";
import { type Kind, order } from "./plane.ts";
import type { View } from "./view.ts";
import { within } from "./wording.ts";

export const KEY = { axes: "map.axes", across: "map.x", up: "map.y", at: "map.at", view: "map.view", hide: "map.hide", mode: "map.mode" } as const;

export type Mode = "near" | "plane";

export interface Choices {
  model(): Model;
  kind(): Kind;
  /** The two directions; those that carry most unless others were chosen. */
  pair(): readonly [number, number];
  mode(): Mode;
  /** Labels that are not shown. */
  hidden(): ReadonlySet<number>;
  /** -1 is none. */
  picked(): number;
  /** The decoded point, where one was chosen. */
  at(): readonly [number, number] | null;
  view(): View | null;
}

export function choices({ state, images }: Pick<Context, "state" | "images">, models: readonly Model[]): Choices {
  const model = (): Model => models.find(({ about }) => about.name === state.get("model", "")) ?? defaultModel(models);
  const kind = (): Kind => (state.get(KEY.axes, "principal") === "raw" ? "raw" : "principal");
  const numbers = (key: string): readonly number[] => state.get(key, [] as readonly number[]);
  return {
    model,
    kind,
    pair() {
      const { about } = model();
      const ranked = order(about, kind());
      const [first, second] = [KEY.across, KEY.up].map((key) => ranked.find((j) => j === state.get(key, -1)));
      const across = first ?? (ranked.find((j) => j !== second) as number);
      return [across, second !== undefined && second !== across ? second : (ranked.find((j) => j !== across) as number)];
    },
    mode: () => (state.get(KEY.mode, "near") === "plane" ? "plane" : "near"),
    hidden: () => new Set(numbers(KEY.hide)),
    picked() {
      const image = state.get("image", -1);
      return image >= 0 ? within(image, images.count) : -1;
    },
    at() {
      const [x, y] = numbers(KEY.at);
      return x === undefined || y === undefined ? null : [x, y];
    },
    view() {
      const [x, y, zoom] = numbers(KEY.view);
      return x === undefined || y === undefined || zoom === undefined || !(zoom > 0) ? null : { x, y, zoom };
    },
  };
}
