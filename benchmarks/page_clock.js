/**
 * Put into a page before its own script: notes when what the page draws is there, by the page's own clock. It reads what the
 * page says of itself in data attributes, and every time is in ms since the navigation began.
 */
{
  const seen = { decodes: [], samples: [], clicks: [], moves: [], frames: null };
  window.seen = seen;
  let waiting = [];

  /** Called from a frame's callback: what is done first once the browser has painted. */
  const afterPaint = (then) => scheduler.postTask(then, { priority: "user-blocking" });

  /** Notes in an entry, as `frame`, when the frame that shows what is on the canvases now is painted. */
  const painted = (entry) => {
    if (waiting.push(entry) > 1) return;
    requestAnimationFrame(() => {
      const these = waiting;
      waiting = [];
      afterPaint(() => {
        for (const each of these) each.frame = performance.now();
      });
    });
  };

  new MutationObserver((records) => {
    const drawn = performance.now();
    for (const { target, attributeName } of records) {
      const { role, model, at, took, redraw } = target.dataset;
      if (attributeName === "data-count" && role === "decode") {
        const entry = { model, at, when: drawn - Number(took), drawn, frame: null };
        seen.decodes.push(entry);
        painted(entry);
      } else if (attributeName === "data-drawn" && role === "samples") {
        const entry = { model, key: target.dataset.drawn, drawn, frame: null };
        seen.samples.push(entry);
        painted(entry);
      } else if (attributeName === "data-redraw" && seen.frames?.length) {
        seen.frames.at(-1).redraw = Number(redraw);
      }
    }
  }).observe(document, { subtree: true, attributes: true, attributeFilter: ["data-count", "data-drawn", "data-redraw"] });

  const came = ({ timeStamp }) => void seen.moves.push({ when: timeStamp, came: performance.now() });
  addEventListener("pointermove", came, { capture: true, passive: true });
  addEventListener("click", ({ timeStamp }) => void seen.clicks.push(timeStamp), { capture: true, passive: true });

  /**
   * A hand on the map that pans it or turns the wheel once a frame, for some ms. The events are the page's own, so that no frame
   * waits for what drives the browser; each comes right after a frame, and is drawn in the next. Gives the frames: when each was
   * due, how long it worked, with the event before it, and what drawing the points took.
   */
  seen.hand = (zooms, duration) =>
    new Promise((done) => {
      const map = document.querySelector("[data-role=map-marks]");
      const { left, top, width, height } = map.getBoundingClientRect();
      const begin = performance.now();
      const frames = (seen.frames = []);
      let handled = 0; // ms of the event before the frame

      const move = (share) => {
        const [across, down] = zooms ? [0, 0] : [Math.sin(40 * share), Math.sin(26 * share)];
        const place = { clientX: left + width * (0.5 + 0.2 * across), clientY: top + height * (0.5 + 0.2 * down), bubbles: true, cancelable: true };
        const wheel = { deltaY: Math.sin(12 * share) > 0 ? -20 : 20, ...place };
        const pointer = { pointerId: 1, pointerType: "mouse", buttons: 4, ...place };
        map.dispatchEvent(zooms ? new WheelEvent("wheel", wheel) : new PointerEvent("pointermove", pointer));
      };
      const next = (due) => {
        const began = performance.now();
        const share = (began - begin) / duration;
        if (share >= 1) return void done(frames);
        const frame = { due, work: null, redraw: null };
        frames.push(frame);
        requestAnimationFrame(next);
        afterPaint(() => {
          const ended = performance.now();
          frame.work = ended - began + handled;
          move(share);
          handled = performance.now() - ended;
        });
      };
      requestAnimationFrame(next);
    });
}
