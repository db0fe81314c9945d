"""docs/photos.md and docs/restoring.md tell what was measured, and their pictures are there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from benchmarks.verbs import PARTS, RESULTS, table

ROOT = Path(__file__).parents[1]
PAGES = {name: (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8") for name in ("photos", "restoring")}


@pytest.mark.parametrize("verb", PARTS)
def test_the_numbers_are_those_that_were_measured(verb):
    measured = json.loads(RESULTS.read_text(encoding="utf-8"))[verb]
    assert f"<!-- {verb} -->\n{table(measured, PARTS[verb])}" in "".join(PAGES.values())


@pytest.mark.parametrize(("page", "number"), [("photos", 4), ("restoring", 4)])
def test_every_picture_is_there_and_small(page, number):
    pictures = re.findall(r"\]\((pictures/[^)]+)\)", PAGES[page])
    assert len(pictures) == number
    for picture in pictures:
        assert (ROOT / "docs" / picture).stat().st_size <= 150_000, picture
