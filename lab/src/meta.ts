/** Reading the page's JSON: whatever is in it, panels get what context.ts promises, or the reader gets words. */

import { PageError } from "./assets.ts";
import type { FilmMeta, Finding, History, Meta, ModelMeta, PosteriorMeta, Shape, Spectrum } from "./context.ts";

export const SCHEMA = 2;
const MOST = 1_000_000; // images; what a number of them may ask for in memory is bounded before anything is made

type Read<T> = (value: unknown, where: string) => T;

function wrong(where: string, expected: string): never {
  throw new PageError(`This page is damaged: ${where} is not ${expected}. Make the page again.`);
}

const text: Read<string> = (value, where) => (typeof value === "string" ? value : wrong(where, "text"));
const flag: Read<boolean> = (value, where) => (typeof value === "boolean" ? value : wrong(where, "true or false"));
const number: Read<number> = (value, where) => (typeof value === "number" && Number.isFinite(value) ? value : wrong(where, "a number"));

/** A whole number from `least` to `most`. */
const whole = (least: number, most: number): Read<number> => (value, where) =>
  Number.isInteger(value) && (value as number) >= least && (value as number) <= most ? (value as number) : wrong(where, `a whole number from ${least} to ${most}`);

/** Null, also where the key is absent, or what `read` reads. */
const maybe = <T>(read: Read<T>): Read<T | null> => (value, where) => (value === null || value === undefined ? null : read(value, where));

/** A list, of `length` where that is given. */
const list = <T>(read: Read<T>, length?: number): Read<T[]> => (value, where) => {
  if (!Array.isArray(value)) return wrong(where, "a list");
  if (length !== undefined && value.length !== length) return wrong(where, `a list of ${length}`);
  return value.map((item, i) => read(item, `${where}[${i}]`));
};

/** An object whose every value is read alike; a name that would reach into objects themselves is refused. */
const record = <T>(read: Read<T>): Read<Record<string, T>> => (value, where) => {
  const found = object(value, where);
  const made: Record<string, T> = Object.create(null) as Record<string, T>;
  for (const key of Object.keys(found)) made[key] = read(found[key], `${where}.${key.slice(0, 40)}`);
  return made;
};

const object: Read<Record<string, unknown>> = (value, where) =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : wrong(where, "an object");

/** A reader of the fields of one object, each named in what is said when it is wrong. */
function fields(value: unknown, where: string): <T>(name: string, read: Read<T>) => T {
  const found = object(value, where);
  return (name, read) => read(Object.hasOwn(found, name) ? found[name] : undefined, where ? `${where}.${name}` : name);
}

const numbers = list(number);

const model: Read<ModelMeta> = (value, where) => {
  const of = fields(value, where);
  const k = of("k", whole(1, 100_000));
  const perCode = list(number, k);
  const rate = of("rate", maybe(perCode));
  return {
    name: of("name", text), label: of("label", text), colour: of("colour", text), marker: of("marker", text), k,
    encoder: of("encoder", flag), generates: of("generates", flag), sigma: of("sigma", maybe(number)), prior: of("prior", text),
    mean: of("mean", perCode), axes: of("axes", list(perCode, k)), scale: of("scale", perCode),
    raw_mean: of("raw_mean", perCode), raw_scale: of("raw_scale", perCode), carries: of("carries", perCode),
    rate, spread: of("spread", maybe(whole(0, k))) ?? (rate ? 1 : 0), collapsed: of("collapsed", list(flag, k)), check: of("check", perCode),
  };
};

const history: Read<History> = (value, where) => {
  const of = fields(value, where);
  const step = of("step", numbers);
  const along = list(maybe(number), step.length);
  return {
    step, loss: of("loss", along), reconstruction: of("reconstruction", maybe(along)),
    kl: of("kl", maybe(along)), sigma: of("sigma", maybe(along)),
  };
};

const spectrum: Read<Spectrum> = (value, where) => {
  const of = fields(value, where);
  return { fractions: of("fractions", numbers), mean: of("mean", numbers), total: of("total", number) };
};

const finding: Read<Finding> = (value, where) => {
  const of = fields(value, where);
  return {
    model: of("model", text), name: of("name", text), certainty: of("certainty", text), evidence: of("evidence", text),
    try: of("try", text), panel: of("panel", text),
  };
};

const film = (shown: number): Read<FilmMeta> => (value, where) => {
  const of = fields(value, where);
  const steps = of("steps", numbers);
  const images = of("images", list(whole(0, shown - 1)));
  return {
    // More may be told of it than the schema's first version names: how sheets are laid out belongs to film and packer.
    ...object(value, where),
    steps, epochs: of("epochs", list(number, steps.length)), elbo_or_loss: of("elbo_or_loss", list(maybe(number), steps.length)),
    images, shown_images: of("shown_images", whole(0, images.length)), encoding: of("encoding", encoding),
  };
};

const encoding: Read<"raw" | "webp"> = (value, where) => (value === "raw" || value === "webp" ? value : wrong(where, '"raw" or "webp"'));

const posterior = (shown: number, models: readonly ModelMeta[]): Read<PosteriorMeta> => (value, where) => {
  const of = fields(value, where);
  const name = of("model", text);
  const k = models.find((each) => each.name === name)?.k ?? wrong(`${where}.model`, "a model of this page");
  const steps = of("steps", numbers);
  return {
    image: of("image", whole(0, shown - 1)), model: name, steps,
    phi_mean: of("phi_mean", list(list(number, k), steps.length)), phi_log_spread: of("phi_log_spread", list(numbers, steps.length)),
    elbo: of("elbo", list(number, steps.length)), encoder_mean: of("encoder_mean", list(number, k)), encoder_spread: of("encoder_spread", numbers),
    encoder_elbo: of("encoder_elbo", number), best_elbo: of("best_elbo", number),
  };
};

const point: Read<readonly [number, number, number | null]> = (value, where) => {
  const [k, error, deviation] = list(maybe(number), 3)(value, where);
  return [number(k, `${where}[0]`), number(error, `${where}[1]`), deviation ?? null];
};

/** The numbers of the page, each of the type and length that context.ts names. */
export function readMeta(bytes: ArrayBuffer): Meta {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw new PageError("This page is damaged: its description is cut short or is no JSON. Make the page again.");
  }
  const of = fields(value, "");
  const schema = of("schema", whole(1, MOST));
  if (schema > SCHEMA) {
    throw new PageError(`This page's parts are of a newer kind (schema ${schema}) than its script reads (${SCHEMA}). Make the page again with one version of lowerbound.`);
  }
  const shape = of("shape", list(whole(1, 4096), 3)) as unknown as Shape;
  const shown = of("shown", whole(1, MOST));
  const models = of("models", list(model));
  if (new Set(models.map(({ name }) => name)).size !== models.length) wrong("models", "a list of models of different names");
  const table = fields(of("table", object), "table");
  const source = fields(of("source", object), "source");
  const images = fields(of("images", object), "images");
  const header = table("header", list(text));
  return {
    schema: SCHEMA, program: of("program", text), title: of("title", text), verdict: of("verdict", list(text)), footnote: of("footnote", text),
    source: { name: source("name", text), train: source("train", number), test: source("test", number) },
    shape, shown, k: of("k", whole(1, 100_000)), classes: of("classes", maybe(list(text))),
    images: { encoding: images("encoding", encoding), sheets: images("sheets", whole(0, MOST)), columns: images("columns", whole(0, MOST)) },
    models, table: { header, rows: table("rows", list(list(text, header.length))) },
    facts: of("facts", list(list(text, 2))) as unknown as Meta["facts"],
    histories: of("histories", record(history)), spectrum: of("spectrum", maybe(spectrum)), sweep: of("sweep", maybe(record(list(point)))),
    findings: of("findings", maybe(list(finding))), film: of("film", maybe(record(film(shown)))),
    posterior: of("posterior", maybe(list(posterior(shown, models)))) ?? [],
    left_out: of("left_out", list((row, where) => ({ panel: fields(row, where)("panel", text), reason: fields(row, where)("reason", text) }))),
  };
}
