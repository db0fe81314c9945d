/**
 * Look at a page in Chromium as a picture: node dev/look.ts PAGE.html OUT.png [width=1000] [light|dark] [hash] [script]
 * Prints what <body> says of itself, the console, and what the script (an expression, awaited) gives back.
 */

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const [page, out, width = "1000", scheme = "light", hash = "", script = ""] = process.argv.slice(2);
if (!page || !out) throw new Error("PAGE and OUT are needed");
const profile = mkdtempSync(join(tmpdir(), "look-"));
const chromium = spawn("/usr/bin/chromium", [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--hide-scrollbars", "--remote-debugging-port=0",
  `--user-data-dir=${profile}`, "about:blank",
], { stdio: ["ignore", "ignore", "pipe"] });
const address = await new Promise<string>((found) => {
  let said = "";
  chromium.stderr.on("data", (data) => {
    said += data;
    const match = /DevTools listening on (ws:\S+)/.exec(said);
    if (match?.[1]) found(match[1]);
  });
});
const socket = new WebSocket(address);
await new Promise((open) => socket.addEventListener("open", open));
let last = 0;
const waiting = new Map<number, (result: any) => void>();
const lines: string[] = [];
socket.addEventListener("message", ({ data }) => {
  const message = JSON.parse(data);
  if (message.id) waiting.get(message.id)?.(message.result ?? message.error);
  if (message.method === "Runtime.consoleAPICalled") lines.push(`console.${message.params.type}: ${message.params.args.map((a: any) => a.value ?? a.description).join(" ")}`);
  if (message.method === "Runtime.exceptionThrown") lines.push(`thrown: ${message.params.exceptionDetails.exception?.description}`);
  if (message.method === "Log.entryAdded") lines.push(`log: ${message.params.entry.text}`);
});
const send = (method: string, params: object = {}, sessionId?: string): Promise<any> =>
  new Promise((resolve) => {
    waiting.set(++last, resolve);
    socket.send(JSON.stringify({ id: last, method, params, sessionId }));
  });
const { targetId } = await send("Target.createTarget", { url: "about:blank" });
const { sessionId } = await send("Target.attachToTarget", { targetId, flatten: true });
const tell = (method: string, params: object = {}): Promise<any> => send(method, params, sessionId);
const evaluate = async (expression: string): Promise<unknown> =>
  (await tell("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true })).result?.value;
for (const domain of ["Page", "Runtime", "Log"]) await tell(`${domain}.enable`);
await tell("Emulation.setDeviceMetricsOverride", { width: Number(width), height: 900, deviceScaleFactor: 1, mobile: false });
await tell("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: scheme }] });
await tell("Page.navigate", { url: (page.includes("://") ? page : `file://${resolve(page)}`) + (hash ? `#${hash}` : "") });
for (let tries = 0; tries < 150; tries++) {
  await new Promise((later) => setTimeout(later, 200));
  if (await evaluate("document.body?.dataset.differences !== undefined || document.body?.dataset.state === 'failed'")) break;
}
if (script) lines.push(`script: ${JSON.stringify(await evaluate(script))}`);
await new Promise((later) => setTimeout(later, 300));
const size = (await evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]")) as [number, number];
// A window as high as the page: what lies beyond a window is not always painted.
await tell("Emulation.setDeviceMetricsOverride", { width: Number(width), height: Math.min(size[1], 12_000), deviceScaleFactor: 1, mobile: false });
await new Promise((later) => setTimeout(later, 300));
const clip = { x: 0, y: 0, width: Number(width), height: Math.min(size[1], 12_000), scale: 1 };
const { data } = await tell("Page.captureScreenshot", { captureBeyondViewport: true, clip });
writeFileSync(out, Buffer.from(data, "base64"));
console.log(JSON.stringify(await evaluate("({ ...document.body.dataset })")));
if (size[0] > Number(width)) console.log(`wider than the window: ${size[0]} > ${width}`);
for (const line of lines) console.log(line);
await send("Browser.close");
socket.close();
chromium.once("exit", () => rmSync(profile, { recursive: true, force: true }));
