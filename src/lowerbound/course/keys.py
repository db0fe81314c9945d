"""Keys as they are pressed, one by one, where there is a terminal; it is left as it was, however the program ends."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from types import FrameType
from typing import Any

__all__ = ["Keys"]

_LONGER = re.compile(r"\x1b(\[[0-9;]*[A-Za-z~]|O.|.)?")  # codes of arrows and the like


class Keys:
    """A context within which keys arrive without Enter, and are not shown.

    Example:
        >>> with Keys() as keys:
        ...     keys.terminal  # here a test reads, not a person
        False
    """

    def __init__(self) -> None:
        self.terminal = sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()
        self._waiting: list[str] = []
        self._resumed = False
        self._before: list[Any] | None = None
        self._handler: Any = None

    def __enter__(self) -> Keys:
        """Listen."""
        if self.terminal and sys.platform != "win32":
            import termios

            self._before = termios.tcgetattr(sys.stdin)
            self._handler = signal.signal(signal.SIGCONT, self._go_on)
            self._listen()
        return self

    def __exit__(self, *error: object) -> None:
        """Leave the terminal as it was."""
        if self._before is not None and sys.platform != "win32":
            import termios

            signal.signal(signal.SIGCONT, self._handler)
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._before)

    def read(self, seconds: float) -> str:
        """The next key; empty if none is pressed within the time.

        Keys with longer codes (arrows) are left out; the end of all input is ``q``.
        """
        if not self._waiting:
            self._waiting += self._windows(seconds) if sys.platform == "win32" else self._posix(seconds)
        return self._waiting.pop(0) if self._waiting else ""

    def resumed(self) -> bool:
        """Whether the program was stopped (Ctrl-Z) and goes on: then the screen shows something else."""
        was, self._resumed = self._resumed, False
        return was

    def _listen(self) -> None:
        """Have keys come one by one."""
        if sys.platform != "win32":
            import tty

            tty.setcbreak(sys.stdin)

    def _go_on(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """The shell has set the terminal its own way meanwhile."""
        self._listen()
        self._resumed = True

    def _posix(self, seconds: float) -> str:
        """What was pressed."""
        import select

        if not select.select([sys.stdin], [], [], seconds)[0]:
            return ""
        try:
            pressed = os.read(sys.stdin.fileno(), 64).decode(errors="ignore")
        except OSError:  # the terminal is gone
            return "q"
        return _LONGER.sub("", pressed) if pressed else "q"

    def _windows(self, seconds: float) -> str:
        """What was pressed."""
        if sys.platform == "win32":
            import msvcrt

            end = time.monotonic() + seconds
            while time.monotonic() < end:
                if msvcrt.kbhit():
                    key = msvcrt.getwch()
                    if key in "\0\xe0":  # a longer code
                        msvcrt.getwch()
                        return ""
                    return key
                time.sleep(0.02)
        return ""
