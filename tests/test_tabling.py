"""Tables whose names come back, whatever they are."""

import csv
import io
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowerbound.errors import InputError
from lowerbound.tabling import as_csv, as_json, save_table, stem_of

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@given(st.lists(TEXTS, max_size=8))
@settings(deadline=None)
def test_names_come_back_from_csv_and_json(names):
    columns = {"position": np.arange(len(names)), "name": names, "p": np.linspace(0, 1, len(names))}
    text = as_csv(columns).decode()
    header, *rows = csv.reader(io.StringIO(text, newline=""))
    assert header == ["position", "name", "p"]
    assert [row[1] for row in rows] == names
    found = json.loads(as_json({"run": "x"}, "images", columns))
    assert [row["name"] for row in found["images"]] == names
    assert all(isinstance(row["position"], int) for row in found["images"])


HOSTILE = ["a b.png", "new\nline.png", 'quote".png', "comma,.png", "猫.png", "\r.png", "=1+1.png", "no\udcfftext.png"]


def test_hostile_names():
    rows = list(csv.reader(io.StringIO(as_csv({"name": HOSTILE}).decode(), newline="")))[1:]
    assert [row[0] for row in rows] == [*HOSTILE[:-1], r"no\udcfftext.png"]
    found = json.loads(as_json({}, "rows", {"name": HOSTILE}))["rows"]
    assert [row["name"] for row in found] == [*HOSTILE[:-1], "no\udcfftext.png"], (
        "bytes that are no text come back as well"
    )


def test_numbers_that_are_none_are_empty_or_null():
    columns = {"p": [np.nan, np.inf, 0.123456789], "near": [True, np.bool_(False), True], "of": [None, 1, 2]}
    assert as_csv(columns).decode().splitlines()[1:] == ['"",1,""', '"",0,1', "0.123457,1,2"]
    assert json.loads(as_json({}, "rows", columns))["rows"][0] == {"p": None, "near": True, "of": None}


def test_the_stem(tmp_path):
    for name in ("found", "found.csv", "found.JSON", "found.png", "found.svg"):
        assert stem_of(tmp_path / name) == tmp_path / "found"
    assert stem_of(tmp_path / "mnist-k20-2026.11.25").name == "mnist-k20-2026.11.25"
    with pytest.raises(InputError, match=r'ends in ".txt"'):
        stem_of(tmp_path / "found.txt")
    with pytest.raises(InputError, match="is a folder"):
        stem_of(tmp_path)


def test_nothing_is_left_where_nothing_can_be_written(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="choose another place"):
        save_table(tmp_path / "file" / "found", {}, "rows", {"a": [1]})
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
