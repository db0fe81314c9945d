"""docs/sklearn.md tells what is so: its code runs, its numbers are the measured ones."""

import json
import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[1] / "docs" / "sklearn.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.slow
@pytest.mark.parametrize("place", range(len(BLOCKS)))
def test_the_code_runs(place, capsys):
    exec(compile(BLOCKS[place], "sklearn.md", "exec"), {})  # noqa: S102
    assert capsys.readouterr().out


def test_the_numbers_are_those_that_were_measured():
    from benchmarks.sklearn import MARKS, RESULTS, table

    shown = PAGE.split(MARKS[0])[1].split(MARKS[1])[0]
    assert shown == table(json.loads(RESULTS.read_text(encoding="utf-8")))


def test_there_are_three_examples():
    assert len(BLOCKS) == 3
