"""Notebooks as plain data: to and from .ipynb bytes that are the same each time, to and from percent text.

A learner needs none of the libraries for notebooks here: an .ipynb file is JSON, and what is needed of it is little. Only
the source of a lesson is read by jupytext, which knows the corners of the percent format.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lowerbound.errors import InputError

__all__ = [
    "KERNEL",
    "Cell",
    "Notebook",
    "code",
    "from_bytes",
    "from_percent",
    "is_magic",
    "markdown",
    "read_notebook",
    "to_bytes",
    "to_percent",
]

KINDS = ("markdown", "code", "raw")
KERNEL = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
_MAGIC = re.compile(r"\s*(%{1,2}[A-Za-z]|!)")
# what stands as a comment already gets one more, to come back as it was
_LIKE_MAGIC = re.compile(r"(\s*)((# ?)*(%{1,2}[A-Za-z]|!))")
_MARKER = re.compile(r"\s*#\s*%%", re.MULTILINE)


@dataclass(frozen=True)
class Cell:
    """One cell, without what running it left behind.

    Args:
        kind: "markdown", "code" or "raw".
        source: Its text.
        metadata: What else is known of it, as json holds it.
        attachments: Pictures within a markdown cell, as json holds them.

    Raises:
        InputError: Another kind.

    Example:
        >>> Cell("code", "x = 1").source
        'x = 1'
    """

    kind: str
    source: str
    metadata: Mapping[str, Any] = field(default_factory=dict)
    attachments: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Hold the kind to those that a notebook has."""
        if self.kind not in KINDS:
            raise InputError(
                f'a cell is "{self.kind}"; expected one of {", ".join(KINDS)}; write it as markdown or code'
            )


@dataclass(frozen=True)
class Notebook:
    """Cells from top to bottom, and what is known of them all.

    Args:
        cells: The cells.
        metadata: The notebook's own, as json holds it; the kernel is written by `to_bytes`.

    Example:
        >>> Notebook((markdown("# Title"), code("x = 1"))).cells[1].kind
        'code'
    """

    cells: tuple[Cell, ...]
    metadata: Mapping[str, Any] = field(default_factory=dict)


def markdown(source: str, **metadata: Any) -> Cell:
    """A cell of text.

    Example:
        >>> markdown("# Title").kind
        'markdown'
    """
    return Cell("markdown", source, metadata)


def code(source: str, **metadata: Any) -> Cell:
    """A cell of Python.

    Example:
        >>> code("x = 1", exercise="x").metadata
        {'exercise': 'x'}
    """
    return Cell("code", source, metadata)


def to_bytes(notebook: Notebook) -> bytes:
    """A notebook as .ipynb (nbformat 4.5), the same bytes for the same cells, with neither outputs nor counts.

    A cell's id is a hash of its content, so that a change somewhere leaves the other cells' ids as they are.

    Raises:
        InputError: A text holds half a character, which no file can.

    Example:
        >>> content = to_bytes(Notebook((code("x = 1"),)))
        >>> b'"x = 1"' in content, content == to_bytes(from_bytes(content, "a.ipynb"))
        (True, True)
    """
    seen: dict[str, int] = {}
    cells = []
    for cell in notebook.cells:
        content = f"{cell.kind}\n{cell.source}".encode("utf-8", "surrogatepass")
        name = hashlib.sha256(content).hexdigest()[:12]
        seen[name] = seen.get(name, 0) + 1
        written: dict[str, Any] = {
            "cell_type": cell.kind,
            "id": name if seen[name] == 1 else f"{name}-{seen[name]}",
            "metadata": dict(cell.metadata),
            "source": cell.source.splitlines(keepends=True),
        }
        if cell.kind == "code":
            written |= {"execution_count": None, "outputs": []}
        if cell.attachments:
            written["attachments"] = dict(cell.attachments)
        cells.append(written)
    whole = {"cells": cells, "metadata": {**notebook.metadata, **KERNEL}, "nbformat": 4, "nbformat_minor": 5}
    try:
        return (json.dumps(whole, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()
    except UnicodeEncodeError as error:
        raise InputError(
            "a cell holds half a character (a lone surrogate); expected text that UTF-8 can hold; delete that character"
        ) from error


def from_bytes(content: bytes, name: str) -> Notebook:
    """The cells of an .ipynb file; outputs, counts and ids are left behind.

    Args:
        content: All of the file.
        name: What messages call it.

    Raises:
        InputError: Not a notebook of format 4, the one that Jupyter has written since 2015.

    Example:
        >>> from_bytes(b"[]", "a.ipynb")
        Traceback (most recent call last):
        lowerbound.errors.InputError: a.ipynb is not a notebook (no cells in it); expected what Jupyter saves ...
    """
    mend = "expected what Jupyter saves as .ipynb; open it in Jupyter and save it again, or take a fresh copy"
    try:
        whole = json.loads(content)
    except (ValueError, RecursionError) as error:
        short = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{name} is not a notebook (not JSON: {short}); {mend}") from error
    if isinstance(whole, dict) and "worksheets" in whole:
        raise InputError(f"{name} is a notebook of format 3; expected format 4; open it in Jupyter and save it again")
    if not isinstance(whole, dict) or not isinstance(whole.get("cells"), list):
        raise InputError(f"{name} is not a notebook (no cells in it); {mend}")
    cells = []
    for number, cell in enumerate(whole["cells"], 1):
        source = cell.get("source") if isinstance(cell, dict) else None
        if isinstance(source, list) and all(isinstance(line, str) for line in source):
            source = "".join(source)
        if not isinstance(source, str) or cell.get("cell_type") not in KINDS:
            raise InputError(f"{name} is not a notebook (its cell {number} cannot be read); {mend}")
        cells.append(Cell(cell["cell_type"], source, _mapping(cell, "metadata"), _mapping(cell, "attachments")))
    metadata = {key: value for key, value in _mapping(whole, "metadata").items() if key not in KERNEL}
    return Notebook(tuple(cells), metadata)


def _mapping(holder: dict[str, Any], key: str) -> dict[str, Any]:
    """What is there under a key if it is a mapping; else nothing: odd metadata is no reason to refuse a notebook."""
    value = holder.get(key)
    return value if isinstance(value, dict) else {}


def read_notebook(path: Path) -> Notebook:
    """The cells of an .ipynb file.

    Raises:
        InputError: The file is not there, cannot be read, or is not a notebook.

    Example:
        >>> read_notebook(Path("nowhere.ipynb"))
        Traceback (most recent call last):
        lowerbound.errors.InputError: nowhere.ipynb cannot be read (No such file or directory); ...
    """
    return from_bytes(read_file(path), path.name)


def read_file(path: Path) -> bytes:
    """All of a file.

    Raises:
        InputError: It is not there, or cannot be read.

    Example:
        >>> len(read_file(Path(__file__))) > 0
        True
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror}); expected a file that is there; check the path"
        ) from error


def is_magic(line: str) -> bool:
    """Whether a line of a code cell speaks to Jupyter, not to Python.

    Example:
        >>> is_magic("%matplotlib inline"), is_magic("x = a % b"), is_magic("    %pip install -q lowerbound")
        (True, False, True)
    """
    return _MAGIC.match(line) is not None


def to_percent(notebook: Notebook) -> str:
    r"""A notebook as a Python file: cells begin with `# %%`, texts and Jupyter's own commands are comments.

    Raises:
        InputError: A code cell has a line that would begin a cell of its own.

    Example:
        >>> print(to_percent(Notebook((markdown("# Title"), code("%matplotlib inline\nx = 1")))))
        # %% [markdown]
        # # Title
        <BLANKLINE>
        # %%
        # %matplotlib inline
        x = 1
        <BLANKLINE>
    """
    blocks = []
    for number, cell in enumerate(notebook.cells, 1):
        lines = cell.source.split("\n")
        if cell.kind == "code":
            if _MARKER.search(cell.source):
                raise InputError(
                    f'code cell {number} has a line with "# %%", which begins a cell of its own in a .py file; '
                    "expected code without it; take that line out"
                )
            lines = [_LIKE_MAGIC.sub(r"\1# \2", line) if _LIKE_MAGIC.match(line) else line for line in lines]
        else:
            lines = [f"# {line}" if line else "#" for line in lines]
        options = "".join(
            f" {key}={json.dumps(value, ensure_ascii=False)}" for key, value in sorted(cell.metadata.items())
        )
        kind = "" if cell.kind == "code" else f" [{cell.kind}]"
        blocks.append("\n".join([f"# %%{kind}{options}", *lines]))
    return "\n\n".join(blocks) + "\n"


def from_percent(text: str, name: str) -> Notebook:
    r"""The cells of a percent file, read by jupytext; a YAML head comes as a first cell of kind "raw".

    Args:
        text: All of the file.
        name: What messages call it.

    Raises:
        InputError: jupytext is not installed, or cannot read the text.

    Example:
        >>> [cell.kind for cell in from_percent("# %% [markdown]\n# Text\n# %%\nx = 1\n", "a.py").cells]
        ['markdown', 'code']
    """
    try:
        import jupytext
    except ImportError as error:
        raise InputError(
            f"{name} is to be read by jupytext, which is not installed; expected what writes courses; "
            "install it with: pip install 'lowerbound[course]'"
        ) from error
    try:
        read = jupytext.reads(text, fmt="py:percent")
    except Exception as error:  # whatever a reader of others says of a text, it is the text that is at fault
        raise InputError(
            f"{name} cannot be read as percent cells ({error}); expected `# %%` lines; mend that"
        ) from error
    cells = []
    for cell in read.cells:
        metadata = {key: value for key, value in cell.metadata.items() if key != "lines_to_next_cell"}
        cells.append(Cell(cell.cell_type, cell.source, metadata))
    return Notebook(tuple(cells))
