"""What stands in a saved file, a notebook or Python, before any of it is run: its cells, and what they define."""

from __future__ import annotations

import ast
import contextlib
import functools
import io
import re
import tokenize
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lowerbound.course.marks import python_of
from lowerbound.course.notebook import from_bytes
from lowerbound.errors import InputError

__all__ = ["SavedCell", "read_cells"]

LARGEST = 100_000_000  # bytes of a file; a notebook with many pictures has some millions


@dataclass(frozen=True)
class SavedCell:
    r"""A cell of code.

    Args:
        text: All of it.
        line: The line of the file that it begins at; 1 in a notebook, whose cells have lines of their own.

    Example:
        >>> cell = SavedCell("import math\nk = 20\narea = math.pi * k")
        >>> cell.defined, cell.computed, cell.mistake
        ({'k'}, {'area'}, '')
    """

    text: str
    line: int = 1

    @functools.cached_property
    def _parsed(self) -> ast.Module | Exception:
        """The cell as Python sees it, or why it is not Python."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # an odd backslash in a learner's text is not ours to warn of
                return ast.parse(python_of(self.text))
        except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
            return error

    @property
    def _body(self) -> list[ast.stmt]:
        """Its statements; none if it is not Python."""
        return self._parsed.body if isinstance(self._parsed, ast.Module) else []

    @property
    def mistake(self) -> str:
        """Where and why it is not Python; empty if it is."""
        if isinstance(self._parsed, SyntaxError):
            return f"line {self.line - 1 + (self._parsed.lineno or 1)}, {self._parsed.msg}"
        return type(self._parsed).__name__ if isinstance(self._parsed, Exception) else ""

    @property
    def first(self) -> str:
        """The beginning of its first line, by which it can be found."""
        return next((line.strip()[:40] for line in self.text.splitlines() if line.strip()), "")

    @property
    def lessons(self) -> set[str]:
        """The lessons that it opens."""
        if isinstance(self._parsed, Exception):
            return set(re.findall(r"^(?!\s*#).*open_lesson\(\s*[\"']([^\"'\n]+)[\"']", self.text, re.MULTILINE))
        return {
            str(node.args[0].value)
            for node in ast.walk(self._parsed)
            if isinstance(node, ast.Call)
            and node.args
            and isinstance(node.args[0], ast.Constant)
            and re.search(r"\bopen_lesson$", ast.unparse(node.func))
        }

    @functools.cached_property
    def defined(self) -> set[str]:
        """What it defines without being run: functions, classes, plain numbers and texts."""
        names = {one.name for one in self._body if isinstance(one, (ast.FunctionDef, ast.ClassDef))}
        for value, targets in self._assignments:
            with contextlib.suppress(ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
                ast.literal_eval(value)
                names |= targets
        return names

    @property
    def computed(self) -> set[str]:
        """What it assigns by running something, but for what a check or an earlier lesson gives back."""
        assigned = [
            targets
            for value, targets in self._assignments
            if not re.match(r"lesson\.(check|piece)\b", ast.unparse(value))
        ]
        return set[str]().union(*assigned) - self.defined

    @property
    def _assignments(self) -> Iterator[tuple[ast.expr, set[str]]]:
        """What is assigned at the top level, and the names that it gets."""
        for one in self._body:
            if isinstance(one, ast.Assign):
                yield one.value, {target.id for target in one.targets if isinstance(target, ast.Name)}

    def begins(self, name: str) -> bool:
        r"""Whether it looks as if it were to define a name, though it may not be Python yet.

        Example:
            >>> SavedCell("def f(x:\n    return x").begins("f")
            True
        """
        beginning = rf"^(def|class)\s+{re.escape(name)}\b|^{re.escape(name)}\s*=(?!=|\s*lesson\.)"
        return re.search(beginning, self.text, re.MULTILINE) is not None


def read_cells(path: Path) -> list[SavedCell]:
    r"""The cells of code of a saved file; a Python file without marks of cells is one.

    Raises:
        InputError: It cannot be read, or is neither a notebook nor Python.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "a.py")
        ...     _ = file.write_text("# %% [markdown]\n# Text\n# %%\nk = 3\n", encoding="utf-8")
        ...     read_cells(file)
        [SavedCell(text='k = 3', line=4)]
    """
    if path.suffix.lower() not in (".ipynb", ".py"):
        raise InputError(
            f"{path} is neither .ipynb nor .py; expected a notebook or a Python file of the course; give one"
        )
    try:
        if path.is_dir():
            raise InputError(f"{path} is a folder; expected a notebook or a Python file of the course; give one in it")
        if path.stat().st_size > LARGEST:
            raise InputError(
                f"{path} holds {path.stat().st_size / 1e6:,.0f} MB; expected at most {LARGEST / 1e6:.0f} MB; "
                "clear its outputs and save it"
            )
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path} cannot be read ({reason}); expected a saved .ipynb or .py; check the path") from error
    if path.suffix.lower() == ".ipynb":
        return [SavedCell(cell.source) for cell in from_bytes(content, path.name).cells if cell.kind == "code"]
    try:
        encoding = tokenize.detect_encoding(io.BytesIO(content).readline)[0]
        text = content.decode(encoding)
        if "\0" in text:
            raise SyntaxError("it holds null bytes")
    except (SyntaxError, UnicodeDecodeError, LookupError) as error:
        short = str(error).splitlines()[0]
        raise InputError(f"{path} is not Python text ({short}); expected UTF-8; save it again") from error
    return list(_percent(text.splitlines()))


def _percent(lines: list[str]) -> Iterator[SavedCell]:
    """The code cells of percent text."""
    code, begin, cell = True, 1, list[str]()
    for number, line in enumerate([*lines, "# %%"], 1):
        mark = re.match(r"#\s*%%(?P<rest>.*)", line)
        if mark is None:
            cell.append(line)
            continue
        if code and any(line.strip() for line in cell):
            yield SavedCell("\n".join(cell), begin)
        code, begin, cell = re.search(r"\[(markdown|md|raw)\]", mark["rest"]) is None, number + 1, []
