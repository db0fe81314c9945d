"""The README tells what is so: its numbers are the measured ones, its pictures and commands are there. Its code: test_docs."""

from __future__ import annotations

import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_numbers_are_those_that_were_measured():
    from benchmarks.quality import MARKS, RESULTS, table

    shown = README.split(MARKS[0])[1].split(MARKS[1])[0]
    assert shown == table(json.loads(RESULTS.read_text(encoding="utf-8")))


def test_every_picture_and_page_it_points_to_is_there():
    targets = [target for target in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in target]
    assert targets
    assert [target for target in targets if not (ROOT / target).is_file()] == []


def test_every_command_it_names_is_one():
    from typer.main import get_command

    from lowerbound.cli import app

    known = get_command(app).commands  # type: ignore[attr-defined]
    named = set(
        re.findall(r"`(\w+)(?: [A-Z\[][^`]*)?`[^|]*\| ", README.split("## The command line")[1].split("`SOURCE`")[0])
    )
    assert named
    assert {name.split()[0] for name in named} <= set(known) | {"data", "course"}
