"""One process at a time: who comes second is refused by name, and who is dead holds nothing."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import platform
import signal
import subprocess
import sys
import threading

import pytest

from lowerbound.errors import InputError
from lowerbound.lock import lock

HOLD = """
import sys, time
from pathlib import Path
from lowerbound.lock import lock
with lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(100)
"""


def holder(folder):
    """Another process that holds the lock."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, folder], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    return process


def held_by_us(folder):
    """Whether the lock can be had now, in our name, so that nobody else gets it meanwhile."""
    with lock(folder):
        with pytest.raises(InputError, match=f"by process {os.getpid()} "), lock(folder):
            pass
        return json.loads((folder / ".lock").read_text())["pid"] == os.getpid()


def test_the_second_process_is_refused_by_the_number_of_the_first(tmp_path):
    process = holder(tmp_path)
    try:
        with pytest.raises(InputError) as wrong, lock(tmp_path):
            pass
        said = str(wrong.value)
        assert said.startswith(f"{tmp_path} is being trained by process {process.pid} (since ")
        assert said.endswith(f", on host {platform.node()}); wait for it or stop it")
        assert (tmp_path / ".lock").exists()  # the refused one leaves the holder's alone
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_process_holds_nothing(blow, tmp_path):
    process = holder(tmp_path)
    process.send_signal(blow)
    process.communicate()
    assert (tmp_path / ".lock").exists()  # it had no time to clear up
    with lock(tmp_path):
        assert json.loads((tmp_path / ".lock").read_text())["pid"] == os.getpid()
    assert not list(tmp_path.iterdir())


def test_it_is_free_again_after_an_error(tmp_path):
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt), lock(tmp_path):
            raise KeyboardInterrupt
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"pid": 1}', b'{"pid": "x", "since": 7}'])
def test_what_a_dead_process_wrote_is_not_believed(content, tmp_path):
    (tmp_path / ".lock").write_bytes(content)
    assert held_by_us(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b'{"pid": 1}', b'{"pid": 7, "since": "never"}'])
def test_a_holder_whose_file_says_little_still_holds(content, tmp_path):
    with lock(tmp_path):
        (tmp_path / ".lock").write_bytes(content)
        with pytest.raises(InputError, match="is being trained by"), lock(tmp_path):
            pass


def test_never_two_at_once_however_many_want_it(tmp_path):
    """Whoever gets in counts to a number that two at once would spoil; nobody locks a file that was just removed."""
    inside, most, entered, done = [0], [0], [0], threading.Lock()

    def want():
        for _ in range(300):
            try:
                with lock(tmp_path):
                    with done:
                        inside[0] += 1
                        most[0] = max(most[0], inside[0])
                        entered[0] += 1
                    with done:
                        inside[0] -= 1
            except InputError:
                pass

    threads = [threading.Thread(target=want) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] == 1
    assert entered[0] > 6
    assert not list(tmp_path.iterdir())


class TestWithoutTheSystemsLocks:
    """Where the file system knows none, the process that the file names decides."""

    @pytest.fixture(autouse=True)
    def _none(self, monkeypatch):
        def refuse(*_):
            raise OSError(errno.ENOLCK, "No locks available")

        monkeypatch.setattr(fcntl, "flock", refuse)

    def test_the_second_is_refused(self, tmp_path):
        assert held_by_us(tmp_path)
        assert held_by_us(tmp_path)  # and is free again afterwards

    def test_a_process_that_is_gone_holds_nothing(self, tmp_path):
        process = holder(tmp_path)
        with pytest.raises(InputError, match=f"by process {process.pid} "), lock(tmp_path):
            pass
        process.kill()
        process.communicate()
        assert held_by_us(tmp_path)

    @pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="no /proc tells when a process began")  # noqa: PTH110
    def test_a_later_process_of_the_same_number_holds_nothing(self, tmp_path):
        with lock(tmp_path):
            written = json.loads((tmp_path / ".lock").read_text())
        (tmp_path / ".lock").write_text(json.dumps({**written, "began": str(int(written["began"]) - 1)}))
        assert held_by_us(tmp_path)

    def test_a_process_of_another_machine_cannot_be_judged_and_holds_nothing(self, tmp_path):
        with lock(tmp_path):
            written = json.loads((tmp_path / ".lock").read_text())
        (tmp_path / ".lock").write_text(json.dumps({**written, "host": "elsewhere"}))
        assert held_by_us(tmp_path)


def test_a_folder_that_cannot_be_locked_is_refused_in_one_line(tmp_path, monkeypatch):
    for code, words in ((errno.EROFS, "read-only"), (errno.ENOSPC, "no space is left"), (errno.EDQUOT, "quota")):

        def refuse(*_, code=code):
            raise OSError(code, os.strerror(code))

        with monkeypatch.context() as patched:
            patched.setattr(os, "open", refuse)
            with pytest.raises(InputError, match=words), lock(tmp_path):
                pass


def test_a_full_disk_is_locked_all_the_same(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", refuse)
    with lock(tmp_path), pytest.raises(InputError, match="by another process"), lock(tmp_path):
        pass
    assert not list(tmp_path.iterdir())
