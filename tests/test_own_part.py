"""docs/own-part.md: its files, checks, commands and numbers are so; and what is said of a file that is wrong."""

from __future__ import annotations

import doctest
import json
import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.distributions import Independent, Normal

from benchmarks.own_parts import DATA, KINDS, MARKS, PAGE, RESULTS, ROWS, files_of, plan_of, table
from lowerbound import __main__, load, recipes
from lowerbound.errors import InputError
from lowerbound.outside import Outside, load_function
from lowerbound.pca import PCA
from lowerbound.settings import Settings
from lowerbound.storage import Run
from lowerbound.tryout import try_out

TEXT = PAGE.read_text(encoding="utf-8")
FILES = dict(files_of(TEXT))
POSTERIOR = FILES["my_posterior.py"]
NOBODY = Outside("nobody.py:make", "", dict)


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


def lowerbound(monkeypatch, *words):
    """Exit code of a command, run in this process."""
    monkeypatch.setattr("sys.argv", ["lowerbound", *map(str, words)])
    return __main__.main()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with the page's files and nothing else, where Python finds them."""
    for name, code in FILES.items():
        (tmp_path / name).write_text(code, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in FILES:
        sys.modules.pop(name.removesuffix(".py"), None)


def test_there_is_a_short_file_for_each_kind_of_part():
    assert list(FILES) == [f"my_{kind}.py" for kind in ROWS]
    assert all(len([line for line in code.splitlines() if line.strip()]) <= 35 for code in FILES.values())
    assert len(blocks("python")) == len(FILES)


@pytest.mark.slow
@pytest.mark.parametrize("session", blocks("pycon"), ids=lambda session: re.findall(r"check_part\((\w+)", session)[0])
def test_check_part_says_what_is_printed(session, folder):
    found = doctest.DocTestParser().get_doctest(session, {}, "own-part.md", None, 0)
    assert found.examples
    if "import check_part" not in session:
        exec("from lowerbound.testing import check_part", found.globs)  # noqa: S102
    said: list[str] = []
    doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(found, out=said.append)
    assert not said, "".join(said)


@pytest.mark.slow
def test_the_commands_work_from_an_empty_folder(folder, monkeypatch, capsys):
    """As a user types them, for one epoch in place of the recipe's forty."""
    commands = [line[2:] for block in blocks("console") for line in block.splitlines()]
    assert sum(" train " in command for command in commands) == len(FILES)
    for command in commands:
        _, *words = shlex.split(command)
        more = ["--epochs", "1"] if words[0] == "train" else []
        assert lowerbound(monkeypatch, *words, *more) == 0, capsys.readouterr().err
        if words[0] == "train":
            recipe = words[words.index("--recipe") + 1]
            run = Run.open(Path(words[-1]), outside=load_function(recipe))
            stored = run.choose()
            assert (stored.outside or {})["name"] == recipe
            assert run.metrics[0]["score"]["mean"] > -100  # PCA's start, or the mean image, and an epoch
            assert (run.path / "report.html").is_file()
    assert "ELBO" in capsys.readouterr().out


@pytest.mark.slow
def test_own_models_begin_where_built_in_ones_do(folder):
    images = load("digits")
    pca = PCA(4).fit(images.train.pixels)
    built_in = recipes.vae(images.image_shape, 4, start=pca).score(images.test.pixels)
    for name in ("posterior", "prior"):
        outside = load_function(f"my_{name}.py:make")
        with_pca, without = (outside.make(images.image_shape, 4, start) for start in (pca, None))
        assert abs(with_pca.score(images.test.pixels) - built_in) < 3
        assert without.score(images.test.pixels) < built_in - 30


def test_the_numbers_are_those_that_were_measured():
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    assert set(results) == set(DATA) == set(KINDS)
    for name, found in results.items():
        begin, end = (mark.format(name) for mark in MARKS)
        assert TEXT.split(begin)[1].split(end)[0] == table(results, name)
        shown = [row["options"] for row in found["rows"] if row["kind"] in KINDS[name]]
        assert shown == [words for kind in KINDS[name] for words in ROWS[kind]]
        assert (found["k"], found["seeds"], found["epochs"]) == (DATA[name].k, DATA[name].seeds, DATA[name].epochs)


def test_a_row_is_trained_as_its_command_would(folder):
    """The options of a row, read by the benchmark, are what the command line makes of them."""
    plan = plan_of("--recipe my_backbone.py:make --rate 0.003", DATA["digits"], folder)
    (stored, *_) = plan.stored(load("digits"))
    assert (stored.recipe, stored.settings.learning_rate, stored.settings.epochs) == ("own", 0.003, 40)
    (stored, *_) = plan_of("--posterior diagonal --prior mixture:10", DATA["mnist"], folder).stored(load("digits"))
    assert (stored.parts.posterior, stored.parts.prior, stored.settings.epochs) == ("diagonal", "mixture:10", 1)


# What is said of a file that is wrong: one line with file and line, exit code 2, and no run.

FAULTS = {
    "a syntax error": ("def make(", "def make(:", r"part\.py, line 28, fails when it is run: SyntaxError: "),
    "no make": ("def make(", "def mak(", 'part.py has no function "make"; did you mean "mak"?'),
    "an import": (
        "import recipes",
        "import recipies",
        "line 7, fails when it is run: ImportError: cannot import name 'recipies'",
    ),
    "nothing returned": (
        "    return recipes",
        "    recipes",
        "part.py:make made a NoneType; expected a lowerbound VAE",
    ),
    "other arguments": (
        "(image_shape, latent_dim, start=None)",
        "(image_shape)",
        "line 28, fails for images [1, 8, 8] and K = 3: TypeError: make() takes 1 positional",
    ),
    "within make": (
        "recipes.vae(",
        "recipes.va(",
        "line 29, fails for images [1, 8, 8] and K = 3: AttributeError: module 'lowerbound.recipes'",
    ),
    "within a part": ("2 * latent_dim", "2 * latent", "line 13, fails for images [1, 8, 8] and K = 3: NameError: "),
    "when it is called": (
        "log_scale.exp()",
        "log_scale.exb()",
        "line 22, fails on 4 images [1, 8, 8] with K = 3: AttributeError: 'Tensor'",
    ),
    "an exit": ("    return recipes", "    raise SystemExit(0)\n    return recipes", "line 29, fails for images"),
    "no event": (
        "Independent(Laplace(location, log_scale.exp()), 1)",
        "Laplace(location, log_scale.exp())",
        "q(z|x) came with batch shape [4, 3] and event shape []; expected batch shape [4] and event shape [3]",
    ),
    "no distribution": (
        "self.from_phi(self.phi(features))",
        "self.phi(features)",
        "q(z|x) came as a Tensor; expected a torch.distributions.Distribution",
    ),
    "another K": ("in_features, 2 * latent_dim)", "in_features, 4)", "event shape [2]; expected batch shape [4]"),
    "a summed loss": (
        "posterior=LaplacePosterior)",
        "objective=lambda m, x, fraction: Terms(x.sum(), x.sum(), x.sum()))\n\n\nfrom lowerbound.objective import Terms",
        "loss (of Terms, which its objective gives) came as []; expected [4]",
    ),
    "no terms": (
        "posterior=LaplacePosterior)",
        "objective=lambda m, x, fraction: x.sum((1, 2, 3)))",
        "loss (of Terms, which its objective gives) came as a NoneType; expected [4]",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_line_that_names_file_and_line(fault, tmp_path, monkeypatch, capsys):
    before, after, said = FAULTS[fault]
    assert POSTERIOR.count(before) == 1
    (tmp_path / "part.py").write_text(POSTERIOR.replace(before, after), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    words = ("train", "digits", "--recipe", "part.py:make", "-k", 3, "--epochs", 1, "--out", "run")
    assert lowerbound(monkeypatch, *words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("lowerbound: ")
    assert "part.py" in line
    assert said.replace("\\", "") in line
    assert sorted(path.name for path in tmp_path.iterdir()) == ["part.py"]


def test_the_fault_on_the_page_is_the_one_that_comes(tmp_path, monkeypatch, capsys):
    (tmp_path / "my_posterior.py").write_text(POSTERIOR.replace("log_scale.exp()", "log_scale.exb()"))
    monkeypatch.chdir(tmp_path)
    assert lowerbound(monkeypatch, "train", "digits", "--recipe", "my_posterior.py:make") == 2
    assert capsys.readouterr().err in blocks("text")


@pytest.mark.slow
def test_what_fails_while_it_trains_is_said_likewise(tmp_path, monkeypatch, capsys):
    late = """
from lowerbound import objective, recipes

steps = []


def late(model, images, fraction=1.0):
    steps.append(fraction)
    if len(steps) > 20:
        raise RuntimeError("too late")
    return objective.Elbo()(model, images)


def make(image_shape, latent_dim):
    return recipes.vae(image_shape, latent_dim, objective=late)
"""
    (tmp_path / "late.py").write_text(late)
    monkeypatch.chdir(tmp_path)
    words = ("train", "digits", "--recipe", "late.py:make", "-k", 3, "--epochs", 3, "--out", "run")
    assert lowerbound(monkeypatch, *words) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert "late.py, line 10, fails while it is trained: RuntimeError: too late" in said
    assert Run.open(tmp_path / "run", unfinished=True).about["status"] == "training"


class Bare(nn.Module):
    """A likelihood that says nothing of itself: what is assumed is a density, and nothing to record."""

    def forward(self, images):
        return Independent(Normal(images, 0.3), 3)


def test_a_likelihood_needs_forward_alone():
    pixels = load("digits").train.pixels[:200]
    model = recipes.vae((1, 8, 8), 2, likelihood=Bare(), start=PCA(2).fit(pixels))
    assert (model.discrete, model.binary, dict(model.gauges())) == (False, False, {})
    before = model.score(pixels)
    assert model.fit(pixels, Settings(epochs=3)).score(pixels) > before
    with pytest.raises(AttributeError):
        _ = model.likelihood.gauges


def test_a_trial_leaves_the_generator_and_the_images_alone():
    images = np.random.default_rng(0).integers(0, 256, (9, 1, 8, 8)).astype(np.uint8)
    kept, model = images.copy(), recipes.vae((1, 8, 8), 2)
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    try_out(NOBODY, model, images, 2)
    assert torch.equal(torch.rand(4), expected)
    assert np.array_equal(images, kept)


def test_a_plain_autoencoder_is_tried_likewise():
    images = np.zeros((2, 1, 8, 8), np.uint8)
    try_out(NOBODY, recipes.conv((1, 8, 8), 3), images, 3)
    with pytest.raises(InputError, match=r"nobody\.py fails on 2 images \[1, 8, 8\] with K = 4: q\(z\|x\) came with"):
        try_out(NOBODY, recipes.conv((1, 8, 8), 3), images, 4)


def test_a_gauge_must_be_one_number():
    class Loud(Bare):
        def gauges(self):
            return {"sigma": torch.zeros(2)}

    model = recipes.vae((1, 8, 8), 2, likelihood=Loud())
    with pytest.raises(InputError, match=r'gauge "sigma" came as \[2\]; expected \[\]'):
        try_out(NOBODY, model, np.zeros((2, 1, 8, 8), np.uint8), 2)
