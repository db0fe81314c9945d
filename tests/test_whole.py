"""Files that appear whole or not at all: at every call of the system, whatever it answers and however the process ends."""

from __future__ import annotations

import errno
import os
import resource
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from lowerbound import whole
from lowerbound.errors import InputError
from lowerbound.whole import make_folder, write_whole

CALLS = ("open", "write", "flush", "fsync", "replace", "os.open")
OLD, NEW = b"old" * 5000, b"new" * 90_000


class Failing:
    """Counts calls of the system; the n-th fails, or ends the process."""

    def __init__(self, monkeypatch, at, fail):
        self.left, self.fail, self.seen = at, fail, []
        self.wrap(monkeypatch, os, "fsync", "fsync")
        self.wrap(monkeypatch, os, "open", "os.open")
        self.wrap(monkeypatch, Path, "replace", "replace")
        real = Path.open

        def opened(path, *how, **more):
            self.called("open")
            file = real(path, *how, **more)
            return file if "r" in (how or ("r",))[0] else Halting(file, self)

        monkeypatch.setattr(Path, "open", opened)

    def wrap(self, monkeypatch, owner, name, word):
        real = getattr(owner, name)

        def wrapped(*given, **more):
            self.called(word)
            return real(*given, **more)

        monkeypatch.setattr(owner, name, wrapped)

    def called(self, word):
        self.seen.append(word)
        self.left -= 1
        if self.left == 0:
            self.fail()


class Halting:
    """A file that may fail half way through what is written to it."""

    def __init__(self, file, failing):
        self.file, self.failing = file, failing

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def write(self, content):
        half = len(content) // 2
        self.file.write(content[:half])
        self.file.flush()
        self.failing.called("write")
        self.file.write(content[half:])

    def flush(self):
        self.file.flush()
        self.failing.called("flush")

    def fileno(self):
        return self.file.fileno()


def count_calls(tmp_path, **how):
    """The calls that one writing takes, in order."""
    path = tmp_path / "counted" / "file"
    path.parent.mkdir()
    path.write_bytes(OLD)
    with pytest.MonkeyPatch.context() as patched:
        seen = Failing(patched, -1, lambda: None).seen
        write_whole(path, NEW, **{name: path.with_name(value) for name, value in how.items()})
    return seen


def test_content_name_and_folder_are_sent_to_the_disk_in_this_order(tmp_path):
    assert count_calls(tmp_path) == ["open", "write", "flush", "fsync", "replace", "os.open", "fsync"]


def test_the_file_before_goes_aside_when_the_new_one_is_on_the_disk(tmp_path):
    seen = count_calls(tmp_path, before="before")
    assert seen == ["open", "write", "flush", "fsync", "replace", "replace", "os.open", "fsync"]
    assert (tmp_path / "counted" / "before").read_bytes() == OLD
    assert (tmp_path / "counted" / "file").read_bytes() == NEW


def what_is_there(folder):
    """The newest whole content under the two names, and any other file."""
    found = {file.name: file.read_bytes() for file in folder.iterdir()}
    newest = found.get("file", found.get("before"))
    return newest, sorted(set(found) - {"file", "before"})


@pytest.mark.parametrize("before", [None, "before"])
@pytest.mark.parametrize("at", range(1, 9))
@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOSPC, "no space is left for"),
        (errno.EDQUOT, "the quota is used up for"),
        (errno.EROFS, "it is read-only"),
        (errno.EFBIG, "the limit on the size of a file"),
        (errno.EIO, "the disk reports an error"),
    ],
)
def test_what_fails_anywhere_is_said_and_leaves_a_whole_file(code, words, at, before, tmp_path, monkeypatch):
    path, before = tmp_path / "file", before and tmp_path / before
    path.write_bytes(OLD)

    def fail():
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patched:
        seen = Failing(patched, at, fail).seen
        if at > (8 if before else 7):
            write_whole(path, NEW, before=before)
        else:
            with pytest.raises(InputError, match=words):
                write_whole(path, NEW, before=before)
    newest, others = what_is_there(tmp_path)
    renamed = seen.count("replace") == (2 if before else 1) and seen[-1] != "replace"
    assert newest == (NEW if renamed else OLD)
    assert not others


@pytest.mark.parametrize("before", [None, "before"])
@pytest.mark.parametrize("at", range(1, 9))
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_process_killed_anywhere_leaves_a_whole_file(at, before, tmp_path, monkeypatch):
    path, before = tmp_path / "file", before and tmp_path / before
    path.write_bytes(OLD)
    if before:
        before.write_bytes(b"older")
    child = os.fork()
    if not child:
        try:
            Failing(monkeypatch, at, lambda: os._exit(9))
            write_whole(path, NEW, before=before)
        finally:
            os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code == (9 if at <= (8 if before else 7) else 0)
    assert what_is_there(tmp_path)[0] in (OLD, NEW)
    assert (before is None) or before.read_bytes() in (b"older", OLD)


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize("at", range(1, 8))
def test_an_interruption_anywhere_leaves_no_part(interruption, at, tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(OLD)

    def fail():
        raise interruption

    with monkeypatch.context() as patched:
        Failing(patched, at, fail)
        with pytest.raises(interruption):
            write_whole(path, NEW)
    newest, others = what_is_there(tmp_path)
    assert newest in (OLD, NEW)
    assert not others


@pytest.mark.parametrize("code", [errno.EINVAL, errno.EACCES, errno.ENOTSUP])
def test_a_system_that_cannot_sync_a_folder_is_no_error(code, tmp_path, monkeypatch):
    real = os.fsync

    def sync(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(code, os.strerror(code))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", sync)
    write_whole(tmp_path / "file", NEW)
    make_folder(tmp_path / "a" / "b", new=True)
    assert (tmp_path / "file").read_bytes() == NEW


def test_a_new_folder_is_sent_to_the_disk_with_those_it_lies_in(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(whole, "_sync_folder", synced.append)
    make_folder(tmp_path / "a" / "b", new=True)
    assert set(synced) == {tmp_path, tmp_path / "a"}
    synced.clear()
    make_folder(tmp_path / "a" / "b")
    assert not synced


def test_a_folder_whose_name_finds_no_room_is_not_left_behind(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    (tmp_path / "there").mkdir()
    with pytest.raises(InputError, match="no space is left"):
        make_folder(tmp_path / "there" / "a" / "b")
    assert not list((tmp_path / "there").iterdir())


def test_a_limit_on_the_size_of_files_is_said(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(OLD)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
        with pytest.raises(InputError, match="the limit on the size of a file"):
            write_whole(path, NEW)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert what_is_there(tmp_path) == (OLD, [])


@pytest.fixture
def small_disk(tmp_path):
    """A disk of a megabyte."""
    place = tmp_path / "small"
    place.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place]
    try:
        mounted = subprocess.run(mounting, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("no right to mount a small disk")
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.mark.skipif(sys.platform == "win32", reason="mounts no tmpfs")
def test_a_disk_that_is_full_or_read_only_keeps_what_it_has(small_disk):
    path, before = small_disk / "file", small_disk / "before"
    write_whole(path, b"1" * 300_000, before=before)
    write_whole(path, b"2" * 300_000, before=before)
    for _ in range(3):
        with pytest.raises(InputError, match=r"no space is left for .*\(0.9 MB\); free some and run again"):
            write_whole(path, b"3" * 900_000, before=before)
        assert sorted(file.name for file in small_disk.iterdir()) == ["before", "file"]
        assert path.read_bytes() == b"2" * 300_000
        assert before.read_bytes() == b"1" * 300_000
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(InputError, match="read-only"):
        write_whole(path, b"4", before=before)
    with pytest.raises(InputError, match="read-only"):
        make_folder(small_disk / "folder")
    assert path.read_bytes() == b"2" * 300_000
