"""What a journal says: arrivals, answers, attempts, runs, found in the entries of its lines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from lowerbound.course.entry import Entry, empty

__all__ = ["Arrival", "Attempts", "Record"]


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


def _tried(was: Attempts, entry: Entry) -> Attempts:
    """What is known of an exercise after one more answer to it."""
    counted = was if was.passed else replace(was, attempts=was.attempts + 1)
    if entry.value["outcome"] == "passed":
        return counted if was.passed else replace(counted, passed=True, at=entry.at)
    case = entry.value["case"] or "error"
    return replace(counted, wrong=was.wrong | {case: was.wrong.get(case, 0) + 1})
