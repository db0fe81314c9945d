"""What a notebook or a file of Python defines, without running the rest of it.

Only imports, functions, classes and plain numbers or texts at the top level are executed, and names from an earlier lesson
(``rsample = lesson.piece("rsample")``): no training, no figure, no download. So an exercise is found by its name in Python,
whether it stands in a live kernel, in a saved notebook, or in a file, and whatever became of the cells around it.
"""

from __future__ import annotations

import ast
import contextlib
import io
import linecache
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["defined_names", "definitions"]


def definitions(cells: Sequence[str], piece: Callable[[str], object], name: str = "notebook") -> dict[str, Any]:
    r"""Execute the definitions of code cells, and give the namespace that they make.

    Args:
        cells: Source of each code cell, in their order. Lines of the notebook's own language (``%pip``, ``!ls``) are left out; a
            cell that is no Python defines nothing.
        piece: Gives what ``lesson.piece("name")`` asks for.
        name: Of the place, for tracebacks.

    Example:
        >>> cells = ["import math", "def area(r):\n    return math.pi * r**2", "print(area(1 / 0))"]
        >>> round(definitions(cells, piece=dict().get)["area"](1), 2)
        3.14
    """
    found: dict[str, Any] = {"__name__": name}
    for number, cell in enumerate(cells):
        text = _python_of(cell)
        place = f"<{name}, cell {number}>"
        linecache.cache[place] = (len(text), None, text.splitlines(keepends=True), place)  # inspect.getsource finds it
        with contextlib.suppress(SyntaxError):
            for statement in ast.parse(text).body:
                _execute(statement, place, found, piece)
    return found


def defined_names(cell: str) -> set[str]:
    r"""Names that a cell defines at its top level: functions, classes, assignments.

    Example:
        >>> sorted(defined_names("K = ...\nclass A: pass\ndef f(): x = 1"))
        ['A', 'K', 'f']
    """
    names: set[str] = set()
    with contextlib.suppress(SyntaxError):
        for statement in ast.parse(_python_of(cell)).body:
            if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
                names.add(statement.name)
            elif isinstance(statement, (ast.Assign, ast.AnnAssign)):
                targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
                names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return names


def _execute(statement: ast.stmt, place: str, found: dict[str, Any], piece: Callable[[str], object]) -> None:
    """Execute a statement if it defines something; what fails defines nothing, and whoever needs it will say so."""
    names = asked = None
    if isinstance(statement, ast.Assign):
        names = [target.id for target in statement.targets if isinstance(target, ast.Name)]
        asked = _piece_asked_for(statement.value)
    if names and asked is not None:
        found.update(dict.fromkeys(names, piece(asked)))
    elif names and _is_literal(getattr(statement, "value", None)):
        found.update(dict.fromkeys(names, ast.literal_eval(statement.value)))  # type: ignore[attr-defined]
    elif isinstance(statement, (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)):
        code = compile(ast.Module([statement], []), place, "exec", dont_inherit=True)
        with contextlib.suppress(Exception), contextlib.redirect_stdout(io.StringIO()):
            exec(code, found)  # noqa: S102  (the learner's own file, by the learner's own wish)


def _is_literal(value: ast.expr | None) -> bool:
    """Whether an expression is a number, a text, or a list, tuple, set or dictionary of such, or ``...``."""
    if value is None:
        return False
    try:
        ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False
    return True


def _piece_asked_for(value: ast.expr) -> str | None:
    """The name in ``lesson.piece("name")``; None for any other expression."""
    if (
        isinstance(value, ast.Call)
        and isinstance(value.func, ast.Attribute)
        and value.func.attr == "piece"
        and len(value.args) == 1
        and isinstance(value.args[0], ast.Constant)
    ):
        return str(value.args[0].value)
    return None


def _python_of(cell: str) -> str:
    """A cell without the lines that are the notebook's own; a cell in another language is empty."""
    if cell.lstrip().startswith("%%") and not cell.lstrip().startswith("%%capture"):
        return ""
    return "".join("\n" if line.lstrip().startswith(("%", "!")) else f"{line}\n" for line in cell.splitlines())
