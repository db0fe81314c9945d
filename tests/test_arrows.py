"""Which file may import which: ARCHITECTURE.md has the table, and the code does exactly what it says."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HOUSE = ROOT / "src" / "lowerbound"


def name_of(file):
    """pca, or course.journal of a file in a folder; a folder's own file bears its name."""
    parts = file.relative_to(HOUSE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


# The exercises of single lessons are many files of one kind, which know of exercises and of what they are about.
FILES = {name_of(file): file for file in HOUSE.rglob("*.py") if not file.name.startswith("lesson_")}
PARTS = [
    "divergence",
    *("backbone", "bounding", "posterior", "flow", "prior"),
    *("likelihood", "noise", "levels", "binary", "objective", "schedule", "importance", "matching"),
]
PICTURES = [
    "figures",
    "curves",
    "maps",
    "schematic",
    "ascent",
    "nats",
    "rates",
    "spread",
    "dimension_curves",
    "findings_figure",
    "contact",
]


def imports_of(file):
    """Our own modules that a file imports, at its top, within functions, or for type checkers alone."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [(alias.name,) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file.name} imports relative to itself; write the whole name"
            names = [(f"{node.module}.{alias.name}", node.module) for alias in node.names]
        else:
            continue
        for ways in names:
            if ways[0].partition(".")[0] == "lowerbound":
                ours = [way.removeprefix("lowerbound.") for way in ways]
                found.add(next((way for way in ours if way in FILES), "__init__"))
    return found


def arrows():
    """The table of ARCHITECTURE.md, from the lowest layer up: file -> the files that it imports."""
    _, _, after = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").partition("```arrows\n")
    lines = [line.partition("->") for line in after.partition("```")[0].splitlines()]
    table = {file.strip(): {name.strip() for name in names.split(",") if name.strip()} for file, _, names in lines}
    assert len(table) == len(lines), "a file stands twice in the table"
    return table


def in_layers():
    """What the table should say, the lowest layer first."""
    left, table = {name: imports_of(file) for name, file in sorted(FILES.items())}, {}
    while left:
        layer = {name: needs for name, needs in left.items() if needs <= table.keys()}
        assert layer, f"these import each other in a circle: {sorted(left)}"
        table |= layer
        left = {name: needs for name, needs in left.items() if name not in table}
    return table


def test_the_table_is_what_the_code_does():
    expected = "\n".join(f"{name} -> {', '.join(sorted(needs))}".rstrip() for name, needs in in_layers().items())
    assert arrows() == in_layers(), f"ARCHITECTURE.md should have these arrows, if they are meant:\n\n{expected}"


def test_the_page_says_what_every_file_is():
    page = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").partition("## The arrows")[0]
    said = {name.replace("/", ".") for name in re.findall(r"`([\w/]+)\.py`", page)}
    assert said == FILES.keys() - {"__init__", "course", "course.exercises"}


def test_every_file_stands_below_those_that_import_it():
    above = set()
    for name, needs in arrows().items():
        assert needs <= above, f"{name} imports {sorted(needs - above)}, which the table has no line for above it"
        above.add(name)


@pytest.mark.parametrize("part", PARTS)
def test_parts_know_of_images_errors_and_each_other_alone(part):
    assert imports_of(FILES[part]) <= {"images", "errors", *PARTS}


@pytest.mark.parametrize("name", [*PICTURES, "look", "page"])
def test_pictures_and_pages_know_of_no_model(name):
    reached, waiting = set(), {name}
    while waiting:
        reached |= waiting
        waiting = set().union(*(imports_of(FILES[file]) for file in waiting)) - reached
    assert not reached & {*PARTS, "pca", "autoencoder", "vae", "recipes", "training", "storage"}


def test_exercises_know_of_exercises_alone_and_use_the_library_as_its_users_do():
    for file in HOUSE.glob("course/exercises/lesson_*.py"):
        of_the_course = {name for name in imports_of(file) if name.startswith("course")}
        assert {"course.exercise"} <= of_the_course <= {"course.exercise", "course.tensors"}, file
        assert not imports_of(file) & {"cli", "course_verbs"}, file


def spoken_devices(file):
    """Names of devices in code: attributes, names and strings, not the words of comments and docstrings."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        word = getattr(node, "attr", None) or getattr(node, "id", None) or getattr(node, "value", None)
        if isinstance(word, str) and word.partition(":")[0] in {"cuda", "mps", "xpu"}:
            yield word


def test_two_files_alone_know_kinds_of_devices():
    assert {name for name, file in FILES.items() if any(spoken_devices(file))} == {"devices", "together"}


def test_imports_are_found_wherever_they_stand(tmp_path):
    file = tmp_path / "a.py"
    file.write_text(
        "import lowerbound.pca\nfrom lowerbound import look, PCA\nimport numpy\n"
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from lowerbound.vae import VAE\n"
        "def f():\n    from lowerbound.cli import app\n"
    )
    assert imports_of(file) == {"pca", "look", "__init__", "vae", "cli"}
    file.write_text("from lowerbound.course import journal, Lesson\nfrom lowerbound.course.exercise import Miss\n")
    assert imports_of(file) == {"course.journal", "course", "course.exercise"}
    file.write_text("from . import pca\n")
    with pytest.raises(AssertionError, match="write the whole name"):
        imports_of(file)
