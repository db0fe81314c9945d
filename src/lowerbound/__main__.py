"""The command line's entry: mistakes of the user are said in one line, with exit code 2; an interruption exits 130."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> int:
    """Run the command line; returns its exit code: 0 done, 1 a failure, 2 the user's mistake, 130 interrupted."""
    from lowerbound.cli import app
    from lowerbound.errors import InputError

    try:
        code = app(standalone_mode=False)
    except InputError as error:
        return _say(str(error), 2)
    except KeyboardInterrupt:
        return _say("interrupted; what was saved is kept", 130)
    except Exception as error:  # noqa: BLE001  (what it cannot explain is raised again)
        return _explain(error)
    return code if isinstance(code, int) else 0


def _explain(error: Exception) -> int:
    """What to say of anything else: the parser's own words, a full disk, a diverged training; else the traceback."""
    import errno

    from typer.exceptions import Abort, TyperException

    if isinstance(error, Abort):
        return _say("interrupted; what was saved is kept", 130)
    if isinstance(error, TyperException):
        words = error.format_message()
        return _say(f"{words} `lowerbound --help` lists the commands", 2) if words else 2
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _say(f"no space is left ({error.filename or 'on the disk'}); free some and run again", 2)
    if type(error).__name__ == "DivergedError":
        return _say(str(error), 1)
    raise error


def _say(line: str, code: int) -> int:
    """One line on standard error."""
    print(f"lowerbound: {' '.join(line.split())}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
