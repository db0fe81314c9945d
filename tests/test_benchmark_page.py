"""The live page's benchmark: its parts add up, goals are told as they are, and docs/page.md has what was measured."""

from __future__ import annotations

import json

import pytest

from benchmarks.page import parts
from benchmarks.page_table import BEGIN, END, PAGE, RESULTS, Number, table


def tag(name: str, text: str) -> str:
    return f'<script type="text/plain" id="asset:{name}">{text}</script>'


def test_the_parts_of_a_page_add_up_to_it():
    tags = [
        tag("decoder:vae", "a" * 40),
        tag("decoder:pca", "b" * 2),
        tag("images:0", "c\x01" * 9),
        tag("meta", "d" * 5),
    ]
    page = f"<p>one\n</p>{''.join(tags)}<p>two</p>".encode()
    found = parts(page)
    assert sum(found.values()) == len(page)
    assert found["decoders"] == 42
    assert found["images and labels"] == 18
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert not {"encoders", "film of the training"} & set(found), "what is not there is not told"


@pytest.mark.parametrize(("value", "goal", "met"), [(8.0, 8, "yes"), (8.01, 8, "**no**"), (8.01, None, "")])
def test_a_goal_is_met_up_to_and_with_its_number(value, goal, met):
    assert Number("a drag", value, "ms", goal, "by hand").line(1).split("|")[-2].strip() == met


def test_each_way_of_measuring_is_told_once():
    rows = [["a", "one way"], ["b", "another way"], ["c", "one way"]]
    numbers = [
        {"what": what, "value": 1.0, "unit": "ms", "goal": 2, "how": how, "beside": {"x": 0.5}} for what, how in rows
    ]
    text = table({"machine": "this one", "parts": {"some": {"load": 0.4, "numbers": numbers}}})
    assert "load average when a timed part began: 0.4 to 0.4" in text
    assert text.count("One way.") == text.count("Another way.") == 1
    assert [line.split("|")[1].strip() for line in text.splitlines()[2:5]] == ["a (1)", "b (2)", "c (1)"]


def test_the_docs_have_what_was_measured():
    shown = PAGE.read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0]
    assert shown.strip() == table(json.loads(RESULTS.read_text(encoding="utf-8"))).strip()
