"""A course of one's own: what is written builds, its answer passes, its typical wrong answer meets its hint."""

import json
import os
import subprocess
import sys

import pytest

from lowerbound.course.catalogue import outside, reference, solution
from lowerbound.course.checking import check
from lowerbound.course.compiler import build
from lowerbound.course.config import read_config
from lowerbound.course.fresh import new_course
from lowerbound.course.notebook import read_notebook
from lowerbound.errors import InputError


def test_what_is_written_builds(tmp_path):
    new_course(tmp_path / "mine", 'Seeing "things" {name}\n twice')
    config = read_config(tmp_path / "mine")
    assert config.name == 'Seeing "things" {name} twice'
    made = build(tmp_path / "mine" / config.lessons, tmp_path / "mine" / "notebooks")
    build(tmp_path / "mine" / config.lessons, tmp_path / "mine" / "notebooks", check=True)
    assert [file.name for file in made] == ["01_first.ipynb", "01_first.ipynb"]
    assert (made[0].parent / "checks.py").exists()


def test_the_answer_passes_and_the_wrong_one_meets_its_case(tmp_path):
    new_course(tmp_path, "Mine")
    (exercise,) = outside(tmp_path / "checks.py").values()
    assert check(exercise, exercise.answer).kind == "passed"
    assert check(exercise, ...).kind == "to do"
    (wrong,) = exercise.wrong
    space = {}
    exec(f"from torch import Tensor\n{wrong.of(solution(exercise))}", space)  # noqa: S102
    outcome = check(exercise, space[exercise.name])
    assert (outcome.kind, outcome.case) == ("wrong", wrong.case)
    assert reference(exercise) is exercise.answer
    assert len(exercise.hints) == 3


def test_the_answer_in_the_lesson_is_the_one_in_the_checks(tmp_path):
    new_course(tmp_path, "Mine")
    _, solved = build(tmp_path / "lessons", tmp_path / "notebooks")
    (exercise,) = outside(tmp_path / "checks.py").values()
    cell = next(cell for cell in read_notebook(solved).cells if cell.metadata.get("exercise") == exercise.name)
    space = {}
    exec(f"from torch import Tensor\n{cell.source}", space)  # noqa: S102
    assert check(exercise, space[exercise.name]).kind == "passed"


@pytest.mark.slow
def test_its_notebooks_run_to_their_end(tmp_path):
    new_course(tmp_path, "Mine")
    run = []
    for file in build(tmp_path / "lessons", tmp_path / "notebooks"):
        cells = [cell.source for cell in read_notebook(file).cells if cell.kind == "code"]
        run += [f"os.chdir({str(file.parent)!r})", "\n".join(cells).replace("%pip", "# %pip")]
    brief = {**os.environ, "LOWERBOUND_COURSE": "brief", "LOWERBOUND_COURSE_DATA": "digits", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(["import os", *run])], env=brief, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    student, _, solved = done.stdout.partition("nothing was sent")
    assert "negative is still to be written" in student
    assert "negative passes all 3 cases" in solved


@pytest.mark.parametrize("there", ["course.toml", "checks.py", "README.md", "lessons/01_first.py"])
def test_nothing_that_exists_is_touched(tmp_path, there):
    (tmp_path / there).parent.mkdir(exist_ok=True)
    (tmp_path / there).write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match="exists already; nothing was written"):
        new_course(tmp_path, "Mine")
    assert [file.read_text(encoding="utf-8") for file in tmp_path.rglob("*") if file.is_file()] == ["mine"]


def test_a_course_without_a_name_is_refused(tmp_path):
    with pytest.raises(InputError, match="no name"):
        new_course(tmp_path / "mine", " \n")
    assert not (tmp_path / "mine").exists()


def test_notebooks_carry_no_outputs(tmp_path):
    new_course(tmp_path, "Mine")
    for file in build(tmp_path / "lessons", tmp_path / "notebooks"):
        cells = [cell for cell in json.loads(file.read_bytes())["cells"] if cell["cell_type"] == "code"]
        assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)
