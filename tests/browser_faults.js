/** What a careful reader would complain of, found in the page: called by name from test_browser_looks.py. */

// What lies on something else on purpose, and what scrolls within its box.
const LAYERED = ".atlas, .u-wrap, .choice, .visually-hidden, .rail, .axis, .late, .bar";
const SCROLLS = ".table, .q, code, .list, .bar ol";
const HOLDERS = "button, label, .card, figure, .curves, .model-name";
const PICTURES = "canvas, input, select";
const SEEN = "button, input, select, summary, canvas, a, label, p, h1, h2, h3, h4, li, dt, dd, figcaption, th, td, span, output, code";

const hasWords = (one) => [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
const told = ({ one }) =>
  [one.closest("section")?.dataset.panel ?? "page", one.localName, one.dataset.role, (one.textContent || one.ariaLabel || "").trim().slice(0, 40)].join(" ");

/** Everything that is seen, with the box that it fills: words by their letters, the rest by their edges. */
function boxes() {
  const all = [...document.querySelectorAll(`#page :is(${SEEN})`)];
  const seen = all.filter((one) => one.checkVisibility() && !one.closest(LAYERED) && (one.matches(PICTURES) || hasWords(one)));
  const found = seen.map((one) => {
    const range = document.createRange();
    range.selectNodeContents(one);
    const { left, right, top, bottom } = (one.matches(`${PICTURES}, button`) ? one : range).getBoundingClientRect();
    return { one, left, right, top, bottom, scrolls: one.closest(SCROLLS) !== null };
  });
  return found.filter(({ left, right, top, bottom }) => right - left > 1 && bottom - top > 1).sort((a, b) => a.top - b.top);
}

/** What goes over an edge, and what stands on something else, in words. */
function faults() {
  const found = [];
  const width = document.documentElement.clientWidth;
  const all = boxes().filter(({ scrolls }) => !scrolls);
  for (const box of all) {
    if (box.left < -1 || box.right > width + 1) found.push(`beyond the window: ${told(box)}`);
    const holder = box.one.parentElement.closest(HOLDERS)?.getBoundingClientRect();
    if (holder?.width && (box.left < holder.left - 2 || box.right > holder.right + 2)) found.push(`out of its box: ${told(box)}`);
    const hides = getComputedStyle(box.one).overflowX !== "visible";
    if (hides && box.one.scrollWidth > box.one.clientWidth + 1) found.push(`cut: ${told(box)}`);
  }
  all.forEach((a, i) => {
    for (let j = i + 1; j < all.length && all[j].top < a.bottom - 3; j++) {
      const b = all[j];
      if (a.one.contains(b.one) || b.one.contains(a.one)) continue;
      if (Math.min(a.right, b.right) - Math.max(a.left, b.left) < 3 || Math.min(a.bottom, b.bottom) - b.top < 3) continue;
      found.push(`one on the other: ${told(a)} / ${told(b)}`);
    }
  });
  return found;
}

const numbers = (colour) => [...colour.matchAll(/[\d.]+/g)].map(Number);

/** Relative luminance (WCAG 2.2). */
function luminance(colour) {
  const [r, g, b] = colour.map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/** The colour behind an element's words. */
function ground(one) {
  for (let at = one; at; at = at.parentElement) {
    const colour = getComputedStyle(at).backgroundColor;
    if (colour.startsWith("rgb") && (numbers(colour)[3] ?? 1) === 1) return numbers(colour);
  }
  return [255, 255, 255];
}

/** Words whose contrast is below 4.5 to 1; what is switched off does not count. */
function faint() {
  const found = [];
  for (const one of document.querySelectorAll("#page *")) {
    if (!hasWords(one) || !one.checkVisibility({ opacityProperty: true }) || one.closest(":disabled, .late, .u-wrap")) continue;
    const [dark, light] = [luminance(numbers(getComputedStyle(one).color)), luminance(ground(one))].sort((a, b) => a - b);
    const ratio = (light + 0.05) / (dark + 0.05);
    if (ratio < 4.5) found.push(`${ratio.toFixed(2)}: ${told({ one })}`);
  }
  return found;
}

/** What is pressed and lower than 32 pixels. */
function low() {
  const all = [...document.querySelectorAll("main button, main select, nav button")].filter((one) => one.checkVisibility());
  return all.filter((one) => one.getBoundingClientRect().height < 32).map((one) => one.dataset.role ?? one.textContent);
}
