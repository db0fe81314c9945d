"""docs/sklearn.md tells what is so: its numbers are the measured ones. Its code: test_docs."""

import json
import re
from pathlib import Path

PAGE = (Path(__file__).parents[1] / "docs" / "sklearn.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_the_numbers_are_those_that_were_measured():
    from benchmarks.sklearn import MARKS, RESULTS, table

    shown = PAGE.split(MARKS[0])[1].split(MARKS[1])[0]
    assert shown == table(json.loads(RESULTS.read_text(encoding="utf-8")))


def test_there_are_three_examples():
    assert len(BLOCKS) == 3
