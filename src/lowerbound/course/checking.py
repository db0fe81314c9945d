"""Checks that teach: they never raise, say what is wrong in the learner's own numbers, and leave no trace.

Every case sees the same random numbers in every check, and the learner's own are as they were afterwards.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from typing import Any

from lowerbound.course.exercise import Exercise, Miss, Outcome
from lowerbound.course.limits import TooLong, limited

__all__ = ["check"]

SEED = 20
LONGEST = 600  # characters of a message that came out of the learner's own code


def check(exercise: Exercise, answer: object) -> Outcome:
    """Try an answer on all cases of an exercise.

    Args:
        exercise: What was asked.
        answer: The learner's function, class or number.

    Returns:
        Passed; to do, where it still says so; or the first case that it does not meet, with words. Whatever the answer does,
        short of ending the process, nothing is raised but the user's own Ctrl-C.

    Example:
        >>> from lowerbound.course.exercise import expect
        >>> def doubles(f):
        ...     expect(f(2) == 4, f"twice 2 is 4; yours gives {f(2)}")
        >>> twice = Exercise("twice", "00", "Double it.", (doubles,), ("Add it to itself.",), ())
        >>> check(twice, lambda x: x * x * x).words
        'twice 2 is 4; yours gives 8'
        >>> check(twice, ...).kind, check(twice, lambda x: x + x).kind
        ('to do', 'passed')
    """
    if _unfinished(answer):
        return Outcome("to do", f"{exercise.name} is still to be written: {exercise.task}")
    try:
        with _same_chances(), limited(exercise.seconds):
            for case in exercise.cases:
                outcome = _tried(exercise, case, answer)
                if outcome is not None:
                    return outcome
    except TooLong:
        return Outcome(
            "wrong",
            f"{exercise.name} was not done after {exercise.seconds:g} s, where the library's takes a fraction of that: is there "
            "a loop that does not end, or a loop where one product of tensors would do?",
            "time",
        )
    return Outcome("passed", f"{exercise.name} passes all {len(exercise.cases)} cases")


def _tried(exercise: Exercise, case: Any, answer: object) -> Outcome | None:
    """What one case says; None where it is met."""
    name = getattr(case, "__name__", repr(case))
    try:
        _seed()
        case(answer)
    except Miss as miss:
        return Outcome("wrong", str(miss), name)
    except NotImplementedError:
        return Outcome("to do", f"{exercise.name} is still to be written: {exercise.task}")
    except (KeyboardInterrupt, TooLong):
        raise
    except BaseException as error:  # noqa: BLE001  (also SystemExit: whatever the learner's code does is told, not raised)
        words = " ".join(str(error).split())[:LONGEST]
        if "ellipsis" in words.lower():
            return Outcome("to do", f"there is a ... left in {exercise.name}: {exercise.task}")
        return Outcome("wrong", f"{exercise.name} ended with {type(error).__name__}: {words or 'no words'}", name)
    return None


def _unfinished(answer: object) -> bool:
    """Whether nothing was written yet."""
    return answer is ... or answer is None


def _seed() -> None:
    """The same random numbers for every case, whatever the one before it drew."""
    import numpy as np
    import torch

    random.seed(SEED)
    np.random.seed(SEED)  # noqa: NPY002  (a learner may draw from it)
    torch.manual_seed(SEED)


@contextlib.contextmanager
def _same_chances() -> Iterator[None]:
    """Within, random numbers may be seeded and drawn, and gradients are taken; afterwards all is as it was."""
    import numpy as np
    import torch

    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        with torch.random.fork_rng([]), torch.enable_grad():
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
