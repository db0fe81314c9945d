"""The command line as tests call it, in this process: its exit code, and the one line with which it refuses."""

import sys

from lowerbound import __main__

__all__ = ["HOSTILE", "lowerbound", "refused"]

HOSTILE = ["a b.png", "new\nline.png", 'quote".png', "comma,.png", "猫.png", "ελληνικά.png", "$x_1$.png"]
"""Names that files may have, and that break a careless program."""


def lowerbound(*words):
    """Exit code of a command."""
    before, sys.argv = sys.argv, ["lowerbound", *map(str, words)]
    try:
        return __main__.main()
    finally:
        sys.argv = before


def refused(capsys, *words):
    """The one line with which a command is refused."""
    assert lowerbound(*words) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1].startswith("lowerbound: ")
    assert not any("Traceback" in line for line in lines)
    return lines[-1]
