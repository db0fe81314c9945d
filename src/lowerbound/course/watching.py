"""Watching a file: it is checked again whenever it is saved, and the first exercise that does not pass yet is shown.

On a terminal keys give hints and move about; anywhere else what came of every check is printed.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from pathlib import Path

from lowerbound.course.coach import Coach, lines_of
from lowerbound.course.keys import Keys
from lowerbound.course.saved import Check, Results, note
from lowerbound.course.separate import Separate
from lowerbound.errors import InputError

__all__ = ["Watcher", "watch"]

EVERY = 0.5  # seconds from one look at the file to the next
CLEAR = "\x1b[H\x1b[2J"


def watch(path: Path) -> None:
    """Check a file whenever it is saved, until ``q`` or Ctrl-C.

    Raises:
        InputError: The file cannot be checked when it is first looked at.
    """
    with contextlib.closing(Watcher(path)) as watcher, Keys() as keys:
        if keys.terminal:
            _on_terminal(watcher, keys)
        else:
            _in_lines(watcher)


class Watcher:
    """A file that is looked at twice a second, and checked when it is another one than before; to be closed.

    Args:
        path: The file.

    Attributes:
        results: What the last whole check found; None until there is one.
        trouble: Why the file cannot be checked as it is now; empty if it can.

    Raises:
        InputError: The file cannot be checked.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.results: Results | None = None
        self.trouble = ""
        self._seen = _version(path)
        self._looked = time.monotonic()
        self._ready: Separate | None = None  # another Python, warm before the next check
        self._check: Check | None = Check(path)

    @property
    def checking(self) -> bool:
        """Whether a check is under way."""
        return self._check is not None

    def look(self) -> bool:
        """Look at the file if it is time to, go on with the check; whether there is something new to say."""
        new = self._look_at_file()
        if self._check is None:
            return new
        try:
            if not self._check.step():
                return new
            self.results, self.trouble = self._check.results, ""
            note(self.path.parent, self.results)
        except InputError as error:  # what was found holds all the same
            self.trouble = f"not noted: {error}"
        self._check.close()
        self._check, self._ready = None, Separate()
        return True

    def close(self) -> None:
        """End what is under way."""
        for one in (self._check, self._ready):
            if one is not None:
                one.close()

    def _look_at_file(self) -> bool:
        """Begin a check if the file is another one than before."""
        if time.monotonic() - self._looked < EVERY:
            return False
        self._looked = time.monotonic()
        version = _version(self.path)
        if version == self._seen:
            return False
        self._seen = version
        if self._check is not None:  # of what is not there any more
            self._check.close()
            self._check = None
        ready, self._ready = self._ready, None
        try:
            self._check = Check(self.path, separate=ready)
        except InputError as error:  # saved half way, or taken away: the next version may be whole
            self.trouble, self._ready = str(error), Separate()
        return True


def _version(path: Path) -> tuple[int, int, int] | None:
    """What changes when the file is written, or another takes its place; None while it is not there."""
    try:
        about = path.stat()
    except OSError:
        return None
    return about.st_mtime_ns, about.st_size, about.st_ino


def _on_terminal(watcher: Watcher, keys: Keys) -> None:
    """Draw again whenever there is something new, and follow keys."""
    coach, shown, taken = Coach(watcher.path), "", None
    while True:
        watcher.look()
        if watcher.results is not taken and watcher.results is not None:
            coach.take(watcher.results)
            taken = watcher.results
        coach.now = watcher.trouble or ("checking ..." if watcher.checking else "")
        screen = coach.screen(shutil.get_terminal_size().columns)
        if keys.resumed() or screen != shown:
            print(CLEAR + screen, flush=True)
            shown = screen
        key = keys.read(0.05 if watcher.checking else 0.2)
        if key and not coach.press(key):
            return


def _in_lines(watcher: Watcher) -> None:
    """Print what came of every check."""
    print(f"watching {watcher.path}; Ctrl-C ends it")
    while True:
        if watcher.look() and not watcher.checking:
            print("\n".join(["", *([watcher.trouble] if watcher.trouble else lines_of(watcher.results or []))]))
        time.sleep(0.05)
