"""An end for what does not end by itself: a time and a memory limit around a call, where the system has them.

Time is an alarm of the system that arrives between two steps of Python, on Linux and macOS, in the main thread alone. Memory is a
limit on new addresses (Linux): what asks for more is refused at once, before the machine begins to swap.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

__all__ = ["TooLong", "limited"]

MEMORY = 4 << 30  # bytes of new addresses; a library's own buffers need some of them


class TooLong(BaseException):  # not an Exception: a learner's "except Exception" must not swallow it
    """The time was up."""


@contextlib.contextmanager
def limited(seconds: float, memory: int = MEMORY) -> Iterator[None]:
    """Within, time and memory have an end, where the system and the thread allow it.

    Args:
        seconds: Until the block is ended.
        memory: Bytes that it may add.

    Raises:
        TooLong: The time was up. Too much memory raises what Python or a library raises for it: MemoryError, RuntimeError.

    Example:
        >>> import time
        >>> with limited(0.05):
        ...     while True:
        ...         time.sleep(0.01)
        Traceback (most recent call last):
        lowerbound.course.limits.TooLong
    """
    with _memory(memory), _time(seconds):
        yield


@contextlib.contextmanager
def _time(seconds: float) -> Iterator[None]:
    """An alarm after some seconds, and every tenth of a second from then on, should the first be swallowed."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        raise TooLong

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, 0.1)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def _memory(more: int) -> Iterator[None]:
    """A limit on addresses at so many bytes above those taken now."""
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        before = resource.getrlimit(resource.RLIMIT_AS)
        limit = pages * resource.getpagesize() + more
        if before[0] != resource.RLIM_INFINITY:
            limit = min(limit, before[0])
        resource.setrlimit(resource.RLIMIT_AS, (limit, before[1]))
    except (ImportError, OSError, ValueError):  # no such limits here
        yield
        return
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
