"""A learner's folder: which lessons there are, their notebooks put where the learner works, and Jupyter opened on them.

What the learner has is never written over: a notebook that is there stays as it is. Nothing here needs more than the package.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lowerbound.course.catalogue import NOTEBOOKS
from lowerbound.course.config import FILE
from lowerbound.course.journal import FILE as JOURNAL
from lowerbound.course.notebook import Notebook, read_notebook, to_bytes, to_percent
from lowerbound.errors import InputError, nearest
from lowerbound.progress import Progress, quiet
from lowerbound.whole import make_folder, write_whole

__all__ = [
    "FORMATS",
    "STARTED",
    "LessonFacts",
    "Placed",
    "check_format",
    "choose_lessons",
    "fetch_data",
    "lessons",
    "lessons_taught",
    "open_jupyter",
    "place_lesson",
    "working_folder",
]

STARTED = "lowerbound-course"  # the folder that notebooks are put in if no other is named
FORMATS = ("ipynb", "py")
JUPYTERS = ("jupyterlab", "notebook")  # modules, the first that is installed is opened
_OPENING = re.compile(r"""(open_lesson\(\s*["'][^"'\n]*["']\s*,\s*data\s*=\s*)(["'])[^"'\n]*\2""")


@dataclass(frozen=True)
class LessonFacts:
    """What is known of a lesson before it is opened.

    Attributes:
        id: Such as "05".
        title: Without the number.
        minutes: By section, as the author estimated them.
        file: Its student notebook.
    """

    id: str
    title: str
    minutes: dict[str, float]
    file: Path


@dataclass(frozen=True)
class Placed:
    """A lesson's file in the learner's folder, and whether it is new or was there already."""

    file: Path
    new: bool


def lessons(folder: Path | None = None) -> list[LessonFacts]:
    """The lessons whose notebooks lie in a folder, in their order; the package's own if no folder is given.

    Raises:
        InputError: A notebook that cannot be read.

    Example:
        >>> lessons(Path("nowhere"))
        []
    """
    found = []
    for file in sorted((NOTEBOOKS / "student" if folder is None else folder).glob("*.ipynb")):
        known = read_notebook(file).metadata.get("lowerbound", {})
        if "lesson" in known:  # else some notebook of the learner's
            minutes = {str(part["section"]): float(part["minutes"]) for part in known.get("sections", [])}
            found.append(LessonFacts(str(known["lesson"]), str(known["title"]), minutes, file))
    return found


def lessons_taught(folder: Path) -> list[LessonFacts]:
    """The lessons of the course that a folder belongs to: its own, where it has settings of its own; else the package's.

    Args:
        folder: An instructor's, with ``notebooks/student`` in it, or a learner's, with notebooks in it.

    Raises:
        InputError: A notebook that cannot be read.
    """
    if not (folder / FILE).exists():
        return lessons()
    return lessons(folder / "notebooks" / "student") or lessons(folder) or lessons()


def working_folder(folder: Path | None) -> Path:
    """The folder a learner works in: the one given; else the current one, or the one that ``start`` makes in it.

    Raises:
        InputError: It is no folder.

    Example:
        >>> working_folder(Path("nowhere"))
        Traceback (most recent call last):
        lowerbound.errors.InputError: nowhere is no folder; expected the one you work in; give it
    """
    if folder is None:
        started = Path(STARTED)
        return started if started.is_dir() and not Path(JOURNAL).exists() else Path()
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; expected the one you work in; give it")
    return folder


def choose_lessons(names: Sequence[str], known: Sequence[LessonFacts]) -> list[LessonFacts]:
    """The lessons of some names ("5", "05" and "05_elbo" are one), or all of them if there is no name.

    Raises:
        InputError: There is no such lesson.

    Example:
        >>> facts = LessonFacts("05", "Codes", {}, Path("05_elbo.ipynb"))
        >>> choose_lessons(["5"], [facts]) == choose_lessons([], [facts]) == [facts]
        True
    """
    if not known:
        raise InputError(
            "there are no lessons to start; expected notebooks that come with the package; install it again"
        )
    by_name = {name: one for one in known for name in (one.id.lstrip("0") or "0", one.id, one.file.stem)}
    for name in names:
        if name not in by_name:
            there = ", ".join(one.id for one in known)
            raise InputError(
                f'there is no lesson "{name}"{nearest(name, [one.file.stem for one in known])}; there are {there}'
            )
    chosen = [by_name[name].id for name in names]
    return [one for one in known if not names or one.id in chosen]


def check_format(form: str) -> None:
    """Refuse what is neither a notebook nor plain Python.

    Example:
        >>> check_format("pdf")
        Traceback (most recent call last):
        lowerbound.errors.InputError: format is "pdf"; expected ipynb or py
    """
    if form not in FORMATS:
        raise InputError(f'format is "{form}"{nearest(form, FORMATS)}; expected {" or ".join(FORMATS)}')


def fetch_data(data: str, progress: Progress = quiet) -> str:
    """Bring the images here that the lessons will use, and look whether they can be read.

    Args:
        data: A known source, or a folder of images.
        progress: Shown meanwhile.

    Returns:
        How a notebook calls them: the source's name, or the folder's whole path.

    Raises:
        InputError: There are no such images, or the network does not give them.
    """
    from lowerbound.sources import SOURCES, load

    try:
        load(data, progress=progress)
    except InputError as error:
        if data in SOURCES and SOURCES[data].download:
            here = " and ".join(f"--data {name}" for name, source in SOURCES.items() if not source.download)
            raise InputError(f"{error}; {here} need no network") from error
        raise
    return data if data in SOURCES else Path(data).expanduser().resolve().as_posix()


def place_lesson(lesson: LessonFacts, folder: Path, data: str, form: str = "ipynb", *, fresh: bool = False) -> Placed:
    """Put a lesson in the learner's folder, with the learner's choice of images; what is there already is left as it is.

    Args:
        lesson: Which.
        folder: The learner's; made if it is not there.
        data: What the line at the top says: a known source, or a path.
        form: "ipynb", or "py" for plain Python.
        fresh: Whether a new copy gets a name of its own, beside the one that is there.

    Raises:
        InputError: No such form, or no right to write there.
    """
    check_format(form)
    file = folder / f"{lesson.file.stem}.{form}"
    number = 2
    while fresh and (file.exists() or file.is_symlink()):
        file = folder / f"{lesson.file.stem}-{number}.{form}"
        number += 1
    if file.exists() or file.is_symlink():
        return Placed(file, new=False)
    notebook = _with_data(read_notebook(lesson.file), data)
    make_folder(folder)
    write_whole(file, to_bytes(notebook) if form == "ipynb" else to_percent(notebook).encode())
    return Placed(file, new=True)


def open_jupyter(folder: Path, file: Path | None = None) -> int | None:
    """Open Jupyter on the learner's folder, and wait until it is closed: its exit code, or None if there is no Jupyter.

    Args:
        folder: The folder.
        file: The notebook to show first.
    """
    module = next((name for name in JUPYTERS if importlib.util.find_spec(name)), None)
    if module is None:
        return None
    command = [sys.executable, "-m", module, *([file.name] if file else [])]
    with subprocess.Popen(command, cwd=folder) as jupyter:  # noqa: S603  (this Python, and a file of the course)
        before = signal.signal(signal.SIGTERM, lambda *_: jupyter.terminate())
        try:
            while jupyter.poll() is None:
                with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C is Jupyter's, which asks whether it is meant
                    jupyter.wait()
        finally:
            signal.signal(signal.SIGTERM, before)
    return jupyter.returncode


def _with_data(notebook: Notebook, data: str) -> Notebook:
    """A notebook whose line at the top names other images."""
    said = json.dumps(data, ensure_ascii=False)
    cells = [
        replace(cell, source=_OPENING.sub(lambda match: match[1] + said, cell.source)) if cell.kind == "code" else cell
        for cell in notebook.cells
    ]
    return replace(notebook, cells=tuple(cells))
