import assert from "node:assert/strict";
import { test } from "node:test";

import { oneByOne } from "../src/one_by_one.ts";

/** Models that say what they do, in order; decodes end when they are told to. */
function told(names: readonly string[]) {
  const said: string[] = [];
  const ends = new Map<string, () => void>();
  const fails = new Set<string>();
  const models = names.map((name) => ({
    decode: async (z: Float32Array, n: number): Promise<Float32Array> => {
      said.push(`${name} begins ${n}`);
      await new Promise<void>((end) => ends.set(name, end));
      if (fails.has(name)) throw new Error(name);
      said.push(`${name} ends`);
      return z;
    },
  }));
  return { said, ends, fails, models };
}

const later = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));
const z = Float32Array.of(1);

test("the first decode of a model waits for the one before it and for a frame", async () => {
  const { said, ends, models } = told(["vae", "pca"]);
  const [vae, pca] = oneByOne(models, async () => void said.push("frame"));
  const [second, first] = [pca?.decode(z, 2), vae?.decode(z, 1)]; // in the order they are asked for, not that of the models
  await later();
  assert.deepEqual(said, ["pca begins 2"]);
  ends.get("pca")?.();
  await second;
  await later();
  assert.deepEqual(said, ["pca begins 2", "pca ends", "frame", "vae begins 1"]);
  ends.get("vae")?.();
  assert.equal(await first, z);
});

test("once a model has decoded nothing waits", async () => {
  const { said, ends, models } = told(["vae", "pca"]);
  const [vae, pca] = oneByOne(models, async () => undefined);
  const [first, early] = [vae?.decode(z, 1), vae?.decode(z, 2)];
  await later();
  assert.deepEqual(said, ["vae begins 1"], "the second waits for the network to be open");
  ends.get("vae")?.();
  await first;
  await later();
  ends.get("vae")?.();
  await early;
  void pca?.decode(z, 1); // is never told to end
  await later();
  void vae?.decode(z, 3);
  assert.equal(said.at(-1), "vae begins 3", "at once, whatever another model does");
});

test("a network that fails is told of, and the next is opened all the same", async () => {
  const { ends, fails, models } = told(["vae", "pca"]);
  const [vae, pca] = oneByOne(models, async () => undefined);
  fails.add("vae");
  const [bad, good] = [vae?.decode(z, 1), pca?.decode(z, 1)];
  await later();
  ends.get("vae")?.();
  await assert.rejects(async () => bad, /vae/u);
  await later();
  ends.get("pca")?.();
  assert.equal(await good, z);
});
