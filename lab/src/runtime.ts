/** Decoders and encoders: one onnxruntime session a graph, made when first used, on one thread. */

import { env, InferenceSession, Tensor } from "onnxruntime-web/wasm";

import { fromHalf, PageError, unzstd, words } from "./assets.ts";
import type { Encoded, Meta, Model, ModelMeta } from "./context.ts";
import { pause } from "./queue.ts";

const BATCH = 25; // images a call: long jobs leave the page a moment to answer in between

type Asset = (name: string) => Promise<ArrayBuffer>;

/** Whether this browser can run WebAssembly at all. */
export const canDecode = (): boolean => typeof WebAssembly === "object" && typeof WebAssembly.instantiate === "function";

/** A graph of a model: rows in, named arrays out. */
export type Graph = (rows: Float32Array, n: number, shape: readonly number[]) => Promise<Readonly<Record<string, Float32Array>>>;

/** What makes graphs of the page's assets; the WebAssembly is unpacked once, at the first use of any. */
export function createRuntime(asset: Asset): (name: string) => Graph {
  let ready: Promise<void> | null = null;
  let turn: Promise<unknown> = Promise.resolve(); // sessions are made and run one after another: there is one thread

  const prepare = (): Promise<void> =>
    (ready ??= (async () => {
      env.logLevel = "error";
      env.wasm.numThreads = 1; // more would start workers from this very page, and need headers no file has
      env.wasm.wasmBinary = unzstd(await asset("wasm"), "wasm");
    })());

  function inTurn<T>(job: () => Promise<T>): Promise<T> {
    const result = turn.then(job, job);
    turn = result.catch(() => undefined);
    return result;
  }

  return (name) => {
    let session: Promise<InferenceSession> | null = null;
    const open = (): Promise<InferenceSession> =>
      (session ??= (async () => {
        const [bytes] = await Promise.all([asset(name), prepare()]);
        return inTurn(() => InferenceSession.create(new Uint8Array(bytes), { executionProviders: ["wasm"] }));
      })());

    return async (rows, n, shape) => {
      try {
        const graph = await open();
        const width = shape.reduce((a, b) => a * b, 1);
        if (rows.length !== n * width) throw new PageError(`${n} rows of ${width} numbers were expected, ${rows.length} numbers came.`);
        const parts: Record<string, Float32Array[]> = {};
        for (let first = 0; first < n; first += BATCH) {
          if (first) await pause();
          const count = Math.min(BATCH, n - first);
          const input = new Tensor("float32", rows.slice(first * width, (first + count) * width), [count, ...shape]);
          const found = await inTurn(() => graph.run({ [graph.inputNames[0] as string]: input }));
          for (const [key, tensor] of Object.entries(found)) (parts[key] ??= []).push(tensor.data as Float32Array);
        }
        return Object.fromEntries(Object.entries(parts).map(([key, arrays]) => [key, joined(arrays)]));
      } catch (error) {
        throw error instanceof PageError ? error : new PageError(`The network "${name}" cannot be run here: ${words(error)}`);
      }
    };
  };
}

function joined(arrays: readonly Float32Array[]): Float32Array {
  if (arrays.length === 1) return arrays[0] as Float32Array;
  const whole = new Float32Array(arrays.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of arrays) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** The models of the page: codes and errors are read now, networks when they are first asked. */
export async function loadModels(meta: Meta, asset: Asset, live: boolean): Promise<Model[]> {
  const graphs = createRuntime(asset);
  return Promise.all(meta.models.map((about) => loadModel(about, meta, asset, live ? graphs : null)));
}

async function loadModel(about: ModelMeta, meta: Meta, asset: Asset, graphs: ((name: string) => Graph) | null): Promise<Model> {
  const { name, k } = about;
  const codes = measured(fromHalf(await asset(`codes:${name}`)), meta.shown * k, `codes:${name}`);
  const spread = about.spread ? fromHalf(await asset(`spread:${name}`)) : null;
  if (spread && spread.length !== meta.shown && spread.length !== meta.shown * k) measured(spread, meta.shown, `spread:${name}`);
  const errors = measured(new Float32Array(await asset(`errors:${name}`)), meta.shown, `errors:${name}`);
  const decoder = graphs?.(`decoder:${name}`);
  const encoder = about.encoder ? graphs?.(`encoder:${name}`) : undefined;
  const absent = (): never => {
    throw new PageError("This browser has no WebAssembly, so nothing can be decoded here.");
  };
  return {
    about,
    codes,
    spread,
    errors,
    decode: async (z, n) => named(await (decoder ?? absent)(z, n, [k]), "x"),
    encode: encoder
      ? async (x, n): Promise<Encoded> => {
          const found = await encoder(x, n, meta.shape);
          return { mean: named(found, "mean"), spread: found["spread"] ?? null };
        }
      : null,
  };
}

function named(found: Readonly<Record<string, Float32Array>>, name: string): Float32Array {
  const output = found[name];
  if (!output) throw new PageError(`A network of this page gives no "${name}". Make the page again.`);
  return output;
}

function measured(numbers: Float32Array, length: number, name: string): Float32Array {
  if (numbers.length !== length) {
    throw new PageError(`The part "${name}" of this page has ${numbers.length} numbers instead of ${length}. Make the page again.`);
  }
  return numbers;
}
