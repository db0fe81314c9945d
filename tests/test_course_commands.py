"""The course's verbs: saved files are checked whatever is in them, notebooks are put where a learner works."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lowerbound.course import coach, saved, starting, written
from lowerbound.course.exercise import Outcome
from lowerbound.course.fresh import new_course
from lowerbound.course.journal import Journal
from lowerbound.course.saved import check_file
from lowerbound.errors import InputError
from tests.command_line import lowerbound

pytestmark = pytest.mark.slow  # many figures, processes or trainings

CHECKS = '''
from lowerbound.course import Exercise, expect


def four(answer):
    """Twice two."""
    expect(answer(2) == 4, f"twice 2 is 4; yours gives {answer(2)}")


def large(answer):
    """Above 3."""
    expect(answer > 3, f"yours is {answer}; it should be above 3")


def exercise(name, case, lesson="w1", seconds=5):
    return Exercise(name, lesson, f"Write {name}.", (case,), ("Think.", "Add.", "x + x"), (), seconds=seconds)


EXERCISES = [
    exercise("twice", four, seconds=0.5),
    exercise("again", four, seconds=0.5),
    exercise("number", large),
    exercise("later", four, "w2"),
    exercise("crashed", four, "w2"),
]
'''
RIGHT = "def twice(x):\n    return x + x"


def notebook(*cells):
    """Bytes of a notebook with cells of code."""
    made = [
        {"cell_type": "code", "source": cell.splitlines(keepends=True), "metadata": {}, "outputs": []} for cell in cells
    ]
    return json.dumps({"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}).encode()


@pytest.fixture
def place(tmp_path):
    """A learner's folder in a course with exercises of its own."""
    (tmp_path / "course.toml").write_text('checks = "checks.py"\n', encoding="utf-8")
    (tmp_path / "checks.py").write_text(CHECKS, encoding="utf-8")
    return tmp_path


def outcomes(path, exercise=None):
    """What came of each exercise: kind and words."""
    return {one.name: (outcome.kind, outcome.words) for one, outcome in check_file(path, exercise)}


def command(*words, cwd=None, code=0):
    """What a command prints, run as people run it."""
    done = subprocess.run(
        [sys.executable, "-m", "lowerbound", *map(str, words)], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    return done.stdout


# what stands in a file


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("cut.ipynb", notebook(RIGHT)[:60], "not JSON"),
        ("list.ipynb", b"[1, 2]", "no cells in it"),
        ("old.ipynb", b'{"worksheets": []}', "format 3"),
        ("cell.ipynb", b'{"cells": [{"cell_type": "code", "source": 5}]}', "its cell 1"),
        ("picture.ipynb", bytes(range(256)) * 9, "not JSON"),
        ("deep.ipynb", b"[" * 100_000, "not JSON"),
        ("picture.py", bytes(range(256)) * 9, "not Python text"),
        ("nul.py", b"x = 1\0", "null bytes"),
        ("notes.txt", b"x = 1", "neither .ipynb nor .py"),
        ("other.py", b"import os\nx = 1\n", "opens no lesson"),
        ("empty.py", b"", "opens no lesson"),
        ("nowhere.py", None, "No such file"),
        ("folder.py", ..., "is a folder"),
    ],
)
def test_what_is_no_file_of_the_course_is_refused_in_a_line(place, capsys, name, content, said):
    path = place / name
    if content is ...:
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)
    assert lowerbound("course", "check", path) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("lowerbound: ")
    assert said in line
    assert not (place / "course-journal.jsonl").exists()


def test_a_file_that_is_too_large_is_refused(place, monkeypatch):
    monkeypatch.setattr(written, "LARGEST", 10)
    (place / "a.py").write_text(RIGHT, encoding="utf-8")
    with pytest.raises(InputError, match="clear its outputs"):
        written.read_cells(place / "a.py")


def test_the_cells_of_percent_text_know_their_lines(tmp_path):
    text = "# head\n\n# %% [markdown]\n# x = 1\n# %% exercise='a'\nx = (\n\n# %%\n%matplotlib inline\nk = 3\n"
    (tmp_path / "a.py").write_text(text, encoding="utf-8-sig")
    cells = written.read_cells(tmp_path / "a.py")
    assert [cell.line for cell in cells] == [1, 6, 9]
    assert [cell.mistake[:6] for cell in cells] == ["", "line 6", ""]
    assert cells[2].defined == {"k"}


def test_lessons_are_found_where_they_are_opened_not_where_they_are_spoken_of():
    assert written.SavedCell('lesson = course.open_lesson("05", data="mnist")').lessons == {"05"}
    assert written.SavedCell("lesson = open_lesson('w1')").lessons == {"w1"}
    assert written.SavedCell('# lesson = course.open_lesson("05")').lessons == set()
    assert written.SavedCell('lesson = course.open_lesson("05"\nx = (').lessons == {"05"}


def test_what_a_check_gives_back_is_no_definition():
    cell = written.SavedCell('twice = lesson.check("twice", twice)\nk = lesson.piece("k")\nn = 2 * 3\nm: int = 4')
    assert (cell.defined, cell.computed) == (set(), {"n"})


# what becomes of the exercises


def test_a_notebook_is_checked_and_nothing_of_it_is_run(place):
    (place / "a.ipynb").write_bytes(
        notebook(
            '%pip install -q lowerbound\nlesson = course.open_lesson("w1", data="mnist")',
            "%%bash\nrm -rf somewhere",
            "while True: pass",
            f"open({str(place / 'trace')!r}, 'w')",
            "def twice(x)\n    return x + x",
            "import math\ndef again(x):\n    print('x' * 100_000)\n    return math.floor(x + 0.5)",
            "number = 3",
            'twice = lesson.check("twice", twice)',
        )
    )
    found = outcomes(place / "a.ipynb")
    assert list(found) == ["twice", "again", "number"]
    assert found["twice"] == ("wrong", "twice cannot be read: its cell is not Python (line 1, expected ':')")
    assert found["again"] == ("wrong", "twice 2 is 4; yours gives 2")
    assert found["number"] == ("wrong", "yours is 3; it should be above 3")
    assert not (place / "trace").exists()


def test_a_plain_file_says_itself_which_lesson_it_is_of(place):
    (place / "a.py").write_text(f"import sys\n{RIGHT}\nnumber = 2 + 5\n" + "#" * 100_000, encoding="utf-8")
    found = outcomes(place / "a.py")
    assert [kind for kind, _ in found.values()] == ["passed", "to do", "to do"]
    assert "not in a.py yet" in found["again"][1]
    assert "a saved file is not run" in found["number"][1]
    assert outcomes(place / "a.py", "twice").keys() == {"twice"}
    with pytest.raises(InputError, match='did you mean "twice"'):
        check_file(place / "a.py", "twcie")


def test_a_broken_cell_is_named_where_its_names_are_missed(place):
    (place / "a.py").write_text(
        "# %%\nlater = lesson.piece('later')\nimport math as (\n# %%\n"
        "def twice(x):\n    return math.floor(x)\n# %%\ndef again(x, y=nothing):\n    return x\n",
        encoding="utf-8",
    )
    found = outcomes(place / "a.py")
    assert "later" not in found  # taken over from another lesson, not asked for
    assert "NameError" in found["twice"][1]
    assert "the cell that begins with \"later = lesson.piece('later')\" defines nothing" in found["twice"][1]
    assert found["again"][1].startswith("again cannot be defined: NameError: name 'nothing' is not defined")


@pytest.mark.slow
def test_functions_that_end_or_never_end_python_are_told_one_by_one(place, monkeypatch):
    monkeypatch.setattr(saved, "GRACE", 1.0)
    (place / "a.ipynb").write_bytes(
        notebook(
            'lesson = course.open_lesson("w1")\nlesson = course.open_lesson("w2")',
            "import ctypes, os, sys, signal",
            "def twice(x):\n    os._exit(0)",
            "def again(x):\n    signal.signal(signal.SIGALRM, signal.SIG_IGN)\n    while True: os.write(1, b'x' * 9999)",
            "number = 4",
            "def later(x):\n    os.write(2, b'x' * 9999)\n    sys.exit('enough')",
            "def crashed(x):\n    return ctypes.string_at(0)",
        )
    )
    found = outcomes(place / "a.ipynb")
    assert found["twice"] == ("wrong", "twice ends Python itself, with exit code 0: is there a call of exit() in it?")
    assert found["again"] == ("wrong", "again does not come to an end within 0.5 s: is there a loop that never ends?")
    assert found["number"][0] == "passed"
    assert found["later"] == ("wrong", "later ended with SystemExit: enough")
    assert found["crashed"][1].startswith("crashed crashes Python itself (SIGSEGV)")


@pytest.mark.slow
def test_definitions_that_never_end_cost_only_their_own_cell(place, monkeypatch):
    monkeypatch.setattr(saved, "DEFINING", 1.0)
    (place / "a.py").write_text(
        "# %%\nimport os, sys\n# %%\ndef again(x, y=[1 for _ in iter(int, 1)]):\n    return x\n"
        f"# %%\n@os._exit\ndef number(x): pass\n# %%\n{RIGHT}\n",
        encoding="utf-8",
    )
    found = outcomes(place / "a.py")
    assert found["twice"][0] == "passed"
    assert found["again"] == (
        "wrong",
        "the cell that defines again does not come to an end within 1 s: is there a loop that never ends?",
    )
    assert found["number"][1].startswith("number cannot be defined") or "ends Python itself" in found["number"][1]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked at in /proc")
def test_what_never_ends_does_not_outlive_whoever_asked(place):
    (place / "a.py").write_text(
        "import signal\ndef twice(x):\n    signal.signal(signal.SIGALRM, signal.SIG_IGN)\n    while True: pass\n",
        encoding="utf-8",
    )
    asker = (
        "import sys, time; from pathlib import Path; from lowerbound.course import saved; saved.GRACE = 1000\n"
        "check = saved.Check(Path(sys.argv[1]), 'twice')\n"
        "while not check.now: check.step(); time.sleep(0.01)\n"
        "print(check._separate._process.pid, check._separate._folder.name, flush=True); time.sleep(1000)"
    )
    with subprocess.Popen([sys.executable, "-c", asker, place / "a.py"], stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        number, folder = program.stdout.readline().split()
        other = int(number)
        program.kill()
    end = time.monotonic() + 30
    while _alive(other):
        assert time.monotonic() < end
        time.sleep(0.05)
    assert not Path(folder).exists()


def _alive(number):
    """Whether a process runs; one that has ended and is not asked after any more (a zombie) does not."""
    try:
        return Path(f"/proc/{number}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_learners_own_modules_do_not_take_the_place_of_others(place):
    (place / "random.py").write_text("raise SystemExit('mine')", encoding="utf-8")
    (place / "torch.py").write_text("raise SystemExit('mine')", encoding="utf-8")
    (place / "helper.py").write_text("def add(x, y): return x + y", encoding="utf-8")
    (place / "a.py").write_text(
        "from helper import add\nbefore = lesson.piece('nothing')\n"
        "def twice(x): return add(x, x)\ndef again(x): return before(x)\n",
        encoding="utf-8",
    )
    found = outcomes(place / "a.py")
    assert found["twice"][0] == "passed"
    assert 'ended with InputError: there is no exercise "nothing"' in found["again"][1]


def test_other_code_that_cannot_start_is_no_verdict(place, monkeypatch):
    monkeypatch.setenv("PYTHONHOME", str(place))
    (place / "a.py").write_text(RIGHT, encoding="utf-8")
    with pytest.raises(RuntimeError, match="did not start"):
        check_file(place / "a.py")


# the journal


def test_attempts_are_noted_once_and_gaps_are_none(place, capsys):
    path = place / "a.py"
    path.write_text(f"{RIGHT}\nnumber = 1\n", encoding="utf-8")
    assert lowerbound("course", "check", path, "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert found["counts"] == {"passed": 1, "wrong": 1, "to do": 1}
    assert found["exercises"][2]["words"] == "yours is 1; it should be above 3"
    known, _ = saved.known_near(place)
    again = [(known[one["exercise"]], Outcome(one["outcome"], one["words"], one["case"])) for one in found["exercises"]]
    saved.note(place, again)
    attempts = Journal(place).read().attempts("w1")
    assert (attempts["twice"].passed, attempts["number"].wrong) == (True, {"large": 1})
    assert len(Journal(place).read().entries) == 2


def test_lines_of_results_are_harmless(place):
    known, _ = saved.known_near(place)
    outcome = Outcome("wrong", "twice ended with ValueError: \x1b[2J\r\u202e")
    lines = coach.lines_of([(known["twice"], outcome)])
    assert lines == ["✗ twice  ended with ValueError:  [2J  ", "0 of 1 pass, 1 wrong, 0 to do"]


# starting


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Notebooks of two lessons."""
    from lowerbound.course.compiler import build

    folder = tmp_path_factory.mktemp("course")
    new_course(folder, "Small")
    first = folder / "lessons" / "01_first.py"
    second = first.read_text(encoding="utf-8").replace('id: "01"', 'id: "02"').replace("Light and dark", "Dark [bold]")
    (folder / "lessons" / "02_second.py").write_text(second, encoding="utf-8")
    build(folder / "lessons", folder / "notebooks")
    return folder / "notebooks"


@pytest.fixture
def lessons(built, monkeypatch):
    """Two lessons, in place of the package's."""
    monkeypatch.setattr(starting, "NOTEBOOKS", built)
    return starting.lessons()


def test_lessons_are_known_by_number_and_name(lessons):
    assert [(one.id, one.minutes) for one in lessons] == [("01", {"1": 10, "2": 5}), ("02", {"1": 10, "2": 5})]
    for name in ("2", "02", "02_second"):
        assert [one.id for one in starting.choose_lessons([name], lessons)] == ["02"]
    assert starting.choose_lessons(["2", "1", "02"], lessons) == lessons
    with pytest.raises(InputError, match="there are 01, 02"):
        starting.choose_lessons(["7"], lessons)


def test_started_notebooks_name_the_data_and_are_never_written_over(lessons, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert lowerbound("course", "start", "--data", "digits", "--no-open") == 0
    out = tmp_path / "lowerbound-course"
    assert sorted(file.name for file in out.iterdir()) == ["01_first.ipynb", "02_second.ipynb"]
    text = (out / "01_first.ipynb").read_text(encoding="utf-8")
    assert 'open_lesson(\\"01\\", data=\\"digits\\")' in text
    (out / "01_first.ipynb").write_text("mine", encoding="utf-8")
    capsys.readouterr()
    assert lowerbound("course", "start", "1", "--data", "patches", "--no-open") == 0
    assert "is kept as it is" in capsys.readouterr().out
    assert (out / "01_first.ipynb").read_text(encoding="utf-8") == "mine"
    assert lowerbound("course", "start", "1", "--data", "patches", "--no-open", "--fresh") == 0
    assert (out / "01_first.ipynb").read_text(encoding="utf-8") == "mine"
    assert 'data=\\"patches\\"' in (out / "01_first-2.ipynb").read_text(encoding="utf-8")


def test_started_files_of_python_run(lessons, place, monkeypatch):
    monkeypatch.chdir(place)
    monkeypatch.setenv("LOWERBOUND_COURSE", "brief")
    assert lowerbound("course", "start", "1", "--data", "digits", "--format", "py", "--out", ".") == 0
    written_text = (place / "01_first.py").read_text(encoding="utf-8")
    assert 'data="digits"' in written_text
    compile(written_text, "01_first.py", "exec")


def test_a_folder_of_images_is_named_by_its_whole_path(lessons, tmp_path, monkeypatch):
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    (tmp_path / 'my "photos"').mkdir()
    for n in range(9):
        Image.new("L", (9, 9), n).save(tmp_path / 'my "photos"' / f"{n}.png")
    line = starting.fetch_data('my "photos"')
    assert Path(line) == tmp_path / 'my "photos"'
    placed = starting.place_lesson(lessons[0], tmp_path / "out", line, "py")
    opened = [text for text in placed.file.read_text(encoding="utf-8").splitlines() if "open_lesson(" in text]
    assert json.dumps(line) in opened[0]


def test_data_that_cannot_be_had_leaves_nothing_behind(lessons, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOWERBOUND_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    assert lowerbound("course", "start", "--no-open") == 2
    said = capsys.readouterr().err
    assert "--data digits and --data patches need no network" in said
    assert lowerbound("course", "start", "--data", "mnits", "--no-open") == 2
    assert 'did you mean "mnist"' in capsys.readouterr().err
    assert lowerbound("course", "start", "--format", "pdf", "--no-open") == 2
    assert "expected ipynb or py" in capsys.readouterr().err
    assert not (tmp_path / "lowerbound-course").exists()


def test_jupyter_is_opened_in_the_learners_folder(tmp_path, monkeypatch, lessons, capsys):
    (tmp_path / "jupyter_of_test.py").write_text(
        "import os, sys\nopen('opened', 'w').write(repr(sys.argv[1:]))\n", encoding="utf-8"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(starting, "JUPYTERS", ("no_such_jupyter", "jupyter_of_test"))
    monkeypatch.chdir(tmp_path)
    assert lowerbound("course", "start", "1", "--data", "digits", "--out", "here") == 0
    assert (tmp_path / "here" / "opened").read_text(encoding="utf-8") == "['01_first.ipynb']"
    (tmp_path / "jupyter_of_test.py").write_text("raise SystemExit(3)", encoding="utf-8")
    assert lowerbound("course", "start", "1", "--data", "digits", "--out", "here") == 1
    monkeypatch.setattr(starting, "JUPYTERS", ("no_such_jupyter",))
    capsys.readouterr()
    assert lowerbound("course", "start", "1", "--data", "digits", "--out", "there") == 0
    assert "pip install 'lowerbound[notebook]'" in capsys.readouterr().out


def test_the_list_says_what_is_done(lessons, place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    (place / "course.toml").unlink()
    assert lowerbound("course", "list") == 0
    said = capsys.readouterr().out
    assert "Dark [bold]" in said
    assert "lowerbound course start" in said
    Journal(place / starting.STARTED).path.parent.mkdir()
    Journal(place / starting.STARTED).add("02", "check", "negative", {"outcome": "passed", "case": "", "words": ""})
    assert lowerbound("course", "list") == 0
    assert "lowerbound-course/course-journal.jsonl" in capsys.readouterr().out
    assert lowerbound("course", "list", "nowhere") == 2


# a course from its beginning to its report, as people run it


@pytest.mark.slow
def test_a_course_of_ones_own_from_new_to_report(tmp_path):
    assert "course.toml" in command("course", "new", "mine", cwd=tmp_path)
    course = tmp_path / "mine"
    assert "2 notebooks" in command("course", "build", cwd=course)
    assert "up to date" in command("course", "build", ".", "--check", cwd=course)
    student, solution = (course / "notebooks" / kind for kind in ("student", "solution"))
    assert "1 to do" in command("course", "check", student / "01_first.ipynb", code=1)
    assert "1 of 1 pass" in command("course", "check", solution / "01_first.ipynb")
    assert "✓ negative" in command("course", "list", cwd=solution)
    assert "nothing was sent" in command("course", "submit", solution, "--out", tmp_path / "hand-ins")
    said = command("course", "report", tmp_path / "hand-ins", "--out", tmp_path / "report", cwd=course)
    assert "class-report.html" in said
    assert (tmp_path / "report" / "class-report.csv").stat().st_size > 0
    command("course", "build", course / "lessons" / "01_first.py", code=2)
