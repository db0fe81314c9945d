"""The journal: whatever is written comes back, whatever happens to the file the rest is read, and nothing is made up."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lowerbound.course import journal as pen
from lowerbound.course.entry import KINDS, PARTS
from lowerbound.course.journal import FILE, LIMIT, Journal
from lowerbound.errors import InputError

TEXT = st.text(st.characters(exclude_categories=["Cs"])).filter(str.strip)
HOSTILE = "\"'&#%+=;,\\/<b>\r\n\t\0\x07\x1b[31m\x7f\x85\u2028\ufeff\u202e🙂👩‍👩‍👧é٣"


@pytest.fixture(autouse=True, scope="module")
def synced():
    """Files that were sent to the disk, counted; only the tests with processes of their own wait for a real disk."""
    done = []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "fsync", done.append)
        yield done


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path)


@pytest.fixture
def clock(monkeypatch):
    """The time, to be set by hand: minutes and seconds after ten o'clock."""

    class Clock:
        now = "00:00"

    monkeypatch.setattr(pen, "stamp", lambda: f"2025-03-04T10:{Clock.now}.000Z")
    return Clock


def filled(journal, number=6):
    for at in range(number):
        journal.add("05", "response", f"q{at}", f"answer {at}")
    return journal.path.read_bytes()


@settings(max_examples=60, deadline=None)
@given(TEXT, st.text(max_size=200), st.sampled_from(["response", "discuss", "recap"]))
@example(HOSTILE, HOSTILE, "response")
@example("x" + HOSTILE * 1700, "", "response")
def test_any_text_comes_back(text, about, kind):
    with tempfile.TemporaryDirectory() as folder:
        assert Journal(folder).add("05", kind, about, text)
        assert Journal(folder).add("05", "feeling", about, {"score": "4", "note": text})
        record = Journal(folder).read()
    assert record.latest(kind, "05") == {about: text}
    assert record.latest("feeling") == {about: {"score": "4", "note": text}}
    assert record.broken == ()
    assert record.lines == 2


def test_every_line_is_sent_to_the_disk_before_anything_else_is_done(journal, synced):
    before = len(synced)
    filled(journal, 3)
    assert len(synced) == before + 3


def test_half_characters_are_joined_or_replaced(journal):
    journal.add("05", "response", "a\udc80", "\ud83d\ude42 and \ud83d alone, \udfff too")
    assert journal.read().latest("response") == {"a\ufffd": "🙂 and \ufffd alone, \ufffd too"}


def test_a_learner_can_read_it(journal):
    journal.add("05", "response", "why", "weil die Größe zählt, 因为")
    line = journal.path.read_text(encoding="utf-8")
    assert "weil die Größe zählt, 因为" in line
    assert list(json.loads(line)) == ["n", "at", "lesson", "kind", "id", "value", "before"]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        *[(kind, value) for kind in ("response", "discuss", "recap") for value in ("", " \n\t", None)],
        ("me", {"name": " ", "group": "not chosen"}),
        ("me", {}),
        ("feeling", {"score": "not chosen", "note": ""}),
        ("feedback", {"better": "", "group": "not chosen", "feeling": "not chosen"}),
    ],
)
def test_an_untouched_field_is_no_answer(journal, kind, value):
    assert journal.add("05", kind, "x", value) is False
    assert not journal.path.exists()


def test_the_last_answer_that_says_something_counts_in_each_of_its_parts(journal):
    journal.add("01", "me", "me", {"name": "Ada", "group": "not chosen"})
    journal.add("02", "me", "me", {"name": "", "group": "athena"})
    journal.add("02", "response", "q", "first")
    journal.add("02", "response", "q", "second")
    journal.add("02", "response", "q", "")
    record = journal.read()
    assert record.me() == ("Ada", "athena")
    assert record.latest("response") == {"q": "second"}
    assert record.latest("response", "01") == {}


def test_an_answer_has_at_most_a_megabyte(journal):
    assert journal.add("05", "response", "q", "é" * (LIMIT // 2))
    with pytest.raises(InputError, match=r"1\.1 MB; expected at most 1 MB"):
        journal.add("05", "discuss", "q", "é" * 550_000)
    with pytest.raises(InputError, match="expected at most"):
        journal.add("05", "feeling", "q", {"score": 1, "note": "x" * LIMIT + "y"})
    record = journal.read()
    assert len(record.entries) == 1
    journal.add("05", "response", "q", "after a line longer than what is read at once")
    assert journal.read().broken == ()


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        ("respons", "x", 'did you mean "response"'),
        ("response", 3, "of type int; expected str"),
        ("response", ["x"], "of type list"),
        ("check", {"outcome": "fine"}, "expected passed, to do, wrong"),
        ("check", "passed", "has not the parts outcome, case, words"),
        ("ran", {"data": "mnist", "kk": 3}, "has not the parts"),
        ("ran", {"data": "mnist", "k": True}, "its k is of type bool"),
        ("ran", {"data": "mnist", "k": 10**400}, "its k"),
    ],
)
def test_what_is_no_entry_is_refused(journal, kind, value, words):
    with pytest.raises(InputError) as wrong:
        journal.add("05", kind, "x", value)
    assert words in str(wrong.value)
    assert not journal.path.exists()


def test_numbers_of_arrays_are_numbers_and_what_is_not_finite_is_not_known(journal):
    journal.add(
        "02", "ran", "conv", {"data": "mnist", "k": np.int64(20), "test_mse": np.float32(0.5), "elbo": float("nan")}
    )
    (run,) = journal.read().runs("02")
    assert run.value == dict.fromkeys(PARTS["ran"]) | {"data": "mnist", "k": 20, "test_mse": 0.5, "elbo": None}


# times


def test_times_are_those_of_the_first_arrivals_over_all_kernels(journal, clock):
    for minute, kind, about in [("05:00", "opened", "05"), ("06:30", "section", "1"), ("20:00", "section", "2")]:
        clock.now = minute
        journal.add("05", kind, about)
    for minute, kind, about in [("50:00", "opened", "05"), ("51:00", "section", "1"), ("52:00", "section", "2")]:
        clock.now = minute
        Journal(journal.path.parent).add("05", kind, about)
    found = journal.read().sections("05")
    assert {about: arrival.seconds for about, arrival in found.items()} == {"1": 90, "2": 900}
    assert found["1"].at == "2025-03-04T10:06:30.000Z"


def test_no_time_is_made_up(journal, clock):
    clock.now = "30:00"
    journal.add("05", "opened", "05")
    clock.now = "20:00"  # the machine's clock was set back
    journal.add("05", "section", "2")
    journal.add("05", "response", "in section 3", "an answer is no arrival")
    found = journal.read().sections("05")
    assert set(found) == {"2"}
    assert found["2"].seconds is None
    assert journal.read().sections("06") == {}


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["01", "02"]), st.sampled_from("123")), max_size=8))
def test_every_arrival_is_a_stamp_in_the_file(visits):
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(folder)
        for lesson, section in visits:
            journal.add(lesson, "section", section)
        record = journal.read()
    for lesson in ("01", "02"):
        stamps = {}
        for entry in record.entries:
            if entry.lesson == lesson:
                stamps.setdefault(entry.id, entry.at)
        assert {about: arrival.at for about, arrival in record.sections(lesson).items()} == stamps


# exercises


def test_attempts_are_counted_to_the_first_that_passes(journal):
    def check(outcome, case=None):
        journal.add("05", "check", "rsample", {"outcome": outcome, "case": case, "words": "..."})

    for outcome, case in [("to do", None), ("wrong", "spread"), ("wrong", "spread"), ("wrong", None), ("passed", None)]:
        check(outcome, case)
    for outcome, case in [("passed", None), ("wrong", "shape"), ("to do", None)]:
        check(outcome, case)
    for hint in (1, 2, 2):
        journal.add("05", "hint", "rsample", hint)
    journal.add("05", "solution", "kl", value=True)
    found = journal.read().attempts("05")
    assert found["rsample"].passed
    assert found["rsample"].attempts == 4
    assert found["rsample"].wrong == {"spread": 2, "error": 1, "shape": 1}
    assert found["rsample"].hints == 2
    assert not found["rsample"].solution_seen
    assert found["kl"].solution_seen
    assert (found["kl"].passed, found["kl"].attempts) == (False, 0)


# damage


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 4), st.sampled_from(["edit", "remove", "swap", "repeat", "blank"]))
def test_a_line_changed_by_hand_shows_and_the_rest_is_read(at, how):
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(folder)
        lines = filled(journal).splitlines(keepends=True)
        if how == "edit":
            lines[at] = lines[at].replace(b"answer", b"better answer")
        elif how == "remove":
            del lines[at]
        elif how == "swap":
            lines[at], lines[at + 1] = lines[at + 1], lines[at]
        else:
            lines.insert(at, lines[at] if how == "repeat" else b"\n")
        journal.path.write_bytes(b"".join(lines))
        record = journal.read()
        assert record.broken
        assert any(f"line {number} " in record.broken[0] for number in (at + 1, at + 2))
        assert len(record.entries) == len(lines) - (how == "blank")
        before = len(record.broken)
        journal.add("05", "response", "more", "goes on")
        assert len(journal.read().broken) == before
        assert journal.read().latest("response")["more"] == "goes on"


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=300))
@example(b"[" * 100_000)
@example(b'{"n": ' + b"9" * 5000 + b"}")
@example(b"null\n1\n[]\n{}\n")
def test_any_bytes_are_read_and_gone_on_after(content):
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(folder)
        journal.path.write_bytes(content)
        assert journal.read().entries == ()
        assert bool(journal.read().broken) == bool(content)
        journal.add("05", "response", "q", "whole")
        record = journal.read()
        assert [entry.value for entry in record.entries] == ["whole"]
        assert len(record.broken) == len(content.removesuffix(b"\n").split(b"\n")) * bool(content)


PARTS_OF_LINES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=3)),
    lambda of: st.lists(of) | st.dictionaries(st.text(max_size=3), of),
    max_leaves=4,
)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(KINDS), st.sampled_from(["n", "at", "lesson", "kind", "id", "value", "before"]), PARTS_OF_LINES)
def test_a_line_forged_in_any_part_hurts_no_view(kind, part, forged):
    line = {
        "n": 1,
        "at": "2025-03-04T10:00:00.000Z",
        "lesson": "05",
        "kind": kind,
        "id": "x",
        "value": None,
        "before": "",
    }
    line |= {part: forged}
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(folder)
        journal.path.write_bytes(json.dumps(line).encode() + b"\n")
        journal.add("05", "section", "2")
        record = journal.read()
        assert record.lines == 2
        assert record.sections("05")["2"]
        record.me(), record.attempts("05"), record.runs(), record.lessons()
        for asked in KINDS:
            record.latest(asked)


@settings(max_examples=60, deadline=None)
@given(st.floats(0, 1, exclude_max=True))
def test_a_file_cut_anywhere_keeps_all_before_the_cut(part):
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(folder)
        content = filled(journal)
        kept = content[: int(part * len(content))]
        journal.path.write_bytes(kept)
        whole = kept.count(b"\n") + (kept != b"" and content[len(kept) :].startswith(b"\n"))
        record = journal.read()
        assert [entry.value for entry in record.entries] == [f"answer {at}" for at in range(whole)]
        journal.add("05", "response", "more", "goes on")
        record = journal.read()
        assert [entry.n for entry in record.entries] == list(range(1, whole + 2))
        cut = kept.split(b"\n")[-1] != b"" and whole == kept.count(b"\n")
        assert len(record.broken) == cut


def test_a_journal_that_cannot_be_written_says_so_in_one_line(tmp_path):
    with pytest.raises(InputError, match="its folder is not there"):
        Journal(tmp_path / "none").add("05", "section", "1")
    (tmp_path / FILE).mkdir()
    with pytest.raises(InputError, match="it is a folder"):
        Journal(tmp_path).add("05", "section", "1")
    with pytest.raises(InputError, match="is no file"):
        Journal(tmp_path).read()
    assert Journal(tmp_path / "none").read().entries == ()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full disk here")
def test_a_full_disk_is_said(journal):
    journal.path.symlink_to("/dev/full")
    with pytest.raises(InputError, match="no space is left"):
        journal.add("05", "section", "1")


def test_a_disk_that_fills_within_a_line_keeps_what_was_there(tmp_path):
    resource = pytest.importorskip("resource", reason="limits on the size of a file are POSIX's")
    code = f"""
import resource
from lowerbound.course.journal import Journal
from lowerbound.errors import InputError
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
try:
    while True:
        Journal({str(tmp_path)!r}).add("05", "response", "q", "x" * 90)
except InputError as wrong:
    print(wrong)
"""
    assert resource
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "the limit on the size of a file" in ended.stdout
    record = Journal(tmp_path).read()
    assert record.broken == ()
    assert len(record.entries) > 3
    assert Journal(tmp_path).path.read_bytes().endswith(b"\n")


# several at once, and sudden ends

ADDING = """
import sys
from lowerbound.course.journal import Journal
journal = Journal(sys.argv[1])
print("ready", flush=True)
for number in range(int(sys.argv[3])):
    journal.add("05", "response", f"{sys.argv[2]}{number}", "x" * (number % 7 * 1000) + "end")
    print(number, flush=True)
"""


def adding(folder, who, number):
    return subprocess.Popen(
        [sys.executable, "-c", ADDING, str(folder), who, str(number)], stdout=subprocess.PIPE, text=True
    )


def test_two_kernels_add_to_one_unbroken_chain(tmp_path):
    both = [adding(tmp_path, who, 200) for who in "ab"]
    for one in both:
        one.communicate()
        assert one.returncode == 0
    record = Journal(tmp_path).read()
    assert record.broken == ()
    assert record.lines == 400
    assert [entry.n for entry in record.entries] == list(range(1, 401))
    assert set(record.latest("response")) == {f"{who}{number}" for who in "ab" for number in range(200)}


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL")
@pytest.mark.parametrize("seconds", [0.0, 0.031, 0.087])
def test_a_kernel_that_is_killed_loses_at_most_its_last_line(tmp_path, seconds):
    with adding(tmp_path, "a", 100_000) as one:
        assert one.stdout
        said = [one.stdout.readline() for _ in range(5)]
        time.sleep(seconds)
        one.send_signal(signal.SIGKILL)
        said += one.stdout.read().split("\n")[:-1]
    record = Journal(tmp_path).read()
    noted = [entry.id for entry in record.entries]
    assert noted == [f"a{number}" for number in range(len(noted))]
    assert len(said) - 1 <= len(noted) <= len(said)
    assert len(record.broken) <= 1
    Journal(tmp_path).add("05", "response", "b", "goes on")
    assert Journal(tmp_path).read().latest("response")["b"] == "goes on"
