"""Functions from the user's own files, and runs whose models they make."""

from __future__ import annotations

import hashlib
import shutil

import numpy as np
import pytest
import torch

from lowerbound import __main__, comparison
from lowerbound.errors import InputError
from lowerbound.outside import load_function
from lowerbound.posterior import DiagonalNormal
from lowerbound.storage import Run
from lowerbound.stored import OWN, StoredModel

RECIPE = '''
"""A VAE with heavier tails."""
import torch
from torch import nn
from torch.distributions import Independent, Laplace

from lowerbound import recipes


class Heavy(nn.Module):
    def __init__(self, in_features, latent_dim):
        super().__init__()
        self.linear = nn.Linear(in_features, 2 * latent_dim)

    def forward(self, features):
        location, log_scale = self.linear(features).chunk(2, dim=-1)
        return Independent(Laplace(location, torch.tanh(log_scale).exp()), 1)


def make(image_shape, latent_dim):
    return recipes.vae(image_shape, latent_dim, recipes.NETWORKS["dense"], posterior=Heavy)


def number(image_shape, latent_dim):
    return 5


threshold = 3
'''


@pytest.fixture
def recipe(tmp_path):
    file = tmp_path / "heavy.py"
    file.write_text(RECIPE)
    return file


@pytest.fixture
def no_report(monkeypatch):
    """Figures take seconds; they have tests of their own."""
    monkeypatch.setattr(comparison, "write_report", lambda run, images, progress: None)


def lowerbound(monkeypatch, *words):
    """Exit code of a command, run in this process."""
    monkeypatch.setattr("sys.argv", ["lowerbound", *map(str, words)])
    return __main__.main()


def refusal(named):
    """The one line with which a name is refused."""
    with pytest.raises(InputError) as refused:
        load_function(named)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_a_function_has_the_name_and_the_hash_of_its_file(recipe):
    outside = load_function(f"{recipe}:make")
    assert outside.name == "heavy.py:make"
    assert outside.sha256 == hashlib.sha256(RECIPE.encode()).hexdigest()
    model = outside.function((1, 8, 8), 2)
    assert type(model.encoder[-1]).__name__ == "Heavy"
    assert model.transform(np.zeros((3, 1, 8, 8), np.uint8)).shape == (3, 2)


def test_the_hash_is_of_what_is_in_the_file_wherever_it_lies(recipe, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    copy = shutil.copy(recipe, tmp_path / "elsewhere" / "heavy.py")
    one, other = load_function(f"{recipe}:make"), load_function(f"{copy}:make")
    assert (one.name, one.sha256) == (other.name, other.sha256)
    recipe.write_text(RECIPE + "\n")
    assert load_function(f"{recipe}:make").sha256 != one.sha256


def test_a_home_folder_and_a_colon_in_a_path_are_understood(recipe, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load_function("~/heavy.py:make").name == "heavy.py:make"
    (tmp_path / "a:b").mkdir()
    shutil.copy(recipe, tmp_path / "a:b")
    assert load_function(f"{tmp_path}/a:b/heavy.py:make").name == "heavy.py:make"


@pytest.mark.parametrize("named", ["heavy.py", "heavy:make", "make", "", ":", "heavy.txt:make", "heavy.py:make:"])
def test_what_names_no_function_is_refused(named, recipe, monkeypatch):
    monkeypatch.chdir(recipe.parent)
    assert refusal(named) == (
        f'"{named}" names no function; expected a Python file and a function in it, as file.py:make'
    )


def test_a_file_that_is_not_there_is_refused(tmp_path):
    assert refusal(f"{tmp_path}/other.py:make").startswith(
        f"{tmp_path}/other.py does not exist; expected a Python file"
    )
    (tmp_path / "folder.py").mkdir()
    assert "does not exist" in refusal(f"{tmp_path}/folder.py:make")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mak", 'has no function "mak"; did you mean "make"?; give one it has'),
        ("heavy", 'has no function "heavy"; did you mean "Heavy"?'),
        ("threshold", 'has no function "threshold"; give one it has'),  # a number, not a function
        ("zebra", 'has no function "zebra"; give one it has'),
        ("", 'has no function ""; give one it has'),
    ],
)
def test_a_function_that_is_not_there_is_refused(recipe, name, message):
    assert message in refusal(f"{recipe}:{name}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("raise RuntimeError('out of luck')", "fails when it is run: RuntimeError: out of luck; mend it first"),
        ("raise RuntimeError('one\\ntwo')", "fails when it is run: RuntimeError: one two; mend it first"),
        ("def make(:", "fails when it is run: SyntaxError: "),
        ("import nowhere_at_all", "fails when it is run: ModuleNotFoundError: No module named 'nowhere_at_all'"),
        ("raise SystemExit(3)", "fails when it is run: SystemExit: 3"),
        ("1 / 0", "fails when it is run: ZeroDivisionError: "),
        ("\x00", "fails when it is run: "),
    ],
)
def test_a_file_that_fails_is_refused(tmp_path, text, message):
    (tmp_path / "broken.py").write_text(text)
    assert message in refusal(f"{tmp_path}/broken.py:make")


def test_what_is_no_text_is_refused(tmp_path):
    (tmp_path / "broken.py").write_bytes(b"x = '\xff\xfe'")
    assert "fails when it is run: " in refusal(f"{tmp_path}/broken.py:make")


@pytest.fixture
def trained(recipe, tmp_path, monkeypatch, no_report):
    """A complete run of a model that the recipe made."""
    monkeypatch.chdir(tmp_path)
    words = ("train", "digits", "--recipe", "heavy.py:make", "-k", 2, "--epochs", 1, "--out", "run")
    assert lowerbound(monkeypatch, *words) == 0
    return tmp_path / "run"


@pytest.mark.slow
def test_a_run_knows_its_recipe_by_name_and_hash_and_loads_with_it_alone(
    trained, recipe, tmp_path, monkeypatch, capsys
):
    outside = load_function(f"{recipe}:make")
    stored = Run.open(trained).choose()
    assert (stored.recipe, stored.latent_dim) == (OWN, 2)
    assert stored.outside == {"name": "heavy.py:make", "sha256": outside.sha256}
    assert not any(b"class Heavy" in file.read_bytes() for file in trained.rglob("*") if file.is_file())
    with pytest.raises(
        InputError, match=r"own-k2 was made by heavy\.py:make, .* give the file: --recipe heavy\.py:make"
    ):
        Run.open(trained).load(stored)
    other = tmp_path / "other.py"
    other.write_text(RECIPE.replace("tanh", "sigmoid"))
    with pytest.raises(InputError, match=r"other\.py:make is not the file that own-k2 was made with") as refused:
        Run.open(trained, outside=load_function(f"{other}:make")).load(stored)
    assert outside.sha256[:12] in str(refused.value)
    assert "\n" not in str(refused.value)
    model = Run.open(trained, outside=outside).load(stored)
    assert type(model.encoder[-1]).__name__ == "Heavy"
    assert np.isfinite(model.score_samples(np.zeros((3, 1, 8, 8), np.uint8))).all()


@pytest.mark.slow
def test_a_run_goes_on_with_its_recipe_alone(trained, recipe, tmp_path, monkeypatch, capsys):
    (tmp_path / "other.py").write_text(RECIPE.replace("tanh", "sigmoid"))
    before = Run.open(trained, outside=load_function(f"{recipe}:make"))
    weights = before.load(before.choose()).encoder[-1].linear.weight
    for words, message in (
        ([], "own-k2 was made by heavy.py:make, whose code no run holds; give the file: --recipe heavy.py:make"),
        (["--recipe", "other.py:make"], "other.py:make is not the file that own-k2 was made with"),
    ):
        shutil.copytree(trained, tmp_path / "copied")
        capsys.readouterr()
        assert lowerbound(monkeypatch, "train", "--resume", "copied", "--epochs", "+1", *words) == 2
        assert message in capsys.readouterr().err
        shutil.rmtree(tmp_path / "copied")
    assert lowerbound(monkeypatch, "train", "--resume", "run", "--epochs", "+1", "--recipe", "heavy.py:make") == 0
    after = Run.open(trained, outside=before.outside)
    assert after.choose().settings.epochs == 2
    assert not torch.equal(after.load(after.choose()).encoder[-1].linear.weight, weights)


def test_a_refused_recipe_changes_nothing(trained, tmp_path, monkeypatch):
    before = (trained / "run.json").read_bytes()
    assert lowerbound(monkeypatch, "train", "--resume", "run", "--epochs", "+1") == 2
    assert (trained / "run.json").read_bytes() == before
    words = ("train", "digits", "--recipe", "heavy.py:number", "-k", 2, "--out", "made")
    assert lowerbound(monkeypatch, *words) == 2
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--recipe", "nowhere.py:make"], "nowhere.py does not exist"),
        (["--recipe", "heavy.py:mak"], 'heavy.py has no function "mak"; did you mean "make"?'),
        (["--recipe", "heavy.py:make", "--model", "vae"], "--model and --recipe both came"),
        (["--recipe", "heavy.py:number"], "heavy.py:number made a int; expected a lowerbound VAE or Autoencoder"),
    ],
)
def test_the_command_line_refuses_recipes_that_make_no_model(words, message, recipe, monkeypatch, capsys):
    monkeypatch.chdir(recipe.parent)
    assert lowerbound(monkeypatch, "train", "digits", "-k", 2, "--epochs", 1, "--out", "run", *words) == 2
    assert f"lowerbound: {message}" in capsys.readouterr().err


def test_a_function_may_be_of_the_same_name_in_another_file(recipe):
    """The hash alone decides: a file may be moved or renamed."""
    outside = load_function(f"{recipe}:make")
    stored = StoredModel(OWN, 2, (1, 8, 8), outside={"name": "elsewhere.py:make", "sha256": outside.sha256})
    assert type(stored.build(outside=outside).encoder[-1]).__name__ == "Heavy"
    assert not isinstance(stored.build(outside=outside).encoder[-1], DiagonalNormal)


def test_weights_come_from_the_seed_alone(recipe):
    outside = load_function(f"{recipe}:make")
    stored = StoredModel(OWN, 2, (1, 8, 8), outside={"name": outside.name, "sha256": outside.sha256})
    torch.manual_seed(5)
    one = stored.build(outside=outside).state_dict()
    torch.manual_seed(6)
    after = torch.rand(1)
    torch.manual_seed(6)
    other = stored.build(outside=outside).state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert torch.equal(torch.rand(1), after)  # the caller's random numbers stay as they were
