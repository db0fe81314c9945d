/** Networks are opened one after another, with a frame between: what is asked for first is seen first. */

import type { Model } from "./context.ts";
import { frame } from "./queue.ts";

/**
 * Models whose first decode waits for the first decodes that were asked for earlier, and for the frame that shows them. To open a
 * network takes a tenth of a second or so, and the page stands still meanwhile. From the second decode on nothing waits.
 */
export function oneByOne<M extends Pick<Model, "decode">>(models: readonly M[], rest: () => Promise<void> = frame): M[] {
  let turn: Promise<unknown> = Promise.resolve();
  return models.map((model) => {
    let opened: Promise<unknown> | null = null;
    let open = false;
    const decode: Model["decode"] = (z, n) => {
      if (open) return model.decode(z, n);
      if (opened) return opened.then(() => model.decode(z, n));
      const first = turn.then(() => model.decode(z, n));
      opened = first.catch(() => undefined).then(() => (open = true));
      turn = opened.then(rest);
      return first;
    };
    return { ...model, decode };
  });
}
