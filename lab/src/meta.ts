import type { Meta } from "./context.ts";
export const readMeta = (bytes: ArrayBuffer): Meta => JSON.parse(new TextDecoder().decode(bytes));
