"""Marks: what the student gets, what the solution gets, in our grammar and in the tutorial family's."""

import ast
import json

import nbformat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowerbound.course import family, marks
from lowerbound.course.notebook import Cell, Notebook, read_notebook
from lowerbound.errors import InputError

NETWORK = '''\
class Network(nn.Module):
    """Two maps."""

    def __init__(self, k):
        super().__init__()
        # BEGIN SOLUTION
        #> self.encoder = ...    # from pixels to k numbers
        #>     and back
        self.encoder = nn.Linear(64, k)
        # END SOLUTION
        self.scale = (nn.Parameter(torch.zeros(1)))  # SOLUTION

    def forward(self, x):
        if self.training:
            # BEGIN SOLUTION
            noise = torch.randn_like(x)
            x = x + noise
            # END SOLUTION
        return self.encoder(x) * "é" * self.scale  # SOLUTION
'''


def test_holes_keep_the_indentation_and_raise_when_called():
    made = marks.student(NETWORK, "Network")
    lines = made.split("\n")
    assert "        # self.encoder = ...    # from pixels to k numbers" in lines
    assert "        #     and back" in lines
    assert '        raise NotImplementedError("exercise Network: this is still to be written")' in lines
    assert '            raise NotImplementedError("exercise Network: this is still to be written")' in lines
    assert "        self.scale = ..." in lines
    assert "        return ..." in lines
    assert sum("---- your turn (Network)" in line for line in lines) == 2
    for secret in ("nn.Linear(64", "torch.randn_like", "torch.zeros", "SOLUTION", "#>"):
        assert secret not in made
    ast.parse(made)


def test_the_solution_is_the_cell_without_its_marks():
    made = marks.solution(NETWORK)
    assert "SOLUTION" not in made
    assert "#>" not in made
    assert [line for line in NETWORK.split("\n") if line.strip() and "#" not in line] == [
        line for line in made.split("\n") if line.strip() and "self.scale = " not in line and "é" not in line
    ]
    assert "        self.scale = (nn.Parameter(torch.zeros(1)))\n" in made
    assert '        return self.encoder(x) * "é" * self.scale' in made


def test_a_hole_outside_of_functions_does_not_stop_the_notebook():
    source = """\
# BEGIN SOLUTION
#> diagnosis = {"a": ...}
diagnosis = {"a": "too many numbers"}
first, (second, third) = 1, (2, 3)
def helper(x):
    hidden = x
    return hidden
diagnosis["b"] = "too few"
# END SOLUTION
"""
    made = marks.student(source, "diagnosis")
    space = {}
    exec(made, space)  # noqa: S102
    names = {name: value for name, value in space.items() if not name.startswith("__")}
    assert names == dict.fromkeys(("diagnosis", "first", "second", "third", "helper"), ...)
    assert '# diagnosis = {"a": ...}' in made


def test_a_hole_in_a_class_leaves_methods_that_wait():
    source = "class A:\n    # BEGIN SOLUTION\n    size = 3\n    def f(self, x):\n        return x\n    # END SOLUTION\n"
    space = {}
    exec(marks.student(source, "A"), space)  # noqa: S102
    assert space["A"].size is ...
    with pytest.raises(NotImplementedError, match="exercise A"):
        space["A"]().f(2)


def test_a_hole_in_a_condition_still_is_python():
    made = marks.student("if True:\n    # BEGIN SOLUTION\n    print(1)\n    # END SOLUTION\n")
    exec(made, {})  # noqa: S102
    assert "print" not in made


@pytest.mark.parametrize(
    ("source", "line", "words"),
    [
        ("x = 1\n# BEGIN SOLUTION\nx = 2", 2, "never ended"),
        ("x = 1\n# END SOLUTION", 2, "without a BEGIN"),
        ("# BEGIN SOLUTION\nx = 1\n# BEGIN SOLUTION\nx = 2\n# END SOLUTION", 3, "within that of line 1"),
        ("# BEGIN SOLUTION\n#> x = ...\n# x\n# END SOLUTION", 1, "no code"),
        ("x = 1\n#> x = ...", 2, "outside"),
        ("x = [\n    1,\n]  # SOLUTION", 3, "one line"),
        ("for i in range(3):  # SOLUTION\n    pass", 1, "one line"),
        ("x = 1\ny = = 2  # SOLUTION", 2, "not Python"),
        ("x = [\n    # BEGIN SOLUTION\n    1,\n    # END SOLUTION\n]", 2, "statement of line 1"),
        ("# BEGIN SOLUTION\nfor x in y:\n    f(x)\n# END SOLUTION\n    g(x)", 1, "statement of line 2"),
        ('def f():\n    """\n    # BEGIN SOLUTION\n    x\n    # END SOLUTION\n    """', 3, "statement of line 2"),
    ],
)
def test_marks_that_do_not_go_together_are_refused_with_their_line(source, line, words):
    with pytest.raises(InputError, match=f"line {line} of the cell.*{words}"):
        marks.student(source)


@pytest.mark.parametrize("mark", ["#BEGIN SOLUTION", "# begin solution", "##  BEGIN  SOLUTION (rsample)"])
def test_marks_written_a_little_otherwise_hide_the_answer_too(mark):
    source = f"def f():\n    {mark}\n    return 12345\n    {mark.replace('BEGIN', 'END').replace('begin', 'end')}"
    assert "12345" not in marks.student(source, "f")


def test_lines_for_jupyter_and_colab_stay_as_they_are():
    source = "#@title Numbers\n%%capture\n%matplotlib inline\nname = ''  #@param {type:\"string\"}\nx = 3  # SOLUTION"
    assert marks.student(source) == source.replace("3  # SOLUTION", "...")
    assert marks.solution(source) == source.replace("  # SOLUTION", "")


names = st.sampled_from(["alpha", "beta", "gamma", "delta", "epsilon"])
statements = st.builds("{} = {} + {}".format, names, st.integers(100, 999), names)


@settings(deadline=None)
@given(
    before=st.lists(statements, max_size=3),
    answer=st.lists(statements, min_size=1, max_size=4),
    depth=st.integers(0, 3),
)
def test_no_line_of_an_answer_is_left_and_both_are_python(before, answer, depth):
    indent = "    " * depth
    opening = [f"{'    ' * n}def f{n}():" for n in range(depth)]
    block = ["# BEGIN SOLUTION", "#> what is missing", *answer, "# END SOLUTION"]
    source = "\n".join([*opening, *(indent + line for line in [*before, *block])])
    made, solved = marks.student(source, "x"), marks.solution(source)
    ast.parse(made)
    shown = [line.strip() for line in made.split("\n")]
    assert not [line for line in answer if line not in before and line in shown]
    assert shown[: depth + len(before)] == [line.strip() for line in [*opening, *before]]
    assert [line.strip() for line in solved.split("\n")] == [*map(str.strip, opening), *before, *answer]
    assert marks.answers(source) == answer
    assert marks.student(solved) == solved


# notebooks of the tutorial family

HOLE = """\
def double(x):
    ####################################
    # Fill in what is missing
    raise NotImplementedError("double")
    y = ...
    return y

# Uncomment to test
# print(double(2))"""
ANSWER = """\
# to_remove solution
def double(x):
    y = 2 * x
    return y

# Uncomment to test
print(double(2))"""
FORM = "#@title A question\nanswer = 'At first ...' #@param{type:\"string\"}"
CAPTURED = "# @title Download\n%%capture\n!ls"


def written(tmp_path, cells):
    """A notebook as Colab leaves it, with outputs, counts and folded forms."""
    dressed = []
    for kind, source in cells:
        cell = {"cell_type": kind, "metadata": {"cellView": "form", "collapsed": True, "tags": ["t"]}, "source": source}
        if kind == "code":
            output = {"output_type": "stream", "name": "stdout", "text": ["printed once"]}
            cell |= {"outputs": [output], "execution_count": 7}
        dressed.append(cell)
    whole = {
        "cells": dressed,
        "metadata": {"widgets": {"state": 1}, "colab": {"name": "x"}},
        "nbformat": 4,
        "nbformat_minor": 0,
    }
    path = tmp_path / "lecture.ipynb"
    path.write_text(json.dumps(whole), encoding="utf-8")
    return path


def test_a_notebook_of_the_family_becomes_two(tmp_path):
    cells = [
        ("markdown", "# Doubling"),
        ("code", CAPTURED),
        ("code", "# Pick\nK = ..."),
        ("code", "# to_remove solution\n# Pick\nK = 20"),
        ("markdown", "Text"),
        ("code", HOLE),
        ("code", ANSWER),
        ("code", "# to_remove explanation\n'''Twice.'''"),
        ("code", FORM),
    ]
    student, solution = family.build_notebook(written(tmp_path, cells), tmp_path / "out")
    assert (student.name, solution.name) == ("lecture-student.ipynb", "lecture-solution.ipynb")
    sources = [[cell.source for cell in read_notebook(file).cells] for file in (student, solution)]
    assert sources[0] == ["# Doubling", CAPTURED, "# Pick\nK = ...", "Text", HOLE, FORM]
    assert sources[1] == [
        *("# Doubling", CAPTURED, "# Pick\nK = 20", "Text"),
        *(ANSWER.replace("# to_remove solution\n", ""), "'''Twice.'''", FORM),
    ]
    for file in (student, solution):
        text = file.read_text(encoding="utf-8")
        for left in ("printed once", "widgets", "cellView", "collapsed", "to_remove", '"execution_count": 7', "colab"):
            assert left not in text
        assert '"tags"' in text
        nbformat.validate(nbformat.read(file, 4))
    before = student.read_bytes()
    family.build_notebook(tmp_path / "lecture.ipynb", tmp_path / "out")
    assert student.read_bytes() == before


def test_a_cell_before_an_answer_is_kept_where_it_is_no_hole():
    cells = (Cell("code", "x[..., 0] = 1"), Cell("code", "# to_remove solution\ny = 2"))
    _, solved = family.split(Notebook(cells), "a")
    assert [cell.source for cell in solved.cells] == ["x[..., 0] = 1", "y = 2"]


def test_a_hole_without_an_answer_is_kept_in_both():
    cells = (
        Cell("code", "K = ..."),
        Cell("markdown", "b"),
        Cell("code", "L = ..."),
        Cell("code", "# to_remove solution\nL = 1"),
    )
    student, solved = family.split(Notebook(cells), "a")
    assert [cell.source for cell in solved.cells] == ["K = ...", "b", "L = 1"]
    assert [cell.source for cell in student.cells] == ["K = ...", "b", "L = ..."]


def test_our_marks_work_in_a_notebook_and_attached_pictures_stay(tmp_path):
    picture = {"a.png": {"image/png": "aGk="}}
    cells = (
        Cell("markdown", "![](attachment:a.png)", {}, picture),
        Cell("code", NETWORK),
        Cell("code", "K = 3  # SOLUTION"),
    )
    student, solved = family.split(Notebook(cells), "a")
    assert [cell.attachments for cell in student.cells] == [picture, {}, {}]
    assert 'NotImplementedError("exercise Network' in student.cells[1].source
    assert student.cells[2].source == "K = ..."
    assert solved.cells[1].source == marks.solution(NETWORK)


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ([("code", "x = 1")], "no marks"),
        ([("code", "x"), ("code", "# BEGIN SOLUTION\nx = 1")], "cell 2: line 1 of the cell"),
    ],
)
def test_a_notebook_that_cannot_be_split_is_refused_and_nothing_is_written(tmp_path, cells, words):
    with pytest.raises(InputError, match=words):
        family.build_notebook(written(tmp_path, cells), tmp_path / "out")
    assert not (tmp_path / "out").exists()
