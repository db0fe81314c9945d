"""A lesson's source becomes two notebooks, the student's and the solution's, the same bytes each time.

The source is percent text (`course/lessons/05_elbo.py`) that ruff and pyright read, too. Its head has the lesson's facts, its
cells say in their metadata what they are: a section, an exercise, a question. The compiler adds what every lesson needs, makes
holes of answers, and refuses what would not work: an author's mistake is told with the file and the cell.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path, PurePath

from lowerbound.course import frame, marks
from lowerbound.course.config import FILE, CourseConfig, read_config
from lowerbound.course.family import build_notebook
from lowerbound.course.frame import Part
from lowerbound.course.notebook import Cell, Notebook, code, markdown, read_file, to_bytes
from lowerbound.course.source import Source, read_source
from lowerbound.errors import InputError
from lowerbound.whole import make_folder, write_whole

__all__ = ["VERSIONS", "build", "build_notebook", "compile_lesson"]

VERSIONS = ("student", "solution")
_LEAST = 12  # characters; a shorter line of an answer, such as `return x`, gives nothing away


def compile_lesson(source: Path, config: CourseConfig, folder: str = "notebooks") -> tuple[Notebook, Notebook]:
    """The student's and the solution's notebook of a lesson.

    Args:
        source: Percent text with a head.
        config: The course that it belongs to.
        folder: Where the notebooks lie in the course's repository, for the badges.

    Raises:
        InputError: A mistake in the source, with the file and the cell; or jupytext is not installed.
    """
    read = read_source(source)
    student, solved = (
        frame.head(read.head, read.parts, config, f"{folder}/{kind}/{source.stem}.ipynb", solved=kind == "solution")
        + _lesson(read, answered=kind == "solution")
        + frame.tail(read.head)
        for kind in VERSIONS
    )
    _refuse_leaks(read, student)
    known = {"lesson": read.head.id, "title": read.head.title, "sections": [asdict(part) for part in read.parts]}
    return Notebook(tuple(student), {"lowerbound": known}), Notebook(tuple(solved), {"lowerbound": known})


def build(lessons: Path, out: Path, config: CourseConfig | None = None, *, check: bool = False) -> list[Path]:
    """Compile all lessons of a folder into ``student`` and ``solution`` notebooks, or see whether that is done.

    All are compiled before any is written: a mistake in one leaves everything as it was. Beside the notebooks lie the settings
    and the checks that they need of a course of somebody's own, so that the folder can be handed out as it is.

    Args:
        lessons: The folder with the sources, one ``.py`` per lesson.
        out: The folder that gets ``student/`` and ``solution/``.
        config: The course; by default what ``course.toml`` beside the folder of lessons says.
        check: Whether to compare only, and write nothing.

    Returns:
        The notebooks, in the lessons' order.

    Raises:
        InputError: A mistake in a source; two lessons with one id; with ``check``, notebooks that are stale or superfluous.
    """
    config = read_config(lessons.resolve().parent) if config is None else config
    home = _home(lessons, config)
    found = (file for file in lessons.glob("*.py") if file.resolve() != home / config.checks)
    sources = sorted(file for file in found if not file.name.startswith((".", "_")))
    if not sources:
        raise InputError(
            f"{lessons} has no lessons; expected .py files such as 01_first.py; write one, or give another folder"
        )
    made: dict[Path, bytes] = {}
    ids: dict[str, Path] = {}
    for source in sources:
        both = compile_lesson(source, config, _within(home, out))
        lesson = both[0].metadata["lowerbound"]["lesson"]
        if lesson in ids:
            raise InputError(
                f'{source}: its lesson id is "{lesson}", as that of {ids[lesson].name}; expected an id of its own; change one'
            )
        ids[lesson] = source
        made |= {out / kind / f"{source.stem}.ipynb": to_bytes(one) for kind, one in zip(VERSIONS, both, strict=True)}
    notebooks = list(made)
    made |= {out / kind / name: content for kind in VERSIONS for name, content in _needed(home, config).items()}
    if check:
        _compare(made, out, home)
        return notebooks
    for file in made:
        make_folder(file.parent)
    for file, content in made.items():
        write_whole(file, content)
    return notebooks


def _home(lessons: Path, config: CourseConfig) -> Path:
    """The course's folder, in which its settings name the folder of lessons."""
    depth = len(PurePath(config.lessons).parts)
    return [lessons.resolve(), *lessons.resolve().parents][depth]


def _needed(home: Path, config: CourseConfig) -> dict[str, bytes]:
    """What the notebooks of a course with exercises or a form of its own need beside them: name -> content."""
    if not config.checks and config.form is None:
        return {}
    return {name: read_file(home / name) for name in (FILE, config.checks) if name}


def _compare(made: Mapping[Path, bytes], out: Path, home: Path) -> None:
    """Refuse notebooks that are not what their sources say."""
    stale = [file for file, content in made.items() if not file.is_file() or file.read_bytes() != content]
    more = [file for kind in VERSIONS for file in sorted((out / kind).glob("*.ipynb")) if file not in made]
    here, usual = Path.cwd(), out.resolve() == home / "notebooks"
    place = home.relative_to(here) if home.is_relative_to(here) else home
    where = ("" if place == Path() else f" {place}") + ("" if usual else f" --out {out}")
    said = []
    if stale:
        said.append(f"stale: {', '.join(map(str, stale))}; mend with: lowerbound course build{where}")
    if more:
        said.append(f"of no lesson: {', '.join(map(str, more))}; mend with: rm {' '.join(map(str, more))}")
    if said:
        raise InputError(f"notebooks are not what the lessons say; {'; '.join(said)}")


def _within(home: Path, out: Path) -> str:
    """Where the notebooks lie within the course: the folder that has both lessons and notebooks is its repository."""
    here = out.resolve()
    root = next(folder for folder in (home, *home.parents) if here.is_relative_to(folder))
    return out.name if root == Path(root.anchor) else here.relative_to(root).as_posix()


def _lesson(read: Source, *, answered: bool) -> list[Cell]:
    """The sections as one version has them, each with its heading, its stamp and the question how it felt."""
    made: list[Cell] = []
    section = ""
    for number, cell in enumerate(read.cells):
        if "section" in cell.metadata:
            if section:
                made.append(frame.feeling(section))
            section = cell.metadata["section"]
        made += _opening(cell, read.parts)
        made += _body(cell, read.place(number), answered=answered)
    return [*made, frame.feeling(section)]


def _opening(cell: Cell, parts: Sequence[Part]) -> list[Cell]:
    """The heading of a section, with its times and its video, and the cell that notes the arrival."""
    known = cell.metadata
    if "section" not in known:
        return []
    number = [part.section for part in parts].index(known["section"])
    part, before = parts[number], sum(part.minutes for part in parts[:number])
    here = f"; {frame.minutes(before)} to here" if before else ""
    lines = [f"## {part.section}. {part.title}", f"*About {frame.minutes(part.minutes)}{here}.*"]
    if "video" in known:
        lines.append(frame.video(str(known["video"]), str(known.get("video_title", ""))))
    return [markdown("\n\n".join(lines)), frame.stamp(part.section)]


def _body(cell: Cell, place: str, *, answered: bool) -> list[Cell]:
    """A cell of the lesson as one version has it, and the field below it if it asks something."""
    known, cells = cell.metadata, []
    if cell.kind == "code":
        name = str(known.get("exercise", ""))
        try:
            text = marks.solution(cell.source) if answered else marks.student(cell.source, name)
        except InputError as error:
            raise InputError(f"{place}: {error}") from error
        if marks.has_marks(cell.source):
            _parse(text, place)
        return [code(text, **{key: known[key] for key in ("exercise", "tags") if key in known})]
    text = cell.source.strip("\n")
    if "video" in known and "section" not in known:
        text = f"{frame.video(str(known['video']), str(known.get('video_title', '')))}\n\n{text}".strip()
    if text:
        cells.append(Cell(cell.kind, text))
    if "response" in known:
        cells.append(frame.ask(known["response"]))
    if "discuss" in known:
        cells.append(frame.discuss(known["discuss"]))
    return cells


def _parse(text: str, place: str) -> None:
    """Refuse a version of a cell that is no Python once its marks are taken out."""
    try:
        ast.parse(marks.python_of(text))
    except SyntaxError as error:
        raise InputError(
            f"{place}: without the answer it is not Python ({error.msg}: {(error.text or '').strip()}); move the marks"
        ) from error


def _refuse_leaks(read: Source, student: list[Cell]) -> None:
    """Refuse an answer's line in the student's code, unless the lesson has that line outside of its marks, too."""
    own = [line for cell in read.cells if cell.kind == "code" for line in marks.outside(cell.source)]
    shown = [line for cell in student if cell.kind == "code" for line in cell.source.split("\n")]
    for number, cell in enumerate(read.cells):
        for line in marks.answers(cell.source) if cell.kind == "code" else ():
            open_anyway = any(line in other for other in own)
            if len(line) > _LEAST and not open_anyway and any(line in other for other in shown):
                raise InputError(
                    f"{read.place(number)}: its answer's line `{line}` would stand in the student's notebook; "
                    "expected a prompt that leaves something to do; change the prompt"
                )
