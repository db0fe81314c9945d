"""docs/reliability.md promises what tests hold: every test that it names is there, and its figures are those measured."""

from __future__ import annotations

import ast
import json
import re
from functools import cache
from pathlib import Path

import pytest

from lowerbound.formats import HEADER_LIMIT, JSON_LIMIT
from lowerbound.photo import FORMATS, PIXEL_LIMIT

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
ROWS = [line.strip("|").split("|") for line in PAGE.splitlines() if re.match(r"\| \d+ \|", line)]
NAMED = re.findall(r"`(test_\w+)\.py::(test_\w+)`", PAGE)


@cache
def _tests_of(module):
    """The tests that pytest collects in a file: its functions of the top level."""
    tree = ast.parse((ROOT / "tests" / f"{module}.py").read_text(encoding="utf-8"))
    return {each.name for each in tree.body if isinstance(each, ast.FunctionDef)}


def test_there_are_the_25_faults_in_their_order():
    assert [int(row[0]) for row in ROWS] == list(range(1, 26))
    assert all(len(row) == 5 and row[1].strip() and row[2].strip().endswith(".") for row in ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0].strip())
def test_every_promise_has_a_test(row):
    named = re.findall(r"`(test_\w+)\.py::(test_\w+)`", row[3])
    assert named
    assert row[3].count("`") == 2 * len(named)


@pytest.mark.parametrize(("module", "name"), sorted(set(NAMED)))
def test_every_test_that_is_named_is_there(module, name):
    assert name in _tests_of(module)


def test_the_limits_are_those_of_the_program():
    assert f"{PIXEL_LIMIT // 10**6} million pixels" in PAGE
    assert f"the header of a weights file {HEADER_LIMIT // 10**6} MB, a JSON file {JSON_LIMIT // 10**6} MB" in PAGE
    assert f"| {', '.join({'WEBP': 'WebP'}.get(name, name) for name in FORMATS)} |" in PAGE


def test_the_figures_of_damaged_files_are_those_that_were_measured():
    from benchmarks.fuzz import MARKS, RESULTS, WORDS, table

    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    assert not any(each["failures"] for each in results)
    assert PAGE.split(MARKS[0])[1].split(MARKS[1])[0] == WORDS + table(results)
