"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable
from pathlib import Path

from lowerbound.errors import InputError, TakenError

__all__ = ["make_folder", "name_folder", "no_room", "refusal", "refuse_existing", "write_whole"]

_NO_ROOM = {
    errno.ENOSPC: "no space is left",
    errno.EDQUOT: "the quota is used up",
    errno.EFBIG: "the limit on the size of a file (ulimit -f) is reached",
}
_NOT_ALLOWED = {
    errno.EACCES: "it may not be written",
    errno.EPERM: "it may not be written",
    errno.EROFS: "it is read-only",
    errno.EISDIR: "it is a folder",
    errno.ENOTDIR: "a part of its path is a file, not a folder",
    errno.EEXIST: "it is a file, not a folder",
    errno.ENAMETOOLONG: "its name is too long",
    errno.ENOENT: "its folder is not there",
    errno.EIO: "the disk reports an error",
    errno.ENOTEMPTY: "it exists already",
}
_TAKEN = {errno.EEXIST, errno.ENOTEMPTY}
_NO_SYNC = {errno.EACCES, errno.EPERM, errno.EBADF, errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EISDIR}


def write_whole(path: Path, content: bytes | Callable[[Path], object], *, before: Path | None = None) -> None:
    """Write a file so that a reader finds the old one or the new one, never a part, even if the power fails.

    The content is written beside the file and sent to the disk; the file is renamed, and the new name sent to the disk, too.

    Args:
        path: The file.
        content: All of it; or what writes it to a path that it is given, for what is too large to be held twice.
        before: Where the file that is there now is kept, in the same folder. It goes there when the new one is wholly on
            the disk: at every moment the newest whole file bears one name or the other.

    Raises:
        InputError: No room, or no right to write there; what was there before is untouched, or at ``before``.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file, old = Path(folder, "a.txt"), Path(folder, "a-before.txt")
        ...     write_whole(file, b"one", before=old)
        ...     write_whole(file, b"two", before=old)
        ...     file.read_bytes(), old.read_bytes()
        (b'two', b'one')
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        try:
            if callable(content):
                content(partial)
            with partial.open("ab" if callable(content) else "wb") as file:
                file.write(b"" if callable(content) else content)
                file.flush()
                os.fsync(file.fileno())
            if before is not None and path.exists():
                path.replace(before)
            partial.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):  # what went wrong first is what is to be said
                partial.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)
    except OSError as error:
        size = "" if callable(content) else f" ({len(content) / 1e6:.1f} MB)"
        raise refusal(path, error, size) from error


def _sync_folder(folder: Path) -> None:
    """Send the names in a folder to the disk; a renamed file may else be back under its old name after a power cut.

    Not every system lets a folder be opened or synchronised (Windows does not): there the rename has to do.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise


def make_folder(path: Path, *, new: bool = False) -> None:
    """Make a folder and those it lies in; those that are new are on the disk with their names when this returns.

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
    missing: list[Path] = []
    try:
        there = [folder.exists() for folder in (path, *path.parents)]
        path.mkdir(parents=True, exist_ok=not new)
        missing = [folder for folder, was in zip((path, *path.parents), there, strict=True) if not was]
        for folder in missing:
            _sync_folder(folder.parent)
    except OSError as error:
        for folder in missing:  # those that we made, the innermost first
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise refusal(path, error) from error


def name_folder(partial: Path, path: Path) -> None:
    """Give a folder that was made to the side the name under which it is to be found.

    Args:
        partial: The folder as it was made, beside ``path``.
        path: Its name from now on, which nothing bears but perhaps an empty folder.

    Raises:
        TakenError: Something else is there.
        InputError: Nothing may be written there.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     make_folder(Path(folder, ".a.123"))
        ...     name_folder(Path(folder, ".a.123"), Path(folder, "a"))
        ...     Path(folder, "a").is_dir()
        True
    """
    try:
        partial.rename(path)
        _sync_folder(path.parent)
    except OSError as error:
        wrong = refusal(path, error)
        raise TakenError(str(wrong)) if error.errno in _TAKEN else wrong from error


def refuse_existing(path: Path) -> None:
    """Refuse a run folder that is there already, before any work is done for it."""
    try:
        there = path.exists() or path.is_symlink()
    except OSError as error:
        raise InputError(f"{path} cannot be a run folder ({error.strerror}); give another with --out") from error
    if there:
        raise TakenError(f"{path} exists already; nothing in it was touched; give another folder with --out")


def no_room(error: OSError) -> bool:
    """Whether an error says that the disk is full.

    Example:
        >>> no_room(OSError(errno.ENOSPC, "No space left on device"))
        True
    """
    return error.errno in _NO_ROOM


def refusal(path: Path, error: OSError, size: str = "") -> Exception:
    """What to say of a path that cannot be written; the error itself where it is nothing the user could mend.

    Args:
        path: What was to be written.
        error: What the system said.
        size: How much was to be written, to be shown beside the path.

    Example:
        >>> refusal(Path("runs/a"), OSError(errno.EROFS, "Read-only file system"))
        InputError('runs/a cannot be written: it is read-only; choose another place')
    """
    if no_room(error):
        return InputError(f"{_NO_ROOM[error.errno or 0]} for {path}{size}; free some and run again")
    if error.errno in _NOT_ALLOWED:
        return InputError(f"{path} cannot be written: {_NOT_ALLOWED[error.errno]}; choose another place")
    return error
