"""A class: all hand-ins of a folder, read.

Nothing in a folder of hand-ins is trusted to be one. What cannot be read is named with its reason, and the others count.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lowerbound.course.sealed import read_handin
from lowerbound.errors import InputError
from lowerbound.progress import Progress, quiet

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["KEPT", "LARGEST", "Classroom", "HandedIn", "moment", "natural", "read_class"]

LARGEST = 16_000_000  # bytes of one file: forty answers of 100 kB each and all else come to a third of that
KEPT = 4_000  # characters of an answer that a class keeps in memory; the hand-in itself has all


@dataclass(frozen=True)
class HandedIn:
    """One learner's hand-in.

    Attributes:
        file: Its path within the folder.
        name: Of the learner; may be empty.
        group: Of the learner; may be empty.
        course: Which course it says it is of.
        written: When, as it says.
        lessons: By lesson, what was done, as in the file; long texts are cut.
        broken: Why its journal is not whole; empty where it is.
        digest: SHA-256 of the file.
    """

    file: str
    name: str
    group: str
    course: str
    written: str
    lessons: Mapping[str, Any]
    broken: str = ""
    digest: str = ""


@dataclass(frozen=True)
class Classroom:
    """All that a folder of hand-ins holds.

    Attributes:
        folder: Where they lie.
        learners: One hand-in of each learner, by group and name.
        unread: Files that are no hand-in, or not a whole one, and why.
        older: Files that a newer one of the same learner replaces, and that one.
    """

    folder: Path
    learners: tuple[HandedIn, ...]
    unread: tuple[tuple[str, str], ...] = ()
    older: tuple[tuple[str, str], ...] = ()


def read_class(folder: Path, progress: Progress = quiet) -> Classroom:
    """Read every hand-in of a folder and of the folders in it; of one learner's several, the newest counts.

    A learner is a name and a group (letter case and outer blanks aside); a hand-in without a name is a learner of its own,
    unless it is a copy. Names that begin with a dot, and what macOS adds to zip files, are passed over.

    Args:
        folder: Where the hand-ins lie; nothing in it is changed.
        progress: Shown while files are read.

    Raises:
        InputError: The folder is not there, or no file in it can be read as a hand-in.

    Example:
        >>> read_class(Path("no-such-folder"))
        Traceback (most recent call last):
        lowerbound.errors.InputError: no-such-folder is no folder; expected the folder that the hand-ins lie in
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; expected the folder that the hand-ins lie in")
    unread: list[tuple[str, str]] = []
    files = sorted(_files(folder, unread), key=natural)
    found: list[HandedIn] = []
    with progress("reading hand-ins", len(files)) as advance:
        for file in files:
            try:
                found.append(_read(folder, file))
            except InputError as error:
                unread.append((file, str(error)))
            advance(1, file)
    if not found:
        what = (
            f"none of its {len(unread)} .json files can be read: {': '.join(unread[0])}" if unread else "no .json file"
        )
        raise InputError(f"{folder} holds no hand-in ({what}); expected files that `lowerbound course submit` wrote")
    newest: dict[tuple[str, str], HandedIn] = {}
    older: list[tuple[HandedIn, tuple[str, str]]] = []
    for one in sorted(found, key=lambda one: (moment(one.written), natural(one.file))):
        who = _who(one)
        if who in newest:
            older.append((newest[who], who))
        newest[who] = one
    return Classroom(
        folder,
        tuple(sorted(newest.values(), key=lambda one: (_by_group(one.group), natural(one.name), natural(one.file)))),
        tuple(sorted(unread, key=lambda pair: natural(pair[0]))),
        tuple(sorted(((one.file, newest[who].file) for one, who in older), key=lambda pair: natural(pair[0]))),
    )


def _files(folder: Path, unread: list[tuple[str, str]]) -> Iterator[str]:
    """Paths within the folder of what may be hand-ins; folders that cannot be opened are noted."""

    def refused(error: OSError) -> None:
        unread.append((os.path.relpath(error.filename, folder), f"the folder cannot be opened ({error.strerror})"))

    for place, folders, names in os.walk(folder, onerror=refused):
        folders[:] = [name for name in folders if not name.startswith(".") and name != "__MACOSX"]
        for name in names:
            if name.lower().endswith(".json") and not name.startswith("."):
                yield Path(place, name).relative_to(folder).as_posix()


def _read(folder: Path, file: str) -> HandedIn:
    """One hand-in, as light as a whole class of them has to be."""
    path = folder / file
    try:
        size = path.stat().st_size
        if size > LARGEST:
            raise InputError(
                f"it has {size / 1e6:,.0f} MB; a class reads at most {LARGEST // 1_000_000} of one learner"
            )
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        found = read_handin(path)
    except OSError as error:
        raise InputError(f"it cannot be read ({error.strerror})") from error
    except InputError as error:
        raise InputError(str(error).replace(str(path), "it", 1)) from error
    broken = "; ".join(found.journal["broken"])
    lessons = _light(found.lessons)
    return HandedIn(file, found.name, found.group, found.course, found.written, lessons, _light(broken), digest)


def _light(value: Any) -> Any:
    """What a hand-in holds with long texts cut, so that a class fits into memory."""
    if isinstance(value, str):
        more = len(value) - KEPT
        return value if more <= 0 else f"{value[:KEPT]} \N{HORIZONTAL ELLIPSIS} ({more:,} more characters)"
    if isinstance(value, dict):
        return {name: _light(part) for name, part in value.items()}
    return [_light(part) for part in value] if isinstance(value, list) else value


def _who(one: HandedIn) -> tuple[str, str]:
    """What hand-ins of one learner share."""
    name, group = (" ".join(text.split()).casefold() for text in (one.name, one.group))
    return (name, group) if name else ("", one.digest)


def moment(written: str) -> datetime:
    """A time stamp as a moment, so that zones compare; one without a zone is taken for UTC.

    Example:
        >>> moment("2025-03-04T12:00:00+01:00") < moment("2025-03-04T11:30:00Z")
        True
    """
    found = datetime.fromisoformat(written)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def natural(text: str) -> tuple[tuple[str, int, str], ...]:
    """A key that sorts as people do: 2 before 10.

    Example:
        >>> sorted(["pod 10", "pod 2", "Pod 1"], key=natural)
        ['Pod 1', 'pod 2', 'pod 10']
    """
    parts = re.findall(r"[0-9]+|[^0-9]+", text)
    return tuple(
        ("", int(part), "") if part.isdecimal() and len(part) < 99 else (part.casefold(), 0, part) for part in parts
    )


def _by_group(group: str) -> tuple[bool, tuple[tuple[str, int, str], ...]]:
    """Groups in their order, those who are in none last."""
    return not group, natural(group)
