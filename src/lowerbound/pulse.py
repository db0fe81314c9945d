"""The pulse of a process among several: a count in the shared store that rises as long as the process lives.

Whoever waits for an answer looks at it, and so tells a process that is slow from one that is gone. The same thread sees
when another process has failed, and ends its own: the main thread may hang in a collective operation that nobody will answer.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from typing import Any

__all__ = ["GRACE", "Pulse"]

GRACE = 5.0  # seconds in which those that still answer say so, and those that are to end do
SIGNALS = 3  # times that a process is asked to end when another has failed; the rest is the launcher's


class Pulse:
    """A thread that says in the store that this process lives, and ends the process when another has failed.

    Args:
        store: Of its own, since others wait in theirs.
        rank: Of this process.
        every: Seconds between two beats.
    """

    FAILED = "failed"

    def __init__(self, store: Any, rank: int, every: float) -> None:
        self._store, self._rank, self.every = store, rank, every
        self._ended = threading.Event()
        self._store.set(self.key(rank), "0")
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._thread.start()

    @staticmethod
    def key(rank: int) -> str:
        """Where the beats of a process are counted."""
        return f"alive-{rank}"

    def _beat(self) -> None:
        beats, failed, signals = 0, None, 0
        with contextlib.suppress(RuntimeError):  # the store is gone; whoever waits for it will say so
            while not self._ended.wait(self.every):
                beats += 1
                self._store.set(self.key(self._rank), str(beats))
                if failed is None and self._store.check([self.FAILED]):
                    failed = time.monotonic()
                if failed is not None and signals < SIGNALS and time.monotonic() - failed > GRACE * (signals + 1.5):
                    signals += 1  # the first one asks to stop after the step, the next one interrupts it
                    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)

    def stop(self) -> None:
        """Beat no more."""
        self._ended.set()
        self._thread.join(GRACE)
