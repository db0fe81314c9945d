import assert from "node:assert/strict";
import { test } from "node:test";

import { latest, pause } from "../src/queue.ts";

/** A job that ends when it is told to. */
function held<T>(value: T): { job: () => Promise<T>; end: () => void; begun: () => boolean } {
  let end = (): void => undefined;
  let begun = false;
  const promise = new Promise<T>((resolve) => (end = () => resolve(value)));
  return { job: () => ((begun = true), promise), end: () => end(), begun: () => begun };
}

test("never more than one in flight, and of those that wait only the newest runs", async () => {
  const queue = latest();
  let [running, most] = [0, 0];
  const ran: number[] = [];
  const results = await Promise.all(
    Array.from({ length: 61 }, (_, i) =>
      queue("vae", async () => {
        most = Math.max(most, ++running);
        ran.push(i);
        await pause();
        running--;
        return i;
      }),
    ),
  );
  assert.equal(most, 1);
  assert.deepEqual(ran, [0, 60]);
  assert.deepEqual(results.filter((result) => result !== undefined), [0, 60]);
});

test("keys do not wait for each other", async () => {
  const queue = latest();
  const [slow, quick] = [held("slow"), held("quick")];
  const first = queue("pca", slow.job);
  const second = queue("vae", quick.job);
  quick.end();
  assert.equal(await second, "quick");
  slow.end();
  assert.equal(await first, "slow");
});

test("a job that fails rejects, and the next one still runs", async () => {
  const queue = latest();
  const failed = queue("k", () => Promise.reject(new Error("no memory")));
  const next = queue("k", () => Promise.resolve(2));
  await assert.rejects(failed, /no memory/);
  assert.equal(await next, 2);
  const thrown = queue("k", () => {
    throw new Error("at once");
  });
  await assert.rejects(thrown, /at once/);
  assert.equal(await queue("k", () => Promise.resolve(3)), 3);
});

test("one that arrives while another runs begins only when that ends", async () => {
  const queue = latest();
  const [a, b] = [held("a"), held("b")];
  const first = queue("k", a.job);
  const second = queue("k", b.job);
  await pause();
  assert.deepEqual([a.begun(), b.begun()], [true, false]);
  a.end();
  await first;
  await pause();
  assert.ok(b.begun());
  b.end();
  assert.equal(await second, "b");
});
