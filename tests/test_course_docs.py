"""The pages on the course say what is so: the lessons with their minutes and exercises, and code that runs."""

import json
import re
from pathlib import Path

import pytest

from lowerbound.course import catalogue
from lowerbound.course.config import read_config
from lowerbound.course.definitions import definitions

ROOT = Path(__file__).parents[1]
LEARNERS = (ROOT / "docs" / "course.md").read_text(encoding="utf-8")
TEACHERS = (ROOT / "docs" / "teaching.md").read_text(encoding="utf-8")


def lessons():
    """The table of lessons, from the notebooks and the exercises."""
    rows = []
    for file in sorted((catalogue.NOTEBOOKS / "student").glob("*.ipynb")):
        about = json.loads(file.read_text(encoding="utf-8"))["metadata"]["lowerbound"]
        names = [exercise.name for exercise in catalogue.exercises().values() if exercise.lesson == about["lesson"]]
        minutes = round(sum(section["minutes"] for section in about["sections"]))
        written = ", ".join(f"`{name}`" for name in names) or "-"
        rows.append((about["lesson"], about["title"], minutes, written))
    return rows


def test_the_table_of_lessons():
    head = "| lesson | what | you write |\n|---|---|---|\n"
    expected = head + "\n".join(
        f"| {number} | {title}, {minutes} min | {written} |" for number, title, minutes, written in lessons()
    )
    shown = LEARNERS.partition("<!-- lessons -->\n")[2].partition("\n<!-- /lessons -->")[0]
    assert shown == expected, f"docs/course.md should have:\n{expected}"


def test_every_lesson_takes_20_to_40_minutes():
    assert {number: minutes for number, _, minutes, _ in lessons() if not 20 <= minutes <= 40} == {}


def test_the_exercise_that_teachers_read_of_works():
    block = re.findall(r"```python\n(.*?)```", TEACHERS, re.DOTALL)[1]
    found = definitions([block], piece=dict().get)  # noqa: C408
    exec(compile(block, "teaching.md", "exec"), found)  # noqa: S102
    (exercise,) = found["EXERCISES"]
    from lowerbound.course.checking import check

    assert check(exercise, lambda x: x + x).kind == "passed"
    assert check(exercise, lambda x: x * x).case == exercise.wrong[0].case


def test_the_settings_that_teachers_read_of_are_settings(tmp_path):
    (block,) = re.findall(r"```toml\n(.*?)```", TEACHERS, re.DOTALL)
    (tmp_path / "course.toml").write_text(block, encoding="utf-8")
    config = read_config(tmp_path)
    assert config.groups == ("athena", "boreas", "circe")
    assert config.form is not None
    assert config.form.fields["response:strict_or_lax"] == "entry.333"


@pytest.mark.parametrize("page", [LEARNERS, TEACHERS], ids=["course", "teaching"])
def test_every_picture_and_page_it_points_to_is_there(page):
    targets = [target for target in re.findall(r"\]\(([^)#]+)\)", page) if "://" not in target]
    assert targets
    assert [target for target in targets if not (ROOT / "docs" / target).is_file()] == []


@pytest.mark.parametrize("page", [LEARNERS, TEACHERS], ids=["course", "teaching"])
def test_every_verb_it_names_is_one(page):
    from lowerbound.course_verbs import course_app

    known = {command.name for command in course_app.registered_commands}
    named = set(re.findall(r"lowerbound course (\w+)", page))
    assert named
    assert named <= known
