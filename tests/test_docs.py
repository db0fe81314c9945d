"""Every block of the README and the docs runs: commands on small digits, Python page by page, examples with what they print.

What stands for what is in ``STAND_INS`` and ``SMALLER``. A block that does not run says why, right before it:
``<!-- not run: ... -->``.
"""

from __future__ import annotations

import contextlib
import doctest
import json
import os
import re
import shlex
import shutil
import sys
import tomllib
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
OTHERS = {"own-part", "own-loop"}  # tests of their own run these
PAGES = {
    page.stem: page.read_text(encoding="utf-8")
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    if page.stem not in OTHERS
}
COMMAND = re.compile(r"(\.venv/bin/)?(lowerbound|pip|make|torchrun|srun|python) ")
SHOWN = {"", "text", "toml", "bibtex"}  # outputs and files, which do not run

# In commands: what is large, or of the reader's, and what stands for it here.
STAND_INS = {
    "RUN": "run",
    "mnist": "digits",
    "5,10,20,50": "2,4",
    "1,2,4,8,16": "2,4",
    "16,16,12,12": "2,2,4,4",
    "0.1,0.5,1": "0.5",
}
# What is added to a command, so that it takes seconds and waits for nobody.
SMALLER = {
    "compare": ["--epochs", "1", "--no-insight"],
    "train": ["--epochs", "1"],
    "nats": ["-n", "4", "--samples", "20"],
    "evaluate": ["--images", "20", "--samples", "20"],
    "infer": ["--steps", "20"],
    "course start": ["--no-open"],
}


@dataclass(frozen=True)
class Block:
    """A block of a page: its language (none where it is indented), its text, its line, and why it does not run."""

    language: str
    text: str
    line: int
    reason: str

    @property
    def commands(self):
        """The command lines in it, whole; in a console those after a "$"."""
        text = self.text.replace("\\\n", " ")
        if self.language == "console":
            text = "\n".join(line[2:] for line in text.splitlines() if line.startswith("$ "))
        elif self.language != "sh":  # an indented block, which may begin with commands and go on with what they print
            text = "\n".join(takewhile(COMMAND.match, text.splitlines()))
        return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]


def blocks(page):
    """The blocks of a page, fenced and indented, in their order."""
    lines, found, at = page.splitlines(), [], 0
    while at < len(lines):
        start, fence, language = at, re.match(r"```(\w*)", lines[at]), ""
        if fence:
            language, at = fence[1], lines.index("```", at + 1) + 1
            text = "\n".join(lines[start + 1 : at - 1])
        elif lines[at].startswith("    ") and not lines[at - 1].strip():
            while at < len(lines) and (lines[at].startswith("    ") or not lines[at].strip()):
                at += 1
            text = "\n".join(line[4:] for line in lines[start:at]).rstrip()
        else:
            at += 1
            continue
        before = next((line for line in reversed(lines[:start]) if line.strip()), "")
        reason = re.fullmatch(r"<!-- not run: (.+) -->", before)
        found.append(Block(language, text, start + 1, reason[1] if reason else ""))
    return found


BLOCKS = {name: blocks(text) for name, text in PAGES.items()}


def lowerbound(*words):
    """Exit code of a command, run in this process."""
    from lowerbound import __main__

    before, sys.argv = sys.argv, ["lowerbound", *words]
    try:
        return __main__.main()
    finally:
        sys.argv = before


class Reader:
    """Somebody who types what the pages say, in a folder with all that they take for granted."""

    def __init__(self, place):
        self.place, self.done = place, set()

    @contextlib.contextmanager
    def here(self):
        """Work in the folder."""
        before = Path.cwd()
        os.chdir(self.place)
        try:
            yield
        finally:
            os.chdir(before)

    def types(self, line):
        """Run one command, unless it was run before: pages share what they make."""
        words = [STAND_INS.get(word, word) for word in shlex.split(line, comments=True)]
        program, *words = words
        if program == "pip":
            extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
            named = re.fullmatch(r"install lowerbound(?:\[(\w+)\])?", " ".join(words))
            assert named, line
            assert named[1] is None or named[1] in extras, line
        elif program == "make":
            assert re.search(rf"^{words[0]}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE), line
        else:
            assert Path(program).name == "lowerbound", f"{line}: not a command that is run here"
            verb = " ".join(words[: 2 if words[0] in ("course", "data") else 1])
            more = SMALLER.get(verb, [])
            words += [] if set(more[::2]) & set(words) - {"--no-insight"} else more
            if tuple(words) not in self.done:
                for left in self.place.glob("run-*"):  # what verbs write where nothing is said, and write once
                    shutil.rmtree(left) if left.is_dir() else left.unlink()
                assert lowerbound(*words) == 0, f"lowerbound {shlex.join(words)}"
                self.done.add(tuple(words))


def put_images(place):
    """Digits as files and arrays, as the pages name them."""
    from PIL import Image

    from lowerbound.sources import load

    digits = load("digits").train
    images = [Image.fromarray(pixels[0]) for pixels in digits.pixels[:140]]
    for folder, chosen in (("photos", range(120)), ("clean", range(120)), ("others", range(120, 140))):
        for n in chosen:
            home = place / folder / ("even" if digits.labels[n] % 2 == 0 else "odd")
            home.mkdir(parents=True, exist_ok=True)
            images[n].save(home / f"{n}.png")
    for n, name in enumerate(("cat.jpg", "dog.jpg")):
        images[n].save(place / name)
    mask = np.zeros((8, 8), np.uint8)
    mask[2:5, 2:5] = 255
    Image.fromarray(mask).save(place / "mask.png")
    np.save(place / "photos.npy", digits.pixels[:200])


def put_handins(place):
    """A learner's journal, and what they handed in."""
    from lowerbound.course.config import CourseConfig
    from lowerbound.course.handin import submit
    from lowerbound.course.journal import Journal

    Journal(place).add("05", "me", "me", {"name": "Ada L.", "group": "athena"})
    submit(place, CourseConfig(), place / "handins")


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """A reader who has made a run of digits."""
    reader = Reader(tmp_path_factory.mktemp("reader"))
    put_images(reader.place)
    put_handins(reader.place)
    with reader.here():
        assert lowerbound("compare", "digits", "-k", "4", "--epochs", "1", "--out", "run") == 0
        shutil.copytree("run", "runs/digits-k8-2026-11-25")  # as docs/page.md names one
    return reader


@pytest.mark.slow
@pytest.mark.parametrize("page", [name for name in PAGES if any(not block.reason for block in BLOCKS[name])])
def test_what_a_page_shows_runs(page, reader, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    names = {"__name__": page}
    with reader.here():
        for block in BLOCKS[page]:
            if block.reason:
                continue
            where = f"{page}.md, line {block.line}"
            if block.language == "python":
                exec(compile("\n" * block.line + block.text, f"{page}.md", "exec"), names)  # noqa: S102
            elif block.language == "pycon":
                examples = doctest.DocTestParser().get_doctest(
                    block.text + "\n", names, where, f"{page}.md", block.line
                )
                runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
                assert runner.run(examples, clear_globs=False).failed == 0, where
                names |= examples.globs
            for line in block.commands:
                reader.types(line)


def test_every_block_is_of_a_kind_that_is_run_or_shown():
    kinds = {block.language for found in BLOCKS.values() for block in found}
    assert kinds <= SHOWN | {"python", "pycon", "sh", "console"}
    hidden = [
        f"{page}.md, line {block.line}"
        for page, found in BLOCKS.items()
        for block in found
        if block.language in SHOWN
        and re.search(r"^(\.venv/bin/)?lowerbound ", block.text, re.MULTILINE)
        and not block.commands
    ]
    assert hidden == []


def test_blocks_that_do_not_run_say_why():
    unrun = {page: [block.reason for block in found if block.reason] for page, found in BLOCKS.items()}
    assert sum(map(len, unrun.values())) <= 8
    assert all(len(reason.split()) >= 3 for reasons in unrun.values() for reason in reasons)
    marks = {page: len(re.findall(r"<!-- not run", text)) for page, text in PAGES.items()}
    assert marks == {page: len(reasons) for page, reasons in unrun.items()}  # each stands right before its block


@pytest.mark.slow
def test_the_page_of_formats_names_every_file_and_field_of_a_run(reader):
    page = PAGES["formats"]
    run = reader.place / "runs" / "digits-k8-2026-11-25"  # in which no verb has written
    for file in run.rglob("*"):
        if file.is_file() and "figures" not in file.parts:
            assert f"`{file.name}`" in page, file
    about = json.loads((run / "run.json").read_text(encoding="utf-8"))
    model = json.loads((run / "models" / "vae-k4" / "model.json").read_text(encoding="utf-8"))
    rows = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    fields = {*about, *about["source"], *about["machine"], *model, *model["settings"], *model["parts"], *rows[-1]}
    assert {field for field in fields if f"`{field}`" not in page} == set()


def test_the_page_of_formats_has_the_versions_of_today():
    from lowerbound import payload, storage
    from lowerbound.course import sealed

    page = PAGES["formats"]
    assert f"version `format` {storage.FORMAT}" in page
    assert f"(`schema` {payload.SCHEMA})" in page
    assert f"`version` {sealed.VERSION}," in page
    assert {part for part in sealed._LESSON if f"`{part}`" not in page} == set()


@pytest.mark.slow
def test_the_page_of_numbers_has_every_number_that_is_measured():
    from lowerbound import PCA, Settings, load
    from lowerbound.likelihood import DiscretizedLogistic
    from lowerbound.measures import measure
    from lowerbound.recipes import vae

    digits = load("digits")
    train, test = digits.train[:200], digits.test[:60]
    model = vae(digits.image_shape, latent_dim=2, likelihood=DiscretizedLogistic()).fit(
        train.pixels, Settings(epochs=1)
    )
    for fitted in (PCA(2).fit(train.pixels), model):
        for each in measure(fitted, train, test, evidence_images=4, evidence_samples=5):
            name = each.name.partition(":")[0].removesuffix(", coarse")
            assert f"| {name}" in PAGES["numbers"] or f"({name})" in PAGES["numbers"] or name == "log p(x)", name
            assert each.unit.removeprefix("of ") in PAGES["numbers"] or each.unit.startswith("of "), each.unit
