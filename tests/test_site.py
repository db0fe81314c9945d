"""The site: it is built without a warning, loads nothing from elsewhere, and its links and its reference are whole."""

from __future__ import annotations

import ast
import importlib
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from importlib.metadata import version
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = ROOT / "src" / "lowerbound"
PAGES = sorted((ROOT / "docs").rglob("*.md"))
REFERENCE = {page: page.read_text(encoding="utf-8") for page in PAGES if page.parent.name == "reference"}
INDEX = REFERENCE[ROOT / "docs" / "reference" / "index.md"]
# Attributes by which a page fetches something by itself; <a href> is followed by people alone.
LOADS = {"src", "srcset", "data", "poster"}
NO_LOADS = {"canonical", "next", "prev"}  # <link>s that say where other pages are


class Page(HTMLParser):
    """What a built page loads, where its links go, and which places in it a link can name."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads, self.links, self.places = [], [], {""}
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.places.add(found.get("id") or found.get("name") or "")
        self.loads += [value for name, value in attrs if name in LOADS and value]
        self.loads += re.findall(r"url\(([^)]+)\)", found.get("style") or "")
        if tag == "link" and found.get("rel") not in NO_LOADS:
            self.loads.append(found.get("href") or "")
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])


def public(module):
    """The functions and classes that a module of ours makes and names in ``__all__``, read without importing it."""
    file = SOURCES / f"{module}.py"
    body = ast.parse(file.read_text(encoding="utf-8")).body if file.is_file() else []
    (names,) = [ast.literal_eval(line.value) for line in body if named_all(line)] or [[]]
    return [line.name for line in body if isinstance(line, ast.FunctionDef | ast.ClassDef) and line.name in names]


def named_all(line):
    """Whether a line of a module is its ``__all__``."""
    return isinstance(line, ast.Assign) and getattr(line.targets[0], "id", "") == "__all__"


def documented():
    """Module -> the page of the reference that has it, for each time that one does."""
    return [
        (module, page)
        for page, text in REFERENCE.items()
        for module in re.findall(r"^::: lowerbound\.(\w+)$", text, re.M)
    ]


def nav(part):
    """The pages that the navigation names."""
    if isinstance(part, str):
        return [part]
    return [page for each in part for page in nav(next(iter(each.values())) if isinstance(each, dict) else each)]


def settings():
    """``mkdocs.yml``."""
    import yaml

    return yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))


def test_every_module_is_on_one_page_of_the_reference_or_said_to_be_inner():
    inner = re.findall(r"`(\w+)`", INDEX.split("<!-- inner -->")[1].split("<!-- /inner -->")[0])
    there = [module for module, _ in documented()] + inner
    modules = {file.stem for file in SOURCES.glob("*.py")} - {"__init__", "__main__"} | {"course"}
    assert sorted(there) == sorted(modules)


def test_the_names_of_the_package_are_in_the_overview_with_links_to_their_homes():
    import lowerbound

    table = INDEX.split("## The names of")[1].split("##")[0]
    shown = dict(re.findall(r"\[`lb\.(\w+)`\]\(\w+\.md#lowerbound\.([\w.]+)\)", table))
    assert sorted(shown) == sorted(lowerbound.__all__)
    for name, home in shown.items():
        module, _, own = home.rpartition(".")
        found = importlib.import_module(f"lowerbound.{module or own}")
        assert getattr(lowerbound, name) is (getattr(found, own) if module else found)


@pytest.mark.parametrize(
    "page", [page for page in PAGES if "reference/" in page.read_text("utf-8")], ids=lambda p: p.stem
)
def test_every_function_that_a_page_links_to_is_where_the_link_goes(page):
    homes = {module: home.name for module, home in documented()}
    for file, name in re.findall(r"\(reference/(\w+\.md)#lowerbound\.([\w.]+)\)", page.read_text(encoding="utf-8")):
        module, *names = name.split(".")
        assert homes[module] == file, name
        found = importlib.import_module(f"lowerbound.{module}")
        for each in names:
            found = getattr(found, each)


def test_every_formula_of_the_theory_has_its_source_and_its_function():
    text = (ROOT / "docs" / "theory.md").read_text(encoding="utf-8")
    sections = re.split(r"^## ", text, flags=re.M)[2:]  # after the head and the symbols
    assert len(sections) >= 14
    for section in sections:
        assert "(reference/" in section, section.splitlines()[0]
        assert "https://" in section or "http://" in section, section.splitlines()[0]


def test_the_citation_is_that_of_the_package():
    import tomllib

    import yaml

    package = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    page = (ROOT / "docs" / "cite.md").read_text(encoding="utf-8")
    assert citation["license"] == package["license"]
    assert [each["name"] for each in citation["authors"]] == [each["name"] for each in package["authors"]]
    assert f"title   = {{{citation['title']}}}" in page
    assert f"version = {{{citation['version']}}}" in page
    assert citation["version"] == version("lowerbound")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the site, built without a warning."""
    site = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return site


@pytest.mark.slow
def test_the_site_is_whole(site):
    named = nav(settings()["nav"])
    assert len(named) == len(set(named))
    assert [page for page in named if not (site / built(page)).is_file()] == []
    pages = {
        file: Page(file.read_text(encoding="utf-8"))
        for file in site.rglob("*.html")
        if file.parent.name != "live"  # made by the program, and held to loading nothing by their own policy and tests
    }
    assert len(pages) >= len(named)
    elsewhere = [(file.name, load) for file, page in pages.items() for load in page.loads if "//" in load]
    assert elsewhere == []
    styles = [(file.name, url) for file in site.rglob("*.css") for url in urls(file.read_text(encoding="utf-8"))]
    assert [(name, url) for name, url in styles if "//" in url] == []
    del pages[site / "404.html"]  # a web host shows it for any address, so its links begin at the host's root
    assert [broken for file, page in pages.items() for broken in broken_links(file, page, pages)] == []
    for module, page in documented():
        places = pages[site / "reference" / f"{page.stem}.html"].places
        names = {f"lowerbound.{module}", *(f"lowerbound.{module}.{name}" for name in public(module))}
        assert names <= places, sorted(names - places)


@pytest.mark.slow
def test_a_browser_without_a_network_shows_every_page_whole(site, browser):
    bad = """return [...document.images].filter(each => each.complete && !each.naturalWidth).map(each => each.src)
        .concat(document.documentElement.scrollWidth > innerWidth ? ["wider than the window"] : [])"""
    for page in nav(settings()["nav"]):
        browser.size(1200)
        browser.open(site / built(page), ready=False)
        for width in (1200, 400):
            browser.size(width)
            assert browser.js(bad) == [], (page, width)
        browser.check_quiet()


@pytest.mark.slow
def test_the_search_works_from_disk(site, browser):
    browser.size(1300)
    browser.open(site / "index.html", ready=False)
    (field,) = browser.all(".md-search__input")
    browser.js("arguments[0].focus()", field)
    field.send_keys("amortisation gap")
    found = "return [...document.querySelectorAll('.md-search-result__link')].map(each => each.href)"
    links = browser.until(lambda: browser.js(found), "the search to find something")
    assert any("theory.html" in link or "lowerbound.gaps" in link for link in links)
    browser.check_quiet()


def built(page):
    """Where the site has a page of the navigation."""
    return page.replace("README.md", "index.md").removesuffix(".md") + ".html"


def urls(style):
    """What a style sheet loads, but for what it holds itself."""
    return [url for url in re.findall(r"""(?:url\(|@import\s+)["']?([^"')]+)""", style) if not url.startswith("data:")]


def broken_links(file, page, pages):
    """Links to files that are not there, and to places that a page does not have."""
    for link in [*page.links, *page.loads]:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
        places = pages[target].places | {"__top"} if target in pages else {unquote(parts.fragment)}
        if not target.exists() or unquote(parts.fragment) not in places:
            yield file.name, link
