"""The checker on a saved file, a notebook or Python: which exercises it has, and what becomes of each.

Nothing of the file is run but imports and definitions, in another Python with an end to its time. So a file may hold anything,
and what the learner's code does (never end, end Python, crash it, print for ever) becomes the words of one exercise.
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lowerbound.course import catalogue
from lowerbound.course.config import read_config
from lowerbound.course.exercise import Exercise, Outcome
from lowerbound.course.journal import Journal
from lowerbound.course.separate import Separate
from lowerbound.course.written import read_cells
from lowerbound.errors import InputError
from lowerbound.progress import Progress, quiet

__all__ = ["Check", "Results", "check_file", "known_near", "note"]

STARTING = 120.0  # seconds until the other Python is there; a cold disk takes its time
DEFINING = 20.0  # for all imports and definitions
GRACE = 5.0  # beyond any limit that the other Python keeps by itself
Results = list[tuple[Exercise, Outcome]]


def check_file(path: Path, exercise: str | None = None, *, progress: Progress = quiet) -> Results:
    """Check the exercises that a saved file has.

    Args:
        path: A notebook (``.ipynb``) or Python (``.py``, with cells or without).
        exercise: This one only.
        progress: Shown meanwhile.

    Returns:
        The exercises of the file's lesson, and others that it defines, in the course's order; those that it does not define
        are "to do".

    Raises:
        InputError: No such file, one that is neither a notebook nor Python, or one that has nothing to do with the course.

    Example:
        >>> check_file(Path("nowhere.ipynb"))
        Traceback (most recent call last):
        lowerbound.errors.InputError: nowhere.ipynb cannot be read (No such file or directory); ...
    """
    with contextlib.closing(Check(path, exercise)) as check, progress("checking", len(check.wanted)) as advance:
        told = 0
        while not check.step():
            time.sleep(0.02)
            advance(len(check.outcomes) - told, check.now)
            told = len(check.outcomes)
        advance(len(check.outcomes) - told, "")
        return check.results


def known_near(folder: Path) -> tuple[Mapping[str, Exercise], Path | None]:
    """The exercises that a file in this folder may have, and the file of those that are a course's own.

    A lesson for which the course has exercises of its own has no others.

    Raises:
        InputError: A broken ``course.toml``, or a file of exercises that cannot be used.
    """
    config = read_config(folder)
    if not config.checks:
        return catalogue.exercises(), None
    checks = folder / config.checks
    own = catalogue.outside(checks)
    lessons = {exercise.lesson for exercise in own.values()}
    others = {name: one for name, one in catalogue.exercises().items() if one.lesson not in lessons}
    return {**others, **own}, checks


def note(folder: Path, results: Results) -> None:
    """Write attempts to the folder's journal: a gap that is still empty is none, and what was found before is not written twice.

    Raises:
        InputError: The journal cannot be read or written.
    """
    journal = Journal(folder)
    last = {entry.id: entry.value for entry in journal.read().entries if entry.kind == "check"}
    for exercise, outcome in results:
        value = {"outcome": outcome.kind, "case": outcome.case, "words": outcome.words}
        if outcome.kind != "to do" and last.get(exercise.name) != value:
            journal.add(exercise.lesson, "check", exercise.name, value)


class Check:
    """A check of a saved file that is under way: call ``step`` until it is done, take the ``results``, close it.

    Args:
        path: The file.
        exercise: This one only.
        separate: Another Python that is ready already; it is closed with the check.

    Raises:
        InputError: As for ``check_file``.
    """

    def __init__(self, path: Path, exercise: str | None = None, separate: Separate | None = None) -> None:
        self._separate = separate
        try:
            self._path, self._cells = path, read_cells(path)
            self._separate = separate or Separate()  # it starts while we read the exercises
            known, self._checks = known_near(path.parent)
            self.wanted = self._choose(known, exercise)
        except BaseException:
            self.close()
            raise
        self.outcomes: dict[str, Outcome] = self._beforehand()
        self.now = ""  # the exercise that is being checked
        self._skip: set[int] = set()
        self._ask(self._separate)

    @property
    def results(self) -> Results:
        """What was found, in the course's order."""
        return [(exercise, self.outcomes[name]) for name, exercise in self.wanted.items() if name in self.outcomes]

    def close(self) -> None:
        """End the other Python."""
        if self._separate is not None:
            self._separate.close()

    def step(self) -> bool:
        """See how far it is; whether it is done.

        Raises:
            RuntimeError: There is no other Python to be had.
        """
        separate = self._separate
        if separate is None or len(self.outcomes) == len(self.wanted):
            return True
        code = separate.ended()  # asked for before its last words are read
        for news in separate.news():
            self._follow(news)
        if len(self.outcomes) == len(self.wanted):
            return True
        if self._late or code is not None or time.monotonic() > self._deadline:
            self._blame(separate, None if self._late else code)
            separate.close()
            self._separate = Separate()
            self._ask(self._separate)
        return False

    def _follow(self, news: dict[str, Any]) -> None:
        """Take note of what the other Python found, where it is, and until when it should be elsewhere."""
        if "kind" in news:
            self.outcomes[news["name"]] = Outcome(
                news["kind"], news["words"] + self._excuse(news["words"]), news["case"]
            )
        elif "late" in news:
            self._late = True
        elif news["at"] == "exercise":
            self._cell, self.now = None, news["name"]
            self._deadline = time.monotonic() + news["seconds"] + GRACE
        elif news["at"] == "cell":
            if self._cell is None:
                self._deadline = time.monotonic() + DEFINING + GRACE
            self._cell = news["cell"]

    def _ask(self, separate: Separate) -> None:
        """Have what is not known yet found out."""
        self._cell: int | None = None
        self._late, self.now = False, ""
        self._deadline = time.monotonic() + STARTING
        separate.ask(
            {
                "name": self._path.stem,
                "folder": str(self._path.resolve().parent),
                "cells": [cell.text for cell in self._cells],
                "skip": sorted(self._skip),
                "names": [name for name in self.wanted if name not in self.outcomes],
                "checks": None if self._checks is None else str(self._checks.resolve()),
                "seconds": DEFINING,
            }
        )

    def _blame(self, separate: Separate, code: int | None) -> None:
        """Say of a cell or an exercise that it ended the other Python, or did not come to an end."""
        left = self.wanted.keys() - self.outcomes.keys()
        if self._cell is not None and self._cell not in self._skip:
            self._skip.add(self._cell)
            for name in self._cells[self._cell].defined & left:
                words = f"the cell that defines {name} {_how(code, DEFINING)}"
                self.outcomes[name] = Outcome("wrong", words, "process")
        elif self._cell is not None:  # it was left out, and still Python ended: there is nothing more to leave out
            for name in left:
                self.outcomes[name] = Outcome("wrong", f"{self._path.name} {_how(code, DEFINING)}", "process")
        elif self.now:
            words = f"{self.now} {_how(code, self.wanted[self.now].seconds)}"
            self.outcomes[self.now] = Outcome("wrong", words, "process")
        else:
            said = separate.complaints().strip().splitlines()
            raise RuntimeError(f"the Python that tries the answers did not start: {said[-1] if said else code}")

    def _choose(self, known: Mapping[str, Exercise], exercise: str | None) -> dict[str, Exercise]:
        """The exercises that are to be checked: those of the lesson that is opened, and those that are defined."""
        if exercise is not None:
            return {exercise: catalogue.find(exercise, known)}
        lessons = {lesson for cell in self._cells for lesson in cell.lessons}
        has = {
            name
            for name in known
            if any(name in cell.defined or (cell.mistake and cell.begins(name)) for cell in self._cells)
        }
        if not lessons and not has:
            raise InputError(
                f"{self._path} opens no lesson and has none of the course's exercises; expected a line such as "
                'lesson = course.open_lesson("05"); give a notebook of the course (lowerbound course start)'
            )
        lessons = lessons or {known[name].lesson for name in has}
        return {name: one for name, one in known.items() if one.lesson in lessons or name in has}

    def _beforehand(self) -> dict[str, Outcome]:
        """What can be said without running anything."""
        found = {}
        for name, exercise in self.wanted.items():
            if any(name in cell.defined for cell in self._cells):
                continue
            broken = next((cell for cell in self._cells if cell.mistake and cell.begins(name)), None)
            if broken is not None:
                where = "its cell" if len(self._cells) > 1 else "the file"
                words = f"{name} cannot be read: {where} is not Python ({broken.mistake})"
                found[name] = Outcome("wrong", words, "syntax")
            elif any(name in cell.computed for cell in self._cells):
                words = (
                    "is computed, and a saved file is not run: write it as a plain number, or check it in the notebook"
                )
                found[name] = Outcome("to do", f"{name} {words}")
            else:
                found[name] = Outcome("to do", f"{name} is not in {self._path.name} yet: {exercise.task}")
        return found

    def _excuse(self, words: str) -> str:
        """What else may be the reason that a name is not known."""
        broken = next((cell for cell in self._cells if cell.mistake), None)
        if "NameError" not in words or broken is None:
            return ""
        return f"; the cell that begins with {broken.first!r} defines nothing, as it is not Python ({broken.mistake})"


def _how(code: int | None, seconds: float) -> str:
    """What to say of code that did not come back."""
    if code is None:
        return f"does not come to an end within {seconds:g} s: is there a loop that never ends?"
    if code >= 0:
        return f"ends Python itself, with exit code {code}: is there a call of exit() in it?"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"crashes Python itself ({name}): does it take more memory than there is?"
