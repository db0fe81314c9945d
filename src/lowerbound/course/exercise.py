"""What an exercise is: something to write, cases that it must meet, hints, and the wrong answers that are typical of it.

An exercise is a name (of a function, class or number that the learner writes), and a few small cases. A case is a function that
gets the learner's object, tries it on inputs of its own, and says with ``expect`` what should be so; what it says when it is
not so is for the learner, and has the learner's own numbers in it.

    def spread(rsample):
        draws = rsample(torch.tensor([[0.0, 0.0, 1.0]]), 4000)
        sigma = float(draws.std())
        expect(abs(sigma - math.e) < 0.15, f"log sigma is 1, so sigma is 2.72; your draws spread by {sigma:.2f}")

The right answer stands in one place, the lesson's source. Each typical wrong answer is made from it by replacing a few words, and
names the case that must notice it: a case that no wrong answer meets, or a wrong answer that meets another case, fails the tests.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["Exercise", "Miss", "Outcome", "Wrong", "expect"]


class Miss(Exception):  # noqa: N818  (a verdict, not an error)
    """What a case has to say to the learner whose answer does not meet it."""


def expect(condition: object, words: str) -> None:
    """Go on if something is so; else end the case with these words.

    Args:
        condition: What should be true.
        words: For the learner: what came, in the learner's own numbers, what was expected, and a nudge.

    Raises:
        Miss: It is not so.

    Example:
        >>> expect(2 > 1, "2 should be above 1")
        >>> expect(1 > 2, "yours is 1; it should be above 2")
        Traceback (most recent call last):
        lowerbound.course.exercise.Miss: yours is 1; it should be above 2
    """
    if not condition:
        raise Miss(words)


@dataclass(frozen=True)
class Wrong:
    """A typical wrong answer, made from the right one.

    Args:
        name: What is wrong with it, in a few words.
        case: The case that must notice it.
        replace: Pairs of old and new text; each old one stands in the right answer, and is replaced wherever it does.

    Example:
        >>> Wrong("forgot the exponential", "spread", (("log_sigma.exp()", "log_sigma"),)).of("z = log_sigma.exp() * e")
        'z = log_sigma * e'
    """

    name: str
    case: str
    replace: tuple[tuple[str, str], ...]

    def of(self, solution: str) -> str:
        """The wrong answer's text.

        Raises:
            ValueError: The right answer has no such words any more.
        """
        for old, new in self.replace:
            if old not in solution:
                raise ValueError(f'the wrong answer "{self.name}" replaces {old!r}, which the right one does not have')
            solution = solution.replace(old, new)
        return solution


@dataclass(frozen=True)
class Exercise:
    """Something that a learner writes.

    Args:
        name: Of the function, class or number in the notebook, and in ``lesson.check``.
        lesson: Where it is asked for, such as "05".
        task: What is to be written, in a sentence.
        cases: Tried in this order, the simplest first; the first that is not met is told.
        hints: Of rising help; the last one nearly gives it away.
        wrong: Typical wrong answers.
        seconds: For all cases together.
        answer: The right one, in a course whose solutions do not lie beside it; the package's own exercises have theirs in the
            solution notebooks.

    Raises:
        ValueError: No case, no hint, or a wrong answer for a case that is not there.

    Example:
        >>> def positive(k):
        ...     expect(k > 0, f"k is {k}; expected at least 1")
        >>> Exercise("k", "01", "Choose K.", (positive,), ("Try a few.", "Above 0.", "20 will do."), ()).case_names
        ('positive',)
    """

    name: str
    lesson: str
    task: str
    cases: tuple[Callable[[Any], None], ...]
    hints: tuple[str, ...]
    wrong: tuple[Wrong, ...]
    seconds: float = 10.0
    answer: Any = None

    def __post_init__(self) -> None:
        """Refuse an exercise that could not be taught."""
        strangers = {wrong.case for wrong in self.wrong} - set(self.case_names)
        if not self.cases or not self.hints or strangers:
            raise ValueError(
                f"exercise {self.name} has {len(self.cases)} cases, {len(self.hints)} hints, and wrong answers for "
                f"{sorted(strangers)}; expected a case, a hint, and wrong answers for cases that are there"
            )

    @property
    def case_names(self) -> tuple[str, ...]:
        """What the cases test, in their order."""
        return tuple(getattr(case, "__name__", repr(case)) for case in self.cases)


@dataclass(frozen=True)
class Outcome:
    """What a check found.

    Args:
        kind: Whether the answer passes, is still to be written, or is wrong.
        words: For the learner.
        case: The first case that was not met; empty where there was none.
    """

    kind: Literal["passed", "to do", "wrong"]
    words: str
    case: str = ""
