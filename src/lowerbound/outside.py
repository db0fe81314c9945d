"""Functions from files of the user's own, named as ``file.py:function``.

Such a file is run, so it is only ever opened because the user typed its name: nothing that a run folder says can name one.
"""

from __future__ import annotations

import hashlib
import inspect
import runpy
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lowerbound.errors import InputError, nearest

__all__ = ["Outside", "load_function", "where"]


def where(error: BaseException, file: str) -> int | None:
    """The line of a file of the user's that an error came from, or came through last; None where it did neither.

    Args:
        error: What was raised.
        file: The file, as it was named when it was run.

    Example:
        >>> try:
        ...     exec(compile("1 / 0", "mine.py", "exec"))
        ... except ZeroDivisionError as error:
        ...     where(error, "mine.py"), where(error, "yours.py")
        (1, None)
    """
    if isinstance(error, SyntaxError) and error.filename == file:
        return error.lineno
    passed = [line for frame, line in traceback.walk_tb(error.__traceback__) if frame.f_code.co_filename == file]
    return passed[-1] if passed else None


@dataclass(frozen=True)
class Outside:
    """A function from a file, and what identifies it.

    Attributes:
        name: ``file.py:function``, the file without its folder.
        sha256: Hash of the file.
        function: The function.
        file: The file, as it was named when it was run.
    """

    name: str
    sha256: str
    function: Callable[..., Any]
    file: str = ""

    def make(self, image_shape: tuple[int, int, int], latent_dim: int, start: Any = None) -> Any:
        """What the function makes of an image shape and K; and of a fitted PCA, where it has an argument ``start``.

        Raises:
            InputError: The function fails.
        """
        try:
            more = {"start": start} if "start" in inspect.signature(self.function).parameters else {}
            return self.function(image_shape, latent_dim, **more)
        except (Exception, SystemExit) as error:  # whatever a function of the user's may raise
            code = getattr(self.function, "__code__", None)
            said = self.fault(
                error, f"for images {list(image_shape)} and K = {latent_dim}", getattr(code, "co_firstlineno", None)
            )
            raise InputError(said) from error

    def fault(self, error: BaseException, when: str, otherwise: int | None = None) -> str:
        """One line about an error: the file, its line (or another one), when it fails, and what was raised."""
        return _fault(self.name.rpartition(":")[0], where(error, self.file) or otherwise, when, error)


def load_function(named: str) -> Outside:
    """The function that ``file.py:function`` names.

    Raises:
        InputError: No such file or function, or a file that fails when it is run.

    Example:
        >>> load_function("nowhere.py:make")
        Traceback (most recent call last):
        lowerbound.errors.InputError: nowhere.py does not exist; expected a Python file and a function in it, as file.py:make
    """
    path_name, colon, function_name = named.rpartition(":")
    path = Path(path_name).expanduser()
    if not colon or path.suffix != ".py":
        raise InputError(f'"{named}" names no function; expected a Python file and a function in it, as file.py:make')
    if not path.is_file():
        raise InputError(f"{path} does not exist; expected a Python file and a function in it, as file.py:make")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    try:
        found = runpy.run_path(str(path))
    except (Exception, SystemExit) as error:  # whatever a file of the user's may raise
        raise InputError(_fault(str(path), where(error, str(path)), "when it is run", error)) from error
    function = found.get(function_name)
    if not callable(function):
        known = [name for name, value in found.items() if callable(value) and not name.startswith("_")]
        raise InputError(f'{path} has no function "{function_name}"{nearest(function_name, known)}; give one it has')
    return Outside(f"{path.name}:{function_name}", digest, function, str(path))


def _fault(file: str, line: int | None, when: str, error: BaseException) -> str:
    """What is said of an error in a file of the user's."""
    words = error.msg if isinstance(error, SyntaxError) else str(error)  # which else names file and line once more
    said = " ".join(words.split())
    kind = "" if isinstance(error, InputError) else f"{type(error).__name__}: "
    return f"{file}{f', line {line},' if line else ''} fails {when}: {kind}{said}; mend it first"
