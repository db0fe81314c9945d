"""A Python of its own in which a learner's saved code is tried, so that nothing it does can end or hang the command.

It is started before it is needed, imports what takes long, and waits. When it is asked, it tells line by line, in a file, where
it is: which cell it reads, which exercise it checks, what came of it. So whoever waits knows what to blame when it is silent
for too long or gone. What the learner's code prints goes nowhere, and it reads nothing from the keyboard.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from lowerbound.errors import InputError

__all__ = ["Separate", "main"]


class Separate:
    """Another Python, ready to try code; to be closed.

    Example:
        >>> with contextlib.closing(Separate()) as separate:
        ...     separate.news()
        []
    """

    def __init__(self) -> None:
        # what a killed Python still holds open must not keep the rest from being cleared away (Windows)
        self._folder = tempfile.TemporaryDirectory(prefix="lowerbound-check-", ignore_cleanup_errors=True)
        self._told = Path(self._folder.name, "told.jsonl")
        self._read = 0
        self._complaints = Path(self._folder.name, "complaints.txt").open("wb")  # noqa: SIM115  (closed with the rest)
        self._process = subprocess.Popen(  # noqa: S603  (this Python, and words of ours)
            # -P: a file of the learner's called random.py must not be taken for Python's own
            [sys.executable, "-P", "-W", "ignore", "-m", "lowerbound.course.separate", self._folder.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self._complaints,
            start_new_session=True,  # it is killed with whatever it has started; a Ctrl-C is ours alone
        )

    def ask(self, request: Mapping[str, Any]) -> None:
        """Ask it to try something, once: see ``main`` for what a request holds."""
        Path(self._folder.name, "request.json").write_text(json.dumps(request), encoding="utf-8")
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):  # it may be gone already, and that is found out by whoever waits
                self._process.stdin.write(b"\n")
                self._process.stdin.flush()

    def news(self) -> list[dict[str, Any]]:
        """What it has told since it was last asked for."""
        if not self._told.exists():
            return []
        with self._told.open("rb") as file:
            file.seek(self._read)
            lines = file.read().split(b"\n")[:-1]
        self._read += sum(len(line) + 1 for line in lines)
        return [json.loads(line) for line in lines]

    def ended(self) -> int | None:
        """Its exit code; below 0 the number of the signal that ended it; None while it runs."""
        return self._process.poll()

    def complaints(self) -> str:
        """What it wrote before it came to the learner's code: why it could not be started."""
        return Path(self._folder.name, "complaints.txt").read_text(encoding="utf-8", errors="replace")

    def close(self) -> None:
        """End it, and all that it has started."""
        with contextlib.suppress(OSError):
            if hasattr(os, "killpg"):
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        self._process.wait()
        self._complaints.close()
        self._folder.cleanup()


def main(folder: Path) -> None:
    """What the other Python does: get ready, wait for a request in ``folder``, tell what comes of it, end.

    A request has ``name`` of the file, ``folder`` it lies in, ``cells`` (texts), ``skip`` (numbers of cells that are not to be
    read), ``names`` of exercises, ``checks`` (a file of exercises of its own, or None) and ``seconds`` for all definitions.
    """
    import torch  # noqa: F401  (what takes long comes before it is needed)

    from lowerbound.course import catalogue

    known = dict(catalogue.exercises())
    with Path(folder, "told.jsonl").open("ab", buffering=0) as told:

        def tell(**news: Any) -> None:
            told.write(json.dumps(news).encode() + b"\n")

        tell(at="ready")
        if not sys.stdin.buffer.readline():
            _leave(folder)
        request = json.loads(Path(folder, "request.json").read_text(encoding="utf-8"))
        threading.Thread(target=_leave_with, args=(os.dup(0), folder), daemon=True).start()
        _silence()
        _try(request, known, tell)


def _leave_with(pipe: int, folder: Path) -> None:
    """End when whoever has started this Python is gone, even killed: what never ends must not outlive it."""
    os.read(pipe, 1)
    _leave(folder)


def _leave(folder: Path) -> None:
    """End at once, and clear away what whoever has started this Python cannot any more."""
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)


def _silence() -> None:
    """From now on there is no keyboard and no screen, for whoever asks the system, either."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)


def _try(request: Mapping[str, Any], known: dict[str, Any], tell: Callable[..., None]) -> None:
    """Read the cells, check the exercises, tell."""
    from lowerbound.course import catalogue
    from lowerbound.course.checking import check
    from lowerbound.course.definitions import definitions
    from lowerbound.course.limits import TooLong, limited

    if request["checks"]:
        known |= catalogue.outside(Path(request["checks"]))

    def piece(name: str) -> Any:
        try:
            return catalogue.reference(catalogue.find(name, known), known=known)
        except InputError as error:
            words = str(error)

            def missing(*inputs: object, **options: object) -> None:  # noqa: ARG001  (stands for anything)
                raise InputError(words)

            return missing

    sys.path.append(request["folder"])  # behind everything else: modules of the learner's own
    os.chdir(request["folder"])
    cells = ["" if number in request["skip"] else cell for number, cell in enumerate(request["cells"])]
    try:
        with limited(request["seconds"]):
            found = definitions(_Told(cells, tell), piece, request["name"])
    except TooLong:
        tell(late=True)
        return
    for name in request["names"]:
        tell(at="exercise", name=name, seconds=known[name].seconds)
        if name in found:
            outcome = check(known[name], found[name])
            tell(name=name, kind=outcome.kind, words=outcome.words, case=outcome.case)
        else:
            tell(name=name, kind="wrong", words=f"{name} cannot be defined: {_why(name, cells, found)}", case="")
    tell(at="end")


class _Told(list[str]):
    """Cells that tell when each is begun."""

    def __init__(self, cells: list[str], tell: Callable[..., None]) -> None:
        super().__init__(cells)
        self._tell = tell

    def __iter__(self) -> Iterator[str]:
        for number, cell in enumerate(super().__iter__()):
            self._tell(at="cell", cell=number)
            yield cell


def _why(name: str, cells: list[str], found: dict[str, Any]) -> str:
    """What went wrong when a function or class was defined; it is defined once more to see it."""
    import ast

    from lowerbound.course.limits import limited

    for cell in cells:
        with contextlib.suppress(SyntaxError):
            for statement in ast.parse(cell).body:
                if isinstance(statement, (ast.FunctionDef, ast.ClassDef)) and statement.name == name:
                    try:
                        with limited(5):
                            exec(compile(ast.Module([statement], []), "<again>", "exec"), dict(found))  # noqa: S102
                    except BaseException as error:  # noqa: BLE001  (told, not raised)
                        return f"{type(error).__name__}: {' '.join(str(error).split())[:600]}"
    return "it is computed by code that only a notebook runs"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    os._exit(0)  # threads that the learner's code has left behind are not waited for
