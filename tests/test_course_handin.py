"""Hand-ins: every character of every answer arrives, what was changed shows, and what came from anywhere is read or refused."""

from __future__ import annotations

import contextlib
import copy
import csv
import json
import os
import tempfile
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lowerbound.course import handin, sealed
from lowerbound.course import journal as pen
from lowerbound.course.config import CourseConfig, Form
from lowerbound.course.handin import COLUMNS, read_handin, safe_name, submit
from lowerbound.course.journal import Journal
from lowerbound.course.sealed import seal
from lowerbound.errors import InputError

TEXT = st.text(st.characters(exclude_categories=["Cs"])).filter(str.strip)
HOSTILE = "\"'&#%+=;,\\/<b>\r\n\t\0\x07\x1b[31m\x7f\x85\u2028\ufeff\u202e🙂👩‍👩‍👧é٣"
FIELDS = {
    "name": "who are you?",
    "group": "pod",
    "05/response:q": "q&a",
    "discuss:half way": "d",
    "recap": "r",
    "feedback:better": "b",
    "feeling:2": "f",
    "seconds": "s",
    "checks": "c",
    "json": "j",
}
AIRTABLE = CourseConfig(name="Vision & 101", form=Form("https://a.com/shr?x=1#top", "airtable", FIELDS))
GOOGLE = CourseConfig(form=Form("https://g.com/viewform?usp=pp_url", "google", {"recap": "12", "name": "entry.34"}))


@pytest.fixture(autouse=True, scope="module")
def _unsynced():
    """What is sent to the disk is tested with the journal."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "fsync", lambda _: None)
        yield


def answered(folder, text="fine", name="Ada", group="athena"):
    journal = Journal(folder)
    journal.add("05", "opened", "05", {"data": "mnist", "full": False})
    journal.add("05", "me", "me", {"name": name, "group": group})
    journal.add("05", "section", "1")
    for kind, about in [("response", "q"), ("discuss", "half way"), ("recap", "recap")]:
        journal.add("05", kind, about, text)
    journal.add("05", "feeling", "2", {"score": 4, "note": text})
    journal.add("05", "check", "rsample", {"outcome": "wrong", "case": text, "words": text})
    journal.add("05", "check", "rsample", {"outcome": "passed"})
    journal.add("05", "hint", "rsample", 1)
    journal.add("05", "ran", "conv", {"data": "mnist", "k": 20, "model": "conv", "full": False, "test_mse": 0.007})
    journal.add("05", "feedback", "feedback", {"better": text, "group": text, "feeling": text})
    return journal


def rows_of(path):
    csv.field_size_limit(10_000_000)
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == list(COLUMNS)
    return [dict(zip(header, row, strict=True)) for row in rows]


@settings(max_examples=25, deadline=None)
@given(TEXT)
@example(HOSTILE)
@example("&prefill_name=Eve#")
@example("=1+1\r")
@example("x" + HOSTILE * 1700)
def test_any_answer_comes_back_from_json_csv_and_link(text):
    with tempfile.TemporaryDirectory() as folder:
        answered(folder, text, name=text, group=text)
        done = submit(folder, AIRTABLE)
        read, rows, content = read_handin(done.json), rows_of(done.csv), json.loads(done.json.read_bytes())
    lesson = read.lessons["05"]
    assert read.name == read["name"] == read.group == text
    assert lesson["responses"] == {"q": text}
    assert lesson["discussions"] == {"half way": text}
    assert lesson["feelings"] == {"2": {"score": 4, "note": text}}
    assert lesson["recap"] == text
    assert lesson["feedback"] == {"better": text, "group": text, "feeling": text}
    assert lesson["checks"]["rsample"]["wrong"] == {text: 1}
    values = {(row["kind"], row["id"]): row["value"] for row in rows}
    assert all(row["name"] == row["group"] == text for row in rows)
    for key in [
        ("response", "q"),
        ("discuss", "half way"),
        ("recap", "recap"),
        ("feeling_note", "2"),
        ("feedback_better", "feedback"),
    ]:
        assert values[key] == text
    assert values["wrong", f"rsample/{text}"] == "1"
    assert done.url
    parts = urlsplit(done.url)
    assert (parts.netloc, parts.path, parts.fragment) == ("a.com", "/shr", "top")
    assert done.url.isascii()
    filled = {
        key: value for key, (value,) in parse_qs(parts.query, keep_blank_values=True, strict_parsing=True).items()
    }
    assert filled.pop("x") == "1"
    assert json.loads(filled.pop("prefill_j")) == content
    expected = {"who are you?": text, "pod": text, "q&a": text, "d": text, "r": text, "b": text, "f": f"4: {text}"}
    assert filled == {
        f"prefill_{key}": value for key, value in (expected | {"s": "05/1 0", "c": "05/rsample passed"}).items()
    }


def test_a_google_form_is_filled_by_its_own_names_and_no_form_is_no_link(tmp_path):
    answered(tmp_path, "a b")
    assert submit(tmp_path, GOOGLE).url == "https://g.com/viewform?usp=pp_url&entry.12=a%20b&entry.34=Ada"
    assert submit(tmp_path, CourseConfig()).url is None


def test_what_was_not_answered_is_left_out_of_the_link(tmp_path):
    Journal(tmp_path).add("05", "section", "1")
    done = submit(tmp_path, GOOGLE)
    assert done.url == "https://g.com/viewform?usp=pp_url"
    assert done.json.name == "handin-unnamed.json"
    assert "no name was given" in done.notes[0]


def test_a_field_of_a_lesson_is_taken_from_it_alone_else_the_latest_counts(tmp_path):
    for lesson, text in [("02", "two"), ("01", "one")]:
        Journal(tmp_path).add(lesson, "recap", "recap", text)
    form = Form("https://a.com", "airtable", {"recap": "any", "02/recap": "second", "03/recap": "none"})
    assert submit(tmp_path, CourseConfig(form=form)).url == "https://a.com?prefill_any=one&prefill_second=two"


def test_a_part_that_was_not_chosen_is_null_and_no_row(tmp_path):
    Journal(tmp_path).add("05", "feeling", "2", {"score": "not chosen", "note": "ok"})
    done = submit(tmp_path, AIRTABLE)
    assert read_handin(done.json).lessons["05"]["feelings"] == {"2": {"score": None, "note": "ok"}}
    assert [(row["kind"], row["value"]) for row in rows_of(done.csv)] == [("feeling_note", "ok")]
    assert "prefill_f=ok" in str(done.url)


def test_a_long_link_is_told(tmp_path):
    answered(tmp_path, "x" * 9000)
    assert any("more than many servers take" in note for note in submit(tmp_path, AIRTABLE).notes)


def test_all_facts_are_there(tmp_path, monkeypatch):
    times = iter(range(100))
    monkeypatch.setattr(pen, "stamp", lambda: f"2025-03-04T10:{next(times):02}:00.000Z")
    journal = answered(tmp_path)
    journal.add("05", "section", "2")
    done = submit(tmp_path, CourseConfig(name="Vision 101"))
    read = read_handin(done.json)
    lesson = read.lessons["05"]
    assert (read.course, read.name, read.group) == ("Vision 101", "Ada", "athena")
    assert read.journal == {"lines": 13, "last": journal.read().last, "broken": []}
    assert lesson["sections"] == {
        "1": {"at": "2025-03-04T10:02:00.000Z", "seconds": 120.0},
        "2": {"at": "2025-03-04T10:12:00.000Z", "seconds": 720.0},
    }
    assert lesson["checks"] == {
        "rsample": {"passed": True, "attempts": 2, "wrong": {"fine": 1}, "hints": 1, "solution_seen": False}
    }
    run = {"data": "mnist", "k": 20, "model": "conv", "full": False, "test_mse": 0.007, "elbo": None, "seconds": None}
    assert lesson["runs"] == [run]
    facts = {(row["lesson"], row["kind"], row["id"]): (row["value"], row["at"][11:16]) for row in rows_of(done.csv)}
    assert facts["05", "section", "2"] == ("720.0", "10:12")
    assert facts["05", "passed", "rsample"] == ("true", "10:08")
    assert facts["05", "attempts", "rsample"] == ("2", "")
    assert facts["05", "ran_test_mse", "mnist/conv/20"] == ("0.007", "10:10")
    assert ("05", "ran_elbo", "mnist/conv/20") not in facts
    assert facts["05", "feeling_score", "2"] == ("4", "10:06")


def test_no_time_is_made_up(tmp_path, monkeypatch):
    times = iter(["10:30", "10:20"])
    monkeypatch.setattr(pen, "stamp", lambda: f"2025-03-04T{next(times)}:00.000Z")
    Journal(tmp_path).add("05", "opened", "05")
    Journal(tmp_path).add("05", "section", "2")  # after the clock was set back
    done = submit(tmp_path, AIRTABLE)
    assert read_handin(done.json).lessons["05"]["sections"] == {
        "2": {"at": "2025-03-04T10:20:00.000Z", "seconds": None}
    }
    assert [row["value"] for row in rows_of(done.csv) if row["kind"] == "section"] == [""]
    assert "prefill_s=" not in str(done.url)


def test_a_journal_edited_by_hand_is_named(tmp_path):
    journal = answered(tmp_path)
    whole = journal.path.read_bytes()
    journal.path.write_bytes(whole.replace(b'"wrong"', b'"passed"'))
    done = submit(tmp_path, CourseConfig())
    (said,) = read_handin(done.json).journal["broken"]
    assert "line 9 does not follow line 8" in said
    assert any(said in note for note in done.notes)
    assert [row["value"] for row in rows_of(done.csv) if row["kind"] == "journal"] == [said]
    journal.path.write_bytes(b"not mine\n" * 50 + whole)
    broken = read_handin(submit(tmp_path, CourseConfig()).json).journal["broken"]
    assert len(broken) == 21
    assert broken[-1] == "and 31 more"


def test_a_folder_without_a_journal_has_nothing_to_hand_in(tmp_path):
    with pytest.raises(InputError, match="open a lesson there first"):
        submit(tmp_path, CourseConfig())
    assert list(tmp_path.iterdir()) == []


def test_a_hand_in_of_the_same_name_is_replaced_whole_also_elsewhere(tmp_path):
    journal = answered(tmp_path, "x" * 5000)
    first = submit(tmp_path, CourseConfig(), tmp_path / "to" / "send")
    assert first.json.parent == tmp_path / "to" / "send"
    journal.add("05", "response", "q", "short")
    second = submit(tmp_path, CourseConfig(), tmp_path / "to" / "send")
    assert first.json == second.json
    assert read_handin(second.json).lessons["05"]["responses"]["q"] == "short"
    assert {path.suffix for path in first.json.parent.iterdir()} == {".json", ".csv"}


def test_a_place_that_cannot_be_written_is_said(tmp_path):
    answered(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        submit(tmp_path, CourseConfig(), tmp_path / "file")


def test_a_hand_in_too_large_to_be_read_is_not_written(tmp_path, monkeypatch):
    answered(tmp_path, "x" * 5000)
    monkeypatch.setattr(handin, "LIMIT", 4000)
    with pytest.raises(InputError, match="shorten answers"):
        submit(tmp_path, CourseConfig())
    assert len(list(tmp_path.iterdir())) == 1


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters()))
@example("../../etc/passwd")
@example("C:\\con.json\0")
@example("\ud800")
@example("a" * 1000)
@example("😀" * 1000)
@example("हिन्दी नाम")
def test_any_name_makes_the_name_of_one_file(name):
    part = safe_name(name)
    assert part == Path(part).name
    assert not set(part) & set('/\\:*?"<>|. \0\n')
    assert 0 < len(part.encode()) <= 100
    assert safe_name(part) == part
    if name.isalnum() and name.isascii():
        assert part == name[:100]


def test_names_in_other_scripts_stay_readable():
    assert [safe_name(name) for name in ("हिन्दी नाम", "Đặng Thị", "Ольга")] == ["हिन्दी-नाम", "Đặng-Thị", "Ольга"]


# reading what came from anywhere


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    folder = tmp_path_factory.mktemp("good")
    answered(folder)
    Journal(folder).add("06", "section", "1")
    return submit(folder, AIRTABLE).json


def refused(path, content):
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    with pytest.raises(InputError) as wrong:
        read_handin(path)
    said = str(wrong.value)
    assert str(path) in said
    assert "\n" not in said
    assert len(said) < len(str(path)) + 400
    return said.replace(str(path), "")


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_changed_letter_is_refused_unless_it_changes_nothing(good, data):
    content = good.read_bytes()
    at = data.draw(st.integers(0, len(content) - 1))
    changed = content[:at] + data.draw(st.binary(max_size=2)) + content[at + 1 :]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.json")
        path.write_bytes(changed)
        try:
            read = read_handin(path)
        except InputError:
            return
    assert {**vars(read), "path": good} == vars(read_handin(good))


@settings(max_examples=50, deadline=None)
@given(st.floats(0, 1, exclude_max=True))
def test_a_cut_file_is_refused(good, part):
    content = good.read_bytes().rstrip()
    with tempfile.TemporaryDirectory() as folder:
        assert "not whole JSON" in refused(Path(folder, "a.json"), content[: int(part * len(content))])


def leaves(value, path=()):
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, part in items:
        yield from leaves(part, (*path, name))


JSON = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(st.characters(), max_size=3), st.just(10**400)
    ),
    lambda of: st.lists(of, max_size=2) | st.dictionaries(st.text(max_size=2), of, max_size=2),
    max_leaves=4,
)


@settings(max_examples=120, deadline=None)
@given(st.data(), JSON)
def test_any_part_replaced_and_sealed_anew_is_of_its_form_or_refused(good, data, forged):
    content = json.loads(good.read_bytes())
    path = data.draw(st.sampled_from(list(leaves(content))[1:]))
    changed = copy.deepcopy(content)
    inner = changed
    for name in path[:-1]:
        inner = inner[name]
    was, inner[path[-1]] = inner[path[-1]], forged
    with contextlib.suppress(ValueError):  # NaN has no canonical JSON
        changed = seal(changed)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "a.json")
        file.write_text(json.dumps(changed), encoding="utf-8")
        try:
            read = read_handin(file)
        except InputError as wrong:
            said = str(wrong)
            assert said.isprintable()
            return
    accepted = (type(was), int, float, str, type(None)) if not isinstance(was, dict) else (dict,)
    assert isinstance(forged, accepted) or path == ("sha256",)
    for lesson in read.lessons.values():
        assert all(isinstance(how["attempts"], int) and how["attempts"] >= 0 for how in lesson["checks"].values())
        assert all(part["seconds"] is None or part["seconds"] >= 0 for part in lesson["sections"].values())
    json.dumps(vars(read) | {"path": ""}, ensure_ascii=False, allow_nan=False).encode()


def test_each_kind_of_wrong_file_is_named(good, tmp_path):
    content = json.loads(good.read_bytes())
    path = tmp_path / "a.json"
    assert "its seal does not fit" in refused(path, content | {"group": "boreas"})
    assert "its seal does not fit" in refused(path, content | {"sha256": "0" * 64})
    assert "version 2; this lowerbound reads 1; update it" in refused(path, seal(content | {"version": 2, "new": []}))
    assert "is no hand-in" in refused(path, {"cells": [], "nbformat": 4})
    assert "is no hand-in" in refused(path, [content])
    assert "too many or too few parts (more)" in refused(path, seal(content | {"more": 1}))
    assert "not whole JSON" in refused(path, b"")
    assert "not whole JSON" in refused(path, b"\xff\xfe\xfd")
    assert "not whole JSON" in refused(path, b"[" * 1_000_000)
    deep = json.dumps(content).replace('"athena"', "[" * 500 + "]" * 500)
    assert "group is of type list; expected str" in refused(path, deep.encode())
    with pytest.raises(InputError, match="is no file"):
        read_handin(tmp_path)
    with pytest.raises(InputError, match="is no file"):
        read_handin(tmp_path / "none.json")


def test_a_file_too_large_is_not_read(good, monkeypatch):
    size = len(good.read_bytes())
    monkeypatch.setattr(sealed, "LIMIT", size)
    assert read_handin(good).name == "Ada"
    monkeypatch.setattr(sealed, "LIMIT", size - 1)
    with pytest.raises(InputError, match="a hand-in never does"):
        read_handin(good)


def test_a_hand_in_may_be_laid_out_anew(good, tmp_path):
    content = json.loads(good.read_bytes())
    path = tmp_path / "a.json"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(dict(reversed(content.items())), indent=4).encode())
    assert vars(read_handin(path)) == vars(read_handin(good)) | {"path": path}
