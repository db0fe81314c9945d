"""What the hand-ins of a class say together, as plain numbers and words: the class experiment, exercises, times, answers."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lowerbound.course.classroom import natural

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from lowerbound.course.classroom import Classroom, HandedIn

__all__ = [
    "FULL",
    "Answer",
    "Curve",
    "ExerciseCount",
    "SectionTime",
    "answers",
    "exercises",
    "experiment",
    "feedback",
    "feelings",
    "times",
]


FULL = ", full recipe"  # behind the name of a model that was not trained the fast way


class Curve(NamedTuple):
    """A measure of one model on one data set against K, over a class; arrays ``[n]``, K rising.

    Attributes:
        ks: Numbers per image.
        mean: Mean over the learners who ran this K.
        error: Its standard error; nan where a single learner did.
        learners: How many did.
        each_k: K of every learner's run ``[m]``.
        each: What it measured ``[m]``.
    """

    ks: np.ndarray
    mean: np.ndarray
    error: np.ndarray
    learners: np.ndarray
    each_k: np.ndarray
    each: np.ndarray


class ExerciseCount(NamedTuple):
    """How a class fared with one exercise.

    Attributes:
        lesson: The exercise's lesson.
        name: The exercise.
        tried: Learners who had it checked.
        passed: Learners who passed.
        attempts: Median of their attempts.
        hints: Mean number of hints they took.
        solutions: Learners who saw the solution.
        wrong: The case that answers failed, how often, and of how many learners; the most common first.
    """

    lesson: str
    name: str
    tried: int
    passed: int
    attempts: float
    hints: float
    solutions: int
    wrong: tuple[tuple[str, int, int], ...]


class SectionTime(NamedTuple):
    """How long a class took for one section.

    Attributes:
        lesson: The section's lesson.
        section: The section.
        learners: How many a time is known of.
        quartiles: Lower quartile, median, upper quartile, minutes.
        estimate: What the lesson says, minutes; None where it says nothing.
    """

    lesson: str
    section: str
    learners: int
    quartiles: tuple[float, float, float]
    estimate: float | None


class Answer(NamedTuple):
    """What one learner wrote."""

    group: str
    name: str
    text: str


def _each(room: Classroom) -> Iterator[tuple[HandedIn, str, Mapping[str, Any]]]:
    """Every learner with every lesson begun."""
    for one in room.learners:
        for lesson, done in one.lessons.items():
            yield one, lesson, done


def experiment(room: Classroom, measure: str) -> dict[tuple[str, str], Curve]:
    """The class experiment: what every model came to on every data set, against K.

    A learner who ran the same thing several times counts once, with the last. Runs without the measure, or with one that is
    no number (an error must also be above 0), do not count.

    Args:
        room: The class.
        measure: "test_mse" (mean squared error per pixel of test images, pixels in [0, 1]) or "elbo" (nats per image).

    Returns:
        By data set and model, in their order.

    Example:
        >>> from pathlib import Path
        >>> from lowerbound.course.classroom import Classroom, HandedIn
        >>> run = {"data": "mnist", "model": "pca", "k": 8}
        >>> done = {name: {"01": {"runs": [run | {"test_mse": mse}]}} for name, mse in (("a", 1.0), ("b", 2.0))}
        >>> learners = [HandedIn(name, name, "", "", "", lessons) for name, lessons in done.items()]
        >>> curve = experiment(Classroom(Path(), tuple(learners)), "test_mse")["mnist", "pca"]
        >>> curve.ks.tolist(), curve.mean.tolist(), curve.error.tolist(), curve.learners.tolist()
        ([8], [1.5], [0.5], [2])
    """
    last: dict[tuple[str, str], dict[tuple[int, str], float]] = defaultdict(dict)
    for one, _, done in _each(room):
        for run in done.get("runs", ()):
            value, k = run.get(measure), run.get("k")
            if _finite(value) and (measure != "test_mse" or value > 0) and k is not None and 0 < k < 1e9:
                # The full recipe and the fast one are not the same thing.
                model = (run.get("model") or "no name") + (FULL if run.get("full") else "")
                last[run.get("data") or "no name", model][k, one.file] = float(value)
    curves = {}
    for key in sorted(last, key=lambda key: (natural(key[0]), natural(key[1]))):
        pairs = sorted((k, value) for (k, _), value in last[key].items())
        each_k, each = np.array([k for k, _ in pairs]), np.array([value for _, value in pairs])
        ks, counts = np.unique(each_k, return_counts=True)
        at = [each[each_k == k] for k in ks]
        errors = [values.std(ddof=1) / math.sqrt(len(values)) if len(values) > 1 else math.nan for values in at]
        curves[key] = Curve(ks, np.array([values.mean() for values in at]), np.array(errors), counts, each_k, each)
    return curves


def _finite(value: float | None) -> bool:
    """Whether there is a number that can be averaged."""
    return value is not None and abs(value) < 1e300


def exercises(room: Classroom) -> list[ExerciseCount]:
    """Every exercise that somebody had checked, in the order of lessons, then of names."""
    checks: dict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for _, lesson, done in _each(room):
        for name, check in done.get("checks", {}).items():
            if check["attempts"] or check["passed"]:
                checks[lesson, name].append(check)
    found = []
    for (lesson, name), each in sorted(checks.items(), key=lambda item: (natural(item[0][0]), natural(item[0][1]))):
        times_wrong, learners_wrong = Counter[str](), Counter[str]()
        for check in each:
            times_wrong.update(check["wrong"])
            learners_wrong.update(check["wrong"].keys())
        wrong = sorted(
            ((case, n, learners_wrong[case]) for case, n in times_wrong.items()),
            key=lambda row: (-row[2], -row[1], row[0]),
        )
        found.append(
            ExerciseCount(
                lesson,
                name,
                len(each),
                sum(bool(check["passed"]) for check in each),
                float(np.median([check["attempts"] for check in each])),
                float(np.mean([check["hints"] for check in each])),
                sum(bool(check["solution_seen"]) for check in each),
                tuple(wrong),
            )
        )
    return found


def times(room: Classroom, estimates: Mapping[str, Mapping[str, float]] | None = None) -> list[SectionTime]:
    """How long each section took, in the order of lessons and sections: from the arrival there to the next arrival.

    Of the section that a learner reached last it is not known when it ended; it has no time. Breaks are in the times, since
    nobody noted them: so the quartiles, which one night does not move, and not the mean.

    Args:
        room: The class.
        estimates: By lesson and section, minutes.
    """
    minutes: dict[tuple[str, str], list[float]] = defaultdict(list)
    for _, lesson, done in _each(room):
        arrivals = {section: stamp.get("seconds") for section, stamp in done.get("sections", {}).items()}
        if None in arrivals.values():  # the clock was set back: nothing here can be told
            continue
        for (section, came), (_, left) in pairwise(sorted(arrivals.items(), key=lambda item: item[1])):
            minutes[lesson, section].append((left - came) / 60)
    found = []
    for (lesson, section), each in sorted(minutes.items(), key=lambda item: (natural(item[0][0]), natural(item[0][1]))):
        low, middle, high = (float(quartile) for quartile in np.quantile(each, (0.25, 0.5, 0.75)))
        estimate = (estimates or {}).get(lesson, {}).get(section)
        found.append(SectionTime(lesson, section, len(each), (low, middle, high), estimate))
    return found


def answers(room: Classroom, kind: str) -> dict[tuple[str, str], list[Answer]]:
    """Free text by lesson and question, the learners by group.

    Args:
        room: The class.
        kind: "responses", "discussions" or "recap".
    """

    def texts(done: Mapping[str, Any]) -> Mapping[str, object]:
        return {"recap": done.get("recap")} if kind == "recap" else done.get(kind, {})

    return _gather(room, texts)


def feelings(room: Classroom) -> tuple[dict[tuple[str, str], Counter[str]], dict[tuple[str, str], list[Answer]]]:
    """How each section felt: by lesson and section, how often each choice was made, and the notes."""
    counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for _, lesson, done in _each(room):
        for section, feeling in done.get("feelings", {}).items():
            if choice := _text(feeling.get("score")):
                counts[lesson, section][choice] += 1
    ordered = dict(sorted(counts.items(), key=lambda item: (natural(item[0][0]), natural(item[0][1]))))
    return ordered, _gather(
        room, lambda done: {key: value.get("note") for key, value in done.get("feelings", {}).items()}
    )


def feedback(room: Classroom) -> dict[tuple[str, str], list[Answer]]:
    """The closing feedback, by lesson and question: "better", "group", "feeling"."""
    return _gather(room, lambda done: done.get("feedback") or {})


def _text(said: object) -> str:
    """An answer in words: a choice may be a number, and a part that was not answered is nothing."""
    return "" if said is None else f"{said:g}" if isinstance(said, float) else str(said)


def _gather(
    room: Classroom, texts: Callable[[Mapping[str, Any]], Mapping[str, object]]
) -> dict[tuple[str, str], list[Answer]]:
    """Texts that are not blank, by lesson and question; learners stay in their order."""
    found: dict[tuple[str, str], list[Answer]] = defaultdict(list)
    for one, lesson, done in _each(room):
        for question, said in texts(done).items():
            if (text := _text(said)).strip():
                found[lesson, question].append(Answer(one.group, one.name, text))
    return dict(sorted(found.items(), key=lambda item: (natural(item[0][0]), natural(item[0][1]))))
