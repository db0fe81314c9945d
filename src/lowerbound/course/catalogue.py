"""Every exercise by its name, and the library's answer to each: what the solution notebook has, and nothing else.

The right answer to an exercise stands in one place, the source of its lesson, from which the solution notebook is compiled. The
library's version is made by executing that notebook's definitions, so what ``lesson.check`` gives back for an unfinished answer,
what ``lesson.solution`` shows, and what the solution notebook has can never differ.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
import json
import pkgutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lowerbound.course.definitions import defined_names, definitions
from lowerbound.course.exercise import Exercise
from lowerbound.errors import InputError, nearest

__all__ = ["NOTEBOOKS", "code_cells", "exercises", "find", "lesson_file", "outside", "reference", "solution"]

NOTEBOOKS = Path(__file__).with_name("notebooks")


@functools.cache
def exercises() -> Mapping[str, Exercise]:
    """All exercises of the package's own lessons, by name, in the lessons' order."""
    package = importlib.import_module("lowerbound.course.exercises")
    found = [
        exercise
        for module in pkgutil.iter_modules(package.__path__)
        for exercise in importlib.import_module(f"{package.__name__}.{module.name}").EXERCISES
    ]
    named = {exercise.name: exercise for exercise in sorted(found, key=lambda exercise: exercise.lesson)}
    if len(named) < len(found):
        raise ValueError("two exercises have one name")
    return named


def outside(file: Path) -> Mapping[str, Exercise]:
    """The exercises of a course of somebody's own: what ``EXERCISES`` holds in a file of Python.

    Raises:
        InputError: No such file, one that cannot be run, or one without exercises.
    """
    spec = importlib.util.spec_from_file_location("course_checks", file)
    if spec is None or spec.loader is None or not file.is_file():
        raise InputError(f"{file} is not there; expected a Python file with a list EXERCISES, named in course.toml")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        found = {exercise.name: exercise for exercise in module.EXERCISES}
    except Exception as error:
        raise InputError(
            f"{file} cannot be used: {type(error).__name__}: {error}; expected a list EXERCISES"
        ) from error
    return found


def find(name: str, known: Mapping[str, Exercise] | None = None) -> Exercise:
    """The exercise of a name.

    Raises:
        InputError: There is none.
    """
    known = exercises() if known is None else known
    if name not in known:
        raise InputError(f'there is no exercise "{name}"{nearest(name, known)}; known are {", ".join(known)}')
    return known[name]


def lesson_file(lesson: str, kind: str = "solution", folder: Path = NOTEBOOKS) -> Path:
    """The notebook of a lesson, "student" or "solution".

    Raises:
        InputError: There is no such lesson.
    """
    files = {file.name.partition("_")[0]: file for file in sorted((folder / kind).glob("*.ipynb"))}
    if lesson not in files:
        raise InputError(
            f'there is no lesson "{lesson}"{nearest(lesson, files)}; there are {", ".join(files) or "none"}'
        )
    return files[lesson]


@functools.cache
def code_cells(file: Path) -> tuple[str, ...]:
    """The code cells of a notebook, in their order.

    Raises:
        InputError: It is no notebook.
    """
    try:
        cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
        return tuple("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise InputError(f"{file} is no whole notebook ({error}); give a saved .ipynb file") from error


def solution(exercise: Exercise, folder: Path = NOTEBOOKS) -> str:
    """The text of an exercise's right answer: the cell of the solution notebook that defines it.

    Raises:
        InputError: The notebook has none.
    """
    if exercise.answer is not None:
        return (
            inspect.getsource(exercise.answer) if callable(exercise.answer) else f"{exercise.name} = {exercise.answer}"
        )
    file = lesson_file(exercise.lesson, folder=folder)
    cells = [cell for cell in code_cells(file) if exercise.name in defined_names(cell) and not _checks(cell, exercise)]
    if not cells:
        raise InputError(
            f"{file.name} does not define {exercise.name}; build the notebooks again: lowerbound course build"
        )
    return cells[0]


def reference(
    exercise: Exercise,
    folder: Path = NOTEBOOKS,
    known: Mapping[str, Exercise] | None = None,
    text: str | None = None,
) -> Any:
    """The library's version of what an exercise asks for.

    Args:
        exercise: Which.
        folder: Where the notebooks lie.
        known: The exercises that its lesson may take over from earlier ones; by default the package's own.
        text: In place of the right answer, to see what a wrong one does.

    Raises:
        InputError: The notebook has none.
    """
    if exercise.answer is not None and text is None:
        return exercise.answer
    file = lesson_file(exercise.lesson, folder=folder)
    right = solution(exercise, folder)
    cells = [text if text is not None and cell == right else cell for cell in code_cells(file)]
    cells = [cell for cell in cells if not _checks(cell, exercise)]

    def piece(name: str) -> Any:
        return reference(find(name, known), folder, known)

    found = definitions(cells, piece, file.stem)
    if exercise.name not in found:
        raise InputError(
            f"{file.name} does not define {exercise.name}; build the notebooks again: lowerbound course build"
        )
    return found[exercise.name]


def _checks(cell: str, exercise: Exercise) -> bool:
    """Whether a cell checks an exercise, and so gives its name a second meaning."""
    return f'lesson.check("{exercise.name}"' in cell
