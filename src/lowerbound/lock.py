"""One process at a time: a lock on a folder that its holder's end takes away, however it ends.

The system's own lock on an open file (``flock``, on Windows ``msvcrt.locking``) is what counts: the kernel frees it with the
process, so that one that was killed leaves no lock behind, and no process number has to be judged. The file says who holds
it, to be shown to whoever comes second.

What is promised: two processes of one machine never hold the lock of one folder together. On a network file system the same
holds between machines as far as that file system passes locks on (NFS does unless mounted with ``nolock`` or
``local_lock``). Where a file system knows no locks at all, the file alone decides: it binds as long as the process that it
names lives on this machine, told from a later one of the same number by the time it began.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import json
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lowerbound.errors import InputError
from lowerbound.whole import refusal

__all__ = ["lock"]

_HELD = {errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK}
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL}


@contextlib.contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Be the only process that writes in a folder.

    Args:
        folder: Holds a file ``.lock`` meanwhile, and not afterwards.

    Raises:
        InputError: Another process holds it, by its number; or the folder cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as name:
        ...     with lock(Path(name)):
        ...         with lock(Path(name)):
        ...             print("never here")
        Traceback (most recent call last):
        lowerbound.errors.InputError: /tmp/... is being trained by process 4321 (since 12:03, on host here); ...
    """
    file = Path(folder) / ".lock"
    try:
        descriptor = _take(file)
    except OSError as error:
        raise refusal(folder, error) from error
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # Windows removes no open file; what is left binds nobody
            file.unlink()  # before the lock goes: later, it could be the next holder's
        os.close(descriptor)


def _take(file: Path) -> int:
    """The file, open, locked and with our name in it."""
    while True:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            if not _lock(descriptor):
                raise _refused(file)
            there = file.exists() and os.path.samestat(os.fstat(descriptor), file.stat())
            if there:  # and not removed by its holder between our opening and our locking it
                with contextlib.suppress(OSError):  # a full disk: the lock counts, with nobody's name in it
                    os.ftruncate(descriptor, 0)
                    os.lseek(descriptor, 0, os.SEEK_SET)
                    os.write(descriptor, json.dumps(_myself()).encode())
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    """Whether the system's lock could be taken; where there is none, whether nobody of this machine is named in the file."""
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(descriptor, 1 << 30, os.SEEK_SET)  # beyond the text, which others are to read
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD:
            return False
        if error.errno in _NO_LOCKS:
            return not _lives(_read(descriptor))
        raise
    return True


def _myself() -> dict[str, Any]:
    """Who holds the lock: process, host, the time, and when the process began, by which it is told from a later one."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return {"pid": os.getpid(), "host": platform.node(), "since": now, "began": _began(os.getpid())}


def _began(pid: int) -> str | None:
    """When a process began, in ticks since the machine started; None where the system does not say (not Linux)."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return words[19]  # field 22 of proc(5), counted from the one after the name


def _lives(holder: dict[str, Any]) -> bool:
    """Whether the process that a lock names runs on this machine."""
    pid = holder.get("pid")
    if not isinstance(pid, int) or pid <= 0 or holder.get("host") != platform.node():
        return False
    try:
        os.kill(pid, 0)  # sends nothing
    except PermissionError:
        pass  # somebody else's, and there
    except OSError:
        return False
    return holder.get("began") == _began(pid)


def _read(descriptor: int) -> dict[str, Any]:
    """What a lock file says; nothing where its holder has not yet written it."""
    try:
        os.lseek(descriptor, 0, os.SEEK_SET)
        holder = json.loads(os.read(descriptor, 4096))
    except (OSError, ValueError):
        return {}
    return holder if isinstance(holder, dict) else {}


def _refused(file: Path) -> InputError:
    """The one line for whoever comes second."""
    try:
        descriptor = os.open(file, os.O_RDONLY)
    except OSError:
        holder = {}
    else:
        holder = _read(descriptor)
        os.close(descriptor)
    if "pid" not in holder:
        return InputError(f"{file.parent} is being trained by another process; wait for it or stop it")
    return InputError(
        f"{file.parent} is being trained by process {holder['pid']} (since {_since(holder)}, "
        f"on host {holder.get('host')}); wait for it or stop it"
    )


def _since(holder: dict[str, Any]) -> str:
    """The time of day when the lock was taken, with the day if it was another."""
    try:
        since = datetime.datetime.fromisoformat(str(holder.get("since"))).astimezone()
    except ValueError:
        return "an unknown time"
    today = since.date() == datetime.datetime.now().astimezone().date()
    return since.strftime("%H:%M" if today else "%Y-%m-%d %H:%M")
