"""Linux, macOS and Windows: texts with their encoding, names that every system takes, and no system's own modules at the top."""

from __future__ import annotations

import ast
import errno
import fcntl
import os
import re
import sys
import types
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowerbound import lock as locks
from lowerbound.arrays import name_from
from lowerbound.errors import InputError
from lowerbound.naming import fits_everywhere, fitting
from lowerbound.plan import Plan, default_folder
from lowerbound.restored_files import png_names

ROOT = Path(__file__).parents[1]
PARTS = ("src", "benchmarks", "course", "tests", "docs", "lab", ".github")
SKIPPED = {"node_modules", "__pycache__", "dist", "reference"}
CODE = {
    file.relative_to(ROOT).as_posix(): file.read_text(encoding="utf-8")
    for file in [*sorted((ROOT / "src").rglob("*.py")), ROOT / "hatch_build.py"]
}
ONE_SYSTEMS_OWN = {"fcntl", "grp", "msvcrt", "pwd", "resource", "termios", "tty", "winreg", "_winapi"}
TEXT = {"read_text", "write_text"}


def lines_with(*signs):
    """Of each file that has one of these signs in it: its name and its syntax tree; the rest need not be parsed."""
    return [(name, ast.parse(text)) for name, text in CODE.items() if any(sign in text for sign in signs)]


def calls(tree):
    """Every call with its name and the names of its keywords."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            yield node, name, {each.arg for each in node.keywords}


def words(node):
    return [each.value for each in ast.walk(node) if isinstance(each, ast.Constant) and isinstance(each.value, str)]


def says_text(node, name):
    """Whether a call opens a file as text: its mode, which comes second of ``open`` and first of ``Path.open``, has no b."""
    place = 0 if isinstance(node.func, ast.Attribute) else 1
    modes = [each.value for each in node.keywords if each.arg == "mode"] or node.args[place : place + 1]
    return name == "open" and not any("b" in mode for each in modes for mode in words(each))


def opens_a_file(node):
    """``open(...)``, or ``.open(...)`` of what is no class or module (``Run.open``, ``Image.open``, ``os.open``)."""
    if isinstance(node.func, ast.Name):
        return node.func.id == "open"
    owner = node.func.value
    known = {"Run", "Image", "tarfile", "os", "gate", "webbrowser", "gzip"}
    return not (isinstance(owner, ast.Name) and owner.id in known)


def test_every_text_is_opened_with_its_encoding():
    """Else Windows takes the code page of the user's language."""
    found = []
    for file, tree in lines_with("open(", *TEXT):
        for node, name, keywords in calls(tree):
            short = name in TEXT and "encoding" not in keywords and "utf-8" not in words(node)
            opened = says_text(node, name) and opens_a_file(node) and "encoding" not in keywords
            if short or opened:
                found.append(f"{file}:{node.lineno}")
    assert not found


def test_a_text_without_encoding_would_be_found():
    tree = ast.parse(
        "p.open('w'); p.open('rb'); open(p); open(p, 'wb'); p.read_text(); p.read_text('utf-8'); Run.open(p)"
    )
    found = [
        ast.unparse(node)
        for node, name, keywords in calls(tree)
        if (name in TEXT and "utf-8" not in words(node)) or (says_text(node, name) and opens_a_file(node))
    ]
    assert found == ["p.open('w')", "open(p)", "p.read_text()"]


def text_of_path(node):
    return isinstance(node, ast.Call) and getattr(node.func, "id", "") == "str"


def joined_by_hand(tree):
    """``str(path) + "/a"``, ``str(path).split("/")`` and the like; f-strings of ``str(path)`` before a slash."""
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            pairs = [(node.left, [node.right]), (node.right, [node.left])]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            pairs = [(node.func.value, node.args)]
        elif isinstance(node, ast.JoinedStr):
            held = [getattr(each, "value", each) for each in node.values]
            pairs = [(one, [other]) for one, other in zip(held, node.values[1:], strict=False)]
        else:
            pairs = []
        if any(
            text_of_path(one) and any("/" in word for each in others for word in words(each)) for one, others in pairs
        ):
            yield node


@pytest.mark.slow
def test_no_path_is_put_together_or_taken_apart_by_hand():
    found = [f"{file}:{node.lineno}" for file, tree in lines_with("str(") for node in joined_by_hand(tree)]
    assert not found


@pytest.mark.parametrize("code", ["str(p) + '/a'", "str(p).split('/')", "f'{str(p)}/a'", "'a/' + str(p)"])
def test_a_path_that_is_put_together_by_hand_would_be_found(code):
    assert len(list(joined_by_hand(ast.parse(code)))) == 1


def test_modules_of_one_system_are_imported_where_they_are_used():
    """At the top of a file they would keep the whole program from starting elsewhere."""
    at_the_top = re.compile(rf"^(?:import|from) (?:{'|'.join(sorted(ONE_SYSTEMS_OWN))})\b", re.MULTILINE)
    assert [name for name, text in CODE.items() if at_the_top.search(text)] == []


def files_of_the_project():
    for part in PARTS:
        for place, folders, files in os.walk(ROOT / part):
            folders[:] = [name for name in folders if name not in SKIPPED]
            for name in (*folders, *files):
                yield Path(place, name).relative_to(ROOT)


def test_the_projects_own_names_fit_every_system():
    paths = list(files_of_the_project())
    assert [path for path in paths if not fits_everywhere(path.name)] == []
    alike = {}
    for path in paths:
        alike.setdefault(path.as_posix().casefold(), []).append(path)
    assert [same for same in alike.values() if len(same) > 1] == [], "these differ in capital letters alone"
    assert max(len(path.as_posix()) for path in paths) < 120


HOSTILE = [
    "con",
    "CON.photos",
    "aux.npy",
    "a:b",
    "what?",
    "dots...",
    " ",
    "..",
    "NUL.npz",
    "lpt1.",
    "猫",
    "C:\\pictures\\cats",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_the_run_folder_of_any_source_fits_every_system(name):
    folder = default_folder(name_from(Path(name)), Plan((2,), ("vae",)))
    assert all(fits_everywhere(part) for part in folder.parts), folder
    assert fits_everywhere(f"{name_from(Path(name))}.png"), "the sheet of `data show`"


@settings(max_examples=30)
@given(st.text(max_size=20))
def test_whatever_a_source_is_called_its_name_fits(name):
    assert fits_everywhere(name_from(Path("folder", name.replace("/", "-") or "-")))


@settings(max_examples=30)
@given(st.text(max_size=12))
def test_a_name_that_is_made_to_fit_fits_and_one_that_fits_stays(name):
    assert fits_everywhere(fitting(name))
    if fits_everywhere(name):
        assert fitting(name) == name


def test_files_of_restored_images_have_names_that_windows_takes_and_tells_apart():
    names = ["A.png", "a.jpg", "x/12:30.png", "con.png", "end./b.png", "a.png"]
    found = png_names(names, len(names), strict=True)
    assert len({path.casefold() for path in found}) == len(names)
    assert all(fits_everywhere(part) for path in found for part in path.split("/")), found
    assert found[0] == "A.png"
    assert png_names(names, len(names), strict=False)[:3] == ["A.png", "a.png", "x/12:30.png"]


class TestLockOnWindows:
    """With msvcrt in place of fcntl, as the system of the test allows: its locking is flock here."""

    @pytest.fixture(autouse=True)
    def _windows(self, monkeypatch):
        def locking(descriptor, mode, number):
            assert (mode, number) == (2, 1)
            assert os.lseek(descriptor, 0, os.SEEK_CUR) == 1 << 30, "beyond the text, which others read"
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise OSError(errno.EACCES, "Permission denied") from None  # what Windows says of a lock that is held

        monkeypatch.setattr(sys, "platform", "win32")
        monkeypatch.setitem(sys.modules, "msvcrt", types.SimpleNamespace(locking=locking, LK_NBLCK=2))

    def test_one_holds_it_at_a_time(self, tmp_path):
        with locks.lock(tmp_path), pytest.raises(InputError, match=f"by process {os.getpid()} "), locks.lock(tmp_path):
            pass
        with locks.lock(tmp_path):
            pass

    def test_a_file_that_cannot_be_removed_while_it_is_open_binds_nobody(self, tmp_path, monkeypatch):
        """Windows removes no open file: the lock file stays, and the next one takes it."""

        def refuse(self, missing_ok=False):
            raise PermissionError(errno.EACCES, "in use")

        monkeypatch.setattr(Path, "unlink", refuse)
        for _ in range(2):
            with locks.lock(tmp_path):
                pass
            assert (tmp_path / ".lock").exists()
