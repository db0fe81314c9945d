"""The report of a class: counted by hand, hostile words shown as words, broken files named and not fatal."""

import csv
import hashlib
import itertools
import json
import random
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowerbound import look
from lowerbound.course import class_counts, class_curves, class_figures
from lowerbound.course.class_counts import Curve, ExerciseCount, SectionTime
from lowerbound.course.class_report import defused, write_report
from lowerbound.course.classroom import KEPT, read_class
from lowerbound.course.config import CourseConfig
from lowerbound.course.handin import submit
from lowerbound.course.journal import FILE, Journal
from lowerbound.course.sealed import seal
from lowerbound.errors import InputError

pytestmark = pytest.mark.slow  # many figures, processes or trainings

NO_LESSON = {
    "sections": {}, "checks": {}, "responses": {}, "discussions": {}, "feelings": {}, "recap": "",
    "feedback": {"better": "", "group": "", "feeling": ""}, "runs": [],
}  # fmt: skip
ATTACK = "\"><img src=x onerror=alert(1)></style><script>alert(2)</script>&amp;'`{{7*7}}"
# Any text but half characters, which no hand-in holds; and what a page or a sheet might take for its own.
ODD = st.one_of(
    st.text(st.characters(blacklist_categories=["Cs"]), max_size=40),
    st.sampled_from([ATTACK, "<!--", "]]>", "&lt;b&gt;", "two\nlines\r\nthree\rfour", "😀 é 中文 \u202e", '"quoted", twice',
                     "=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "'tis", "''", " =x", "-5", "1e9"]),
)  # fmt: skip


def content(name="Ada", group="pod 1", written="2025-03-04T10:00:00.000Z", lessons=None, broken=(), **more):
    """A hand-in; each lesson given holds what is not empty of it."""
    return seal(
        {
            "format": "lowerbound hand-in", "version": 1, "course": "A course", "name": name, "group": group,
            "written": written, "lessons": {key: NO_LESSON | done for key, done in (lessons or {}).items()},
            "journal": {"lines": 9, "last": "ab", "broken": list(broken)},
        }
        | more
    )  # fmt: skip


def hand_in(folder, file, **parts):
    path = Path(folder, file)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content(**parts), ensure_ascii=False), encoding="utf-8")
    return path


def check(passed, attempts, wrong=(), hints=0, *, solution_seen=False):
    return {
        "passed": passed,
        "attempts": attempts,
        "wrong": dict(wrong),
        "hints": hints,
        "solution_seen": solution_seen,
    }


def run(model, k, mse, elbo=None, data="mnist", *, full=False):
    return {"data": data, "k": k, "model": model, "full": full, "test_mse": mse, "elbo": elbo, "seconds": 1.0}


def stamps(*seconds):
    return {str(n): {"at": "2025-03-04T10:00:00Z", "seconds": s} for n, s in enumerate(seconds, start=1)}


class Reader(HTMLParser):
    """The cells of a page, and all tags and texts; holds the page to closing what it opens."""

    def __init__(self, page):
        super().__init__()
        self.open, self.tags, self.texts, self.cells, self.headings = [], set(), [], [], []
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        assert not any(name.startswith("on") for name, _ in attrs)
        if tag not in ("meta", "img"):
            self.open.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")
        if tag == "h2":
            self.headings.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)
        if self.open and self.open[-1] in ("td", "th"):
            self.cells[-1] += data
        if self.open and self.open[-1] == "h2":
            self.headings[-1] += data


def read_page(path):
    return Reader(path.read_bytes().decode("utf-8"))


def read_rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def undefused(cell):
    return cell.removeprefix("'")


# counted by hand


def test_runs_are_averaged_over_learners(tmp_path):
    hand_in(tmp_path, "a.json", name="a", lessons={"01": {"runs": [run("pca", 8, 9.0), run("pca", 8, 0.02, 5.0)]}})
    hand_in(tmp_path, "b.json", name="b", lessons={"01": {"runs": [run("pca", 8, 0.04), run("pca", 2, 0.08)]}})
    hand_in(
        tmp_path, "c.json", name="c",
        lessons={"02": {"runs": [run("pca", 8, 0.06), run("conv", 8, None, 7.0), run("conv", 8, 0.0), run("pca", None, 1.0)]}},
    )  # fmt: skip
    hand_in(tmp_path, "d.json", name="d", lessons={"02": {"runs": [run("pca", 8, 1.0, full=True)]}})
    room = read_class(tmp_path)
    curves = class_counts.experiment(room, "test_mse")
    assert list(curves) == [("mnist", "pca"), ("mnist", "pca, full recipe")]
    pca = curves["mnist", "pca"]
    assert pca.ks.tolist() == [2, 8]
    assert pca.learners.tolist() == [1, 3]  # a's second run replaces the first
    np.testing.assert_allclose(pca.mean, [0.08, 0.04])
    np.testing.assert_allclose(pca.error, [np.nan, 0.02 / np.sqrt(3)])
    assert sorted(pca.each.tolist()) == [0.02, 0.04, 0.06, 0.08]
    bounds = class_counts.experiment(room, "elbo")
    assert {key: curve.mean.tolist() for key, curve in bounds.items()} == {
        ("mnist", "conv"): [7.0],
        ("mnist", "pca"): [5.0],
    }


def test_exercises_are_counted(tmp_path):
    hand_in(tmp_path, "a.json", name="a", lessons={"05": {"checks": {"elbo": check(True, 1)}}})
    hand_in(
        tmp_path, "b.json", name="b",
        lessons={"05": {"checks": {"elbo": check(False, 3, {"spread": 2, "shape": 1}, 3, solution_seen=True)}}},
    )  # fmt: skip
    hand_in(tmp_path, "c.json", name="c", lessons={"05": {"checks": {"elbo": check(True, 2, {"shape": 1}, 1)}}})
    hand_in(tmp_path, "d.json", name="d", lessons={"05": {"checks": {"elbo": check(False, 0, hints=3)}}})  # never tried
    (found,) = class_counts.exercises(read_class(tmp_path))
    wrong = (("shape", 2, 2), ("spread", 2, 1))
    assert found == ExerciseCount("05", "elbo", 3, 2, 2.0, pytest.approx(4 / 3), 1, wrong)


def test_times_are_those_between_arrivals(tmp_path):
    hand_in(tmp_path, "a.json", name="a", lessons={"10": {"sections": stamps(60, 360)}})
    hand_in(tmp_path, "b.json", name="b", lessons={"10": {"sections": stamps(0, 600, 660)}})
    hand_in(tmp_path, "c.json", name="c", lessons={"9": {"sections": stamps(0, 60)}})
    # Sections in another order than they stand in; and a clock that was set back.
    hand_in(tmp_path, "d.json", name="d", lessons={"9": {"sections": stamps(180, 0)}})
    hand_in(tmp_path, "e.json", name="e", lessons={"9": {"sections": stamps(0, None, 60)}})
    assert class_counts.times(read_class(tmp_path), {"10": {"1": 8}}) == [
        SectionTime("9", "1", 1, (1.0, 1.0, 1.0), None),
        SectionTime("9", "2", 1, (3.0, 3.0, 3.0), None),
        SectionTime("10", "1", 2, (6.25, 7.5, 8.75), 8),
        SectionTime("10", "2", 1, (1.0, 1.0, 1.0), None),
    ]


def test_answers_stand_by_group_and_blank_ones_not_at_all(tmp_path):
    for file, group, text in (("a", "pod 10", "ten"), ("b", "pod 2", "two"), ("c", "", "none"), ("d", "pod 2", " ")):
        feelings = {"1": {"score": 4, "note": ""}, "2": {"score": None, "note": text}}
        feedback = {"better": text, "group": "", "feeling": "well"}
        done = {
            "responses": {"q": text},
            "discussions": {"q": text},
            "recap": text,
            "feelings": feelings,
            "feedback": feedback,
        }
        hand_in(tmp_path, f"{file}.json", name=file, group=group, lessons={"01": done})
    room = read_class(tmp_path)
    expected = [("pod 2", "b", "two"), ("pod 10", "a", "ten"), ("", "c", "none")]
    for kind, question in (("responses", "q"), ("discussions", "q"), ("recap", "recap")):
        assert class_counts.answers(room, kind) == {("01", question): expected}
    counts, notes = class_counts.feelings(room)
    assert counts == {("01", "1"): {"4": 4}}
    assert notes == {("01", "2"): expected}
    assert class_counts.feedback(room)["01", "better"] == expected
    assert len(class_counts.feedback(room)["01", "feeling"]) == 4


# files


def test_the_newest_of_one_learner_counts(tmp_path):
    hand_in(tmp_path, "new/a.json", name=" ada ", written="2025-03-04T10:00:00+01:00")  # nine o'clock
    hand_in(tmp_path, "newest.json", name="Ada", written="2025-03-04T09:30:00Z")
    hand_in(tmp_path, "old/a.json", name="Ada", written="2025-03-03T23:00:00Z")
    hand_in(tmp_path, "other group.json", name="Ada", group="pod 2")
    hand_in(tmp_path, "nameless 1.json", name="", written="2025-03-04T10:00:01Z")
    hand_in(tmp_path, "nameless 2.json", name="", written="2025-03-04T10:00:02Z")
    hand_in(tmp_path, "nameless 2, copy.json", name="", written="2025-03-04T10:00:02Z")
    room = read_class(tmp_path)
    assert {one.file for one in room.learners} == {
        "newest.json", "other group.json", "nameless 1.json", "nameless 2.json",
    }  # fmt: skip
    assert room.older == (
        ("nameless 2, copy.json", "nameless 2.json"), ("new/a.json", "newest.json"), ("old/a.json", "newest.json"),
    )  # fmt: skip
    page = read_page(write_report(tmp_path, tmp_path / "out")[0])
    assert {"new/a.json", "old/a.json"} <= set(page.cells)


def test_what_cannot_be_read_is_named_and_not_fatal(tmp_path):
    whole = hand_in(tmp_path, "good.json", name="Ada").read_bytes()
    bad = {
        "cut.json": whole[: len(whole) // 2],
        "changed.json": whole.replace(b'"lines": 9', b'"lines": 8'),
        "foreign.json": b'{"cells": [], "nbformat": 4}',
        "newer.json": json.dumps(content(version=2)).encode(),
        "empty.json": b"",
        "bytes.JSON": b"\xff\xfe\0",
        "deep.json": b"[" * 100_000,
        "list.json": b"[1]",
        "nan.json": whole.replace(b'"lines": 9', b'"lines": NaN'),
        "huge.json": whole.replace(b'"lines": 9', b'"lines": ' + b"9" * 5000),
        "sub/type.json": json.dumps(content(lessons={"01": {"runs": [{"k": 1}]}})).encode(),
    }
    for file, data in bad.items():
        Path(tmp_path, file).parent.mkdir(exist_ok=True)
        Path(tmp_path, file).write_bytes(data)
    Path(tmp_path, "a folder.json").mkdir()
    Path(tmp_path, "gone.json").symlink_to(tmp_path / "nowhere")
    Path(tmp_path, "._good.json").write_bytes(b"a Mac's")
    Path(tmp_path, "notes.txt").write_bytes(b"no business of ours")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    page, _ = write_report(tmp_path, tmp_path / "out")
    room = read_class(tmp_path)
    assert [one.file for one in room.learners] == ["good.json"]
    assert {file for file, _ in room.unread} == {*bad, "gone.json"}
    reasons = dict(room.unread)
    for file, word in (("cut", "whole JSON"), ("changed", "seal"), ("foreign", "no hand-in"), ("newer", "version 2")):
        assert word in reasons[f"{file}.json"]
    cells = read_page(page).cells
    for file, reason in room.unread:
        assert cells[cells.index(file) + 1] == reason
        assert str(tmp_path) not in reason
        assert "\n" not in reason
    assert {path: path.read_bytes() for path in before} == before
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["class-report.csv", "class-report.html"]


@settings(max_examples=60, deadline=None)
@given(at=st.integers(0, 10_000), byte=st.integers(0, 255))
def test_one_changed_byte_is_noticed(tmp_path_factory, at, byte):
    folder = tmp_path_factory.mktemp("class")
    hand_in(folder, "b.json", name="Bea")
    path = hand_in(folder, "a.json", lessons={"01": {"responses": {"q": "It is é."}}})
    data = bytearray(path.read_bytes())
    was, data[at % len(data)] = bytes(data), byte
    path.write_bytes(data)
    room = read_class(folder)
    same = json.loads(was) == _json_or_none(bytes(data))  # another white space says the same
    assert [file for file, _ in room.unread] == ([] if same else ["a.json"])
    assert len(room.learners) == 1 + same


def _json_or_none(data):
    try:
        return json.loads(data)
    except ValueError:
        return None


def test_a_broken_journal_counts_and_is_told(tmp_path):
    hand_in(tmp_path, "a.json", broken=["line 3 does not follow line 2"], lessons={"01": {"recap": "PCA"}})
    page, table = write_report(tmp_path, tmp_path / "out")
    assert "line 3 does not follow line 2" in read_page(page).cells
    assert [row["value"] for row in read_rows(table)] == ["PCA", "line 3 does not follow line 2"]


def test_a_folder_without_hand_ins_is_refused_and_nothing_is_written(tmp_path):
    for write in (lambda: None, lambda: (tmp_path / "a.json").write_text("{}")):
        write()
        with pytest.raises(InputError, match="holds no hand-in"):
            write_report(tmp_path, tmp_path / "out")
    with pytest.raises(InputError, match="is no folder"):
        write_report(tmp_path / "none", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_where_nothing_may_be_written_nothing_is(tmp_path):
    hand_in(tmp_path, "a.json")
    (tmp_path / "out").write_text("a file")
    with pytest.raises(InputError, match="cannot be written"):
        write_report(tmp_path, tmp_path / "out")
    (tmp_path / "there" / "class-report.csv").mkdir(parents=True)
    with pytest.raises(InputError, match="cannot be written"):
        write_report(tmp_path, tmp_path / "there")
    assert {path.name for path in (tmp_path / "there").iterdir()} <= {"class-report.csv", "class-report.html"}


# words


@settings(max_examples=15, deadline=None)
@given(name=ODD, group=ODD, lesson=ODD, question=ODD, answer=ODD, case=ODD, data=ODD, file=st.integers(0, 3))
def test_hostile_words_are_shown_as_words_and_come_back(
    tmp_path_factory, name, group, lesson, question, answer, case, data, file
):
    folder = tmp_path_factory.mktemp("class")
    file = ("a.json", "=cmd.json", "<b>.json", "a,\"b'.json")[file]
    done = {
        "responses": {question: answer},
        "discussions": {question: answer},
        "recap": answer,
        "feelings": {"1": {"score": answer, "note": answer}},
        "feedback": {"better": answer, "group": name, "feeling": group},
        "checks": {question: check(False, 1, {case: 1})},
        "runs": [run(question, 3, 0.1, data=data)],
        "sections": {question: {"at": "2025-03-04T10:00:00Z", "seconds": 0.5}},
    }
    hand_in(folder, file, name=name, group=group, lessons={lesson: done}, broken=[answer])
    with pytest.MonkeyPatch.context() as patch:  # the pictures of such names have their own test
        patch.setattr(look, "as_svg", lambda figure: b"<svg/>")
        page, table = write_report(folder, folder / "out")
    reader = read_page(page)
    assert reader.tags <= {
        *(
            "html",
            "head",
            "meta",
            "title",
            "style",
            "body",
            "header",
            "nav",
            "main",
            "section",
            "h1",
            "h2",
            "h3",
            "p",
            "a",
        ),
        *("ul", "ol", "li", "figure", "img", "div", "table", "thead", "tbody", "tr", "th", "td", "dl", "dt", "dd"),
        *("details", "summary"),
    }
    if answer.strip():
        shown = answer.replace("\0", "\N{REPLACEMENT CHARACTER}")
        assert reader.cells.count(shown) >= 4  # answer, discussion, week before, feedback
    rows = [{key: undefused(cell) for key, cell in row.items()} for row in read_rows(table)]
    assert {row["file"] for row in rows} == {file}
    assert {(row["name"], row["group"]) for row in rows} == {(name, group)}
    said = {(row["lesson"], row["kind"], row["id"]): row["value"] for row in rows}
    assert said[lesson, "response", question] == answer
    assert said[lesson, "discuss", question] == answer
    assert said[lesson, "feeling_note", "1"] == answer
    assert said[lesson, "wrong", f"{question}/{case}"] == "1"
    assert said[lesson, "ran_test_mse", f"{data}/{question}/3"] == "0.1"
    assert said["", "journal", "broken"] == answer


@given(ODD)
def test_no_cell_is_a_formula_and_each_comes_back(text):
    cell = defused(text)
    assert undefused(cell) == text
    start = cell.lstrip()[:1] if cell[:1] != "'" else "'"
    if start in ("=", "+", "-", "@"):
        float(cell)  # a number does no harm
    assert cell[:1] not in ("\t", "\r", "\n")


def test_a_long_answer_is_cut_on_the_page_and_whole_in_the_table(tmp_path):
    answer = "word " * 20_000
    hand_in(tmp_path, "a.json", lessons={"01": {"responses": {"q": answer}}})
    page, table = write_report(tmp_path, tmp_path / "out")
    (cell,) = [cell for cell in read_page(page).cells if cell.startswith(answer[:100])]
    assert cell == f"{answer[:KEPT]} … (96,000 more characters)"
    assert [row["value"] for row in read_rows(table)] == [answer]


def test_the_table_says_what_the_hand_ins_own_says(tmp_path):
    """A journal's CSV and the class's: the same facts, but for times that the JSON does not carry."""
    work = tmp_path / "work"
    work.mkdir()
    journal = Journal(work)
    journal.add("05", "me", "me", {"name": "Zoë, O'Neil", "group": "=pod"})
    for section in ("1", "2"):
        journal.add("05", "section", section)
    for outcome, case in (("to do", ""), ("wrong", "spread"), ("wrong", "shape"), ("passed", "")):
        journal.add("05", "check", "rsample", {"outcome": outcome, "case": case, "words": "no"})
    journal.add("05", "hint", "rsample", 1)
    journal.add("05", "response", "q", '+ "one"\ntwo')
    journal.add("05", "discuss", "halfway", "- minus")
    journal.add("05", "recap", "recap", "'quoted'")
    journal.add("05", "feeling", "1", {"score": "fine", "note": "@home"})
    journal.add("05", "feedback", "feedback", {"better": "more", "group": "good", "feeling": "well"})
    journal.add(
        "05", "ran", "x", {"data": "mnist", "k": 8, "model": "vae", "full": False, "test_mse": 0.01, "elbo": -12.5}
    )
    done = submit(work, CourseConfig(), tmp_path / "class")
    _, table = write_report(tmp_path / "class", tmp_path / "out")

    def facts(rows):
        return {(*(row[key] for key in ("name", "group", "lesson", "kind", "id", "value")),) for row in rows}

    ours = facts({key: undefused(cell) for key, cell in row.items()} for row in read_rows(table))
    assert ours == facts(read_rows(done.csv))
    assert len(ours) > 15
    assert (work / FILE).exists()


def test_a_file_that_changes_meanwhile_is_told(tmp_path):
    path = hand_in(tmp_path, "a.json")

    class Changing:
        def __call__(self, task, total):
            if task == "figures and report":
                path.write_bytes(path.read_bytes() + b"\n")
            from lowerbound.progress import quiet

            return quiet(task, total)

    with pytest.raises(InputError, match="has changed while"):
        write_report(tmp_path, tmp_path / "out", progress=Changing())
    assert not (tmp_path / "out" / "class-report.csv").exists()


# pictures


def labels_of(figure):
    """Every text that is drawn, with its box."""
    found = [*figure.texts]
    for legend in [*figure.legends, *(axes.get_legend() for axes in figure.axes if axes.get_legend())]:
        found += legend.get_texts()
    for axes in figure.axes:
        if axes.axison:
            found += [*axes.texts, axes._left_title, axes.xaxis.label, axes.yaxis.label]
            for axis in (axes.xaxis, axes.yaxis):
                low, high = sorted(axis.get_view_interval())
                found += [tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
    return [(text.get_text(), text.get_window_extent()) for text in found if text.get_visible() and text.get_text()]


def assert_readable(figure):
    """All drawn things lie on the canvas and no two texts overlap."""
    around, canvas = figure.get_tightbbox(), figure.bbox_inches
    assert min(around.x0, around.y0) > -0.01, around
    assert max(around.x1 - canvas.width, around.y1 - canvas.height) < 0.01, around
    for (one, a), (other, b) in itertools.combinations(labels_of(figure), 2):
        across, down = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        assert across < 1 or down < 1.5, f"{one!r} lies on {other!r}"


NAMES = ["elbo", "a_name_that_is_much_too_long_for_any_axis_of_a_figure", "中文", "$5 \\alpha", "two\nlines", "😀", ""]


def curve(ks, learners, level, seed=0):
    rng = np.random.default_rng(seed)
    each_k = np.repeat(ks, learners)
    each = level / np.sqrt(each_k) * rng.lognormal(0, 0.1, len(each_k))
    at = [each[each_k == k] for k in ks]
    error = [values.std(ddof=1) / np.sqrt(learners) if learners > 1 else np.nan for values in at]
    return Curve(
        np.array(ks), np.array([v.mean() for v in at]), np.array(error), np.full(len(ks), learners), each_k, each
    )


@pytest.mark.parametrize("style", ["plain", "xkcd"])
@pytest.mark.parametrize(
    ("sets", "models", "ks", "learners"),
    [
        (1, ["pca"], [8], 1),
        (1, ["pca", "conv", "vae"], list(range(5, 21)), 3),
        (3, ["pca", "linear", "conv", "vae", "vae, full recipe"], [2, 5, 8, 10, 12, 16, 20, 32, 64], 30),
        (11, ["pca", *NAMES[1:], "vae", "linear", "conv"], [1, 1000, 1_000_000], 2),
    ],
)
def test_curves_are_readable(sets, models, ks, learners, style):
    names = [NAMES[place % 7] + str(place) for place in range(sets)]
    curves = {(data, model): curve(ks, learners, 0.1 + place) for place, data in enumerate(names) for model in models}
    for measure in ("test_mse", "elbo"):
        with look.style(style):
            figure = class_curves.class_curves(curves, measure)
        assert_readable(figure)
        drawn = [axes for axes in figure.axes if axes.axison]
        assert len(drawn) == min(sets, class_curves.MOST_PANELS)
        assert {axes.get_yscale() for axes in drawn} == {"log" if measure == "test_mse" else "linear"}


def test_curves_hold_the_means():
    one = curve([4, 8], 5, 0.1)
    figure = class_curves.class_curves({("digits", "pca"): one, ("mnist", "pca"): one}, "test_mse")
    assert [axes._left_title.get_text() for axes in figure.axes] == ["digits", "mnist"]
    faint, means = figure.axes[0].lines[:2]
    np.testing.assert_allclose(means.get_ydata(), one.mean)
    assert len(faint.get_ydata()) == 10
    (bars,) = figure.axes[0].collections
    ends = np.array([segment[:, 1] for segment in bars.get_segments()])
    np.testing.assert_allclose(ends, np.stack([one.mean - 2 * one.error, one.mean + 2 * one.error], 1))


@pytest.mark.parametrize(("learners", "number"), [(1, 1), (3, 1), (1, 25), (300, 25), (30, 90)])
def test_bars_are_readable(learners, number):
    counts = [
        ExerciseCount(f"{n // 4:02d}", NAMES[n % 7], learners, n % (learners + 1), 1 + n / 2, 0.0, 0, ())
        for n in range(number)
    ]
    figure = class_figures.exercises_passed(counts, learners)
    assert_readable(figure)
    assert len(figure.axes[0].get_yticklabels()) == min(number, class_figures.MOST_BARS)
    widths = [bar.get_width() for bar in figure.axes[0].containers[0]]
    assert widths == [count.passed for count in counts[: class_figures.MOST_BARS]]
    for longest in (9.0, 900.0):  # a section left open over night
        quartiles = [(0.0, 0.0, 0.1), (2.0, 4.0, longest), (3.0, 5.0, 6.0)]
        times = [
            SectionTime(f"{n // 4:02d}", NAMES[n % 7], 3, quartiles[n % 3], 8.0 if n % 2 else None)
            for n in range(number)
        ]
        assert_readable(class_figures.section_times(times))


def test_figures_of_nothing_are_refused():
    for draw in (
        lambda: class_curves.class_curves({}, "elbo"),
        lambda: class_figures.exercises_passed([], 1),
        lambda: class_figures.section_times([]),
    ):
        with pytest.raises(InputError, match="expected"):
            draw()


# the whole


def a_class(folder, learners, lessons=12):
    """A class that did the whole course: 22 exercises, 40 answers each."""
    rng = random.Random(0)  # noqa: S311
    for n in range(learners):
        done = {}
        for lesson in range(lessons):
            exercises = [f"exercise_{lesson}_{e}" for e in range(1 + (lesson < 10))]
            cases = {"the_shape": rng.randrange(1, 3), "the_spread": 1}
            done[f"{lesson:02d}"] = {
                "sections": stamps(*itertools.accumulate(rng.lognormvariate(6, 0.5) for _ in range(5))),
                "checks": {e: check(rng.random() < 0.8, 3, cases, 1) for e in exercises},
                "responses": {f"question_{q}": f"An answer by {n}. " * 8 for q in range(3 + (lesson < 4))},
                "discussions": {"halfway": "We found that it blurs. " * 4},
                "feelings": {"1": {"score": rng.choice(["fine", "lost"]), "note": "Too fast." if n % 3 else ""}},
                "feedback": {"better": "More pictures.", "group": "kind", "feeling": "well"},
                "runs": [run(m, 2 + n % 20, rng.lognormvariate(-4, 0.1), 9.0) for m in ("pca", "conv", "vae")],
            }
        hand_in(folder, f"pod {n % 40}/handin-{n}.json", name=f"Learner {n}", group=f"pod {n % 40}", lessons=done)


def test_a_class_of_300_is_reported_completely(tmp_path):
    a_class(tmp_path, 300)
    files = {path: hashlib.sha256(path.read_bytes()).digest() for path in tmp_path.rglob("*.json")}
    page, table = write_report(tmp_path, tmp_path, {"05": {"1": 1.0, "2": 30.0}})
    reader = read_page(page)
    assert reader.headings == [
        "What needs attention", "Error against K", "The ELBO against K", "Exercises", "Time for each section", "Answers",
        "Discussions", "How the sections felt", "Feedback", "Learners", "How this was made",
    ]  # fmt: skip
    assert all(f"Learner {n}" in reader.cells for n in range(300))
    assert all(f"An answer by {n}. " * 8 in reader.cells for n in range(300))
    assert "300 learners in 40 groups, with work in 12 lessons." in reader.texts
    assert "05  1" in reader.cells  # it took longer than its minute
    rows = read_rows(table)
    assert sum(row["kind"] == "response" for row in rows) == 300 * 40
    assert sum(row["kind"] == "passed" for row in rows) == 300 * 22
    assert {path: hashlib.sha256(path.read_bytes()).digest() for path in tmp_path.rglob("*.json")} == files
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {page.name, table.name}


def test_a_single_learner_who_did_nothing_is_reported(tmp_path):
    hand_in(tmp_path, "a.json", name="", group="")
    page, table = write_report(tmp_path, tmp_path / "out")
    assert {"no name", "no group", "a.json"} <= set(read_page(page).cells)
    assert read_rows(table) == []
