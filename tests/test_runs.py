"""Runs in Python: trained by one call, opened again, and shown in a notebook, in Jupyter and in Colab."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest

import lowerbound as lb
from lowerbound import live_page, showing
from lowerbound.errors import InputError
from lowerbound.storage import Run
from tests.test_live_page import asked, built, unpacked  # noqa: F401  (a fixture)

pytestmark = pytest.mark.slow  # a report, or a kernel


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of PCA, made by one call in a folder of a name that an address has to spell out."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(live_page, "LIVE", tmp_path_factory.mktemp("nothing"))
        return lb.compare("digits", 2, models=["pca"], out=tmp_path_factory.mktemp("runs") / "run 100 %")


def test_one_call_makes_what_the_command_line_makes(run):
    assert [row["name"] for row in run.metrics] == ["pca-k2"]
    assert (run.path / "report.html").is_file()
    again = lb.open_run(run.path)
    assert again.about == Run.open(run.path).about == run.about
    assert again.about["status"] == "complete"


def test_several_k_and_what_is_usual(tmp_path, built):  # noqa: F811
    assert [row["k"] for row in lb.compare("digits", [3, 2, 3], models=["pca"], out=tmp_path / "some").metrics] == [
        2,
        3,
    ]
    usual = lb.compare("digits", models=["pca"], out=str(tmp_path / "usual"))
    assert [row["k"] for row in usual.metrics] == [8]
    assert "K: 8, for grey images of 8 x 8 pixels" in usual.about["source"]["choices"]


def test_what_cannot_be_is_refused(tmp_path, run):
    with pytest.raises(InputError, match="does not exist"):
        lb.open_run(tmp_path / "nothing")
    with pytest.raises(InputError, match="exists already"):
        lb.compare("digits", 2, models=["pca"], out=run.path)
    with pytest.raises(InputError, match="there is no"):
        lb.compare("digit", out=tmp_path / "run")


def test_a_run_shows_itself(run, built, monkeypatch):  # noqa: F811
    monkeypatch.chdir(run.path.parent)
    frame = lb.open_run(run.path).page(height=321)
    assert (frame.src, frame.height) == ("run%20100%20%25/report.html", 321)
    assert json.loads(unpacked((run.path / "report.html").read_text())["meta"])["k"] == 2


def test_in_colab_a_run_shows_itself_in_colabs_own_frame(run, built, monkeypatch):  # noqa: F811
    shown = []
    output = types.SimpleNamespace(serve_kernel_port_as_iframe=lambda port, height: shown.append((port, height)))
    google, colab = types.ModuleType("google"), types.ModuleType("google.colab")
    google.colab, colab.output = colab, output
    monkeypatch.setitem(sys.modules, "google", google)
    monkeypatch.setitem(sys.modules, "google.colab", colab)
    assert run.page() is None
    ((port, height),) = shown
    assert height == showing.HEIGHT
    assert asked(port, host="colab.example")[2] == (run.path / "report.html").read_bytes()


CELLS = """
from pathlib import Path
from lowerbound import live_page
live_page.LIVE = Path({live!r})
---
import lowerbound as lb
run = lb.open_run({run!r})
run.page(height=600)
---
import urllib.request
address = _.src
len(urllib.request.urlopen(address).read() if "://" in address else Path(urllib.request.unquote(address)).read_bytes())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="networks are cut off on Linux alone")
@pytest.mark.parametrize("elsewhere", [False, True], ids=["below the notebook", "elsewhere"])
def test_in_a_fresh_kernel_a_cell_ends_with_a_frame_that_is_there(elsewhere, run, built, tmp_path):  # noqa: F811
    import nbformat

    cells = CELLS.format(live=str(built), run=str(run.path if elsewhere else run.path.name)).split("---")
    notebook, executed = tmp_path / "notebook.ipynb", tmp_path / "executed.ipynb"
    nbformat.write(
        nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell.strip()) for cell in cells]), notebook
    )
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("in_kernel.py"), notebook, executed],
        cwd=tmp_path if elsewhere else run.path.parent,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    _, shown, read = nbformat.read(executed, as_version=4).cells
    (output,) = shown.outputs
    found = re.search(r'<iframe[^>]*src="([^"]*)"', output["data"]["text/html"], re.DOTALL)
    assert found
    assert found[1].startswith("http://127.0.0.1:") == elsewhere
    assert int(read.outputs[0]["data"]["text/plain"]) == (run.path / "report.html").stat().st_size
