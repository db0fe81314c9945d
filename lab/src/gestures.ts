/** What hands do on a map: point, click, drag, pan, pinch, turn the wheel. Places are pixels from the map's top left. */

export interface Hands {
  /** The pointer rests over a place without pressing; null when it left. */
  hover(left: number, top: number): void;
  leave(): void;
  click(left: number, top: number, touch: boolean): void;
  /** Dragged to a place; `when` is the event's own time. */
  drag(left: number, top: number, when: number): void;
  pan(right: number, down: number): void;
  zoom(factor: number, left: number, top: number): void;
}

const SLACK = 4; // pixels that a click may tremble

interface Place {
  left: number;
  top: number;
}

/** Listen on a map. Space or the middle button makes a drag a pan; two fingers pan and pinch. */
export function listen(map: HTMLElement, hands: Hands): void {
  const fingers = new Map<number, Place>();
  let mode: "none" | "press" | "drag" | "pan" | "pinch" = "none";
  let start: Place = { left: 0, top: 0 };
  let inside = false;
  let space = false;
  let wheel = false; // whether the wheel is the map's: not while a page is scrolled and the map passes under the pointer

  const place = (event: MouseEvent): Place => {
    const box = map.getBoundingClientRect();
    return { left: event.clientX - box.left, top: event.clientY - box.top };
  };
  const holdSpace = (held: boolean): void => {
    space = held;
    map.classList.toggle("pans", held);
  };

  map.addEventListener("pointerdown", (event) => {
    if (event.button > 1) return;
    if (event.button === 1) event.preventDefault();
    map.focus({ preventScroll: true });
    map.setPointerCapture(event.pointerId);
    start = place(event);
    fingers.set(event.pointerId, start);
    hands.leave();
    if (fingers.size === 2) mode = "pinch";
    else if (fingers.size === 1) mode = space || event.button === 1 ? "pan" : "press";
  });

  map.addEventListener("pointermove", (event) => {
    inside = wheel = true;
    const before = fingers.get(event.pointerId);
    const now = place(event);
    if (!before) {
      if (event.pointerType !== "touch" && !event.buttons) hands.hover(now.left, now.top);
      return;
    }
    if (mode === "press" && Math.hypot(now.left - start.left, now.top - start.top) > SLACK) mode = "drag";
    if (mode === "pinch") pinch(event.pointerId, before, now);
    fingers.set(event.pointerId, now);
    if (mode === "pan") hands.pan(now.left - before.left, now.top - before.top);
    if (mode === "drag") hands.drag(now.left, now.top, event.timeStamp);
  });

  function pinch(moved: number, before: Place, now: Place): void {
    const other = [...fingers].find(([id]) => id !== moved)?.[1];
    if (!other) return;
    const middle = { left: (now.left + other.left) / 2, top: (now.top + other.top) / 2 };
    hands.pan((now.left - before.left) / 2, (now.top - before.top) / 2);
    const apart = (one: Place): number => Math.max(8, Math.hypot(one.left - other.left, one.top - other.top));
    hands.zoom(apart(now) / apart(before), middle.left, middle.top);
  }

  const lift = (event: PointerEvent): void => {
    if (!fingers.delete(event.pointerId)) return;
    const now = place(event);
    if (mode === "press" && event.type === "pointerup") hands.click(now.left, now.top, event.pointerType === "touch");
    if (mode !== "pinch" || !fingers.size) mode = "none"; // after a pinch the finger that stays does nothing
  };
  map.addEventListener("pointerup", lift);
  map.addEventListener("pointercancel", lift);
  map.addEventListener("pointerleave", () => {
    inside = false;
    hands.leave();
  });

  map.addEventListener(
    "wheel",
    (event) => {
      if (!wheel && document.activeElement !== map && !event.ctrlKey) return;
      event.preventDefault();
      const lines = event.deltaMode ? 16 : 1;
      const { left, top } = place(event);
      hands.zoom(Math.exp(-event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.0015)), left, top);
    },
    { passive: false },
  );
  addEventListener("scroll", () => void (wheel = false), { passive: true });

  addEventListener("keydown", (event) => {
    const focused = document.activeElement;
    if (event.key !== " " || (focused !== map && !(inside && focused === document.body))) return;
    event.preventDefault(); // else the page scrolls
    holdSpace(true);
  });
  addEventListener("keyup", (event) => event.key === " " && holdSpace(false));
  addEventListener("blur", () => holdSpace(false));
}
