import assert from "node:assert/strict";
import { test } from "node:test";

import type { Value } from "../src/context.ts";
import { createState, format, fromText, parse, toText } from "../src/state.ts";

/** An address of text alone. */
function address(hash = ""): { read: () => string; write: (hash: string) => void; changed: (listener: () => void) => void; move: (hash: string) => void } {
  let [now, listener] = [hash, (): void => undefined];
  return {
    read: () => now,
    write: (written) => void (now = `#${written}`),
    changed: (given) => void (listener = given),
    move(moved) {
      now = moved;
      listener();
    },
  };
}

const HOSTILE = ["<img src=x onerror=alert(1)>", "a&b=c#d?e", "100%", "%zz", "+ plus", "ünïcode 数字 🎲", "line\nbreak", "", "__proto__", "a,b", "=", "'\"`"];

test("keys and texts there and back, whatever they hold", () => {
  const entries = new Map(HOSTILE.filter((text) => text).map((text, i) => [text, HOSTILE[HOSTILE.length - 1 - i] as string]));
  assert.deepEqual(new Map([...parse(`#${format(entries)}`)].sort()), new Map([...entries].sort()));
  assert.doesNotMatch(format(entries), /[<>"\s]/);
});

test("the same view has the same address, in whatever order it was made", () => {
  assert.equal(format(new Map([["k", "8"], ["image", "3"]])), format(new Map([["image", "3"], ["k", "8"]])));
});

test("values there and back by their type", () => {
  const values: Value[] = [0, -1.5, 0.1234, true, false, "vae", [], [0.25, -3], ...HOSTILE];
  for (const value of values) {
    const fallback: Value = typeof value === "number" ? 9 : typeof value === "boolean" ? !value : typeof value === "string" ? "other" : [7];
    assert.deepEqual(fromText(toText(value), fallback), value);
  }
});

test("what is no value of the type is the fallback", () => {
  for (const text of ["", "NaN", "Infinity", "1e999", "0x", "one", "1,2"]) assert.equal(fromText(text, 5), 5, text);
  assert.deepEqual(fromText("1,two", [4]), [4]);
  assert.equal(fromText("yes", true), true);
});

test("hashes of strangers: nothing thrown, what can be read is read", () => {
  for (const hash of ["#", "##", "#&&&", "#=", "#map", "#%E0%A4%A", "#a=%ff&k=8", "#" + "x=1&".repeat(100_000)]) assert.ok(parse(hash) instanceof Map);
  assert.equal(parse("#a=%ff&k=8").get("k"), "8");
});

test("listeners hear each change once, and not what changes nothing", () => {
  const state = createState(address("#k=8"));
  const heard: number[] = [];
  const off = state.on("k", () => heard.push(state.get("k", 0)));
  state.set("k", 8);
  state.set("k", 9);
  state.set("image", 1);
  state.set("k", null);
  off();
  state.set("k", 3);
  assert.deepEqual(heard, [9, 0]);
});

test("a code keeps all its digits while the page is open; the address has four", () => {
  const here = address();
  const state = createState(here);
  state.set("z", [1 / 3, 2]);
  assert.deepEqual(state.get("z", []), [1 / 3, 2]);
  assert.equal(here.read(), "#z=0.3333,2");
  let heard = 0;
  state.on("z", () => heard++);
  state.set("z", [1 / 3 + 1e-6, 2]);
  assert.equal(heard, 1);
  assert.deepEqual(createState(address(here.read())).get("z", []), [0.3333, 2]);
});

test("an address that somebody else changed is followed, key by key", () => {
  const here = address("#a=1&b=2");
  const state = createState(here);
  const heard: string[] = [];
  for (const key of ["a", "b", "c"]) state.on(key, () => heard.push(`${key}=${state.get(key, "")}`));
  here.move("#a=1&c=3");
  assert.deepEqual(heard.sort(), ["b=", "c=3"]);
});

test("a listener may end another, or itself", () => {
  const state = createState(address());
  let heard = 0;
  const off = state.on("k", () => {
    heard++;
    off();
  });
  state.on("k", () => heard++);
  state.set("k", 1);
  state.set("k", 2);
  assert.equal(heard, 3);
});

test("listeners can tell an address that was sent from a choice on the page, also after one of them fails", () => {
  const page = address("#image=1");
  const state = createState(page);
  const heard: boolean[] = [];
  state.on("image", () => heard.push(state.sent));
  const end = state.on("k", () => {
    throw new Error("a panel that fails");
  });
  state.set("image", 2);
  page.move("#image=3");
  assert.throws(() => page.move("#image=3&k=1"), /fails/);
  end();
  state.set("image", 4);
  assert.deepEqual(heard, [false, true, false]);
});
