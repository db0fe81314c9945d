/** Build one HTML file, script and style inside, and the WebAssembly beside it. The same sources give the same bytes. */

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { defineConfig, type Plugin } from "vite";

const WASM = "ort-wasm-simd-threaded.wasm";

/** onnxruntime names its WebAssembly by an address, which Vite would put into the script, 14 MB of it: name none. */
const withoutWasm: Plugin = {
  name: "without-wasm",
  enforce: "pre",
  transform(code, id) {
    if (!id.includes("onnxruntime-web")) return null;
    return { code: code.replace(/new URL\(\s*["'][^"']*\.wasm["']\s*,\s*import\.meta\.url\s*\)/g, 'new URL("about:blank")'), map: null };
  },
};

/** What may be loaded: nothing. The page's own script is known by its hash; `--linked` turns the one connect-src into 'self'. */
function policy(script: string): string {
  const hash = createHash("sha256").update(script, "utf8").digest("base64");
  return [
    "default-src 'none'", `script-src 'sha256-${hash}' 'wasm-unsafe-eval'`, "style-src 'unsafe-inline'",
    "img-src data: blob:", "connect-src 'none'", "base-uri 'none'", "form-action 'none'",
  ].join("; ");
}

/** Put script and style into the page; leave the places that the packer fills, each of them exactly once. */
const oneFile: Plugin = {
  name: "one-file",
  enforce: "post",
  generateBundle(_options, bundle) {
    const page = bundle["index.html"];
    const scripts = Object.values(bundle).filter((part) => part.type === "chunk");
    const styles = Object.values(bundle).filter((part) => part.type === "asset" && part.fileName.endsWith(".css"));
    if (page?.type !== "asset" || scripts.length !== 1 || styles.length !== 1) {
      throw new Error(`one page, one script and one style were expected; the bundle holds ${Object.keys(bundle).join(", ")}`);
    }
    // In a script, a closing tag or the opening of a comment would end or hide what follows; in strings \x3c is the same.
    const script = (scripts[0] as { code: string }).code.replace(/<(?=\/script|!--|script)/gi, "\\x3c").trim();
    const style = String((styles[0] as { source: string | Uint8Array }).source).trim();
    let html = String(page.source)
      .replace(/<script type="module"[^>]*><\/script>\n?/, "")
      .replace(/<link rel="stylesheet"[^>]*>\n?/, "");
    // Functions, since a replacement's text gives $ a meaning.
    html = html.replace('http-equiv="Content-Security-Policy" content=""', () => `http-equiv="Content-Security-Policy" content="${policy(script)}"`);
    // A module waits until the whole page is read, so it may stand before the parts it needs: it then also runs, and says so,
    // where the page was cut short.
    html = html.replace("</head>", () => `<style>${style}</style>\n</head>`);
    html = html.replace("</body>", () => `<script type="module">${script}</script>\n<!--assets-->\n</body>`);
    for (const place of ["<!--assets-->", "connect-src 'none'", "<title>lowerbound</title>"]) {
      if (html.split(place).length !== 2) throw new Error(`the packer needs ${place} exactly once in the page`);
    }
    if (/\b(src|href)="(?!#)/.test(html.replace(/<(script|style)[\s\S]*?<\/\1>/g, ""))) throw new Error("the page refers to another file");
    for (const name of Object.keys(bundle)) delete bundle[name];
    this.emitFile({ type: "asset", fileName: "template.html", source: html });
    this.emitFile({ type: "asset", fileName: WASM, source: readFileSync(new URL(`node_modules/onnxruntime-web/dist/${WASM}`, import.meta.url)) });
  },
};

export default defineConfig({
  plugins: [withoutWasm, oneFile],
  build: {
    target: "es2022",
    outDir: "dist",
    assetsInlineLimit: 0,
    cssCodeSplit: false,
    modulePreload: false,
    reportCompressedSize: false,
    chunkSizeWarningLimit: 1000,
    rollupOptions: { output: { codeSplitting: false } },
  },
});
