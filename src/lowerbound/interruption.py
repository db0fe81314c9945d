"""Ctrl-C and SIGTERM while a step is being taken: it is finished and saved first."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

__all__ = ["deferred", "terminable"]


@contextlib.contextmanager
def deferred() -> Iterator[Callable[[], bool]]:
    """Within, the first Ctrl-C or SIGTERM only asks to stop; the next one interrupts at once.

    Outside the main thread signals are left alone.

    Yields:
        Whether it was asked to stop.

    Example:
        >>> with deferred() as asked:
        ...     before = asked()
        ...     signal.raise_signal(signal.SIGINT)
        ...     before, asked()
        (False, True)
    """
    came: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        if came:
            raise KeyboardInterrupt
        came.append(number)

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(came)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def terminable() -> None:
    """From now on SIGTERM, with which clusters end a job, is treated as Ctrl-C is."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)
