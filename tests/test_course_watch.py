"""Watching a file under a terminal as people have it: keys, saves, and the terminal left as it was."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lowerbound.course.coach import Coach
from lowerbound.course.exercise import Exercise, Outcome
from lowerbound.course.fresh import new_course
from lowerbound.course.journal import Journal
from lowerbound.course.watching import Watcher
from lowerbound.errors import InputError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are of POSIX")
GAP = "def negative(images):\n    raise NotImplementedError\n"
WRONG = "def negative(images):\n    return -images\n"
RIGHT = "def negative(images):\n    return 1 - images\n"
PATIENCE = 60  # seconds; two cores are shared


@pytest.fixture
def file(tmp_path):
    """A file of a small course, with a gap."""
    new_course(tmp_path, "Small")
    file = tmp_path / "a.py"
    file.write_text(GAP, encoding="utf-8")
    return file


class Terminal:
    """A program under a pseudo-terminal of 24 lines of 80 characters."""

    def __init__(self, *words):
        import fcntl
        import pty
        import struct
        import termios

        self.ours, self.theirs = pty.openpty()
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.before = termios.tcgetattr(self.theirs)
        self.seen = ""
        self.program = subprocess.Popen(
            [sys.executable, "-m", "lowerbound", *map(str, words)],
            stdin=self.theirs,
            stdout=self.theirs,
            stderr=self.theirs,
            env=os.environ | {"COLUMNS": "80", "PYTHONIOENCODING": "utf-8"},
            start_new_session=True,
        )

    def press(self, keys):
        os.write(self.ours, keys.encode())

    def until(self, words):
        """The screen, once these words are on it."""
        end = time.monotonic() + PATIENCE
        while words not in self.screen():
            assert time.monotonic() < end, f"no {words!r} on the screen:\n{self.screen()}"
            if select.select([self.ours], [], [], 0.1)[0]:
                self.seen += os.read(self.ours, 65536).decode(errors="replace").replace("\r\n", "\n")
        return self.screen()

    def screen(self):
        return self.seen.rpartition("\x1b[H\x1b[2J")[2]

    def code(self):
        """The exit code, once it has ended; and whether the terminal is as it was."""
        import termios

        return self.program.wait(PATIENCE), termios.tcgetattr(self.theirs) == self.before

    def close(self):
        with contextlib.suppress(ProcessLookupError):
            self.program.kill()
        self.program.wait()
        os.close(self.ours)
        os.close(self.theirs)


@pytest.mark.slow
def test_keys_and_saves_change_the_screen(file):
    with contextlib.closing(Terminal("course", "watch", file)) as terminal:
        screen = terminal.until("still to be written")
        assert "0 of 1 pass" in screen
        terminal.press("\x1b[A")  # an arrow is no key of ours
        terminal.press("s")
        terminal.until("3 of 3 are left")
        terminal.press("hh")
        screen = terminal.until("hint 2 of 3")
        assert "hint 1 of 3" in screen
        file.write_text(WRONG, encoding="utf-8")
        screen = terminal.until("it should be white")
        assert "hint 2 of 3" in screen  # the hints of an exercise stay while it is worked on
        terminal.press("h")
        terminal.until("those are all hints")
        terminal.press("s")
        terminal.until("return 1 - images")
        terminal.press("l")
        terminal.until("> ✗ negative")
        file.write_text("def negative(images)", encoding="utf-8")
        terminal.until("the file is not Python")
        beside = file.with_name(".a.py.swp")
        beside.write_text(RIGHT, encoding="utf-8")
        beside.replace(file)  # as some editors save
        screen = terminal.until("negative passes now")
        assert "1 of 1 pass" in screen
        terminal.press("q")
        assert terminal.code() == (0, True)
    attempts = Journal(file.parent).read().attempts("01")["negative"]
    assert (attempts.passed, attempts.hints, attempts.solution_seen) == (True, 3, True)
    assert list(attempts.wrong) == ["black_becomes_white", "syntax"]


@pytest.mark.slow
def test_an_interruption_leaves_the_terminal_as_it_was(file):
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.closing(Terminal("course", "watch", file)) as terminal:
            terminal.until("still to be written")
            terminal.program.send_signal(number)
            assert terminal.code() == (130, True)


@pytest.mark.slow
def test_without_a_terminal_every_check_is_printed(file):
    with subprocess.Popen(
        [sys.executable, "-m", "lowerbound", "course", "watch", str(file)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env=os.environ | {"PYTHONIOENCODING": "utf-8"},
    ) as program:
        assert program.stdout is not None
        try:
            lines = iter(program.stdout.readline, "")
            assert next(lines).startswith("watching")
            assert next(line for line in lines if "to do" in line) == "0 of 1 pass, 0 wrong, 1 to do\n"
            file.unlink()
            assert "a.py cannot be read" in next(line for line in lines if "cannot" in line)
            file.write_text(RIGHT, encoding="utf-8")
            assert next(line for line in lines if "to do" in line) == "1 of 1 pass, 0 wrong, 0 to do\n"
        finally:
            program.send_signal(signal.SIGINT)
        assert program.wait(PATIENCE) == 130


def test_a_file_that_is_none_is_refused_at_once(file):
    with pytest.raises(InputError, match="No such file"):
        Watcher(file.with_name("b.py"))


def results(**kinds):
    """Results of small exercises of these names and kinds."""

    def met(answer):
        """Anything goes."""

    return [
        (
            Exercise(name, "01", f"Write {name}.", (met,), ("Think.", "Ask."), (), answer=1),
            Outcome(kind, f"words of {name}"),
        )
        for name, kind in kinds.items()
    ]


def test_the_coach_goes_on_to_the_first_that_does_not_pass(tmp_path):
    coach = Coach(tmp_path / "a.py")
    coach.take(results(a="passed", b="wrong", c="to do"))
    assert "✗ b (lesson 01)" in coach.screen()
    assert "[########                ] 1 of 3 pass" in coach.screen()
    coach.take(results(a="wrong", b="wrong", c="to do"))
    assert "✗ b" in coach.screen()  # who works on an exercise stays with it
    coach.take(results(a="passed", b="passed", c="to do"))
    assert "✓ b passes now" in coach.screen()
    assert "… c (lesson 01)" in coach.screen()
    coach.take(results(a="passed", b="passed", c="passed"))
    assert "✓ all exercises pass" in coach.screen()
    for key in "hs":
        coach.press(key)
        assert "all exercises pass" in coach.screen()
    coach.press("n")
    coach.press("s")
    assert "a = 1" in coach.screen()


def test_next_goes_round(tmp_path):
    coach = Coach(tmp_path / "a.py")
    assert coach.press("n")  # nothing is there yet
    coach.take(results(a="to do", b="wrong"))
    shown = []
    for _ in range(3):
        coach.press("n")
        shown.append(re.search(r"(\w) \(lesson", coach.screen())[1])
    assert shown == ["b", "a", "b"]


def test_the_screen_fits_and_is_harmless(tmp_path):
    coach = Coach(Path(tmp_path / "a\x1b[2J.py"))
    exercise = results(a="wrong")[0][0]
    coach.take([(exercise, Outcome("wrong", "\x1b[2J" + "word " * 200 + "x" * 500))])
    coach.now = "checking ..."
    screen = coach.screen(40)
    assert max(map(len, screen.splitlines())) < 40
    assert all(line.isprintable() for line in screen.splitlines())
