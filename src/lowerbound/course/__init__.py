"""A course from PCA to the VAE: lessons whose pieces the learner fills in, with checks that teach and answers that stay local.

A notebook needs two lines, and no more than this package:

    from lowerbound import course
    lesson = course.open_lesson("05", data="mnist")

An instructor's own exercises are made of ``Exercise``, ``Wrong`` and ``expect``. Names are looked up when they are first used, so
importing the course does not import torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lowerbound.course.data import batches, floats, track
    from lowerbound.course.exercise import Exercise, Wrong, expect
    from lowerbound.course.lesson import Lesson, open_lesson

__all__ = ["Exercise", "Lesson", "Wrong", "batches", "expect", "floats", "open_lesson", "track"]

_HOMES = {
    "Exercise": "exercise",
    "Lesson": "lesson",
    "Wrong": "exercise",
    "batches": "data",
    "expect": "exercise",
    "floats": "data",
    "open_lesson": "lesson",
    "track": "data",
}


def __getattr__(name: str) -> object:
    """A public name, imported now (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names."""
    return sorted(__all__)
