"""A notebook that exists becomes a student's and a solution's: one of the tutorial family, or one with our marks.

Notebooks of the tutorial family mark whole cells: one that begins with `# to_remove solution` is the answer to the hole in the
cell right before it. Students get the hole, the solution gets the answer. Lines for Colab's forms and for Jupyter stay as they
are in both; what running and folding left behind (outputs, counts, widgets, collapsed forms) stays in neither.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from lowerbound.course import marks
from lowerbound.course.definitions import defined_names
from lowerbound.course.notebook import Cell, Notebook, read_notebook, to_bytes
from lowerbound.errors import InputError
from lowerbound.whole import make_folder, write_whole

__all__ = ["build_notebook", "is_hole", "is_removed", "split", "strip_removed"]

_REMOVED = re.compile(r"\s*#\s*to_remove\b", re.IGNORECASE)
_HOLE = re.compile(
    r"^\s*(raise\s+NotImplementedError|[\w.\[\]'\", ]+(:[^=]+)?=\s*\.\.\.|return\s+\.\.\.|\.\.\.)", re.MULTILINE
)
_KEPT = ("exercise", "tags")  # of a cell's metadata; the rest is how some page showed it
_KEPT_OF_ALL = ("accelerator",)


def build_notebook(path: Path, out: Path) -> tuple[Path, Path]:
    """Write `NAME-student.ipynb` and `NAME-solution.ipynb` from `NAME.ipynb`.

    Args:
        path: A notebook with marks, ours or the tutorial family's.
        out: The folder that gets both.

    Returns:
        The student's and the solution's file.

    Raises:
        InputError: No notebook, no marks in it, or marks that do not go together.
    """
    versions = split(read_notebook(path), path.name)
    files = (out / f"{path.stem}-student.ipynb", out / f"{path.stem}-solution.ipynb")
    make_folder(out)
    for file, version in zip(files, versions, strict=True):
        write_whole(file, to_bytes(version))
    return files


def split(notebook: Notebook, name: str) -> tuple[Notebook, Notebook]:
    r"""The student's and the solution's version of a notebook with marks.

    Args:
        notebook: The notebook.
        name: What messages call it.

    Raises:
        InputError: No marks in it, or marks that do not go together.

    Example:
        >>> cells = (Cell("code", "K = ..."), Cell("code", "# to_remove solution\nK = 20"))
        >>> [[cell.source for cell in version.cells] for version in split(Notebook(cells), "a.ipynb")]
        [['K = ...'], ['K = 20']]
    """
    cells = notebook.cells
    if not any(cell.kind == "code" and (is_removed(cell.source) or marks.has_marks(cell.source)) for cell in cells):
        raise InputError(
            f"{name} has no marks, so both versions would be the same; expected `# to_remove solution` cells, or "
            "`# BEGIN SOLUTION` and `# END SOLUTION` around answers; mark them"
        )
    student, solved = [], []
    for number, cell in enumerate(cells):
        try:
            kept = _student(cell), _solution(cell, cells[number + 1 : number + 2])
        except InputError as error:
            raise InputError(f"{name}, cell {number + 1}: {error}") from error
        for version, text in zip((student, solved), kept, strict=True):
            if text is not None:
                metadata = {key: value for key, value in cell.metadata.items() if key in _KEPT}
                version.append(Cell(cell.kind, text, metadata, cell.attachments))
    metadata = {key: value for key, value in notebook.metadata.items() if key in _KEPT_OF_ALL}
    return Notebook(tuple(student), metadata), Notebook(tuple(solved), metadata)


def _student(cell: Cell) -> str | None:
    """A cell as students get it; None if they do not."""
    if cell.kind != "code":
        return cell.source
    if is_removed(cell.source):
        return None
    name = str(cell.metadata.get("exercise") or next(iter(sorted(defined_names(cell.source))), ""))
    return marks.student(cell.source, name)


def _solution(cell: Cell, following: Sequence[Cell]) -> str | None:
    """A cell as the solution has it; None for a hole whose answer comes right after it."""
    if cell.kind != "code":
        return cell.source
    if is_removed(cell.source):
        return strip_removed(cell.source)
    answered = any(after.kind == "code" and is_removed(after.source) for after in following)
    return None if answered and is_hole(cell.source) else marks.solution(cell.source)


def is_removed(source: str) -> bool:
    r"""Whether a cell begins, before any code, with the mark of an answer in the tutorial family's notebooks.

    Example:
        >>> is_removed("# to_remove solution\nx = 1"), is_removed("x = 1")
        (True, False)
    """
    return any(_REMOVED.match(line) for line in _comments_at_top(source))


def strip_removed(source: str) -> str:
    r"""A cell without the line that marks it as an answer.

    Example:
        >>> strip_removed("# to_remove solution\nx = 1")
        'x = 1'
    """
    top = len(_comments_at_top(source))
    lines = source.split("\n")
    return "\n".join(line for n, line in enumerate(lines) if n >= top or not _REMOVED.match(line)).strip("\n")


def is_hole(source: str) -> bool:
    """Whether a cell waits for something to be written: it raises NotImplementedError, or has `...` where a value should be.

    Example:
        >>> is_hole("K = ..."), is_hole("x[..., 0] = 1"), is_hole("raise NotImplementedError('K')")
        (True, False, True)
    """
    return _HOLE.search(source) is not None


def _comments_at_top(source: str) -> list[str]:
    """The lines before the first one of code."""
    lines = source.split("\n")
    first = next((n for n, s in enumerate(lines) if s.strip() and not s.lstrip().startswith(("#", "%%"))), len(lines))
    return lines[:first]
