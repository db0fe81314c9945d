"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from lowerbound.errors import InputError

__all__ = ["write_whole"]

_NO_ROOM = {errno.ENOSPC: "no space is left", errno.EDQUOT: "the quota is used up"}
_NOT_ALLOWED = {
    errno.EACCES: "it may not be written",
    errno.EPERM: "it may not be written",
    errno.EROFS: "it is read-only",
}


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that a reader finds the old one or the new one, never a part, even if the power fails.

    Raises:
        InputError: No room, or no right to write there; what was there before is untouched.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_whole(Path(folder, "a.txt"), b"all of it")
        ...     Path(folder, "a.txt").read_bytes()
        b'all of it'
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        try:
            with partial.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise InputError(
                f"{_NO_ROOM[error.errno]} for {path} ({len(content) / 1e6:.1f} MB); free some and run again"
            ) from error
        if error.errno in _NOT_ALLOWED:
            raise InputError(f"{path}: {_NOT_ALLOWED[error.errno]}; choose another folder") from error
        raise
