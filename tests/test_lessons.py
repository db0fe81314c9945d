"""Every lesson runs from top to bottom in a fresh kernel with loopback alone: every hole empty, and every hole filled."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lowerbound.course import catalogue
from lowerbound.course.compiler import build
from lowerbound.course.journal import Journal

ROOT = Path(__file__).parents[1]
LESSONS = sorted(file.stem for file in (catalogue.NOTEBOOKS / "student").glob("*.ipynb"))
KINDS = {"student": "to do", "solution": "passed"}


def test_all_lessons_are_there_in_three_forms():
    assert [lesson.partition("_")[0] for lesson in LESSONS] == [f"{number:02}" for number in range(12)]
    assert sorted(file.stem for file in (ROOT / "course" / "lessons").glob("*.py")) == LESSONS
    assert sorted(file.stem for file in (catalogue.NOTEBOOKS / "solution").glob("*.ipynb")) == LESSONS


def test_the_notebooks_are_those_of_the_sources(tmp_path):
    build(ROOT / "course" / "lessons", catalogue.NOTEBOOKS, check=True)
    for place in ("one", "other"):
        build(ROOT / "course" / "lessons", tmp_path / place)
    for file in (tmp_path / "one").rglob("*.ipynb"):
        assert file.read_bytes() == (tmp_path / "other" / file.parent.name / file.name).read_bytes()


@pytest.mark.parametrize("lesson", LESSONS)
def test_notebooks_hold_no_output_and_no_name(lesson):
    for kind in KINDS:
        notebook = json.loads((catalogue.NOTEBOOKS / kind / f"{lesson}.ipynb").read_text(encoding="utf-8"))
        cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
        assert cells
        assert all(not cell["outputs"] and cell["execution_count"] is None for cell in cells)
        assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])
        assert notebook["metadata"].keys() <= {"kernelspec", "language_info", "lowerbound", "colab"}


@pytest.mark.parametrize("exercise", catalogue.exercises().values(), ids=lambda exercise: exercise.name)
def test_a_students_notebook_asks_and_does_not_tell(exercise):
    student = "\n".join(catalogue.code_cells(catalogue.lesson_file(exercise.lesson, "student")))
    solution = catalogue.solution(exercise)
    told = [line.strip() for line in solution.splitlines() if line.strip() and line not in student]
    assert told, "nothing was left out"
    assert f'lesson.check("{exercise.name}"' in student


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="networks are cut off on Linux alone")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lesson", LESSONS)
def test_a_lesson_runs_in_a_fresh_kernel(lesson, kind, tmp_path):
    environment = {
        **os.environ,
        "LOWERBOUND_COURSE": "brief",
        "LOWERBOUND_COURSE_DATA": "digits",
        "OMP_NUM_THREADS": "1",
    }
    notebook, executed = catalogue.NOTEBOOKS / kind / f"{lesson}.ipynb", tmp_path / "executed.ipynb"
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("in_kernel.py"), notebook, executed],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    if "not cut off" in done.stdout:
        assert os.geteuid() != 0, "root can leave the network"
    outputs = [
        output
        for cell in json.loads(executed.read_text(encoding="utf-8"))["cells"]
        for output in cell.get("outputs", ())
    ]
    said = "".join("".join(output.get("text", "")) for output in outputs if output.get("name") == "stderr")
    assert "Warning" not in said, said
    found = {entry.id: entry.value["outcome"] for entry in Journal(tmp_path).read().entries if entry.kind == "check"}
    number = lesson.partition("_")[0]
    expected = {exercise.name for exercise in catalogue.exercises().values() if exercise.lesson == number}
    assert found == dict.fromkeys(expected, KINDS[kind])
