"""docs/restoring.md tells what was measured, and its pictures are there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from benchmarks.restoring import RESULTS, table

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "restoring.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("verb", ["denoise", "inpaint"])
def test_the_numbers_are_those_that_were_measured(verb):
    assert table(json.loads(RESULTS.read_text(encoding="utf-8")), verb) in PAGE


def test_every_picture_is_there_and_small():
    pictures = re.findall(r"\]\((pictures/[^)]+)\)", PAGE)
    assert len(pictures) == 4
    for picture in pictures:
        assert (ROOT / "docs" / picture).stat().st_size <= 150_000, picture
