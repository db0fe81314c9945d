"""A lesson's source becomes two notebooks, the student's and the solution's, the same bytes each time.

The source is percent text (`course/lessons/05_elbo.py`) that ruff and pyright read, too. Its head has the lesson's facts, its
cells say in their metadata what they are: a section, an exercise, a question. The compiler adds what every lesson needs, makes
holes of answers, and refuses what would not work: an author's mistake is told with the file and the cell.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import Any

from lowerbound.course import frame, marks
from lowerbound.course.config import CourseConfig, read_config
from lowerbound.course.definitions import defined_names
from lowerbound.course.frame import Head, Part
from lowerbound.course.notebook import Cell, Notebook, code, from_percent, markdown, read_file, to_bytes
from lowerbound.errors import InputError, nearest
from lowerbound.whole import make_folder, write_whole

__all__ = ["VERSIONS", "build", "compile_lesson"]

VERSIONS = ("student", "solution")
HEAD = ("id", "title", "goals", "references", "form")
KEYS = ("section", "title", "minutes", "video", "video_title", "exercise", "response", "discuss", "tags")
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
    try:
        text = read_file(source).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{source} is not UTF-8 ({error.reason}); expected text; save it as UTF-8") from error
    first, *cells = from_percent(text, str(source)).cells or (markdown(""),)
    facts = _head(first, source)
    parts = _check(cells, source)
    student, solved = (
        frame.head(
            facts, parts, config, str(PurePosixPath(folder, kind, f"{source.stem}.ipynb")), solved=kind == "solution"
        )
        + _lesson(cells, parts, source, answered=kind == "solution")
        + frame.tail(facts)
        for kind in VERSIONS
    )
    _refuse_leaks(cells, student, source)
    known = {"lesson": facts.id, "title": facts.title, "sections": [asdict(part) for part in parts]}
    return Notebook(tuple(student), {"lowerbound": known}), Notebook(tuple(solved), {"lowerbound": known})


def build(lessons: Path, out: Path, config: CourseConfig | None = None, *, check: bool = False) -> list[Path]:
    """Compile all lessons of a folder into ``student`` and ``solution`` notebooks, or see whether that is done.

    All are compiled before any is written: a mistake in one leaves everything as it was.

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
    sources = sorted(file for file in lessons.glob("*.py") if not file.name.startswith((".", "_")))
    if not sources:
        raise InputError(
            f"{lessons} has no lessons; expected .py files such as 01_first.py; write one, or give another folder"
        )
    made: dict[Path, bytes] = {}
    ids: dict[str, Path] = {}
    for source in sources:
        both = compile_lesson(source, config, _within(lessons, out))
        lesson = both[0].metadata["lowerbound"]["lesson"]
        if lesson in ids:
            raise InputError(
                f'{source}: its lesson id is "{lesson}", as that of {ids[lesson].name}; expected an id of its own; change one'
            )
        ids[lesson] = source
        made |= {out / kind / f"{source.stem}.ipynb": to_bytes(one) for kind, one in zip(VERSIONS, both, strict=True)}
    if check:
        _compare(made, out)
        return list(made)
    for kind in VERSIONS:
        make_folder(out / kind)
    for file, content in made.items():
        write_whole(file, content)
    return list(made)


def _compare(made: Mapping[Path, bytes], out: Path) -> None:
    """Refuse notebooks that are not what their sources say."""
    stale = [file for file, content in made.items() if not file.is_file() or file.read_bytes() != content]
    more = [file for kind in VERSIONS for file in sorted((out / kind).glob("*.ipynb")) if file not in made]
    said = []
    if stale:
        said.append(f"stale: {', '.join(map(str, stale))}; mend with: lowerbound course build")
    if more:
        said.append(f"of no lesson: {', '.join(map(str, more))}; mend with: rm {' '.join(map(str, more))}")
    if said:
        raise InputError(f"notebooks are not what the lessons say; {'; '.join(said)}")


def _within(lessons: Path, out: Path) -> str:
    """Where the notebooks lie within the course: the folder that has both lessons and notebooks is its repository."""
    here, there = out.resolve(), lessons.resolve().parent
    shared = next(folder for folder in there.parents if here.is_relative_to(folder))
    root = there if here.is_relative_to(there) else shared
    return out.name if root == Path(root.anchor) else here.relative_to(root).as_posix()


def _head(cell: Cell, source: Path) -> Head:
    """The lesson's facts, from the YAML at the top of its source."""
    import yaml

    mend = 'expected lines at its top such as `# ---`, `# lesson:`, `#   id: "05"`, `#   title: ...`, `# ---`'
    if cell.kind != "raw" or not cell.source.startswith("---"):
        raise InputError(f"{source} has no head; {mend}")
    try:
        lesson = yaml.safe_load(cell.source.strip().strip("-"))["lesson"]
        strangers = [key for key in lesson if key not in HEAD]
    except (yaml.YAMLError, TypeError, KeyError) as error:
        raise InputError(f"{source}: its head cannot be read ({' '.join(str(error).split())}); {mend}") from error
    if strangers:
        raise InputError(
            f'{source}: its head has "{strangers[0]}"{nearest(str(strangers[0]), HEAD)}; expected {", ".join(HEAD)}; mend it'
        )
    for key in ("id", "title", "form"):
        value = lesson.get(key, "" if key == "form" else None)
        if not isinstance(value, str) or (key != "form" and not value.strip()):
            raise InputError(
                f'{source}: {key} in its head is {value!r}; expected text; write it in quotes, as {key}: "..."'
            )
    for key in ("goals", "references"):
        value = lesson.get(key, [])
        if not isinstance(value, list) or not all(isinstance(line, str) for line in value):
            raise InputError(f"{source}: {key} in its head is {value!r}; expected a list of texts; put each in quotes")
    lists = {key: tuple(lesson.get(key, [])) for key in ("goals", "references")}
    return Head(lesson["id"], lesson["title"], **lists, form=lesson.get("form", ""))


def _check(cells: list[Cell], source: Path) -> list[Part]:
    """The sections in their order; an author's mistakes are refused."""
    if not cells or "section" not in cells[0].metadata:
        raise InputError(
            f'{source}: its first cell begins no section; expected `# %% [markdown] section="1" title="..." minutes=8`'
        )
    parts: list[Part] = []
    seen: set[tuple[str, str]] = set()
    for number, cell in enumerate(cells):
        place, known = _place(source, number, cell), cell.metadata
        for key in known:
            if key not in KEYS:
                raise InputError(f'{place}: it has "{key}"{nearest(key, KEYS)}; expected {", ".join(KEYS)}; mend it')
        for key in ("section", "exercise", "response", "discuss"):
            if key in known:
                _check_name(key, known[key], cell, seen, place)
        if "section" in known:
            parts.append(_part(known, place))
        elif "title" in known or "minutes" in known:
            raise InputError(
                f'{place}: it has a title or minutes but begins no section; expected section="..."; add it'
            )
        if "exercise" in known:
            _check_exercise(known["exercise"], cell, place)
    return parts


def _check_name(key: str, name: Any, cell: Cell, seen: set[tuple[str, str]], place: str) -> None:
    """Hold an id to a text that no other cell has, in a cell of the kind that it is for."""
    kind = "code" if key == "exercise" else "markdown"
    if cell.kind != kind:
        raise InputError(
            f"{place}: it has {key} but is {cell.kind}; expected a {kind} cell; begin it with another `# %%`"
        )
    if not isinstance(name, str) or not name.strip():
        raise InputError(f'{place}: its {key} is {name!r}; expected a text; write {key}="..."')
    if (key, name) in seen:
        raise InputError(f'{place}: its {key} "{name}" is there already; expected one of its own; change one of them')
    seen.add((key, name))


def _part(known: Mapping[str, Any], place: str) -> Part:
    """A section's line in the agenda."""
    title, number = known.get("title"), known.get("minutes")
    if not isinstance(title, str) or not title.strip():
        raise InputError(f'{place}: its title is missing; expected what the section is about; add title="..."')
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        came = "are missing" if number is None else f"are {number!r}"
        raise InputError(f"{place}: its minutes {came}; expected a whole number from 1; add minutes=8")
    return Part(known["section"], title, number)


def _check_exercise(name: str, cell: Cell, place: str) -> None:
    """Hold an exercise to a definition of its name, and to having an answer that is marked."""
    if name not in defined_names(cell.source):
        raise InputError(
            f'{place}: it does not define "{name}" at its top level; expected a function, class or assignment of that name; '
            "rename one of them"
        )
    if not marks.has_marks(cell.source):
        raise InputError(
            f"{place}: its answer is not marked, so students would see it; expected `# BEGIN SOLUTION` and `# END SOLUTION` "
            "around it, or `# SOLUTION` at the end of its line; add them"
        )


def _lesson(cells: list[Cell], parts: list[Part], source: Path, *, answered: bool) -> list[Cell]:
    """The sections as one version has them, each with its heading, its stamp and the question how it felt."""
    made: list[Cell] = []
    section = ""
    for number, cell in enumerate(cells):
        if "section" in cell.metadata:
            if section:
                made.append(frame.feeling(section))
            section = cell.metadata["section"]
        made += _opening(cell, parts)
        made += _body(cell, _place(source, number, cell), answered=answered)
    return [*made, frame.feeling(section)]


def _opening(cell: Cell, parts: list[Part]) -> list[Cell]:
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


def _refuse_leaks(cells: list[Cell], student: list[Cell], source: Path) -> None:
    """Refuse an answer's line in the student's code, unless the lesson has that line outside of its marks, too."""
    own = [line for cell in cells if cell.kind == "code" for line in marks.outside(cell.source)]
    shown = [line for cell in student if cell.kind == "code" for line in cell.source.split("\n")]
    for number, cell in enumerate(cells):
        for line in marks.answers(cell.source) if cell.kind == "code" else ():
            open_anyway = any(line in other for other in own)
            if len(line) > _LEAST and not open_anyway and any(line in other for other in shown):
                raise InputError(
                    f"{_place(source, number, cell)}: its answer's line `{line}` would stand in the student's notebook; "
                    "expected a prompt that leaves something to do; change the prompt"
                )


def _place(source: Path, number: int, cell: Cell) -> str:
    """Where an author finds a cell: the file, and which cell it is, counted from 1 after the head."""
    begins = next((line.strip() for line in cell.source.split("\n") if line.strip()), "")
    return f"{source}, cell {number + 1} ({begins[:50]})"
