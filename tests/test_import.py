"""Importing: quick, silent, without torch; and every public name is there when it is asked for."""

import ast
import importlib.metadata
import inspect
import subprocess
import sys

import pytest

import lowerbound

HEAVY = ["torch", "scipy", "sklearn", "matplotlib", "pyarrow", "PIL", "pooch"]


def in_fresh_process(code):
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout


def test_importing_the_package_imports_nothing_heavy():
    code = "import sys, lowerbound; print([name for name in sys.argv[1:] if name in sys.modules])"
    loaded = in_fresh_process(code.replace("sys.argv[1:]", repr(["numpy", *HEAVY])))
    assert ast.literal_eval(loaded) == []


def test_reading_images_needs_no_torch():
    code = """
import sys, lowerbound.sources
print("torch" in sys.modules)
lowerbound.sources.load("digits")
lowerbound.ImageSet, lowerbound.InputError, lowerbound.PCA
print("torch" in sys.modules)
"""
    assert in_fresh_process(code).split() == ["False", "False"]


@pytest.mark.parametrize("module", ["lowerbound", "lowerbound.sources", "lowerbound.recipes", "lowerbound.__main__"])
def test_importing_prints_nothing(module):
    assert not in_fresh_process(f"import {module}")


def test_a_name_is_the_same_wherever_it_comes_from():
    for name in lowerbound.__all__:
        thing = getattr(lowerbound, name)
        home = inspect.getmodule(thing)
        assert home.__name__.startswith("lowerbound.")
        assert thing is home or getattr(home, name) is thing
        assert name in dir(lowerbound)


def test_names_hide_no_file_of_the_package():
    code = """
import lowerbound as lb
public = [getattr(lb, name) for name in lb.__all__]
import lowerbound.pca, lowerbound.vae, lowerbound.autoencoder, lowerbound.training
print(all(getattr(lb, name) is thing for name, thing in zip(lb.__all__, public)))
"""
    assert in_fresh_process(code).strip() == "True"


def test_what_type_checkers_see_is_what_there_is():
    tree = ast.parse(inspect.getsource(lowerbound))
    seen = {
        alias.name: node.module
        for branch in tree.body
        if isinstance(branch, ast.If)
        for node in branch.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen.pop("recipes") == "lowerbound"
    assert seen == {name: f"lowerbound.{home}" for name, home in lowerbound._HOMES.items()}
    assert sorted([*seen, "recipes"]) == sorted(lowerbound.__all__)


def test_the_version_is_that_of_the_installed_package():
    assert lowerbound.__version__ == importlib.metadata.version("lowerbound")


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'lowerbound' has no attribute 'Pca'"):
        _ = lowerbound.Pca
