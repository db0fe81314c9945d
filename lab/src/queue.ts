/** Live work at the speed of the hand: one job in flight a key, and of those that wait only the newest is done. */

/** Do a job; undefined where a newer one of the same key took its place before it began. */
export type Latest = <T>(key: string, job: () => Promise<T>) => Promise<T | undefined>;

interface Waiting {
  readonly begin: () => Promise<void>;
  readonly forget: () => void;
}

/** A queue of its own for a panel: keys of two panels do not meet. */
export function latest(): Latest {
  const waiting = new Map<string, Waiting | null>(); // a key that is here has a job in flight

  async function work(key: string, first: Waiting): Promise<void> {
    for (let next: Waiting | null = first; next; next = waiting.get(key) ?? null) {
      waiting.set(key, null);
      await next.begin();
    }
    waiting.delete(key);
  }

  return (key, job) =>
    new Promise((resolve, reject) => {
      const mine: Waiting = {
        begin: () => Promise.resolve().then(job).then(resolve, reject),
        forget: () => resolve(undefined),
      };
      if (!waiting.has(key)) void work(key, mine);
      else {
        waiting.get(key)?.forget();
        waiting.set(key, mine);
      }
    });
}

/** Let the browser draw and listen before going on. */
export function pause(): Promise<void> {
  return new Promise((resolve) => {
    // A channel, since timers of nested calls wait 4 ms each.
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}

/** Until the browser has drawn a frame; or a moment, where it draws none since nobody sees the page. */
export function frame(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, 100);
    requestAnimationFrame(() => void pause().then(resolve)); // what is sent from here comes after the frame is drawn
  });
}
