/** What the reader chose, in the address: `#model=vae&k=8&interpolate.t=0.5`. Hostile text in it is only ever text. */

import type { State, Value } from "./context.ts";

const LONGEST = 20_000; // characters of an address that we read; a code of 200 numbers needs 2,000

/** Key and text of each part of a hash; what cannot be read is left out. */
export function parse(hash: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const part of hash.slice(0, LONGEST).replace(/^#/, "").split("&")) {
    const cut = part.indexOf("=");
    if (cut < 1) continue;
    try {
      found.set(decodeURIComponent(part.slice(0, cut)), decodeURIComponent(part.slice(cut + 1)));
    } catch {
      // A stray percent sign: whoever wrote it meant no key of ours.
    }
  }
  return found;
}

/** The hash of keys and texts, in the order of the keys, so that one view has one address. */
export function format(entries: ReadonlyMap<string, string>): string {
  const plain = (text: string): string => encodeURIComponent(text).replaceAll("%2C", ",");
  const sorted = [...entries].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return sorted.map(([key, text]) => `${plain(key)}=${plain(text)}`).join("&");
}

/** A value as text; numbers with at most four digits after the point, which no eye tells apart. */
export function toText(value: Value): string {
  if (typeof value === "number") return String(Math.round(value * 1e4) / 1e4);
  if (typeof value === "object") return value.map(toText).join(",");
  return String(value);
}

/** Text as a value of the fallback's type; the fallback where it is none. */
export function fromText(text: string, fallback: Value): Value {
  if (typeof fallback === "number") return number(text) ?? fallback;
  if (typeof fallback === "boolean") return text === "true" ? true : text === "false" ? false : fallback;
  if (typeof fallback === "string") return text;
  const numbers = text === "" ? [] : text.split(",").map(number);
  return numbers.every((value) => value !== null) ? numbers : fallback;
}

function number(text: string): number | null {
  const value = text.trim() === "" ? NaN : Number(text);
  return Number.isFinite(value) ? value : null;
}

/** Where the hash is read and written: the window, or what a test puts in its place. */
export interface Address {
  read(): string;
  write(hash: string): void;
  /** Called when somebody else changed the hash. */
  changed(listener: () => void): void;
}

/** The window's address. Writing waits a moment: browsers refuse more than some six changes a second. */
export function windowAddress(): Address {
  let waiting: string | null = null;
  const write = (): void => {
    if (waiting === null) return;
    try {
      history.replaceState(null, "", `#${waiting}`);
    } catch {
      // A frame without an address of its own keeps its state to itself.
    }
    waiting = null;
  };
  addEventListener("pagehide", write);
  return {
    read: () => location.hash,
    write(hash) {
      if (waiting === null) setTimeout(write, 250);
      waiting = hash;
    },
    changed: (listener) => addEventListener("hashchange", listener),
  };
}

/** The state that panels share. */
export function createState(address: Address): State {
  let texts = parse(address.read());
  const values = new Map<string, Value>(); // as they were set: the address rounds, a drag does not
  const listeners = new Map<string, Set<() => void>>();
  let sent = false;
  const tell = (key: string): void => [...(listeners.get(key) ?? [])].forEach((listener) => listener());

  address.changed(() => {
    const before = texts;
    texts = parse(address.read());
    values.clear();
    sent = true;
    try {
      for (const key of new Set([...before.keys(), ...texts.keys()])) if (before.get(key) !== texts.get(key)) tell(key);
    } finally {
      sent = false;
    }
  });

  function get(key: string, fallback: Value): Value {
    const value = values.get(key);
    if (value !== undefined && typeof value === typeof fallback) return value;
    const text = texts.get(key);
    return text === undefined ? fallback : fromText(text, fallback);
  }

  return {
    get: get as State["get"],
    get sent() {
      return sent;
    },
    set(key, value) {
      if (value === null) {
        if (!texts.delete(key)) return;
        values.delete(key);
      } else {
        const text = toText(value);
        const same = texts.get(key) === text && (typeof value !== "object" || String(values.get(key)) === String(value));
        texts.set(key, text);
        values.set(key, value);
        if (same) return;
      }
      address.write(format(texts));
      tell(key);
    },
    on(key, listener) {
      const set = listeners.get(key) ?? new Set();
      listeners.set(key, set.add(listener));
      return () => void set.delete(listener);
    },
  };
}
