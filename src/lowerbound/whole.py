"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from lowerbound.errors import InputError

__all__ = ["make_folder", "no_room", "refuse_existing", "write_whole"]

_NO_ROOM = {errno.ENOSPC: "no space is left", errno.EDQUOT: "the quota is used up"}
_NOT_ALLOWED = {
    errno.EACCES: "it may not be written",
    errno.EPERM: "it may not be written",
    errno.EROFS: "it is read-only",
    errno.EISDIR: "it is a folder",
    errno.ENOTDIR: "a part of its path is a file, not a folder",
    errno.EEXIST: "it is a file, not a folder",
    errno.ENAMETOOLONG: "its name is too long",
    errno.ENOENT: "its folder is not there",
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
        raise _refusal(path, error, f" ({len(content) / 1e6:.1f} MB)") from error


def make_folder(path: Path, *, new: bool = False) -> None:
    """Make a folder and those it lies in.

    Args:
        path: The folder.
        new: Whether it must not be there yet.

    Raises:
        InputError: No room, or no right to make it there.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     make_folder(Path(folder, "a", "b"))
        ...     Path(folder, "a", "b").is_dir()
        True
    """
    try:
        path.mkdir(parents=True, exist_ok=not new)
    except OSError as error:
        raise _refusal(path, error) from error


def refuse_existing(path: Path) -> None:
    """Refuse a run folder that is there already, before any work is done for it."""
    try:
        there = path.exists() or path.is_symlink()
    except OSError as error:
        raise InputError(f"{path} cannot be a run folder ({error.strerror}); give another with --out") from error
    if there:
        raise InputError(f"{path} exists already; nothing in it was touched; give another folder with --out")


def no_room(error: OSError) -> bool:
    """Whether an error says that the disk is full.

    Example:
        >>> no_room(OSError(errno.ENOSPC, "No space left on device"))
        True
    """
    return error.errno in _NO_ROOM


def _refusal(path: Path, error: OSError, size: str = "") -> Exception:
    """What to say of a path that cannot be written; the error itself where it is nothing the user could mend."""
    if no_room(error):
        return InputError(f"{_NO_ROOM[error.errno or 0]} for {path}{size}; free some and run again")
    if error.errno in _NOT_ALLOWED:
        return InputError(f"{path} cannot be written: {_NOT_ALLOWED[error.errno]}; choose another place")
    return error
