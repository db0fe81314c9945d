/** The markers of the figures, so that neither models nor classes are told apart by colour alone. */

const around = (corners: number, first: number, radius = 1): readonly (readonly [number, number])[] =>
  Array.from({ length: corners }, (_, i) => {
    const angle = first + (2 * Math.PI * i) / corners;
    return [radius * Math.cos(angle), radius * Math.sin(angle)] as const;
  });
const plus = [
  [-0.35, -1], [0.35, -1], [0.35, -0.35], [1, -0.35], [1, 0.35], [0.35, 0.35],
  [0.35, 1], [-0.35, 1], [-0.35, 0.35], [-1, 0.35], [-1, -0.35], [-0.35, -0.35],
] as const;
const turned = plus.map(([x, y]) => [(x - y) * Math.SQRT1_2, (x + y) * Math.SQRT1_2] as const);

/** Corners within a circle of radius 1.1 or so, y down, by matplotlib's letter. */
const CORNERS: Readonly<Record<string, readonly (readonly [number, number])[]>> = {
  "^": around(3, -Math.PI / 2, 1.15),
  v: around(3, Math.PI / 2, 1.15),
  "<": around(3, Math.PI, 1.15),
  ">": around(3, 0, 1.15),
  s: around(4, Math.PI / 4, 1.2),
  D: around(4, 0, 1.15),
  p: around(5, -Math.PI / 2, 1.1),
  P: plus,
  X: turned,
};

/** Add a marker to the path of a canvas; `stroke` or `fill` it afterwards. A letter that is not known is a disc. */
export function trace(pen: CanvasRenderingContext2D | Path2D, marker: string, x: number, y: number, radius: number): void {
  const corners = CORNERS[marker];
  if (!corners) {
    pen.moveTo(x + radius, y);
    pen.arc(x, y, radius, 0, 2 * Math.PI);
    return;
  }
  corners.forEach(([cx, cy], i) => (i ? pen.lineTo(x + cx * radius, y + cy * radius) : pen.moveTo(x + cx * radius, y + cy * radius)));
  pen.closePath();
}

/** A marker as an SVG of 12 by 12, for legends; the colour is that of the text around it unless given. */
export function markerIcon(marker: string, colour = "currentColor"): SVGSVGElement {
  const space = "http://www.w3.org/2000/svg";
  const icon = document.createElementNS(space, "svg");
  icon.setAttribute("viewBox", "-1.4 -1.4 2.8 2.8");
  icon.setAttribute("class", "marker");
  icon.setAttribute("aria-hidden", "true");
  const corners = CORNERS[marker];
  const shape = document.createElementNS(space, corners ? "polygon" : "circle");
  if (corners) shape.setAttribute("points", corners.map(([x, y]) => `${x.toFixed(3)},${y.toFixed(3)}`).join(" "));
  else shape.setAttribute("r", "1");
  shape.setAttribute("fill", colour);
  icon.append(shape);
  return icon;
}
