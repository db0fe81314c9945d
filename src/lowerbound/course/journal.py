"""What a learner did, in one file that they can read: a line of JSON each, only ever added to.

Every line carries the hash of the line before it, so that a line that was edited or taken out shows. That is a guard against
accidents and careless hands: whoever wants to can compute a whole new chain, and taking away the last lines does not show
(a hand-in notes how many there were). Nothing here is ever sent anywhere.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import json
import math
import os
import sys
import time
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from typing import Any

from lowerbound.course.entry import ANSWERS, KINDS, PARTS, Entry, empty, line_hash, parse, refuse_misfit
from lowerbound.course.record import Record
from lowerbound.errors import InputError, nearest
from lowerbound.whole import refusal

__all__ = ["FILE", "LIMIT", "UNCHOSEN", "Entry", "Journal", "Record", "stamp"]

FILE = "course-journal.jsonl"
LIMIT = 1_000_000  # bytes of UTF-8 in one answer
UNCHOSEN = "not chosen"  # what a list of choices shows before one is chosen
CHOICES = {"me": ("group",), "feeling": ("score",), "feedback": ("group", "feeling")}
_HELD = {errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK}
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL}
_NO_SYNC = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP}
_PATIENCE = 10.0  # seconds to wait for another kernel that is writing a line
_BEYOND = 1 << 30


class Journal:
    """The journal in a learner's folder.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     journal = Journal(folder)
        ...     _ = journal.add("05", "section", "1")
        ...     _ = journal.add("05", "response", "strict_or_lax", "Strict: it keeps the stroke.")
        ...     journal.add("05", "response", "strict_or_lax", "  ")  # an empty field is no answer
        ...     journal.read().latest("response")
        False
        {'strict_or_lax': 'Strict: it keeps the stroke.'}
    """

    def __init__(self, folder: Path | str) -> None:
        self.path = Path(folder) / FILE

    def add(self, lesson: str, kind: str, about: str = "", value: Any = None) -> bool:
        """Add one line, on the disk when this returns.

        Halves of characters (lone surrogates) that no file can hold become U+FFFD; every other character is kept. Numbers
        that are not finite become None.

        Args:
            lesson: The lesson, such as ``05``.
            kind: What happened, one of ``KINDS``.
            about: Which section, exercise or question (the line's ``id``); at most 200 characters, as the lesson's name.
            value: Text for ``response``, ``discuss`` and ``recap``; the parts of ``PARTS`` by name for its kinds, those
                left out being None; a number or text or None for others.

        Returns:
            Whether there was anything to add: not so for an empty answer.

        Raises:
            InputError: An answer over 1 MB, a kind or part that is not known, or a file that cannot be written.
        """
        if kind not in KINDS:
            raise InputError(f'the journal knows no "{kind}"{nearest(kind, KINDS)}; expected {", ".join(KINDS)}')
        value = _plain(value)
        if kind in PARTS and (value is None or isinstance(value, dict)):
            value = dict.fromkeys(PARTS[kind]) | (value or {})
            value |= {part: "" for part in CHOICES.get(kind, ()) if value[part] == UNCHOSEN}
        refuse_misfit(kind, value)
        if max(len(lesson), len(about)) > 200:
            raise InputError(f"{max(lesson, about, key=len)[:40]}... is no name; expected at most 200 characters")
        if kind in ANSWERS and empty(value):
            return False
        size = _size(value)
        if size > LIMIT:
            raise InputError(
                f"this {kind} holds {size / 1e6:.1f} MB; expected at most {LIMIT / 1e6:.0f} MB; shorten it"
            )
        try:
            with self.path.open("a+b", buffering=0) as file, _locked(file, self.path) as locked:
                n, before, cut = _end(file)
                entry = {"n": n + 1, "at": stamp(), "lesson": _whole(lesson), "kind": kind, "id": _whole(about)}
                line = json.dumps(entry | {"value": value, "before": before}, ensure_ascii=False, allow_nan=False)
                _append(file, b"\n" * cut + line.encode() + b"\n", take_back=locked)
        except OSError as error:
            wrong = refusal(self.path, error)
            if isinstance(wrong, InputError):
                raise wrong from error
            raise InputError(f"{self.path} cannot be written ({error}); nothing is noted there") from error
        return True

    def read(self) -> Record:
        """All that the file holds; what is damaged is said in ``broken``, and the rest read.

        Raises:
            InputError: A file that may not be read at all.
        """
        try:
            if not self.path.exists():
                return Record()
            if not self.path.is_file():
                raise InputError(f"{self.path} is no file; expected the course's journal; move it away")
            content = self.path.read_bytes()
        except OSError as error:
            raise InputError(f"{self.path} cannot be read ({error.strerror}); mend its rights") from error
        lines = content.split(b"\n")
        whole = lines[-1] == b""
        if whole:
            lines.pop()
        entries, broken, last, n = [], [], "", 0
        for number, line in enumerate(lines, 1):
            try:
                entry = parse(line)
            except InputError as wrong:
                cut = "; it was cut short" if number == len(lines) and not whole else ""
                broken.append(f"line {number} cannot be read: {wrong}{cut}")
            else:
                entries.append(entry)
                if entry.before != last:
                    broken.append(
                        f"line {number} does not follow {_line(number - 1)}: one was changed, added or taken out"
                    )
                elif entry.n <= n:
                    broken.append(f"line {number} bears the number {entry.n}, which does not follow {n}")
                n = entry.n
            last = line_hash(line)
        return Record(tuple(entries), tuple(broken), len(lines), last)


def stamp() -> str:
    """The time now, ISO 8601 in UTC with milliseconds."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _line(number: int) -> str:
    """A line as a sentence names it."""
    return f"line {number}" if number else "the beginning"


def _whole(text: str) -> str:
    """Text that can be written as UTF-8: two halves of a character are joined, a lone half becomes U+FFFD."""
    return str(text).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _plain(value: Any) -> Any:
    """A value as JSON holds it: no half characters, no NaN, a number of NumPy's or torch's as Python's own."""
    if isinstance(value, dict):
        return {_whole(name): _plain(part) for name, part in value.items()}
    if isinstance(value, str):
        return _whole(value)
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _size(value: Any) -> int:
    """Bytes of the text in a value."""
    parts = value.values() if isinstance(value, dict) else [value]
    return sum(len(part.encode()) for part in parts if isinstance(part, str))


@contextlib.contextmanager
def _locked(file: FileIO, path: Path) -> Iterator[bool]:
    """Be the only one who adds to the file; gives whether the system has such a lock for it."""
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            locked = _lock(file)
            break
        except OSError as error:
            if error.errno not in _HELD:
                raise
            if time.monotonic() > until:
                raise InputError(
                    f"{path} is being written by another program; close it, then run the cell again"
                ) from error
            time.sleep(0.002)
    try:
        yield locked
    finally:
        if locked and sys.platform == "win32":  # elsewhere it goes as the file is closed
            import msvcrt

            file.seek(_BEYOND)
            msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)


def _lock(file: FileIO) -> bool:
    """Take the system's lock on the file; False where the file system knows none."""
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(_BEYOND)  # beyond the text, which others are to read
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return False
        raise
    return True


def _end(file: FileIO) -> tuple[int, str, bool]:
    """The number of the last whole entry, the hash of the last line, and whether that line was cut short."""
    size, window = file.seek(0, os.SEEK_END), 1 << 16
    while True:
        start = max(0, size - window)
        file.seek(start)
        lines = _read(file, size - start).split(b"\n")
        cut = lines[-1] != b""
        if not cut:
            lines.pop()
        if start:
            del lines[:1]  # it begins before what was read
        for line in reversed(lines):
            with contextlib.suppress(InputError):
                return parse(line).n, line_hash(lines[-1]), cut
        if not start:
            return 0, line_hash(lines[-1]) if lines else "", cut
        window *= 8


def _read(file: FileIO, size: int) -> bytes:
    """Bytes from where the file stands."""
    parts = []
    while size > 0 and (part := file.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _append(file: FileIO, line: bytes, *, take_back: bool) -> None:
    """Write a line at the end in one go, and send it to the disk; what was written of it is taken back if it does not fit."""
    size = file.seek(0, os.SEEK_END)
    try:
        written = 0
        while written < len(line):  # once, unless the disk is full: then the next call says so
            written += file.write(line[written:]) or 0
    except OSError:
        if take_back:
            with contextlib.suppress(OSError):
                file.truncate(size)
        raise
    try:
        os.fsync(file.fileno())
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
