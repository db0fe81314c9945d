"""Names of files and folders that every system takes: what Windows keeps for itself, and what it does not tell apart."""

from __future__ import annotations

import re

__all__ = ["fits_everywhere", "fitting"]

# Devices of Windows: no file may bear such a name, with or without an ending.
_DEVICES = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE | re.DOTALL)
_NOT_ALLOWED = re.compile(r'[<>:"/\\|?*\x00-\x1f]')


def fits_everywhere(name: str) -> bool:
    r"""Whether a file or folder may bear a name on Linux, macOS and Windows.

    Args:
        name: One part of a path.

    Example:
        >>> [fits_everywhere(name) for name in ("a b.png", "con.png", "a:b.png", "dots.", "")]
        [True, False, False, False, False]
    """
    return bool(name) and not (_NOT_ALLOWED.search(name) or name[-1] in ". " or _DEVICES.fullmatch(name))


def fitting(name: str) -> str:
    r"""The name, or one like it that fits everywhere.

    Example:
        >>> fitting("12:30?.png"), fitting("aux.png"), fitting("so..."), fitting("plain.png")
        ('12_30_.png', '_aux.png', 'so___', 'plain.png')
    """
    legal = _NOT_ALLOWED.sub("_", name)
    legal = legal.rstrip(". ") + "_" * (len(legal) - len(legal.rstrip(". ")))
    return f"_{legal}" if _DEVICES.fullmatch(legal) else legal or "_"
