"""Lessons become notebooks: the same bytes each time, nothing leaks, and an author's mistake is told with its place."""

import ast
import json
import sys
from pathlib import Path

import nbformat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowerbound.course.compiler import build, compile_lesson
from lowerbound.course.config import CourseConfig, Form, read_config
from lowerbound.course.frame import FIELDS
from lowerbound.course.notebook import (
    Cell,
    Notebook,
    from_bytes,
    from_percent,
    read_notebook,
    to_bytes,
    to_percent,
)
from lowerbound.errors import InputError

HEAD = """\
# ---
# lesson:
#   id: "05"
#   title: "Codes: where they lie"
#   goals: ["count $K$", "draw codes"]
#   references: ["A book, https://example.org"]
# ---

"""
BODY = """\
# %% [markdown] section="1" title="First steps" minutes=8 video="RgOF3XJL5vw" video_title="On codes"
# Text with $x$.
#
# More.

# %%
import math

from lowerbound import course

# %% exercise="area"
def area(radius: float) -> float:
    # BEGIN SOLUTION
    #> return ...    # in square metres
    return math.pi * radius**2
    # END SOLUTION

# %%
area = lesson.check("area", area)

# %% [markdown] response="why"
# Why is that so?

# %% [markdown] section="2a" title="More | more" minutes=15 discuss="together"
# Talk.

# %% exercise="K"
K = lesson.suggested_k  # SOLUTION

# %% [markdown] section="3" title="Last" minutes=1
"""
SOURCE = HEAD + BODY
CONFIG = CourseConfig(groups=("athena", 'the "others"'), recap="What was clear?", repo="owner/name", branch="fall")


def lesson(tmp_path, text=SOURCE, name="05_codes.py"):
    """A lesson's source in a folder of lessons."""
    (tmp_path / "lessons").mkdir(exist_ok=True)
    file = tmp_path / "lessons" / name
    file.write_text(text, encoding="utf-8")
    return file


def sources(notebook, kind="code"):
    return [cell.source for cell in notebook.cells if cell.kind == kind]


# cells, bytes and percent text

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
metadata = st.dictionaries(
    st.sampled_from(["tags", "exercise"]), st.one_of(texts, st.lists(texts, max_size=2)), max_size=2
)
cells = st.lists(st.builds(Cell, st.sampled_from(["markdown", "code", "raw"]), texts, metadata), max_size=6)


@settings(deadline=None)
@given(cells)
def test_cells_come_back_from_bytes_and_ids_differ(made):
    content = to_bytes(Notebook(tuple(made), {"accelerator": "GPU"}))
    back = from_bytes(content, "a.ipynb")
    assert list(back.cells) == made
    assert back.metadata == {"accelerator": "GPU"}
    assert to_bytes(back) == content
    assert content.endswith(b"}\n")
    ids = [cell["id"] for cell in json.loads(content)["cells"]]
    assert len(set(ids)) == len(ids)


@settings(deadline=None)
@given(cells, st.data())
def test_an_id_does_not_depend_on_the_cells_after_it(made, data):
    whole = json.loads(to_bytes(Notebook(tuple(made))))["cells"]
    number = data.draw(st.integers(0, len(made)))
    part = json.loads(to_bytes(Notebook(tuple(made[:number]))))["cells"]
    assert [cell["id"] for cell in part] == [cell["id"] for cell in whole[:number]]


lines = st.text("ab1 #%=()'\u00e9$\\-", max_size=12).filter(
    lambda line: line.count("%") < 2  # jupytext takes "%a%a" for two commands
)
begins = st.sampled_from(["x = 1", "# note", "%pip install x", "!ls", "text $x$", "- item", "y = (2)"])
blocks = st.builds(
    lambda first, between, last: "\n".join([first, *between, last]), begins, st.lists(lines, max_size=3), begins
)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["markdown", "code"]), blocks), min_size=1, max_size=5))
def test_cells_come_back_from_percent_text(made):
    made = [(kind, source) for kind, source in made if kind == "markdown" or _closed(source)] or [("markdown", "a")]
    notebook = Notebook(tuple(Cell(kind, source) for kind, source in made))
    text = to_percent(notebook)
    assert [(cell.kind, cell.source) for cell in from_percent(text, "a.py").cells] == made


def _closed(source):
    """Whether no text in quotes is left open: jupytext looks for commands outside of quotes alone."""
    return source.count("'") == 0


def test_percent_text_of_a_notebook_is_python(tmp_path):
    for notebook in compile_lesson(lesson(tmp_path), CONFIG):
        text = to_percent(notebook)
        ast.parse(text)
        assert [cell.source for cell in from_percent(text, "a").cells] == [cell.source for cell in notebook.cells]


def test_a_line_that_would_begin_a_cell_is_refused():
    with pytest.raises(InputError, match="code cell 1"):
        to_percent(Notebook((Cell("code", "x = 1\n# %% here\n"),)))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "no cells"),
        (b'{"cells": 3}', "no cells"),
        (b'{"worksheets": []}', "format 3"),
        (b'{"cells": [{"cell_type": "code", "source": "x"}, 3]}', "cell 2"),
        (b'{"cells": [{"cell_type": "code", "source": [1]}]}', "cell 1"),
        (b'{"cells": [{"cell_type": "heading", "source": "x"}]}', "cell 1"),
    ],
)
def test_a_broken_notebook_is_refused_in_one_line(content, words):
    with pytest.raises(InputError, match=rf"a\.ipynb is .*{words}") as refused:
        from_bytes(content, "a.ipynb")
    assert "\n" not in str(refused.value)


def test_odd_metadata_is_no_reason_to_refuse():
    notebook = from_bytes(
        b'{"cells": [{"cell_type": "code", "source": ["x\\n", "y"], "metadata": 3}], "metadata": []}', "a"
    )
    assert notebook == Notebook((Cell("code", "x\ny"),))


def test_half_a_character_is_refused():
    with pytest.raises(InputError, match="half a character"):
        to_bytes(Notebook((Cell("code", "x = '\ud800'"),)))


def test_without_jupytext_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "jupytext", None)
    with pytest.raises(InputError, match=r"lowerbound\[course\]"):
        compile_lesson(lesson(tmp_path), CONFIG)


# a lesson


def test_both_versions_are_valid_notebooks_of_the_same_cells(tmp_path):
    student, solved = compile_lesson(lesson(tmp_path), CONFIG)
    for notebook in (student, solved):
        nbformat.validate(nbformat.reads(to_bytes(notebook).decode(), 4))
        for source in sources(notebook):
            ast.parse(source.replace("%pip", "# %pip"))
    assert [cell.kind for cell in student.cells] == [cell.kind for cell in solved.cells]
    differ = [a.source for a, b in zip(student.cells, solved.cells, strict=True) if a.source != b.source]
    assert len(differ) == 4  # the title, the note on gaps, two exercises


def test_answers_are_in_the_solution_alone(tmp_path):
    student, solved = compile_lesson(lesson(tmp_path), CONFIG)
    assert b"math.pi" not in to_bytes(student)
    assert b"suggested_k" not in to_bytes(student)
    assert "def area(radius: float) -> float:\n    return math.pi * radius**2" in sources(solved)
    assert "K = lesson.suggested_k" in sources(solved)
    hole = next(cell for cell in student.cells if cell.metadata.get("exercise") == "area").source
    assert "# return ...    # in square metres" in hole
    assert 'raise NotImplementedError("exercise area' in hole
    assert "K = ..." in sources(student)
    assert b"SOLUTION" not in to_bytes(student) + to_bytes(solved)


def test_times_run_on(tmp_path):
    student, _ = compile_lesson(lesson(tmp_path), CONFIG)
    text = "\n".join(sources(student, "markdown"))
    for line in (
        "## 1. First steps\n\n*About 8 minutes.*",
        "## 2a. More | more\n\n*About 15 minutes; 8 minutes to here.*",
        "## 3. Last\n\n*About 1 minute; 23 minutes to here.*",
        "| 2a | More \\| more | 15 minutes |",
        "| | all together | 24 minutes |",
    ):
        assert line in text
    parts = student.metadata["lowerbound"]["sections"]
    assert [(part["section"], part["minutes"]) for part in parts] == [("1", 8), ("2a", 15), ("3", 1)]


@settings(deadline=None)
@given(st.lists(st.integers(1, 90), min_size=1, max_size=8))
def test_each_section_begins_when_those_before_are_over(tmp_path_factory, estimates):
    body = "".join(f'# %% [markdown] section="{n}" title="T" minutes={m}\n# Text\n' for n, m in enumerate(estimates))
    student, _ = compile_lesson(lesson(tmp_path_factory.mktemp("times"), HEAD + body), CourseConfig())
    heads = [source for source in sources(student, "markdown") if source.startswith("## ") and "*About" in source]
    for number, head in enumerate(heads):
        before = sum(estimates[:number])
        assert ("to here" in head) == (number > 0)
        assert not number or f"; {before} minute{'' if before == 1 else 's'} to here" in head
    assert len(heads) == len(estimates)


def test_every_section_is_stamped_under_its_heading_and_asked_about_at_its_end(tmp_path):
    student, _ = compile_lesson(lesson(tmp_path), CONFIG)
    every = [cell.source for cell in student.cells]
    for number, section in enumerate(["1", "2a", "3"]):
        heading = next(n for n, source in enumerate(every) if source.startswith(f"## {section}. "))
        assert every[heading + 1] == f'lesson.section("{section}")'
        felt = next(n for n, source in enumerate(every) if f'lesson.feeling("{section}", it_was, in_words)' in source)
        after = ("## 2a.", "## 3.", "## Before you go")[number]
        assert every[felt + 1].startswith(after)
        assert 'it_was = "not chosen"  #@param ["not chosen", ' in every[felt]


def test_questions_have_empty_fields_under_them(tmp_path):
    student, _ = compile_lesson(lesson(tmp_path), CONFIG)
    every = [cell.source for cell in student.cells]
    asked = every.index("Why is that so?")
    assert every[asked + 1].split("\n")[1:] == [
        'your_answer = ""  #@param {type:"string"}',
        'lesson.respond("why", your_answer)',
    ]
    talked = every.index("Talk.")
    assert every[talked + 1].endswith(
        'your_notes = ""  #@param {type:"string"}\nlesson.discuss("together", your_notes)'
    )


def test_the_frame_has_what_every_lesson_needs(tmp_path):
    student, solved = compile_lesson(lesson(tmp_path), CONFIG)
    first, last = student.cells[0].source, student.cells[-1].source
    assert first.startswith("# Lesson 5. Codes: where they lie\n")
    assert "colab.research.google.com/github/owner/name/blob/fall/notebooks/student/05_codes.ipynb" in first
    assert "notebooks/solution/05_codes.ipynb" in solved.cells[0].source
    assert "- count $K$" in first
    assert last == "## References\n\n- A book, https://example.org"
    code = "\n".join(sources(student))
    assert 'lesson = course.open_lesson("05", data="mnist")' in code
    assert 'your_group = "not chosen"  #@param ["not chosen", "athena", "the \\"others\\""]' in code
    assert "lesson.recap(your_upshot)" in code
    assert code.endswith("lesson.feedback(could_be_better, your_group_is, you_feel)\nlesson.submit()")
    assert "[On codes](https://www.youtube.com/watch?v=RgOF3XJL5vw) (may be skipped)" in "\n".join(
        sources(student, "markdown")
    )


def test_every_field_is_known_as_one(tmp_path):
    student, _ = compile_lesson(lesson(tmp_path), CONFIG)
    fields = {
        line.partition(" = ")[0] for source in sources(student) for line in source.split("\n") if "#@param" in line
    }
    assert fields == set(FIELDS)


def test_a_plain_course_has_no_badge_no_recap_and_a_free_group(tmp_path):
    student, _ = compile_lesson(lesson(tmp_path), CourseConfig())
    text = to_percent(student)
    assert "colab" not in student.cells[0].source.lower()
    assert "lesson.recap" not in text
    assert 'your_group = ""  #@param {type:"string"}' in text


def test_the_fields_run_and_call_the_lesson_with_nothing_answered(tmp_path):
    student, _ = compile_lesson(lesson(tmp_path), CONFIG)
    called = []

    class Recorder:
        def __getattr__(self, name):
            return lambda *given: called.append((name, *given))

    for source in sources(student):
        if "lesson." in source and "open_lesson" not in source and "check(" not in source:
            exec(source, {"lesson": Recorder()})  # noqa: S102
    assert called == [
        ("me", "", "not chosen"),
        ("recap", ""),
        ("section", "1"),
        ("respond", "why", ""),
        ("feeling", "1", "not chosen", ""),
        ("section", "2a"),
        ("discuss", "together", ""),
        ("feeling", "2a", "not chosen", ""),
        ("section", "3"),
        ("feeling", "3", "not chosen", ""),
        ("feedback", "", "", ""),
        ("submit",),
    ]


# building a folder


def test_building_twice_gives_the_same_bytes(tmp_path):
    lesson(tmp_path)
    made = build(tmp_path / "lessons", tmp_path / "notebooks", CONFIG)
    assert [str(file.relative_to(tmp_path)) for file in made] == [
        "notebooks/student/05_codes.ipynb",
        "notebooks/solution/05_codes.ipynb",
    ]
    before = [file.read_bytes() for file in made]
    build(tmp_path / "lessons", tmp_path / "notebooks", CONFIG, check=True)
    build(tmp_path / "lessons", tmp_path / "notebooks", CONFIG)
    assert [file.read_bytes() for file in made] == before
    assert all("notebooks/student" in read_notebook(made[0]).cells[0].source for _ in made)


def test_check_names_what_is_stale_and_what_belongs_to_no_lesson(tmp_path):
    lesson(tmp_path)
    lesson(tmp_path, SOURCE.replace('"05"', '"06"'), "06_more.py")
    made = build(tmp_path / "lessons", tmp_path / "notebooks", CONFIG)
    (tmp_path / "lessons" / "06_more.py").unlink()
    made[0].write_bytes(made[0].read_bytes() + b" ")
    made[1].unlink()
    with pytest.raises(InputError) as refused:
        build(tmp_path / "lessons", tmp_path / "notebooks", CONFIG, check=True)
    stale, _, more = str(refused.value).partition("of no lesson")
    assert "student/05_codes.ipynb" in stale
    assert "solution/05_codes.ipynb" in stale
    assert "lowerbound course build" in stale
    assert "student/06_more.ipynb" in more
    assert "rm " in more
    assert not made[1].exists()


@pytest.mark.parametrize(
    ("here", "out", "command"),
    [
        ("", "notebooks", "build"),
        ("..", "notebooks", "build mine"),
        ("", "away", "build --out away"),
    ],
)
def test_the_command_that_mends_is_the_one_to_type(tmp_path, monkeypatch, here, out, command):
    home = tmp_path / "mine"
    home.mkdir()
    lesson(home)
    monkeypatch.chdir(home / here)
    where = Path("mine" if here else "")
    with pytest.raises(InputError, match=f"mend with: lowerbound course {command}$"):
        build(where / "lessons", where / out, CONFIG, check=True)


@pytest.mark.parametrize("place", ["a/b", "."])
def test_lessons_may_lie_anywhere_in_the_course(tmp_path, place):
    (tmp_path / place).mkdir(parents=True, exist_ok=True)
    (tmp_path / "course.toml").write_text(f'checks = "own.py"\nlessons = "{place}"\n', encoding="utf-8")
    (tmp_path / "own.py").write_text("EXERCISES = []\n", encoding="utf-8")
    (tmp_path / place / "05_codes.py").write_text(SOURCE, encoding="utf-8")
    made = build(tmp_path / place, tmp_path / "notebooks", read_config(tmp_path))
    assert len(made) == 2
    assert (tmp_path / "notebooks" / "student" / "own.py").exists()


def test_newlines_of_another_system_change_nothing(tmp_path):
    made = compile_lesson(lesson(tmp_path), CONFIG)
    file = lesson(tmp_path)
    file.write_bytes(SOURCE.replace("\n", "\r\n").encode())
    assert compile_lesson(file, CONFIG) == made


def test_what_the_notebooks_need_lies_beside_them(tmp_path):
    lesson(tmp_path)
    (tmp_path / "course.toml").write_text('name = "Mine"\nchecks = "own.py"\n', encoding="utf-8")
    (tmp_path / "own.py").write_text("EXERCISES = []\n", encoding="utf-8")
    build(tmp_path / "lessons", tmp_path / "notebooks")
    for kind in ("student", "solution"):
        beside = {file.name for file in (tmp_path / "notebooks" / kind).iterdir()}
        assert beside == {"05_codes.ipynb", "course.toml", "own.py"}
    (tmp_path / "own.py").write_text("EXERCISES = [1]\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"stale.*student/own\.py"):
        build(tmp_path / "lessons", tmp_path / "notebooks", check=True)


def test_a_form_of_the_course_goes_with_its_notebooks(tmp_path):
    lesson(tmp_path)
    (tmp_path / "course.toml").write_text("", encoding="utf-8")
    build(tmp_path / "lessons", tmp_path / "notebooks", CourseConfig(form=Form("https://example.org", "google")))
    assert (tmp_path / "notebooks" / "student" / "course.toml").exists()


def test_badges_point_to_where_the_notebooks_lie(tmp_path):
    (tmp_path / "course").mkdir()
    lesson(tmp_path / "course")
    for out, path in (
        (tmp_path / "course" / "out", "/fall/out/student/05"),
        (tmp_path / "src" / "notebooks", "/fall/src/notebooks/student/05"),
    ):
        made = build(tmp_path / "course" / "lessons", out, CONFIG)
        assert path in read_notebook(made[0]).cells[0].source


def test_two_lessons_of_one_id_are_refused_and_nothing_is_written(tmp_path):
    lesson(tmp_path)
    lesson(tmp_path, name="06_more.py")
    with pytest.raises(InputError, match=r'06_more\.py: its lesson id is "05", as that of 05_codes\.py'):
        build(tmp_path / "lessons", tmp_path / "notebooks", CONFIG)
    assert not (tmp_path / "notebooks").exists()


def test_a_folder_without_lessons_is_refused(tmp_path):
    with pytest.raises(InputError, match="has no lessons"):
        build(tmp_path, tmp_path / "out", CONFIG)


# mistakes of authors: what is replaced, by what, which cell is blamed (0: the head), what is said

MISTAKES = {
    "no head": (HEAD, "", None, "no head"),
    "no id": ('#   id: "05"\n', "", None, "id in its head is None"),
    "a number as id": ('"05"', "05", None, "id in its head is 5"),
    "an unknown fact": ("#   goals:", "#   goal:", None, 'did you mean "goals"'),
    "goals that are no list": ('["count $K$", "draw codes"]', "many", None, "goals in its head"),
    "a goal that is no text": ('"count $K$"', "count: K", None, "goals in its head"),
    "not YAML": ('"Codes: where they lie"', "Codes: where: they lie", None, "cannot be read"),
    "no lesson in the head": ("# lesson:", "# lessons:", None, "cannot be read"),
    "no section first": (
        "# %% [markdown] section",
        "# %% [markdown]\n# Hello\n# %% [markdown] section",
        None,
        "no section",
    ),
    "no minutes": (" minutes=15", "", 6, "minutes are missing"),
    "half minutes": ("minutes=15", "minutes=7.5", 6, "minutes are 7.5"),
    "no time at all": ("minutes=15", "minutes=0", 6, "minutes are 0"),
    "no title": (' title="Last"', "", 8, "title is missing"),
    "a section twice": ('section="3"', 'section="1"', 8, 'section "1" is there already'),
    "a section that is a number": ('section="3"', "section=3", 8, "section is 3"),
    "a question twice": ('discuss="together"', 'response="why"', 6, 'response "why" is there already'),
    "an exercise twice": ('exercise="K"\nK', 'exercise="area"\narea', 7, 'exercise "area" is there already'),
    "an unknown word": ("response=", "respons=", 5, 'did you mean "response"'),
    "a title without a section": ('response="why"', 'title="why"', 5, "begins no section"),
    "another name": ("def area", "def volume", 3, 'does not define "area"'),
    "a name within a function": ("K = lesson", "def f():\n    K = lesson", 7, 'does not define "K"'),
    "an exercise in a text": ('response="why"', 'exercise="why"', 5, "expected a code cell"),
    "a question in code": ('# %% exercise="K"', '# %% response="K"', 7, "expected a markdown cell"),
    "an answer without marks": ("  # SOLUTION", "", 7, "not marked"),
    "an open mark": ("    # END SOLUTION\n", "", 3, "line 2 of the cell: BEGIN SOLUTION is never ended"),
    "a telling prompt": ("#> return ...", "#> return math.pi * radius**2", 3, "would stand in the student's notebook"),
    "the name of a field": ("import math", "your_answer = 3", 2, 'it defines "your_answer"'),
    "marks within a call": (
        "K = lesson.suggested_k  # SOLUTION",
        "K = max(\n# BEGIN SOLUTION\n    1,\n# END SOLUTION\n    2)",
        *(7, "line 2 of the cell: the marks cut through the statement of line 1"),
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_of_an_author_is_told_with_its_place(tmp_path, mistake):
    old, new, cell, words = MISTAKES[mistake]
    assert old in SOURCE
    file = lesson(tmp_path, SOURCE.replace(old, new, 1))
    with pytest.raises(InputError) as refused:
        compile_lesson(file, CONFIG)
    said = str(refused.value)
    assert said.startswith(str(file) if cell is None else f"{file}, cell {cell} (")
    assert words in said
    assert "\n" not in said


def test_a_line_that_stands_in_the_open_may_stand_in_an_answer_too(tmp_path):
    shown = "# %%\nprint(math.pi * radius**2 if False else 0)\n"
    text = SOURCE.replace("# %% [markdown] response", f"{shown}\n# %% [markdown] response")
    text = text.replace("    return math.pi", "    print(math.pi * radius**2 if False else 0)\n    return math.pi")
    student, _ = compile_lesson(lesson(tmp_path, text), CONFIG)
    assert b"return math.pi" not in to_bytes(student)


def test_a_source_that_is_not_text_is_refused(tmp_path):
    file = lesson(tmp_path)
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="not UTF-8"):
        compile_lesson(file, CONFIG)
