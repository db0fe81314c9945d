/** What this browser remembers between two openings; a page in a frame without an origin may remember nothing. */

const PREFIX = "lowerbound.";

/** One of the values that are allowed, if one was remembered. */
export function remembered<T extends string>(key: string, allowed: readonly T[]): T | null {
  try {
    const found = localStorage.getItem(PREFIX + key);
    return allowed.find((value) => value === found) ?? null;
  } catch {
    return null;
  }
}

/** Remember, if that is possible. */
export function remember(key: string, value: string): void {
  try {
    localStorage.setItem(PREFIX + key, value);
  } catch {
    // An opaque origin, or storage switched off: the choice holds while the page is open.
  }
}
