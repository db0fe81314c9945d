"""A lesson's source: its head, its cells, its sections; an author's mistakes are told with the file and the cell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lowerbound.course import marks
from lowerbound.course.definitions import defined_names
from lowerbound.course.frame import FIELDS, Head, Part
from lowerbound.course.notebook import Cell, from_percent, markdown, read_file
from lowerbound.errors import InputError, nearest

__all__ = ["Source", "read_source"]

HEAD = ("id", "title", "goals", "references", "form")
KEYS = ("section", "title", "minutes", "video", "video_title", "exercise", "response", "discuss", "tags")


@dataclass(frozen=True)
class Source:
    """What the source of a lesson says.

    Args:
        path: The file.
        head: The lesson's facts.
        parts: Its sections.
        cells: Its cells, the head left out.
    """

    path: Path
    head: Head
    parts: tuple[Part, ...]
    cells: tuple[Cell, ...]

    def place(self, number: int) -> str:
        """Where an author finds a cell: the file, and which one it is, counted from 1 after the head."""
        return _place(self.path, number, self.cells[number])


def read_source(path: Path) -> Source:
    """Read and check the source of a lesson.

    Args:
        path: Percent text with a head.

    Raises:
        InputError: A mistake in it, with the file and the cell; or jupytext is not installed.

    Example:
        >>> read_source(Path("nowhere.py"))
        Traceback (most recent call last):
        lowerbound.errors.InputError: nowhere.py cannot be read (No such file or directory); ...
    """
    try:
        text = read_file(path).decode("utf-8-sig").replace("\r\n", "\n")  # newlines as one editor or another wrote them
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 ({error.reason}); expected text; save it as UTF-8") from error
    first, *cells = from_percent(text, str(path)).cells or (markdown(""),)
    return Source(path, _head(first, path), tuple(_check(cells, path)), tuple(cells))


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
        _check_words(cell, place)
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


def _check_words(cell: Cell, place: str) -> None:
    """Hold a cell's metadata to what the compiler knows, and its names to those that no field has."""
    for key in cell.metadata:
        if key not in KEYS:
            raise InputError(f'{place}: it has "{key}"{nearest(key, KEYS)}; expected {", ".join(KEYS)}; mend it')
    taken = sorted(defined_names(cell.source) & set(FIELDS)) if cell.kind == "code" else []
    if taken:
        raise InputError(f'{place}: it defines "{taken[0]}", as a field for answers is called; take another name')


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


def _place(source: Path, number: int, cell: Cell) -> str:
    """Where an author finds a cell: the file, and which cell it is, counted from 1 after the head."""
    begins = next((line.strip() for line in cell.source.split("\n") if line.strip()), "")
    return f"{source}, cell {number + 1} ({begins[:50]})"
