import assert from "node:assert/strict";
import { test } from "node:test";

import { PageError } from "../src/assets.ts";
import { readMeta } from "../src/meta.ts";
import { sound, type Json } from "./sound_meta.ts";

const bytes = (value: unknown): ArrayBuffer => new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value)).buffer as ArrayBuffer;
const refused = (value: unknown, about: RegExp): void =>
  assert.throws(() => readMeta(bytes(value)), (error: Error) => error instanceof PageError && about.test(error.message) && error.message.length < 300);

test("a sound description is read, text stays text", () => {
  const meta = readMeta(bytes(sound()));
  assert.equal(meta.classes?.[0], "<img src=x onerror=alert(1)>");
  assert.deepEqual(meta.models.map(({ name, spread }) => [name, spread]), [["vae", 1], ["pca", 0]]);
  assert.equal((meta.film?.["vae"] as Json)["samples"], 25);
});

test("what may be absent or null", () => {
  const meta = readMeta(bytes({ ...sound(), classes: null, spectrum: null, sweep: null, findings: null, film: null, posterior: [] }));
  assert.deepEqual([meta.classes, meta.spectrum, meta.film, meta.posterior], [null, null, null, []]);
});

test("a newer schema says so", () => refused({ ...sound(), schema: 3 }, /schema 3.*reads \(2\)/));

test("cut short anywhere, it is told in words", () => {
  const whole = JSON.stringify(sound());
  for (let cut = 0; cut < whole.length; cut += 97) refused(whole.slice(0, cut), /damaged/);
});

test("every field that is lost, or of another type, is refused with its name", () => {
  const optional = new Set(["classes", "spectrum", "sweep", "findings", "film", "posterior"]);
  for (const key of Object.keys(sound())) {
    for (const bad of [undefined, 17.5, "text", { length: 3 }, [{}]]) {
      if (bad === undefined && optional.has(key)) continue;
      if (typeof bad === typeof sound()[key] && bad !== 17.5 && !Array.isArray(bad) && !Array.isArray(sound()[key])) continue; // a text for a text
      refused({ ...sound(), [key]: bad }, new RegExp(`damaged: ${key}`));
    }
  }
});

test("every field of a model that is lost is refused with its name", () => {
  for (const key of Object.keys(sound()["models"][0])) {
    if (["sigma", "rate", "spread"].includes(key)) continue;
    const damaged = sound();
    delete damaged["models"][0][key];
    refused(damaged, new RegExp(`models\\[0\\]\\.${key}`));
  }
});

test("lists of another length than K, indices of no image, and two models of one name", () => {
  const change = (edit: (meta: Json) => void): Json => {
    const meta = sound();
    edit(meta);
    return meta;
  };
  refused(change((meta) => meta["models"][0].axes.pop()), /models\[0\]\.axes/);
  refused(change((meta) => (meta["models"][0].check = [1, 2, 3])), /check/);
  refused(change((meta) => (meta["posterior"][0].image = 4)), /posterior\[0\]\.image/);
  refused(change((meta) => (meta["posterior"][0].model = "other")), /posterior\[0\]\.model/);
  refused(change((meta) => (meta["film"].vae.images = [-1])), /film\.vae\.images/);
  refused(change((meta) => (meta["models"][1].name = "vae")), /different names/);
  refused(change((meta) => (meta["shape"] = [1, 0, 2])), /shape/);
  refused(change((meta) => (meta["shown"] = 1e12)), /shown/);
  refused(change((meta) => meta["table"].rows.push(["one cell"])), /table\.rows\[1\]/);
});

test("names that objects have of themselves are only names", () => {
  const whole = JSON.stringify({ ...sound(), histories: null }).replace('"histories":null', '"histories":{"__proto__":{"step":[1],"loss":[2]},"constructor":{"step":[],"loss":[]}}');
  const { histories } = readMeta(bytes(whole));
  assert.deepEqual(Object.keys(histories).sort(), ["__proto__", "constructor"]);
  assert.equal(Object.getPrototypeOf(histories), null);
  assert.equal(({} as Json)["step"], undefined);
});

test("texts of a megabyte, nesting of a thousand, numbers beyond any: words, at most", () => {
  refused({ ...sound(), k: "9".repeat(1e6) }, /damaged: k/);
  refused({ ...sound(), models: JSON.parse("[".repeat(1000) + "]".repeat(1000)) }, /models\[0\]/);
  refused(JSON.stringify(sound()).replace('"total":2', '"total":1e999'), /spectrum\.total/);
  refused([], /damaged/);
  refused("null", /damaged/);
});
