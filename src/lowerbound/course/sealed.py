"""The form of a hand-in: what it holds, its seal, and reading one that came from anywhere."""

from __future__ import annotations

import datetime
import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lowerbound.course.entry import PARTS, sound
from lowerbound.errors import InputError

__all__ = ["FORMAT", "LIMIT", "VERSION", "Submission", "canonical", "read_handin", "seal"]

FORMAT = "lowerbound hand-in"
VERSION = 1
LIMIT = 64_000_000  # bytes of a file


@dataclass(frozen=True)
class Submission:
    """A hand-in that was read, its form and seal found good. Its parts can be had as ``["name"]``, too.

    Attributes:
        path: The file.
        course: Title of the course.
        name: The learner's name as given, perhaps empty.
        group: Their group, perhaps empty.
        written: When, ISO 8601 with a zone.
        lessons: Lesson -> ``sections``, ``checks``, ``responses``, ``discussions``, ``feelings``, ``recap``, ``feedback``
            and ``runs``.
        journal: ``lines``, ``last`` (hash of the last line) and ``broken`` (sentences about damaged lines).
        sha256: The seal.
    """

    path: Path
    course: str
    name: str
    group: str
    written: str
    lessons: dict[str, dict[str, Any]]
    journal: dict[str, Any]
    sha256: str

    def __getitem__(self, part: str) -> Any:
        return {name: value for name, value in vars(self).items() if name != "path"}[part]


def canonical(content: dict[str, Any]) -> bytes:
    r"""Content as the one JSON that stands for it: names in order, no spaces, ASCII.

    Example:
        >>> canonical({"b": 1, "a": "é"})
        b'{"a":"\\u00e9","b":1}'
    """
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def seal(content: dict[str, Any]) -> dict[str, Any]:
    """Content with its ``sha256``, over all else in its canonical JSON.

    The seal shows a file that was cut, mixed up or edited; it is no signature: whoever edits can seal anew.
    """
    rest = {name: value for name, value in content.items() if name != "sha256"}
    return rest | {"sha256": hashlib.sha256(canonical(rest)).hexdigest()}


def read_handin(path: Path | str) -> Submission:
    """Read one hand-in, trusting nothing in it.

    Raises:
        InputError: A file that is no hand-in, of a newer version, cut, edited, too large, or that cannot be read.

    Example:
        >>> read_handin("pyproject.toml")
        Traceback (most recent call last):
        lowerbound.errors.InputError: pyproject.toml is not whole JSON; ...
    """
    path = Path(path)
    try:
        if not path.is_file():
            raise InputError(f"{path} is no file; expected a hand-in, handin-NAME.json")
        with path.open("rb") as file:
            data = file.read(LIMIT + 1)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); mend its rights or leave it out") from error
    if len(data) > LIMIT:
        raise InputError(f"{path} holds more than {LIMIT // 1_000_000} MB; a hand-in never does; leave it out")
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not whole JSON; was it cut on its way? ask for the file anew") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError(f"{path} is no hand-in; expected the handin-NAME.json of `lowerbound course submit`")
    version = content.get("version")
    if type(version) is int and version > VERSION:
        raise InputError(
            f"{path} is a hand-in of version {str(version)[:9]}; this lowerbound reads {VERSION}; update it"
        )
    try:
        _hold_to(content, _HANDIN, "the hand-in")
    except InputError as wrong:
        raise InputError(f"{path}: {wrong}; it was changed after it was written; ask for the file anew") from wrong
    if content["version"] != VERSION or seal(content) != content:
        raise InputError(f"{path} was changed after it was written: its seal does not fit; ask for the file anew")
    return Submission(path, **{name: content[name] for name in _HANDIN if name not in ("format", "version")})


@dataclass(frozen=True)
class _Each:
    """The form of an object of any names, whose values all have one form."""

    form: Any


@dataclass(frozen=True)
class _Of:
    """The form of a single value: what it is, in words, and how that is told."""

    words: str
    fits: Callable[[Any], bool]


def _types(*types: type, none: bool = False) -> _Of:
    """The form of a value of exactly these types."""
    words = " or ".join([kind.__name__ for kind in types] + ["null"] * none)
    return _Of(words, lambda value: (none and value is None) or sound(value, *types))


def _is_moment(value: Any) -> bool:
    """Whether a value is a time with its zone."""
    try:
        return type(value) is str and datetime.datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


def _hold_to(value: Any, form: Any, where: str) -> None:
    """Refuse a value that has not the form; the form's depth bounds how deep this looks."""
    if isinstance(form, _Of):
        fits = form.fits(value) and not (isinstance(value, str) and _halved(value))
        if not fits:
            raise InputError(f"{where} is {_said(value)}; expected {form.words}")
    elif isinstance(form, list):
        if type(value) is not list:
            raise InputError(f"{where} is {_said(value)}; expected a list")
        for number, part in enumerate(value, 1):
            _hold_to(part, form[0], f"{where}, number {number}")
    else:
        if type(value) is not dict or any(_halved(name) for name in value):
            raise InputError(f"{where} is {_said(value)}; expected an object")
        if isinstance(form, dict) and value.keys() != form.keys():
            odd = ", ".join(_shown(name) for name in sorted(form.keys() ^ value.keys())[:4])
            raise InputError(f"{where} has too many or too few parts ({odd}); expected {', '.join(form)}")
        for name, part in value.items():
            _hold_to(part, form[name] if isinstance(form, dict) else form.form, f"{where}, {_shown(name)}")


def _halved(text: str) -> bool:
    """Whether text has half a character in it (a lone surrogate), which nothing could print."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _shown(name: str) -> str:
    """A name in few letters that a line can hold."""
    return name[:40] if name[:40].isprintable() else ascii(name[:40])


def _said(value: Any) -> str:
    """A value in few letters, however long or deep it is."""
    single = value is None or isinstance(value, (bool, float, str)) or (type(value) is int and abs(value) <= 2**53)
    return ascii(value[:40] if isinstance(value, str) else value) if single else f"of type {type(value).__name__}"


_TEXT = _types(str)
_COUNT = _Of("a whole number from 0", lambda value: sound(value, int) and value >= 0)
_MOMENT = _Of("a time with its zone", _is_moment)
_SECONDS = _Of("seconds or null", lambda value: value is None or (sound(value, int, float) and 0 <= value < math.inf))
_LESSON = {
    "sections": _Each({"at": _MOMENT, "seconds": _SECONDS}),
    "checks": _Each(
        {
            "passed": _types(bool),
            "attempts": _COUNT,
            "wrong": _Each(_COUNT),
            "hints": _COUNT,
            "solution_seen": _types(bool),
        }
    ),
    "responses": _Each(_TEXT),
    "discussions": _Each(_TEXT),
    "feelings": _Each({"score": _types(str, int, float, none=True), "note": _TEXT}),
    "recap": _TEXT,
    "feedback": dict.fromkeys(PARTS["feedback"], _TEXT),
    "runs": [{part: _types(*types, none=True) for part, types in PARTS["ran"].items()}],
}
_HANDIN = {
    "format": _TEXT,
    "version": _COUNT,
    "course": _TEXT,
    "name": _TEXT,
    "group": _TEXT,
    "written": _MOMENT,
    "lessons": _Each(_LESSON),
    "journal": {"lines": _COUNT, "last": _TEXT, "broken": [_TEXT]},
    "sha256": _TEXT,
}
