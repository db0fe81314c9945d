/** Work that waits until somebody is about to look: a page of many panels decodes first what is read first. */

/** Call `action` once, when the element is within half a window of being seen. */
export function whenSeen(element: Element, action: () => void): void {
  if (typeof IntersectionObserver === "undefined") {
    action();
    return;
  }
  const watch = new IntersectionObserver(
    (entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      watch.disconnect();
      action();
    },
    { rootMargin: "50% 0px" },
  );
  watch.observe(element);
}
