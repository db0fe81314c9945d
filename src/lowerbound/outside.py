"""Functions from files of the user's own, named as ``file.py:function``.

Such a file is run, so it is only ever opened because the user typed its name: nothing that a run folder says can name one.
"""

from __future__ import annotations

import hashlib
import runpy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lowerbound.errors import InputError, nearest

__all__ = ["Outside", "load_function"]


@dataclass(frozen=True)
class Outside:
    """A function from a file, and what identifies it.

    Attributes:
        name: ``file.py:function``, the file without its folder.
        sha256: Hash of the file.
        function: The function.
    """

    name: str
    sha256: str
    function: Callable[..., Any]


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
        said = " ".join(str(error).split())
        raise InputError(f"{path} fails when it is run: {type(error).__name__}: {said}; mend it first") from error
    function = found.get(function_name)
    if not callable(function):
        known = [name for name, value in found.items() if callable(value) and not name.startswith("_")]
        raise InputError(f'{path} has no function "{function_name}"{nearest(function_name, known)}; give one it has')
    return Outside(f"{path.name}:{function_name}", digest, function)
