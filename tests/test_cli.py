"""The command line as people meet it: what it prints, what it writes, what it refuses, and with which exit code."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.main import get_command

from lowerbound.cli import app
from lowerbound.errors import InputError
from lowerbound.storage import Run
from tests.command_line import lowerbound, refused

MNIST = Path(__file__).parents[2] / "shared" / "data" / "mnist"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with images and a small complete run, made by the command line itself."""
    place = tmp_path_factory.mktemp("place")
    rng = np.random.default_rng(0)
    for name in ("cats", "dogs"):
        (place / "photos" / name).mkdir(parents=True)
        for n in range(8):
            Image.fromarray(rng.integers(0, 256, (9, 9), dtype=np.uint8)).save(place / "photos" / name / f"{n}.png")
    np.save(place / "array.npy", rng.integers(0, 256, (5, 8, 8)).astype(np.uint8))
    np.save(place / "wide.npy", np.zeros((5, 8, 9), np.uint8))
    (place / "empty").mkdir()
    here = Path.cwd()
    os.chdir(place)
    try:
        assert lowerbound("compare", "digits", "-k", "3", "--epochs", "1", "--out", "run") == 0
    finally:
        os.chdir(here)
    return place


@pytest.fixture(autouse=True)
def _there(request, monkeypatch):
    if "place" in request.fixturenames:
        monkeypatch.chdir(request.getfixturevalue("place"))


def commands():
    """Every command's words and help."""
    for name, command in get_command(app).commands.items():
        for sub, inner in getattr(command, "commands", {"": command}).items():
            yield f"{name} {sub}".strip(), inner.help


def examples():
    return [found for _, text in commands() for found in re.findall(r"Example: (lowerbound [^\n]+)", text)]


def test_every_command_has_an_example():
    for name, text in commands():
        assert "Example: lowerbound " + name in text, name


OWN_PART = Path(__file__).parents[1] / "docs" / "own-part.md"


@pytest.mark.slow
@pytest.mark.parametrize(
    "example",
    [
        each
        for each in examples()
        if "data get" not in each and not each.startswith("lowerbound course")  # test_course_commands runs those
    ],
)
def test_the_examples_work(example, place, tmp_path, monkeypatch):
    """With small sources and few epochs in place of MNIST and of the recipes' own."""
    monkeypatch.chdir(tmp_path)
    _, *words = shlex.split(example)
    if "--recipe" in words:
        code = re.search(r"```python\n(.*?)```", OWN_PART.read_text(encoding="utf-8"), re.DOTALL)
        Path("my_posterior.py").write_text(code[1], encoding="utf-8")
    swaps = {"mnist": "digits", "photos/": str(place / "photos"), "my-digits/": str(place / "photos"), "20": "4"}
    words = [swaps.get(word, word) for word in words]
    if "--resume" in words:
        import shutil

        shutil.copytree(place / "run", tmp_path / "copied")
        words = ["copied" if word.startswith("runs/") else word for word in words]
        words[words.index("+5")] = "+1"
    elif "--minutes" in words:
        words[words.index("--minutes") + 1] = "0.02"
    elif words[0] in ("compare", "train"):
        words += ["--epochs", "1"]
        words = ["6" if word == "32" else "1,2" if "," in word else word for word in words]
    words = [str(place / "run") if word.startswith("runs/") else word for word in words]
    assert lowerbound(*words) == 0


RUN = "from lowerbound.__main__ import main; code = main(); "


def python(words, then="", **more):
    """A command in a process of its own, and what to run after it there."""
    code = f"import sys; sys.argv = ['lowerbound', *{words!r}]; {RUN}{then}sys.exit(code)"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, **more)


def test_help_comes_without_torch():
    heavy = "assert not {'torch', 'matplotlib', 'numpy', 'sklearn', 'PIL'} & set(sys.modules); "
    for words in (["--help"], ["train", "--help"], ["encode", "-h"], ["--version"]):
        done = python(words, heavy)
        assert done.returncode == 0, done.stderr
        assert "Usage: lowerbound" in done.stdout or words == ["--version"]


def test_version_and_help(capsys):
    assert lowerbound("--version") == 0
    assert re.fullmatch(r"lowerbound \d+\.\d+\.\d+\n", capsys.readouterr().out)
    lowerbound()
    shown = capsys.readouterr()
    assert "compare" in shown.out + shown.err


@pytest.mark.slow
def test_a_comparison_says_all_it_chose_and_prints_a_table(place, capsys):
    done = python(["compare", "array.npy", "--epochs", "1", "--out", "said"], cwd=place)
    assert done.returncode == 0, done.stderr
    chosen = "chose K = 2: as few as 4 training images allow"
    for words in ("kept apart", chosen, "computing on", "threads", "SSIM", "±", "report: said/"):
        assert words in done.stdout, words
    assert max(map(len, done.stdout.splitlines())) <= 140 or "kept apart" in max(done.stdout.splitlines(), key=len)
    assert "test images: " in done.stderr, "progress"
    order = [done.stdout.index(words) for words in ("kept apart", "chose K", "run: said", "PCA", "report:")]
    assert order == sorted(order)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("compare mnits", 'did you mean "mnist"'),
        ("data get mnits digits", 'did you mean "mnist"'),
        ("data show nothing-like-it", "there is no source"),
        ("compare empty", "holds no files"),
        ("compare digits --out run", "exists already"),
        ("train digits --out run", "exists already"),
        ("compare digits -k 0", "k is 0"),
        ("compare digits -k -3", "k is -3"),
        ("compare digits -k 5,x", 'k is "x"'),
        ("compare digits -k 5,,6", 'k is ""'),
        ("compare digits -k 65", "expected 1 to 64"),
        ("compare array.npy -k 5", "expected 1 to 4"),
        ("compare digits --epochs 0", "epochs is 0"),
        ("compare digits --epochs +5", "add --resume"),
        ("compare digits --network deep", "there is no network"),
        ("compare digits --style comic", "no style"),
        ("compare digits --seed -1", "--seed"),
        ("compare digits --size 9", "only images of a folder"),
        ("train digits --model vea", 'did you mean "vae"'),
        ("train", "no source came"),
        ("train digits --resume run", "--resume came with source"),
        ("train --resume run -k 4", "--resume came with -k"),
        ("train --resume run", "is complete"),
        ("train --resume run --epochs 5", "--epochs +5"),
        ("train --resume run --epochs +0", "at least 1"),
        ("train --resume nowhere", "does not exist"),
        ("sample nowhere", "does not exist"),
        ("sample photos", "no run folder"),
        ("sample run -k 4", "no model"),
        ("sample run -m vea", 'did you mean "vae-k3"'),
        ("sample run -n 0", "-n"),
        ("sample run -n 5000", "--out FILE.npy"),
        ("sample run --out a.txt", "expected .png, .svg or .npy"),
        ("sample run --out photos.png/a.png", "choose another place"),
        ("encode run --out a.csv", "expected .npy or .parquet"),
        ("encode run nowhere", "does not exist"),
        ("encode run wide.npy", "8"),
        ("encode run empty", "holds no files"),
        ("interpolate run --first 360", "expected 0 to 359"),
        ("spectrum run -k 65", "expected 1 to 64"),
        ("spectrum nowhere", "there is no source"),
        ("sample run --frist 3", "No such option"),
        ("smaple run", "sample"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(words, said, place, capsys):
    (place / "photos.png").touch()
    before = sorted(place.rglob("*"))
    assert said in refused(capsys, *words.split())
    assert sorted(place.rglob("*")) == before


@pytest.mark.parametrize("verb", ["sample", "reconstruct", "interpolate", "encode", "spectrum"])
def test_an_unfinished_run_is_refused_with_the_way_on(verb, place, tmp_path, capsys):
    run = Run.open(place / "run")
    Run.create(tmp_path / "begun", {name: run.about[name] for name in ("source", "shown_k", "models")})
    line = refused(capsys, verb, tmp_path / "begun")
    assert f"go on with `lowerbound train --resume {tmp_path / 'begun'}`" in line


@pytest.mark.parametrize("model", ["pca", "linear", "conv", "vae"])
def test_codes_are_those_of_transform(model, place, tmp_path):
    import pyarrow.parquet

    fitted = Run.open(place / "run").load(Run.open(place / "run").choose(model))
    assert lowerbound("encode", "run", "array.npy", "-m", model, "--out", tmp_path / "codes.npy") == 0
    codes = fitted.transform(np.load("array.npy")[:, None])
    np.testing.assert_array_equal(np.load(tmp_path / "codes.npy"), codes)
    assert lowerbound("encode", "run", "photos", "-m", model, "--out", tmp_path / "codes.parquet") == 0
    table = pyarrow.parquet.read_table(tmp_path / "codes.parquet")
    assert table.column_names[0] == "name"
    assert table.column_names[-3:] == ["z1", "z2", "z3"]
    assert table["name"][0].as_py() == "cats/0.png"
    assert lowerbound("encode", "run", "photos/cats/3.png", "-m", model, "--out", tmp_path / "one.npy") == 0
    assert np.load(tmp_path / "one.npy")[0] == pytest.approx([table[f"z{n}"][3].as_py() for n in (1, 2, 3)], abs=1e-5)


def test_codes_of_the_test_images_come_with_their_labels(place, tmp_path):
    import pyarrow.parquet

    assert lowerbound("encode", "run", "--out", tmp_path / "new" / "codes.parquet") == 0
    table = pyarrow.parquet.read_table(tmp_path / "new" / "codes.parquet")
    assert table.num_rows == 360
    assert set(table["label"].to_pylist()) == set(range(10))


def test_files_that_cannot_be_read_are_named_and_left_out(place, tmp_path, capsys):
    Image.new("L", (9, 9)).save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_bytes(b"no image")
    assert lowerbound("encode", "run", tmp_path, "--out", tmp_path / "codes.npy") == 0
    assert "bad.png" in capsys.readouterr().err
    assert np.load(tmp_path / "codes.npy").shape == (1, 3)


def test_arrays_and_figures_of_every_verb(place, tmp_path):
    for out in ("a.npy", "a.png", "b.svg"):
        assert lowerbound("sample", "run", "-m", "pca", "-n", "4", "--out", tmp_path / out) == 0
    assert np.load(tmp_path / "a.npy").shape == (4, 1, 8, 8)
    assert {file.name for file in tmp_path.iterdir()} == {"a.npy", "a.png", "a.svg", "b.png", "b.svg"}
    assert lowerbound("reconstruct", "run", "array.npy", "--out", tmp_path / "r.npy") == 0
    assert np.load(tmp_path / "r.npy").shape == (5, 1, 8, 8)
    assert lowerbound("reconstruct", "run", "-n", "3", "-m", "conv", "--out", tmp_path / "r.png") == 0
    assert lowerbound("sample", "run", "-n", "4", "--seed", "1", "--out", tmp_path / "c.npy") == 0
    assert lowerbound("sample", "run", "-n", "4", "--seed", "1", "--out", tmp_path / "d.npy") == 0
    assert (tmp_path / "c.npy").read_bytes() == (tmp_path / "d.npy").read_bytes()


@pytest.mark.slow
def test_a_run_is_used_from_another_folder(place, tmp_path, monkeypatch):
    assert lowerbound("train", "photos", "--size", "6", "-m", "linear", "--epochs", "1", "--out", tmp_path / "run") == 0
    monkeypatch.chdir(tmp_path)
    assert lowerbound("encode", "run", "--out", "codes.npy") == 0
    assert lowerbound("train", "--resume", "run", "--epochs", "+2") == 0
    run = Run.open(tmp_path / "run")
    assert run.models[0].settings.epochs == 3
    assert len(run.history(run.models[0])["loss"]) == 3
    pages = [
        file.read_text() for file in (tmp_path / "run").glob("*.html")
    ]  # the figures, and a live page if it is built
    assert any("3 epochs" in page for page in pages)


@pytest.mark.slow
def test_a_full_disk_is_said_and_leaves_a_run_to_go_on_with(place, tmp_path, capsys):
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", small], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no right to mount a small disk")
    try:
        line = refused(capsys, "compare", "digits", "-k", "3", "--epochs", "1", "--out", small / "run")
        assert "no space is left" in line
        assert not list((small / "run").rglob(".*"))
        with pytest.raises(InputError, match="not finished"):
            Run.open(small / "run")
        subprocess.run(["mount", "-o", "remount,size=50m", small], check=True)
        assert lowerbound("train", "--resume", small / "run") == 0
        subprocess.run(["mount", "-o", "remount,ro", small], check=True)
        assert "read-only" in refused(capsys, "sample", "run", "--out", small / "a.png")
        assert "read-only" in refused(capsys, "compare", "digits", "--epochs", "1", "--out", small / "other")
    finally:
        subprocess.run(["umount", small], check=True)


@pytest.mark.slow
def test_lines_come_in_order_through_a_pipe_and_none_breaks_at_a_strange_name():
    done = python(["compare", "n\udcff\x1b[31mo"], env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 2
    assert "\x1b" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (OSError(28, "No space left on device"), 2, "no space is left"),
        (MemoryError(), 1, "memory"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_errors_have_their_exit_codes(error, code, words, place, monkeypatch, capsys):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(Run, "load", fail)
    assert lowerbound("sample", "run") == code
    assert words in capsys.readouterr().err


def test_what_nobody_foresaw_is_shown_whole(place, monkeypatch):
    monkeypatch.setattr(Run, "load", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        lowerbound("sample", "run")


@pytest.mark.parametrize("width", [80, 140])
def test_the_table_reads_well_on_terminals(width, place, monkeypatch, capsys):
    from lowerbound import launching
    from lowerbound.processes import Alone

    monkeypatch.setattr(launching, "go_on", lambda *_, **__: None)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", str(width))
    launching._finish(Run.open(Path("run")), None, Alone())
    lines = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines()
    assert max(map(len, lines)) <= width
    row = next(line for line in lines if line.startswith("conv AE"))
    assert ("±" in row) == (width == 140)
    assert len(row.split()) >= 7, "all numbers of a model stand in one line"


@pytest.mark.slow
@pytest.mark.skipif(not MNIST.is_dir(), reason="needs ../shared/data/mnist")
def test_data_sets_that_lie_somewhere_are_shown_and_listed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert lowerbound("data", "show", "mnist", "--data-dir", MNIST.parent) == 0
    assert "60,000 training and 10,000 test images" in capsys.readouterr().out
    assert (tmp_path / "mnist.svg").is_file()
    assert lowerbound("data", "list") == 0
    assert lowerbound("data", "get", "digits") == 0


def test_progress_shows_names_as_they_are(monkeypatch):
    import rich.console

    from lowerbound.progress import terminal

    text = io.StringIO()
    real = rich.console.Console
    monkeypatch.setattr(rich.console, "Console", lambda stderr: real(file=text, force_terminal=True, width=120))
    with terminal("reading [/red]", 2) as advance:
        advance(1, "[red]\x1b[2J[/].png")
    assert "[red] [2J[/].png" in text.getvalue()


@pytest.mark.slow
def test_samples_are_drawn_from_a_prior_that_is_fitted_once_and_kept(place, capsys):
    for file in Path("run/models/conv-k3").glob("prior-*"):  # an example has fitted one
        file.unlink()
    assert lowerbound("sample", "run", "--model", "conv", "--prior", "gmm", "-n", "9", "--out", "fitted.npy") == 0
    said = capsys.readouterr().out
    assert "nats per held-out code; kept in the run" in said
    assert {file.name for file in Path("run/models/conv-k3").glob("prior-*")} == {
        "prior-gmm.json",
        "prior-gmm.safetensors",
    }
    assert lowerbound("sample", "run", "--model", "conv", "--prior", "gmm", "-n", "9", "--out", "again.npy") == 0
    assert "nats per" not in capsys.readouterr().out
    assert np.array_equal(np.load("fitted.npy"), np.load("again.npy"))
    assert lowerbound("sample", "run", "--model", "conv", "-n", "9", "--out", "standard.npy") == 0
    assert not np.array_equal(np.load("fitted.npy"), np.load("standard.npy"))
    assert 'did you mean "gmm"' in refused(capsys, "sample", "run", "--prior", "gnm")
    assert "take " in refused(capsys, "sample", "run", "--model", "conv", "--prior", "vamp")
    Path("run/models/conv-k3/prior-gmm.safetensors").write_bytes(b"no tensors")
    assert "prior-gmm.safetensors" in refused(capsys, "sample", "run", "--model", "conv", "--prior", "gmm")


@pytest.mark.slow
def test_a_learned_prior_is_what_samples_are_drawn_from(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ("train", "digits", "-k", "3", "--epochs", "1", "--prior", "mixture:4", "--posterior", "diagonal")
    assert lowerbound(*words, "--out", "run") == 0
    assert lowerbound("sample", "run", "-n", "5", "--out", "drawn.npy") == 0
    run = Run.open(Path("run"))
    stored = run.choose()
    assert stored.parts.words == "posterior diagonal, prior mixture:4"
    assert np.array_equal(np.load("drawn.npy"), run.load(stored).sample(5))


def test_the_parts_are_listed(capsys):
    assert lowerbound("train", "--parts") == 0
    said = capsys.readouterr().out
    assert "--posterior" in said
    assert "vamp:50" in said


@pytest.mark.slow
def test_where_the_nats_go_is_told_and_drawn(place, capsys):
    assert lowerbound("nats", "run", "-n", "3", "--samples", "50", "--out", "n.png", "--json", "n.json") == 0
    said = capsys.readouterr().out
    for words in ("amortisation gap", "mutual information", "score function", "log p(x)"):
        assert words in said
    assert {"n.png", "n-rate.png", "n-dimensions.png", "n-gradients.png", "n.json"} <= {
        file.name for file in Path().iterdir()
    }
    found = json.loads(Path("n.json").read_text())
    assert len(found["gaps"]["per_image"]["encoder"]) == 3
    assert "no bound on log p(x)" in refused(capsys, "nats", "run", "--model", "conv")
