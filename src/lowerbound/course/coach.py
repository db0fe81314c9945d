"""What a learner sees of checks: lines of results, and on the watcher's screen one exercise at a time, with hints on request."""

from __future__ import annotations

import contextlib
import textwrap
from pathlib import Path

from lowerbound.course import catalogue
from lowerbound.course.exercise import Exercise, Outcome
from lowerbound.course.journal import Journal
from lowerbound.course.lesson import MARKS
from lowerbound.course.saved import Results
from lowerbound.errors import InputError

__all__ = ["Coach", "bar", "lines_of"]

KEYS = "h hint   n next   l list   s solution   q quit"


class Coach:
    """The watcher's screen: which exercise is looked at, which hints were given, what a key brought up.

    Args:
        path: The file that is watched; what is asked for is noted in the journal beside it.

    Attributes:
        now: What is going on at the moment, or is wrong with the file.

    Example:
        >>> coach = Coach(Path("05_elbo.ipynb"))
        >>> coach.press("h"), coach.press("q")
        (True, False)
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.now = ""
        self._results: Results = []
        self._at: str | None = None  # name of the exercise that is shown
        self._hints: dict[str, int] = {}
        self._below: list[str] = []

    def take(self, results: Results) -> None:
        """Take the results of a check; where the exercise that is shown passes, go on to the first one that does not."""
        before = self._shown
        self._results = results
        after = self._shown
        if after is None or after[1].kind == "passed":
            self._below = []
            if before and after and before[1].kind != "passed":
                self._below = [f"✓ {after[0].name} passes now"]
            self._at = next((one.name for one, outcome in results if outcome.kind != "passed"), None)

    def press(self, key: str) -> bool:
        """Do what a key asks for; False if it asks to quit."""
        if key in "qQ\x03\x04":
            return False
        act = {"h": self._hint, "n": self._next, "l": self._list, "s": self._solution}.get(key.lower())
        if act is not None and self._results:
            act()
        return True

    def screen(self, width: int = 80) -> str:
        """What is to be seen, in lines of at most so many characters."""
        passed = sum(outcome.kind == "passed" for _, outcome in self._results)
        lines = [self._path.name, *([bar(passed, len(self._results))] if self._results else []), ""]
        lines += [self.now, ""] if self.now else []
        if self._shown is not None:
            exercise, outcome = self._shown
            lines += [f"{MARKS[outcome.kind]} {exercise.name} (lesson {exercise.lesson})", outcome.words, ""]
            if outcome.kind == "wrong":
                lines += [f"what is asked for: {exercise.task}", ""]
        elif self._results:
            lines += ["✓ all exercises pass", ""]
        lines += [*self._below, ""] if self._below else []
        lines.append(KEYS)
        return "\n".join(part for line in lines for part in _wrapped(_printable(line), width))

    @property
    def _shown(self) -> tuple[Exercise, Outcome] | None:
        """The exercise that is looked at, and what came of it."""
        return next((result for result in self._results if result[0].name == self._at), None)

    def _hint(self) -> None:
        """One hint more."""
        if self._shown is None:
            self._below = ["all exercises pass: there is nothing to hint at"]
            return
        exercise = self._shown[0]
        had, all_of_them = self._hinted(exercise), len(exercise.hints)
        given = min(had + 1, all_of_them)
        if given > had:
            self._hints[exercise.name] = given
            self._note(exercise, "hint", given)
        self._below = [f"hint {n} of {all_of_them}: {hint}" for n, hint in enumerate(exercise.hints[:given], 1)]
        if given == all_of_them:
            self._below.append("those are all hints; s shows a solution")

    def _next(self) -> None:
        """Look at the next exercise; after the last at the first."""
        names = [exercise.name for exercise, _ in self._results]
        place = names.index(self._at) if self._at in names else -1
        self._at, self._below = names[(place + 1) % len(names)], []

    def _list(self) -> None:
        """All exercises, with their marks."""
        self._below = [
            f"{'>' if exercise.name == self._at else ' '} {MARKS[outcome.kind]} {exercise.name}"
            for exercise, outcome in self._results
        ]

    def _solution(self) -> None:
        """A solution, after all hints or once it passes."""
        if self._shown is None:
            self._below = ["all exercises pass; n goes through them, s then shows our solution"]
            return
        exercise, outcome = self._shown
        left = len(exercise.hints) - self._hinted(exercise)
        if left > 0 and outcome.kind != "passed":
            self._below = [f"the solution comes after the hints (h): {left} of {len(exercise.hints)} are left"]
            return
        try:
            self._below = ["a solution:", "", *catalogue.solution(exercise).splitlines()]
        except InputError as error:
            self._below = [str(error)]
        else:
            self._note(exercise, "solution", 1)

    def _hinted(self, exercise: Exercise) -> int:
        """Hints that were given, here or in a notebook: the journal knows."""
        noted = None
        with contextlib.suppress(InputError):
            noted = Journal(self._path.parent).read().attempts(exercise.lesson).get(exercise.name)
        return max(self._hints.get(exercise.name, 0), 0 if noted is None else noted.hints)

    def _note(self, exercise: Exercise, kind: str, value: int) -> None:
        """Write to the journal; where that cannot be done, the next check says so."""
        with contextlib.suppress(InputError):
            Journal(self._path.parent).add(exercise.lesson, kind, exercise.name, value)


def bar(done: int, number: int, width: int = 24) -> str:
    """How many are done, drawn.

    Example:
        >>> bar(3, 4, width=8)
        '[######  ] 3 of 4 pass'
    """
    full = width * done // max(number, 1)
    return f"[{'#' * full}{' ' * (width - full)}] {done} of {number} pass"


def lines_of(results: Results) -> list[str]:
    """Results as lines: one an exercise, then how many there are of each kind.

    Example:
        >>> lines_of([])
        ['there are no exercises to check']
    """
    if not results:
        return ["there are no exercises to check"]
    wide = max(len(exercise.name) for exercise, _ in results)
    lines = [
        f"{MARKS[outcome.kind]} {one.name:{wide}}  {outcome.words.removeprefix(one.name).lstrip()}"
        for one, outcome in results
    ]
    kinds = [outcome.kind for _, outcome in results]
    counts = f"{kinds.count('passed')} of {len(kinds)} pass, {kinds.count('wrong')} wrong, {kinds.count('to do')} to do"
    return [_printable(line) for line in [*lines, counts]]


def _printable(line: str) -> str:
    """Without what would move the cursor or change colours: a learner's code has a say in these words."""
    return "".join(c if c.isprintable() else " " for c in line)


def _wrapped(line: str, width: int) -> list[str]:
    """A line in lines that fit; code keeps its indents."""
    indent = " " * (len(line) - len(line.lstrip()))
    return textwrap.wrap(line, max(width - 1, 20), subsequent_indent=indent, drop_whitespace=False) or [""]
