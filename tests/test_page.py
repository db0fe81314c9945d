"""The report page: one file, nothing fetched, nothing run, all words shown as words."""

from html.parser import HTMLParser

import numpy as np
import pytest

from lowerbound.curves import losses
from lowerbound.errors import InputError
from lowerbound.figures import samples_of
from lowerbound.look import save
from lowerbound.page import Section, Table, report

ATTACK = "\"><img src=x onerror=alert(1)></style><script>alert(2)</script>&amp;'`{{7*7}}"
VOID = {"meta", "img", "link", "br", "hr"}


class Reader(HTMLParser):
    """Notes tags and text, and holds the page to closing what it opens."""

    def __init__(self, page):
        super().__init__()
        self.open, self.tags, self.text = [], [], []
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture
def figure(tmp_path):
    return save(losses({"conv": [3, 2, 1]}), tmp_path / "figures", "loss")


@pytest.fixture
def page(tmp_path, figure):
    sections = [
        Section("Loss", "It falls.\n\nThen it stays.", figure[1], "A falling curve"),
        Section(ATTACK, ATTACK, figure[0], ATTACK, Table((ATTACK, "MSE"), ((ATTACK, "0.0252"),))),
        Section("", ""),
    ]
    path = report(ATTACK, [ATTACK], [(ATTACK, ATTACK)], sections, tmp_path / "report.html")
    return path.read_text(encoding="utf-8")


def test_all_words_are_shown_as_words(page):
    reader = Reader(page)
    assert {tag for tag, _ in reader.tags} <= {
        *("html", "head", "meta", "title", "style", "body", "header", "nav", "main", "section", "h1", "h2", "p"),
        *("ul", "ol", "li", "a", "figure", "img", "div", "table", "thead", "tbody", "tr", "th", "td", "dl", "dt", "dd"),
    }
    assert (
        sum(text == ATTACK for text in reader.text) == 10
    )  # title twice, summary, contents, heading, text, table twice, fact twice
    assert [attrs["alt"] for tag, attrs in reader.tags if tag == "img"] == ["A falling curve", ATTACK]


def test_nothing_is_fetched_and_nothing_runs(page):
    reader = Reader(page)
    for tag, attrs in reader.tags:
        assert not any(name.startswith("on") for name in attrs), tag
        assert attrs.get("src", "data:").startswith("data:image/") or "src" not in attrs
        assert attrs.get("href", "#").startswith("#")
    assert "url(" not in page
    assert "@import" not in page
    (policy,) = [attrs["content"] for _, attrs in reader.tags if attrs.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "script" not in policy
    assert "http" not in policy


def test_contents_lead_to_every_section(page):
    tags = Reader(page).tags
    ids = {attrs["id"] for _, attrs in tags if "id" in attrs}
    links = [attrs["href"][1:] for tag, attrs in tags if tag == "a"]
    assert links == ["s1", "s2", "s3"]
    assert set(links) <= ids


def test_the_smaller_of_two_files_is_inside(tmp_path):
    png, svg = save(samples_of(np.random.default_rng(0).random((4, 1, 99, 99))), tmp_path, "noise")
    smaller = "image/png" if png.stat().st_size < svg.stat().st_size else "image/svg+xml"
    path = report("t", [], [], [Section("s", "", png)], tmp_path / "report.html")
    assert f'src="data:{smaller};base64,' in path.read_text(encoding="utf-8")


def test_same_run_same_page(tmp_path, figure):
    pages = [report("t", ["s"], [("a", "b")], [Section("s", "x", figure[0])], tmp_path / f"{n}.html") for n in "ab"]
    assert pages[0].read_bytes() == pages[1].read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.html", "b.html", "figures"]


def test_names_that_are_no_unicode_do_not_stop_the_page(tmp_path):
    path = report("bad \udcff\0 name", [], [], [], tmp_path / "report.html")
    words = " ".join(Reader(path.read_text(encoding="utf-8")).text)
    assert "bad " in words
    assert " name" in words
    assert "\udcff" not in words


def test_what_cannot_be_put_in_is_refused(tmp_path):
    with pytest.raises(InputError, match="is not there"):
        report("t", [], [], [Section("s", "", tmp_path / "none.png")], tmp_path / "report.html")
    with pytest.raises(InputError, match=r"neither \.png nor \.svg"):
        report("t", [], [], [Section("s", "", tmp_path / "none.gif")], tmp_path / "report.html")
    assert not list(tmp_path.iterdir())
    with pytest.raises(InputError, match="a table row has 1 cells"):
        Table(("a", "b"), (("c",),))
