"""What a command hands over: words for people, or with ``--json`` one object for programs.

A verb prints for people, and says once what it has found (``tell``) and which files it has written (``wrote``). Whoever runs it
decides which of the two is shown: with ``--json`` the words go to standard error and the object to standard output, with
``--quiet`` nothing goes to standard error but what is wrong.
"""

from __future__ import annotations

import contextlib
import errno
import io
import json
import math
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

__all__ = ["Outcome", "current", "started", "tell", "wrote"]

DEBUG = "LOWERBOUND_DEBUG"
_CLOSED = {errno.EPIPE, *([errno.EINVAL] if os.name == "nt" else [])}  # what a pipe says that nobody reads any more


class Outcome:
    """What one command has told so far, and where its words go meanwhile.

    Example:
        >>> one = Outcome()
        >>> one.tell(k=20, error=float("nan"))
        >>> one.wrote("a.png")
        >>> one.as_dict(0)["result"], one.as_dict(0)["written"]
        ({'k': 20, 'error': None}, ['a.png'])
    """

    def __init__(self) -> None:
        self.command = ""
        self.as_json = self.quiet = False
        self.debug = os.environ.get(DEBUG, "0") not in ("", "0")
        self.found: dict[str, Any] = {}
        self.files: list[str] = []
        self._streams = sys.stdout, sys.stderr
        self._silence: TextIO | None = None

    def listen(self) -> None:
        """From now on a reader that goes away, as ``| head -1`` does, ends no work: the rest of the words is dropped."""
        sys.stdout = _patient(sys.stdout)
        sys.stderr = _patient(sys.stderr)

    def begin(self, command: str, *, as_json: bool, quiet: bool, debug: bool) -> None:
        """What was asked is known: send the words where they belong."""
        self.command, self.as_json, self.quiet = command, as_json, quiet
        self.debug = self.debug or debug
        if quiet:
            self._silence = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  (closed by end)
            sys.stderr = self._silence
        if as_json:
            sys.stdout = sys.stderr

    def tell(self, **found: Any) -> None:
        """What was found, by name."""
        self.found |= found

    def wrote(self, *files: str | Path) -> None:
        """Files and folders that are there now."""
        self.files += [str(file) for file in files if str(file) not in self.files]

    def as_dict(self, code: int, error: str | None = None) -> dict[str, Any]:
        """The object that ``--json`` prints."""
        from importlib.metadata import version

        about = {"program": "lowerbound", "version": version("lowerbound"), "command": self.command, "exit_code": code}
        if error is not None:
            about["error"] = error
        return {**about, "written": self.files, "result": _plain(self.found)}

    def end(self, code: int, error: str | None = None) -> None:
        """The command has ended: print the object where one was asked for, and leave the streams as they were."""
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                with contextlib.suppress(*[OSError] * bool(code)):  # what went wrong first is what is to be said
                    stream.flush()
        sys.stdout, sys.stderr = self._streams
        if self._silence is not None:
            self._silence.close()
        if self.as_json and os.environ.get("RANK", "0") == "0":  # of several processes the first speaks
            out = _patient(sys.stdout)
            out.write(json.dumps(self.as_dict(code, error), indent=1, allow_nan=False) + "\n")
            out.flush()


_current: list[Outcome] = []


def current() -> Outcome:
    """The outcome of the command that runs; one that nobody reads where the library is used without the command line."""
    return _current[-1] if _current else Outcome()


def started() -> Outcome:
    """A new command begins."""
    _current[:] = [Outcome()]
    return _current[0]


def tell(**found: Any) -> None:
    """Say what a verb has found, by name; numbers bear their unit in their name or beside them.

    Example:
        >>> tell(images=10)
    """
    current().tell(**found)


def wrote(*files: str | Path) -> None:
    """Say which files a verb has written.

    Example:
        >>> wrote("a.png", "a.svg")
    """
    current().wrote(*files)


class _Patient(io.TextIOBase):
    """A stream whose reader may go away."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write, or drop what nobody reads."""
        self._try(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Send on what is held back, or drop it."""
        self._try(self._stream.flush)

    def _try(self, act: Any) -> None:
        try:
            act()
        except OSError as error:
            if error.errno not in _CLOSED:
                raise
            nowhere = os.open(os.devnull, os.O_WRONLY)  # what is held back goes there, too, when Python ends
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)

    def isatty(self) -> bool:
        """Whether somebody looks at it."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """Of the stream itself."""
        return self._stream.fileno()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Of the stream itself."""
        return self._stream.encoding


def _patient(stream: Any) -> Any:
    """The stream, patient; None where there is none, as of a program without a console."""
    return stream if stream is None or isinstance(stream, _Patient) else _Patient(stream)


def _plain(value: Any) -> Any:
    """What JSON can hold: NumPy's numbers and arrays as Python's, what is no number as null, paths as text."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)
