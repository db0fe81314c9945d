"""The grammar of marks: a code cell that has the answer becomes the student's cell and the solution's.

    noise = ...
    # BEGIN SOLUTION                     the answer stands from here
    #> noise = ...    # one per code     a line that the student sees in its place, as a comment
    noise = torch.randn(b, n, k)
    # END SOLUTION                       to here
    x = mean + noise  # SOLUTION         becomes `x = ...`

A hole in a function raises NotImplementedError when it is called. A hole outside of functions would stop the notebook, so the
names that its answer defines are set to `...` there, and methods raise when they are called.
Lines for Colab's forms (`#@title`, `#@param`) and for Jupyter (`%%capture`) stay as they are.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from lowerbound.course.notebook import is_magic
from lowerbound.errors import InputError

__all__ = ["answers", "has_marks", "outside", "python_of", "solution", "student"]

_BEGIN = re.compile(r"\s*#+\s*BEGIN\s+SOLUTION\b", re.IGNORECASE)
_END = re.compile(r"\s*#+\s*END\s+SOLUTION\b", re.IGNORECASE)
_PROMPT = re.compile(r"\s*#>( ?)(.*)$")
_LINE = re.compile(r"\s*#\s*SOLUTION\s*$")
_BANNER = ("# ---- your turn{of}: write what is missing here", "# ---- then delete the stand-in: {stand_in}")
_WIDTH = 88


@dataclass(frozen=True)
class _Block:
    """Lines from BEGIN to END, both counted, from 0."""

    begin: int
    end: int


def python_of(source: str) -> str:
    r"""A code cell as Python alone, line for line: Jupyter's own lines do nothing.

    Example:
        >>> python_of("%matplotlib inline\nx = 1")
        'pass\nx = 1'
    """
    indents = [line[: len(line) - len(line.lstrip())] for line in source.split("\n")]
    lines = zip(source.split("\n"), indents, strict=True)
    return "\n".join(f"{indent}pass" if is_magic(line) else line for line, indent in lines)


def has_marks(source: str) -> bool:
    """Whether a code cell has any of our marks.

    Example:
        >>> has_marks("x = 1  # SOLUTION"), has_marks("x = 1  # the solution")
        (True, False)
    """
    return any(_BEGIN.match(s) or _END.match(s) or _LINE.search(s) or _PROMPT.match(s) for s in source.split("\n"))


def solution(source: str) -> str:
    r"""The solution's version of a code cell: the marks are gone.

    Raises:
        InputError: Marks that do not go together, with the number of the line.

    Example:
        >>> print(solution("# BEGIN SOLUTION\n#> x = ...\nx = 1\n# END SOLUTION\ny = 2  # SOLUTION"))
        x = 1
        y = 2
    """
    lines = source.split("\n")
    marks = {number for block in _blocks(lines) for number in (block.begin, block.end)}
    return "\n".join(
        _LINE.sub("", line) for number, line in enumerate(lines) if number not in marks and not _PROMPT.match(line)
    )


def student(source: str, name: str = "") -> str:
    r"""The student's version of a code cell: holes in place of answers.

    Args:
        source: The cell with its marks.
        name: Of the exercise.

    Raises:
        InputError: Marks that do not go together, with the number of the line; or a cell that is not Python.

    Example:
        >>> cell = "def double(x):\n    # BEGIN SOLUTION\n    #> twice x\n    return 2 * x\n    # END SOLUTION"
        >>> print(student(cell, "double"))
        def double(x):
            # ---- your turn (double): write what is missing here ------------------------------
            # ---- then delete the stand-in: the line with `raise` -----------------------------
            # twice x
            raise NotImplementedError("exercise double: this is still to be written")
    """
    if not has_marks(source):
        return source
    lines = source.split("\n")
    blocks = {block.begin: block for block in _blocks(lines)}
    tree = _parsed(source)
    result, number = [], 0
    while number < len(lines):
        line = lines[number]
        if number in blocks:
            block = blocks[number]
            result += _hole(lines, block, tree, name)
            number = block.end
        elif _LINE.search(line):
            result.append(_blank(line, number, tree))
        else:
            result.append(line)
        number += 1
    return "\n".join(result)


def answers(source: str) -> list[str]:
    r"""The lines that only the solution may have, without their indentation.

    Example:
        >>> answers("a = 1\n# BEGIN SOLUTION\nb = 2\n# END SOLUTION\nc = 3  # SOLUTION")
        ['b = 2', 'c = 3']
    """
    lines = source.split("\n")
    within = {n for block in _blocks(lines) for n in range(block.begin + 1, block.end)}
    found = [line for n, line in enumerate(lines) if _LINE.search(line) or (n in within and not _PROMPT.match(line))]
    return [stripped for line in found if (stripped := _LINE.sub("", line).strip())]


def outside(source: str) -> list[str]:
    r"""The lines that stand outside of all marks, without their indentation.

    Example:
        >>> outside("a = 1\n# BEGIN SOLUTION\nb = 2\n# END SOLUTION\nc = 3  # SOLUTION")
        ['a = 1']
    """
    lines = source.split("\n")
    within = {n for block in _blocks(lines) for n in range(block.begin, block.end + 1)}
    return [line.strip() for n, line in enumerate(lines) if n not in within and not _LINE.search(line)]


def _blocks(lines: Sequence[str]) -> list[_Block]:
    """Where answers stand; marks that do not go together are refused."""
    blocks, begin = [], None
    for number, line in enumerate(lines):
        if _BEGIN.match(line):
            if begin is not None:
                raise _refusal(number, f"another BEGIN SOLUTION within that of line {begin + 1}", "end that one first")
            begin = number
        elif _END.match(line):
            if begin is None:
                raise _refusal(number, "END SOLUTION without a BEGIN SOLUTION before it", "write `# BEGIN SOLUTION`")
            inner = [s.strip() for s in lines[begin + 1 : number]]
            if not any(s and not s.startswith("#") for s in inner):
                raise _refusal(begin, "no code between BEGIN SOLUTION and END SOLUTION", "write the answer there")
            blocks.append(_Block(begin, number))
            begin = None
        elif _PROMPT.match(line) and begin is None:
            raise _refusal(number, "a prompt (#>) outside of BEGIN SOLUTION and END SOLUTION", "move it into them")
    if begin is not None:
        raise _refusal(begin, "BEGIN SOLUTION is never ended", "write `# END SOLUTION` under the answer")
    return blocks


def _refusal(number: int, came: str, mend: str) -> InputError:
    """What is said of a line, counted from 0."""
    return InputError(f"line {number + 1} of the cell: {came}; {mend}")


def _parsed(source: str) -> ast.Module:
    """The cell as Python sees it."""
    try:
        return ast.parse(python_of(source))
    except SyntaxError as error:
        raise InputError(
            f"line {error.lineno} of the cell: it has marks but is not Python ({error.msg}); mend the code"
        ) from error


def _hole(lines: Sequence[str], block: _Block, tree: ast.Module, name: str) -> list[str]:
    """What stands in the student's file in place of an answer."""
    inner = lines[block.begin + 1 : block.end]
    first = next(line for line in inner if line.strip() and not line.lstrip().startswith("#"))
    indent = first[: len(first) - len(first.lstrip())]
    words = f"exercise {name}: this is still to be written" if name else "this is still to be written"
    stop = f'raise NotImplementedError("{words}")'
    _refuse_parts(tree, block)
    around = _around(tree, block)
    if any(isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) for node in around):
        stand_ins = [stop]
    else:
        body = ast.parse(textwrap.dedent(python_of("\n".join(inner)))).body
        stand_ins = _stand_ins(body, stop, within_class=any(isinstance(node, ast.ClassDef) for node in around))
        if not stand_ins and around:  # `if` and `with` need a statement
            stand_ins = ["pass"]
    result = []
    if stand_ins:
        shown = {"raise": "the line with `raise`", "pass": "`pass`"}.get(
            stand_ins[0].split()[0], "what is set to `...`"
        )
        banner = [line.format(of=f" ({name})" if name else "", stand_in=shown) + " " for line in _BANNER]
        result = [line + "-" * max(4, _WIDTH - len(indent) - len(line)) for line in banner]
    result += [f"# {prompt[2]}".rstrip() for line in inner if (prompt := _PROMPT.match(line))]
    return [indent + line for line in [*result, *stand_ins]]


def _stand_ins(body: Sequence[ast.stmt], stop: str, *, within_class: bool) -> list[str]:
    """What stands for an answer outside of functions, where raising would stop the notebook: its names, set to `...`."""
    found = []
    for statement in body:
        if within_class and isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
            found.append(f"def {statement.name}(self, *inputs, **options): {stop}")
        else:
            found += [f"{name} = ..." for name in _names(statement)]
    return list(dict.fromkeys(found))


def _refuse_parts(tree: ast.Module, block: _Block) -> None:
    """Refuse an answer that is a part of a statement: what stands in for it could not be one."""
    begin, end = block.begin + 1, block.end + 1
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt):
            last = node.end_lineno or node.lineno
            apart = last < begin or node.lineno > end or (node.lineno > begin and last < end)
            if not apart and not (hasattr(node, "body") and node.lineno < begin):
                raise _refusal(
                    block.begin,
                    f"the marks cut through the statement of line {node.lineno}",
                    "put whole statements between them",
                )


def _around(tree: ast.Module, block: _Block) -> list[ast.stmt]:
    """The statements that a block lies within."""
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.stmt)
        and hasattr(node, "body")
        and node.lineno < block.begin + 1
        and (node.end_lineno or 0) >= block.begin + 2
    ]


def _names(statement: ast.stmt) -> list[str]:
    """What a statement gives a name to."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [statement.name]
    return [node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]


def _blank(line: str, number: int, tree: ast.Module) -> str:
    """`x = expr  # SOLUTION` as `x = ...`, with what stands to the left kept."""
    found = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.stmt) and node.lineno <= number + 1 <= (node.end_lineno or 0)
    ]
    statement = max(found, key=lambda node: (node.lineno, node.col_offset), default=None)
    value = getattr(statement, "value", None)
    if not isinstance(value, ast.expr) or statement is None or statement.lineno != statement.end_lineno:
        raise _refusal(
            number,
            "# SOLUTION marks one line with a value, such as `x = 2  # SOLUTION`",
            "put other code between `# BEGIN SOLUTION` and `# END SOLUTION`",
        )
    before = line.encode()[: value.col_offset].decode()
    if before.endswith("("):  # the brackets around a value are no part of it
        before = before.rstrip("( ") + " "
    return f"{before}..."
