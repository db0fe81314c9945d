"""What is said when the user's input cannot be used: one line that says what came, what was expected, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["DivergedError", "InputError", "LostProcessError", "TakenError", "nearest"]


class InputError(ValueError):
    """The user's input cannot be used. The command line prints the message alone and exits with code 2.

    Example:
        >>> raise InputError("k is 0; a model keeps at least 1 number per image; give -k 1 or more")
        Traceback (most recent call last):
        lowerbound.errors.InputError: k is 0; a model keeps at least 1 number per image; give -k 1 or more
    """


class TakenError(InputError):
    """A folder that was to be made is there already; whoever chose its name itself may choose another."""


class DivergedError(RuntimeError):
    """Losses or gradients were not finite, at every rate tried; the last good model is kept."""


class LostProcessError(RuntimeError):
    """Another process of this training does not answer any more; what was saved before is untouched."""


def nearest(name: str, known: Iterable[str]) -> str:
    """A clause that points to the known name most like ``name``, or an empty string when none is near.

    Example:
        >>> nearest("mnsit", ["mnist", "digits"])
        '; did you mean "mnist"?'
        >>> nearest("zebra", ["mnist", "digits"])
        ''
    """
    near = difflib.get_close_matches(name.lower(), list(known), n=1, cutoff=0.6)
    return f'; did you mean "{near[0]}"?' if near else ""
