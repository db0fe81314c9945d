"""What the report of a class shows, section by section, in the order in which an instructor needs it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from lowerbound import look
from lowerbound.course import class_counts, class_curves, class_figures, class_words
from lowerbound.course.class_words import file_of, many, name_of, thing_of
from lowerbound.page import Section, Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from matplotlib.figure import Figure

    from lowerbound.course.class_counts import Curve, ExerciseCount, SectionTime
    from lowerbound.course.classroom import Classroom

__all__ = ["sections", "summary"]

FEW_PASSED = 2 / 3  # an exercise that fewer of those who tried it have passed needs the instructor
MANY_ATTEMPTS = 4  # and so does one for which the median learner needed as many
SLOW = 1.5  # times its estimate: from there on a section is named
OPEN_ROWS = 12  # a longer table is folded away
MOST_CASES = 5  # wrong answers told of one exercise
MEASURES = {
    "test_mse": ("Error against K", "test MSE per pixel", ".5f"),
    "elbo": ("The ELBO against K", "test ELBO, nats per image", ",.1f"),
}


def sections(
    room: Classroom, pictures: Path, estimates: Mapping[str, Mapping[str, float]] | None = None
) -> Iterator[Section]:
    """All sections of the report, each made when it is asked for.

    Args:
        room: The class.
        pictures: A folder for the figures, which the page takes from there.
        estimates: By lesson and section, the minutes that the lessons say.
    """
    counts, times = class_counts.exercises(room), class_counts.times(room, estimates)
    yield _attention(room, counts, times)
    yield from _experiment(room, pictures)
    yield _exercises(room, counts, pictures)
    yield _times(times, pictures)
    yield from class_words.answers(room)
    yield class_words.feelings(room)
    yield class_words.feedback(room)
    yield _learners(room)


def summary(room: Classroom) -> list[str]:
    """The class in a few sentences."""
    learners = len(room.learners)
    groups = len({one.group for one in room.learners if one.group})
    lessons = {lesson for one in room.learners for lesson in one.lessons}
    counts = class_counts.exercises(room)
    said = [f"{many(learners, 'learner')} in {many(groups, 'group')}, with work in {many(len(lessons), 'lesson')}."]
    if counts:
        share = sum(count.passed for count in counts) / sum(count.tried for count in counts)
        said.append(f"{many(len(counts), 'exercise')} tried; {share:.0%} of those who tried one passed it.")
    amiss = [
        *([f"{many(len(room.unread), 'file')} could not be read"] if room.unread else []),
        *(
            [f"{many(len(broken), 'journal')} not whole"]
            if (broken := [1 for one in room.learners if one.broken])
            else []
        ),
        *([f"{many(len(room.older), 'file')} replaced by newer ones"] if room.older else []),
    ]
    return said + ([f"{'; '.join(amiss)}."] if amiss else [])


def _attention(room: Classroom, counts: Sequence[ExerciseCount], times: Sequence[SectionTime]) -> Section:
    """Files that were not read, exercises that many have not passed, sections that took long."""
    tables = []
    if room.unread:
        caption = "Files that could not be read; ask for them again"
        tables.append(Table(("file", "why"), [(file_of(file), why) for file, why in room.unread], caption, prose=True))
    if broken := [(file_of(one.file), name_of(one.name), one.broken) for one in room.learners if one.broken]:
        caption = "Hand-ins whose journal is not whole; they count all the same"
        tables.append(Table(("file", "learner", "what the learner's file says"), broken, caption, prose=True))
    if room.older:
        caption = "Hand-ins that do not count, for there is a newer one of the same name and group"
        tables.append(
            Table(
                ("file", "newer"),
                [(file_of(older), file_of(newer)) for older, newer in room.older],
                caption,
                prose=True,
                folded=len(room.older) > OPEN_ROWS,
            )
        )
    hard = [row for row in counts if row.passed < FEW_PASSED * row.tried or row.attempts >= MANY_ATTEMPTS]
    if hard:
        rows = [
            (thing_of(row.lesson, row.name), f"{row.passed} of {row.tried}", f"{row.attempts:g}", _cases(row))
            for row in sorted(hard, key=lambda row: row.passed / row.tried)
        ]
        header = ("exercise", "passed, of those who tried", "attempts, median", "most common wrong answers")
        tables.append(Table(header, rows, "Exercises that were hard", prose=True))
    if slow := [row for row in times if row.estimate and row.quartiles[1] > SLOW * row.estimate]:
        rows = [
            (thing_of(row.lesson, row.section), f"{row.quartiles[1]:.1f}", f"{row.estimate:g}", str(row.learners))
            for row in slow
        ]
        header = ("section", "minutes, median", "minutes, estimate", "learners")
        caption = "Sections that took much longer than their estimate"
        tables.append(Table(header, rows, caption, folded=len(rows) > OPEN_ROWS))
    text = (
        f"Exercises stand here that fewer than two thirds of those who tried them have passed, or that took {MANY_ATTEMPTS} "
        f"attempts or more (median); sections, if the median learner took over {SLOW:g} times the estimate."
    )
    return Section("What needs attention", text if tables else f"Nothing. {text}", table=tables)


def _cases(row: ExerciseCount) -> str:
    """Wrong answers in words, a line each."""
    lines = [
        f"{look.one_line(case, 80).replace('_', ' ')}: {many(learners, 'learner')}"
        + (f", {number} times" if number > learners else "")
        for case, number, learners in row.wrong[:MOST_CASES]
    ]
    more = len(row.wrong) - MOST_CASES
    return "\n".join([*lines, *([f"and {many(more, 'other')}"] if more > 0 else [])])


def _experiment(room: Classroom, pictures: Path) -> Iterator[Section]:
    """Every measure against K; the ELBO only where somebody has one."""
    for measure, (title, unit, digits) in MEASURES.items():
        curves = class_counts.experiment(room, measure)
        if not curves:
            if measure == "test_mse":
                yield Section(title, "Nobody has handed in a run of the class experiment.")
            continue
        text = (
            "What every model came to on every data set. Faint points are single learners, large ones the means over them, "
            "bars two standard errors each way (over learners; none where only one ran this K). Of one learner's runs of the "
            "same thing the last counts."
        )
        if len({data for data, _ in curves}) > class_curves.MOST_PANELS:
            text += f" The {class_curves.MOST_PANELS} data sets with most runs are drawn; the table has all."
        figure = _stored(class_curves.class_curves(curves, measure), pictures, measure)
        rows = [
            (
                look.one_line(data),
                _label(model),
                f"{k:,}",
                str(learners),
                f"{mean:{digits}}" + (f" ± {error:{digits}}" if math.isfinite(error) else ""),
            )
            for (data, model), curve in curves.items()
            for k, learners, mean, error in _points(curve)
        ]
        header = ("data", "model", "K", "learners", f"{unit}, mean ± standard error")
        caption = f"{title}, in numbers"
        table = Table(header, rows, caption, folded=len(rows) > OPEN_ROWS)
        yield Section(
            title, text, figure, f"{title}, of each model on each data set; the table has the numbers.", table
        )


def _label(model: str) -> str:
    """A model as it is named everywhere."""
    plain = model.removesuffix(class_counts.FULL)
    return look.model_style(plain).label + model[len(plain) :]


def _points(curve: Curve) -> Iterator[tuple[int, int, float, float]]:
    """The means of a curve one by one."""
    return zip(*(values.tolist() for values in (curve.ks, curve.learners, curve.mean, curve.error)), strict=True)


def _exercises(room: Classroom, counts: Sequence[ExerciseCount], pictures: Path) -> Section:
    if not counts:
        return Section("Exercises", "Nobody has handed in an exercise that was tried.")
    text = (
        "Attempts are answers that were checked, up to the first that passed; a hole left empty is none. Wrong answers are "
        "named by the case that they failed."
    )
    if len(counts) > class_figures.MOST_BARS:
        text += f" The first {class_figures.MOST_BARS} are drawn; the table has all."
    rows = [
        (
            thing_of(row.lesson, row.name),
            f"{row.passed} of {row.tried}",
            f"{row.attempts:g}",
            f"{row.hints:.1f}",
            str(row.solutions),
            _cases(row),
        )
        for row in counts
    ]
    header = (
        "exercise",
        "passed, of those who tried",
        "attempts, median",
        "hints, mean",
        "saw the solution",
        "wrong answers",
    )
    table = Table(header, rows, "Exercises, in numbers", prose=True, folded=len(rows) > OPEN_ROWS)
    figure = _stored(class_figures.exercises_passed(counts, len(room.learners)), pictures, "exercises")
    return Section("Exercises", text, figure, "Bars: learners who passed each exercise, and who tried it.", table)


def _times(times: Sequence[SectionTime], pictures: Path) -> Section:
    if not times:
        return Section("Time for each section", "No hand-in tells how long a section took.")
    text = (
        "From the first arrival at a section to the first arrival at the one that came next; breaks are in it, and of the "
        "section that a learner reached last no end is known, so it has no time."
    )
    if len(times) > class_figures.MOST_BARS:
        text += f" The first {class_figures.MOST_BARS} are drawn; the table has all."
    rows = [
        (
            thing_of(row.lesson, row.section),
            str(row.learners),
            *(f"{minutes:.1f}" for minutes in row.quartiles),
            f"{row.estimate:g}" if row.estimate is not None else "-",
        )
        for row in times
    ]
    header = (
        "section",
        "learners",
        "lower quartile, minutes",
        "median, minutes",
        "upper quartile, minutes",
        "estimate, minutes",
    )
    table = Table(header, rows, "Times, in numbers", folded=len(rows) > OPEN_ROWS)
    figure = _stored(class_figures.section_times(times), pictures, "times")
    return Section("Time for each section", text, figure, "Bars: quartiles of the time for each section.", table)


def _learners(room: Classroom) -> Section:
    """Who handed in what."""
    rows = []
    for one in room.learners:
        checks = [check for done in one.lessons.values() for check in done.get("checks", {}).values()]
        rows.append(
            (
                name_of(one.name),
                look.one_line(one.group, 40) or "no group",
                ", ".join(look.one_line(lesson, 20) for lesson in one.lessons),
                str(sum(bool(check["passed"]) for check in checks)),
                look.one_line(one.written),
                file_of(one.file),
            )
        )
    header = ("learner", "group", "lessons", "exercises passed", "written", "file")
    table = Table(header, rows, "All learners", prose=True, folded=len(rows) > OPEN_ROWS)
    return Section("Learners", "By group; those in no group come last.", table=table)


def _stored(figure: Figure, folder: Path, name: str) -> Path:
    """A figure as a file that the page takes in."""
    path = folder / f"{name}.svg"
    path.write_bytes(look.as_svg(figure))
    return path
