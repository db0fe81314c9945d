"""What a journal says: the entries of its lines, and what is asked of them: arrivals, answers, attempts, runs."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from lowerbound.errors import InputError

__all__ = [
    "ANSWERS",
    "KINDS",
    "PARTS",
    "TEXTS",
    "Arrival",
    "Attempts",
    "Entry",
    "Record",
    "empty",
    "line_hash",
    "parse",
    "refuse_misfit",
]

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


@dataclass(frozen=True)
class Arrival:
    """The first time that a section was reached: when, and how many seconds after the lesson's first stamp.

    Seconds are None where the machine's clock was set back in between: what is not known is not made up.
    """

    at: str
    seconds: float | None


@dataclass(frozen=True)
class Attempts:
    """How an exercise went.

    Attributes:
        passed: Whether an answer ever passed.
        attempts: Answers up to the first that passed, that one included; a hole that is still empty is no attempt.
        wrong: How often each case was missed, in the order first met.
        hints: How many different hints were read.
        solution_seen: Whether the solution was shown.
        at: When the first answer passed, or empty.
    """

    passed: bool = False
    attempts: int = 0
    wrong: dict[str, int] = field(default_factory=dict)
    hints: int = 0
    solution_seen: bool = False
    at: str = ""


@dataclass(frozen=True)
class Record:
    """All that a journal holds.

    Attributes:
        entries: Its whole lines, in order.
        broken: Sentences about lines that are not whole, or do not follow the one before; none if all is well.
        lines: How many lines the file has.
        last: Hash of its last line, empty for an empty file.
    """

    entries: tuple[Entry, ...] = ()
    broken: tuple[str, ...] = ()
    lines: int = 0
    last: str = ""

    def lessons(self) -> tuple[str, ...]:
        """The lessons that were worked on, in the order of their names."""
        return tuple(sorted({entry.lesson for entry in self.entries if entry.lesson}))

    def sections(self, lesson: str) -> dict[str, Arrival]:
        """The first arrival at each section of a lesson that was entered; the first stamp counts, over all kernels."""
        stamps = [entry for entry in self._about(lesson) if entry.kind in ("opened", "section")]
        found: dict[str, Arrival] = {}
        for entry in stamps:
            if entry.kind == "section" and entry.id not in found:
                seconds = (entry.time - stamps[0].time).total_seconds()
                found[entry.id] = Arrival(entry.at, seconds if seconds >= 0 else None)
        return found

    def answers(self, kind: str, lesson: str | None = None) -> dict[str, Entry]:
        """The last answer to each question of a kind; of an answer in parts, the last of each part.

        Args:
            kind: ``response``, ``discuss``, ``feeling``, ``recap``, ``feedback`` or ``me``.
            lesson: Of this lesson alone, or of all (where questions of one id are one).
        """
        found: dict[str, Entry] = {}
        for entry in self._about(lesson):
            if entry.kind == kind and not empty(entry.value):
                value = entry.value
                if isinstance(value, dict) and entry.id in found:
                    value = found[entry.id].value | {part: said for part, said in value.items() if not empty(said)}
                found[entry.id] = replace(entry, value=value)
        return found

    def latest(self, kind: str, lesson: str | None = None) -> dict[str, Any]:
        """What was last answered to each question of a kind, by its id."""
        return {about: entry.value for about, entry in self.answers(kind, lesson).items()}

    def me(self) -> tuple[str, str]:
        """The learner's name and group as last given, each empty until it was."""
        said = {"name": "", "group": ""}
        for entry in self.entries:
            if entry.kind == "me":
                said |= {part: str(value) for part, value in entry.value.items() if not empty(value)}
        return said["name"], said["group"]

    def attempts(self, lesson: str) -> dict[str, Attempts]:
        """How each exercise of a lesson went that was tried, or for which a hint or the solution was read."""
        found: dict[str, Attempts] = {}
        hints: dict[str, set[str]] = {}
        for entry in self._about(lesson):
            if entry.kind not in ("check", "hint", "solution"):
                continue
            was = found.get(entry.id, Attempts())
            if entry.kind == "hint":
                hints.setdefault(entry.id, set()).add(json.dumps(entry.value))
                was = replace(was, hints=len(hints[entry.id]))
            elif entry.kind == "solution":
                was = replace(was, solution_seen=True)
            elif entry.value["outcome"] != "to do":
                was = _tried(was, entry)
            found[entry.id] = was
        return found

    def runs(self, lesson: str | None = None) -> tuple[Entry, ...]:
        """The trained models that were reported, in order; the parts of each value are those of ``PARTS["ran"]``."""
        return tuple(entry for entry in self._about(lesson) if entry.kind == "ran")

    def _about(self, lesson: str | None) -> Iterator[Entry]:
        """The entries of one lesson, or of all."""
        return (entry for entry in self.entries if lesson is None or entry.lesson == lesson)


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
        found = json.loads(line.decode(), parse_constant=_refuse_constant)
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
        json.dumps(found, ensure_ascii=False, allow_nan=False).encode()
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
        if value is not None and type(value) not in types:
            raise InputError(f"its {kind} is of type {type(value).__name__}; expected {_either(types)}")
        return
    if not isinstance(value, dict) or set(value) != set(parts):
        raise InputError(f"its {kind} has not the parts {', '.join(parts)}")
    for name, types in parts.items():
        if value[name] is not None and type(value[name]) not in types:
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


def line_hash(line: bytes) -> str:
    """Hash of a line without its end.

    Example:
        >>> line_hash(b"")[:8]
        'e3b0c442'
    """
    return hashlib.sha256(line).hexdigest()


def _tried(was: Attempts, entry: Entry) -> Attempts:
    """What is known of an exercise after one more answer to it."""
    counted = was if was.passed else replace(was, attempts=was.attempts + 1)
    if entry.value["outcome"] == "passed":
        return counted if was.passed else replace(counted, passed=True, at=entry.at)
    case = entry.value["case"] or "error"
    return replace(counted, wrong=was.wrong | {case: was.wrong.get(case, 0) + 1})


def _refuse_constant(name: str) -> None:
    """Refuse NaN and infinities, which Python reads and JSON has not."""
    raise ValueError(name)


def _either(types: tuple[type, ...]) -> str:
    """Types as a sentence names them."""
    return " or ".join(kind.__name__ for kind in types)
