"""How long work tells how far it is: a function passed in by whoever has a screen; silent by default.

with progress("reading photos", total=900) as advance:
    for file in files:
        ...
        advance(1, file.name)      # how many more are done, and a word to show beside the bar
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol

__all__ = ["Advance", "Progress", "quiet", "terminal"]

Advance = Callable[[int, str], None]


class Progress(Protocol):
    """Opens one task with a number of steps; gives the function that moves it forward."""

    def __call__(self, task: str, total: int) -> AbstractContextManager[Advance]:
        """Open the task named ``task`` with ``total`` steps."""
        ...


@contextlib.contextmanager
def quiet(task: str, total: int) -> Iterator[Advance]:  # noqa: ARG001
    """Show nothing.

    Example:
        >>> with quiet("reading", 2) as advance:
        ...     advance(1, "first")
    """
    yield lambda steps, word: None  # noqa: ARG005


@contextlib.contextmanager
def terminal(task: str, total: int) -> Iterator[Advance]:
    """A bar with the time left on a terminal; one line at the end where the output is a file or a pipe."""
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    console = Console(stderr=True)
    if not console.is_terminal:
        start = time.monotonic()
        yield lambda steps, word: None  # noqa: ARG005
        print(f"{task}: {time.monotonic() - start:.1f} s", file=sys.stderr, flush=True)
        return
    columns = (
        TextColumn("{task.description}", markup=False),  # a file may be called "[red]"
        BarColumn(bar_width=30),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[word]}", markup=False),
    )
    with Bars(*columns, console=console) as bars:
        handle = bars.add_task(_printable(task), total=total, word="")
        yield lambda steps, word: bars.update(handle, advance=steps, word=_printable(word))


def _printable(word: str) -> str:
    """Without what would move the cursor or change colours."""
    return "".join(c if c.isprintable() else " " for c in word)
