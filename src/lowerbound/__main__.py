"""The command line's entry: mistakes of the user are said in one line, with exit code 2; an interruption exits 130."""

from __future__ import annotations

import io
import os
import sys

__all__ = ["main"]


def main() -> int:
    """Run the command line; returns its exit code: 0 done, 1 a failure, 2 the user's mistake, 130 interrupted."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(
            stream, io.TextIOWrapper
        ):  # lines come in order through a pipe, and none breaks at a strange name
            stream.reconfigure(line_buffering=True, errors="backslashreplace")
    try:
        from lowerbound.cli import app
        from lowerbound.interruption import terminable

        terminable()

        code = app(standalone_mode=False)
    except KeyboardInterrupt:
        code = 130
    except Exception as error:  # noqa: BLE001  (what it cannot explain is raised again)
        return _explain(error)
    if code == 130:
        return _say("interrupted; nothing was left half-written", code)
    return code if isinstance(code, int) else 0


def _explain(error: Exception) -> int:
    """What to say of an error: the user's mistake, the parser's words, a full disk, a diverged training; else a traceback."""
    from typer.exceptions import Abort, TyperException

    from lowerbound.cli import Interrupted
    from lowerbound.errors import InputError
    from lowerbound.whole import no_room

    if isinstance(error, Interrupted | Abort):
        return _say(f"interrupted; {str(error) or 'nothing was left half-written'}", 130)
    if isinstance(error, InputError):
        return _say(str(error), 2)
    if isinstance(error, TyperException):
        words = error.format_message()
        return _say(f"{words.rstrip('. ')}; `lowerbound --help` lists the commands", 2) if words else 2
    if isinstance(error, OSError) and no_room(error):
        return _say(f"no space is left ({error.filename or 'on the disk'}); free some and run again", 2)
    if isinstance(error, MemoryError):
        return _say(
            "the memory of this machine does not hold it; take fewer or smaller images (--size), or a smaller -n", 1
        )
    if type(error).__name__ in ("DivergedError", "LostProcessError"):
        return _say(str(error), 1)
    raise error


def _say(line: str, code: int) -> int:
    """One line on standard error, whatever is in it; of the processes of ``torchrun`` the first says what all have met."""
    if code in (2, 130) and "TORCHELASTIC_RUN_ID" in os.environ and os.environ.get("RANK") != "0":
        return code
    words = "".join(c if c.isprintable() else " " for c in " ".join(line.split()))
    print(f"lowerbound: {words}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
