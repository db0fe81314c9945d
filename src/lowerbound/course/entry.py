"""One line of a journal: what kinds there are, what each holds, and a line read with nothing in it trusted."""

from __future__ import annotations

import datetime
import hashlib
import json
import math
from dataclasses import dataclass
from typing import Any

from lowerbound.errors import InputError

__all__ = ["ANSWERS", "KINDS", "PARTS", "TEXTS", "Entry", "empty", "line_hash", "parse", "refuse_misfit", "sound"]

TEXTS = ("response", "discuss", "recap")
NUMBER = (int, float)
PARTS: dict[
    str, dict[str, tuple[type, ...]]
] = {  # kinds whose value has parts: each part's name and types; all may be None
    "opened": {"data": (str,), "full": (bool,)},
    "check": {"outcome": (str,), "case": (str,), "words": (str,)},
    "feeling": {"score": (str, *NUMBER), "note": (str,)},
    "me": {"name": (str,), "group": (str,)},
    "feedback": {"better": (str,), "group": (str, *NUMBER), "feeling": (str, *NUMBER)},
    "ran": {
        "data": (str,),
        "k": (int,),
        "model": (str,),
        "full": (bool,),
        "test_mse": NUMBER,
        "elbo": NUMBER,
        "seconds": NUMBER,
    },
}
ANSWERS = (*TEXTS, "feeling", "me", "feedback")  # where an empty value is no answer
KINDS = (*PARTS, "section", "hint", "solution", *TEXTS)
OUTCOMES = ("passed", "to do", "wrong")


@dataclass(frozen=True)
class Entry:
    """One line of the journal.

    Attributes:
        n: Its number, from 1.
        at: When it was written, ISO 8601 in UTC with milliseconds.
        lesson: The lesson, such as ``05``.
        kind: What happened, one of ``KINDS``.
        id: Which section, exercise or question it is about.
        value: What there is to say of it: text, a number, parts by name, or None.
        before: Hash of the line before, empty for the first.
    """

    n: int
    at: str
    lesson: str
    kind: str
    id: str
    value: Any
    before: str

    @property
    def time(self) -> datetime.datetime:
        """When it was written, as a time that can be reckoned with."""
        return datetime.datetime.fromisoformat(self.at)


def parse(line: bytes) -> Entry:
    """One line of the file.

    Raises:
        InputError: It is not a whole entry.

    Example:
        >>> parse(b'{"n": 1, "at": "2025-03-04T')
        Traceback (most recent call last):
        lowerbound.errors.InputError: it is not whole JSON
    """
    try:
        found = json.loads(line.decode())
    except (ValueError, RecursionError) as error:
        raise InputError("it is not whole JSON" if line.strip() else "it is empty") from error
    names = {"n": int, "at": str, "lesson": str, "kind": str, "id": str, "before": str}
    if not isinstance(found, dict) or set(found) != {*names, "value"}:
        raise InputError(f"it has not the parts {', '.join((*names, 'value'))}")
    for name, kind in names.items():
        if type(found[name]) is not kind:
            raise InputError(f"its {name} is {type(found[name]).__name__}, not {kind.__name__}")
    try:
        zone = datetime.datetime.fromisoformat(found["at"]).tzinfo
        json.dumps(found, ensure_ascii=False, allow_nan=False).encode()  # no NaN, no half characters
    except (ValueError, RecursionError) as error:
        raise InputError("its time is no time, or its text no text") from error
    if zone is None:
        raise InputError("its time has no zone")
    if found["kind"] in KINDS:  # another's is of a later version: kept, and not looked at
        refuse_misfit(found["kind"], found["value"])
    return Entry(**found)


def refuse_misfit(kind: str, value: Any) -> None:
    """Refuse a value that is not of its kind's form.

    Raises:
        InputError: Parts that are missing or too many, or one of another type.
    """
    parts = PARTS.get(kind)
    if parts is None:
        types = (str,) if kind in TEXTS else (str, int, float, bool)
        if value is not None and not sound(value, *types):
            raise InputError(f"its {kind} is of type {type(value).__name__}; expected {_either(types)}")
        return
    if not isinstance(value, dict) or set(value) != set(parts):
        raise InputError(f"its {kind} has not the parts {', '.join(parts)}")
    for name, types in parts.items():
        if value[name] is not None and not sound(value[name], *types):
            raise InputError(f"its {name} is of type {type(value[name]).__name__}; expected {_either(types)}")
    if kind == "check" and value["outcome"] not in OUTCOMES:
        raise InputError(f"its outcome is {str(value['outcome'])[:40]!r}; expected {', '.join(OUTCOMES)}")


def empty(value: Any) -> bool:
    """Whether an answer says nothing.

    Example:
        >>> empty({"name": " ", "group": None}), empty(0)
        (True, False)
    """
    if isinstance(value, dict):
        return all(empty(part) for part in value.values())
    return value is None or (isinstance(value, str) and not value.strip())


def sound(value: Any, *types: type) -> bool:
    """Whether a value is of exactly one of these types; if a number, one that others can reckon with, too.

    Example:
        >>> sound(3, int, float), sound(True, int), sound(10**400, int), sound(float("nan"), float)
        (True, False, False, False)
    """
    if type(value) not in types:
        return False
    return abs(value) <= 2**53 if type(value) is int else math.isfinite(value) if type(value) is float else True


def line_hash(line: bytes) -> str:
    """Hash of a line without its end.

    Example:
        >>> line_hash(b"")[:8]
        'e3b0c442'
    """
    return hashlib.sha256(line).hexdigest()


def _either(types: tuple[type, ...]) -> str:
    """Types as a sentence names them."""
    return " or ".join(kind.__name__ for kind in types)
