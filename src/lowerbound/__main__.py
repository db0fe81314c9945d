"""The command line's entry: mistakes of the user are said in one line, with exit code 2; an interruption exits 130."""

from __future__ import annotations

import io
import os
import sys
import traceback
from typing import TYPE_CHECKING

from lowerbound import outcome

if TYPE_CHECKING:
    from lowerbound.outcome import Outcome

__all__ = ["main"]


def main() -> int:
    """Run the command line; returns its exit code: 0 done, 1 a failure, 2 the user's mistake, 130 interrupted."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(
            stream, io.TextIOWrapper
        ):  # lines come in order through a pipe, and none breaks at a strange name
            stream.reconfigure(line_buffering=True, errors="backslashreplace")
    now = outcome.started()
    now.listen()
    try:
        from lowerbound.cli import app
        from lowerbound.interruption import terminable

        terminable()

        code = app(prog_name="lowerbound", standalone_mode=False)
        code = code if isinstance(code, int) else 0
        error = "interrupted; nothing was left half-written" if code == 130 else None
        now.end(code, error)
    except KeyboardInterrupt as error:
        return _refuse(now, error, "interrupted; nothing was left half-written", 130)
    except SystemExit as ended:
        now.end(ended.code if isinstance(ended.code, int) else 1)
        raise
    except Exception as error:  # noqa: BLE001  (what it cannot explain is raised again)
        return _explain(now, error)
    return code if error is None else _say(error, code)


def _explain(now: Outcome, error: Exception) -> int:
    """What to say of an error: the user's mistake, the parser's words, a full disk, a diverged training; else a traceback."""
    from typer import Abort
    from typer.exceptions import TyperException

    from lowerbound.cli import Interrupted, parsed
    from lowerbound.errors import InputError
    from lowerbound.whole import no_room

    line, code = "", 2
    if isinstance(error, Interrupted | Abort):
        line, code = f"interrupted; {str(error) or 'nothing was left half-written'}", 130
    elif isinstance(error, InputError):
        line = str(error)
    elif isinstance(error, TyperException):
        line = parsed(error)
    elif isinstance(error, OSError) and no_room(error):
        line = f"no space is left ({error.filename or 'on the disk'}); free some and run again"
    elif isinstance(error, MemoryError):
        line = "the memory of this machine does not hold it; take fewer or smaller images (--size), or a smaller -n"
        code = 1
    elif type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(
        error
    ):  # torch's, of card and CPU
        line = (
            "there is no memory left to compute in; take smaller batches (--batch-size), a smaller -k or smaller --size"
        )
        code = 1
    elif type(error).__name__ in ("DivergedError", "LostProcessError"):
        line, code = str(error), 1
    else:
        now.end(1, f"{type(error).__name__}: {error}")
        raise error
    return _refuse(now, error, line, code)


def _refuse(now: Outcome, error: BaseException, line: str, code: int) -> int:
    """End with one line, after the traceback where that was asked for."""
    now.end(code, line)
    if now.debug:
        traceback.print_exception(error)
    return _say(line, code) if line else code


def _say(line: str, code: int) -> int:
    """One line on standard error, whatever is in it; of the processes of ``torchrun`` the first says what all have met."""
    if code in (2, 130) and "TORCHELASTIC_RUN_ID" in os.environ and os.environ.get("RANK") != "0":
        return code
    words = "".join(c if c.isprintable() else " " for c in " ".join(line.split()))
    print(f"lowerbound: {words}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
