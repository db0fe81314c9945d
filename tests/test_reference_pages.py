"""The pages in docs/live: of the format of today, whole, closed against any request, and with no word of where they were made."""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
import re
from functools import cache
from pathlib import Path

import pytest

from benchmarks.reference_pages import LIVE, REFERENCES
from lowerbound.payload import SCHEMA
from lowerbound.seven_bits import read

ROOT = Path(__file__).parents[1]
ASSET = re.compile(r'<script type="text/plain" id="asset:([^"]*)">([^<\0\r]*)</script>')
PANELS = {"map", "dimensions", "interpolate", "generate", "reconstruct", "film", "posterior", "numbers", "findings"}


@cache
def page(name):
    """A page's text without its assets, and their text by name."""
    text = (LIVE / f"{name}.html").read_bytes().decode()
    return ASSET.sub("", text), dict(ASSET.findall(text))


@cache
def meta(name):
    return json.loads(gzip.decompress(read(page(name)[1]["meta"]))[1:])


def test_each_reference_run_has_a_page_and_nothing_else_lies_there():
    assert {file.name for file in LIVE.glob("*.html")} == {f"{name}.html" for name in REFERENCES}


@pytest.mark.parametrize("name", REFERENCES)
def test_it_has_todays_format_and_all_that_a_page_shows(name):
    told = meta(name)
    assert told["schema"] == SCHEMA, "make pages"
    assert told["k"] == REFERENCES[name]
    assert [model["name"] for model in told["models"]] == ["pca", "linear", "conv", "vae"]
    assert told["shown"] == told["source"]["test"]
    assert not PANELS & {each["panel"] for each in told["left_out"]}
    assert len(told["posterior"]) > 1
    assert "wasm" in page(name)[1]


@pytest.mark.parametrize("name", REFERENCES)
def test_its_title_is_the_runs(name):
    assert f"<title>{html.escape(meta(name)['title'])}</title>" in page(name)[0]
    assert meta(name)["title"].startswith(f"{name}: ")


@pytest.mark.parametrize("name", REFERENCES)
def test_it_may_request_nothing_and_run_no_script_but_its_own(name):
    text = page(name)[0]
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    (script,) = re.findall(r'<script type="module">(.*?)</script>', text, re.DOTALL)
    rules = dict(rule.partition(" ")[::2] for rule in policy.split("; "))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert rules["script-src"] == f"'sha256-{digest}' 'wasm-unsafe-eval'"
    assert rules["img-src"] == "data: blob:"
    for nothing in ("default-src", "connect-src", "base-uri", "form-action"):
        assert rules[nothing] == "'none'"
    markup = re.sub(r"<(script|style)[^>]*>.*?</\1>", "", text, flags=re.DOTALL)
    assert not re.findall(r'\b(?:src|href|action|data|poster)="(?!#)', markup)
    assert text.count("<script") == 1


@pytest.mark.parametrize("name", REFERENCES)
def test_no_path_is_in_it_and_the_command_can_be_typed_anywhere(name):
    told = json.dumps(meta(name), ensure_ascii=False)
    assert not re.findall(r"(?<![\w./])(?:/(?:home|root|tmp|work|Users|mnt|var)\b|[A-Z]:\\)[^\s\"]*", told)
    assert str(Path.home()) not in told
    facts = dict(meta(name)["facts"])
    assert facts["command"].startswith(f"lowerbound compare {name} -k {REFERENCES[name]}")
    assert "figures" not in facts, "no figures lie beside it"


@pytest.mark.parametrize("file", ["README.md", "docs/page.md"])
def test_one_click_leads_there(file):
    text = (ROOT / file).read_text(encoding="utf-8")
    targets = {(ROOT / file).parent / target for target in re.findall(r"\]\(([^)#]+\.html)\)", text)}
    assert {target.resolve() for target in targets} >= {(LIVE / f"{name}.html").resolve() for name in REFERENCES}
