"""The manners of the command line: what programs read, what is left unsaid, and how it ends."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.main import get_command

from lowerbound import outcome
from lowerbound.cli import app
from lowerbound.storage import Run
from tests.command_line import lowerbound

PAGE = Path(__file__).parents[1] / "docs" / "command-line.md"
SOLUTIONS = Path(outcome.__file__).parent / "course" / "notebooks" / "solution"
NO_RESULT = {"course watch"}  # shows a screen until a key ends it


def program(*words, behind=None, **more):
    """The command line in a process of its own, through a shell where what comes behind it is given."""
    command = [sys.executable, "-m", "lowerbound", *words]
    if behind is not None:
        quoted = " ".join(f"'{word}'" for word in command)
        command = ["bash", "-c", f"{quoted} {behind}"]
    return subprocess.run(command, capture_output=True, text=True, check=False, **more)


def commands():
    """Every command by its words, with what it is for."""
    found = {}
    for name, command in get_command(app).commands.items():
        for sub, inner in getattr(command, "commands", {"": command}).items():
            found[f"{name} {sub}".strip()] = inner.help.splitlines()[0]
    return found


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a few photographs and a small complete run."""
    place = tmp_path_factory.mktemp("place")
    rng = np.random.default_rng(0)
    (place / "photos").mkdir()
    for n in range(6):
        Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8)).save(place / "photos" / f"{n}.png")
    before = Path.cwd()
    os.chdir(place)
    try:
        assert lowerbound("compare", "digits", "-k", "3", "--epochs", "1", "--out", "run", "--no-insight", "-q") == 0
        assert lowerbound("course", "start", "1", "--data", "digits", "--no-open", "--out", "lessons", "-q") == 0
        (lesson,) = Path("lessons").glob("*.ipynb")
        lesson.write_bytes((SOLUTIONS / lesson.name).read_bytes())
        assert lowerbound("course", "check", lesson, "-q") == 0  # all pass, and are noted in the journal
    finally:
        os.chdir(before)
    return place


def number(text, words):
    """The number that a text has behind some words."""
    return float(re.search(words + r" *([-+0-9.,]+)", text)[1].replace(",", "").rstrip("."))


def close(said, found, digits):
    return said == pytest.approx(found, abs=0.51 * 10**-digits)


def same_reconstruction(text, found):
    errors = found["mean_squared_error_per_pixel"]
    return all(close(number(text, f"{name}: mean squared error"), error, 6) for name, error in errors.items())


def same_measures(text, found):
    names = [each["name"] for each in found["models"]["vae"]]
    return all(name in text for name in names) and found["k"] == 3 and all(each["unit"] for each in found["yardsticks"])


def same_comparison(text, found):
    rows = {row["model"]: row for row in found["metrics"]}
    lines = [line for line in text.splitlines() if line.startswith("PCA")]
    return any(f"{rows['pca']['mse']['mean']:.4f}"[:5] in line for line in lines) and all(
        words in text for words in found["verdict"]
    )


# Each command once: its words, and whether the object holds what the text says. "OUT" is a file or folder of the test's own.
RUN = {
    "sample": (
        "run -m pca -n 4 --out OUT.npy",
        lambda t, r: f"samples of {r['model']}" in t and f"[{r['samples']}, 1" in t,
    ),
    "reconstruct": ("run -n 3 --out OUT.png", same_reconstruction),
    "interpolate": (
        "run --out OUT.png",
        lambda t, r: f"from test image {r['first']} to test image {r['last']}, K = {r['k']}" in t,
    ),
    "encode": ("run --out OUT.npy", lambda t, r: f"[{r['rows']}, {r['columns']}]" in t and r["rows"] == 360),
    "spectrum": ("digits -k 4 --out OUT.png", lambda t, r: f"{r['share_of_variance']:.1%} of" in t and r["k"] == 4),
    "denoise": (
        "run --count 2 --sigma 0.2 --out OUT.png",
        lambda t, r: all(f"{name}: PSNR {words}" in t for name, words in r["psnr"].items()),
    ),
    "inpaint": (
        "run --count 2 -n 2 --mask 0,0,4,4 --out OUT.png",
        lambda t, r: f"{r['hidden_pixels']} of {r['pixels']} pixels" in t and r["psnr_over_hidden_pixels"] in t,
    ),
    "morph": (
        "run 1 2 --steps 4 --out OUT.gif",
        lambda t, r: f"{r['steps']} images there and back" in t and len(r["tracks"]) == 4,
    ),
    "traverse": (
        "run -n 2 --out OUT.gif",
        lambda t, r: f"{r['steps']} images there and back" in t and len(r["tracks"]) == 2,
    ),
    "outliers": (
        "run photos -n 3 --out OUT",
        lambda t, r: f"against {r['calibration']}" in t and r["model"] in t and r["by"] in ("error", "both"),
    ),
    "neighbours": ("run 3 -n 2 --out OUT", lambda t, r: r["by"] in t and ("exact" in t) == r["exact"]),
    "duplicates": ("photos --out OUT", lambda t, r: f"{r['images']} images: no copies" in t and r["groups"] == 0),
    "cluster": ("run --most 2 --out OUT", lambda t, r: r["why"] in t and r["model"] in t),
    "page": (
        "run --no-insight --images 20 --out OUT.html",
        lambda t, r: f"{r['images']} images, {len(r['models'])} models, {r['megabytes']:.1f} MB" in t,
    ),
    "export": (
        "run -m pca --out OUT",
        lambda t, r: f"pixels within {r['models']['pca-k3']['largest_difference_of_pixels']:.1e}" in t,
    ),
    "infer": (
        "run --image 3 --steps 20 --out OUT.png",
        lambda t, r: f"{r['found'][0]['bound'][0]:.2f}" in t and r["unit"] in t,
    ),
    "nats": (
        "run -n 2 --samples 10 --out OUT.png",
        lambda t, r: f"{r['rate']['mutual information of image and code']['mean']:.2f}" in t,
    ),
    "evaluate": ("run -m vae --images 2 --samples 2 --out OUT.json", same_measures),
    "diagnose": (
        "run -m pca --out OUT.png",
        lambda t, r: r["model"] in t and all(each["name"] in t for each in r["findings"]) and r["not_found"],
    ),
    "choose-k": (
        "photos --out OUT.png",
        lambda t, r: list(r["sources"]) == ["photos"] and "parallel analysis" in t,
    ),
    "translate": ("--image 3x64x64 -k 128", lambda t, r: f"{r['beta']:.4g}" in t and r["meaning"] in t),
    "compare": ("photos -k 1 --epochs 1 --no-insight --out OUT", same_comparison),
    "train": ("photos -m pca -k 1 --out OUT", lambda t, r: r["run"] in t and r["report"] in t),
    "data list": (
        "",
        lambda t, r: all(name in t for name in r["sources"]) and f"{r['sources']['mnist']['test']:,}" in t,
    ),
    "data get": ("digits", lambda t, r: r == {} and "digits" in t),
    "data show": (
        "digits --out OUT.png",
        lambda t, r: f"{r['training_images']:,} training and {r['test_images']} test images" in t,
    ),
    "data pack": (
        "photos --out OUT.npy",
        lambda t, r: f"{r['training_images']} training and {r['test_images']} test images" in t,
    ),
    "course start": ("1 --data digits --no-open --out OUT", lambda t, r: r["kept"] == [] and r["data"] in t),
    "course list": ("lessons", lambda t, r: all(name in t for name in r["lessons"]) and r["exercises"] > 10),
    "course check": ("lessons/LESSON", lambda t, r: sum(r["counts"].values()) == len(r["exercises"]) > 0),
    "course submit": ("lessons --out OUT", lambda t, r: all(note in t for note in r["notes"])),
    "course report": ("handins --out OUT", lambda t, r: r == {} and "written" in t),
    "course new": ("OUT", lambda t, r: r == {} and "written" in t),
    "course build": ("ours --out OUT", lambda t, r: f"written: {r['notebooks']} notebooks" in t),
}
QUICK = {"data list", "data get", "translate"}
LONG = {"choose-k", "compare", "course check", "infer", "nats"}  # run once: as an object, its words beside it


def test_every_command_is_held_to_its_manners_below():
    assert commands().keys() == RUN.keys() | NO_RESULT


def words_of(command, place, out):
    words = RUN[command][0].replace("OUT", str(out))
    lesson = next((file.name for file in (place / "lessons").glob("*.ipynb")), "") if place else ""
    return [*command.split(), *words.replace("LESSON", lesson).split()]


def spoken(capsys, words):
    code = lowerbound(*words)
    both = capsys.readouterr()
    assert code == 0, both.err
    return both


def held(command, place, tmp_path, capsys):
    """Once in words and once as an object, both quietly; the object is held to the words."""
    if command in LONG:
        said = spoken(capsys, ["--json", *words_of(command, place, tmp_path / "words")])
        text = said.err
    else:
        words = spoken(capsys, [*words_of(command, place, tmp_path / "words"), "--quiet"])
        said = spoken(capsys, ["--json", "-q", *words_of(command, place, tmp_path / "object")])
        assert words.err == said.err == ""
        text = words.out
    found = json.loads(said.out.replace("/object", "/words"))
    assert (found["program"], found["command"], found["exit_code"]) == ("lowerbound", command, 0)
    assert RUN[command][1](text, found["result"]), (text, found)
    for file in found["written"]:
        assert Path(file).exists(), file
        assert Path(file).name in text or Path(file).parent.name in text, file
    assert bool(found["written"]) == ("OUT" in RUN[command][0]), "what was written is named"


@pytest.mark.parametrize("command", sorted(QUICK))
def test_the_object_holds_what_the_words_say_at_once(command, tmp_path, capsys):
    held(command, None, tmp_path, capsys)


@pytest.mark.slow
@pytest.mark.parametrize("command", sorted(RUN.keys() - QUICK))
def test_the_object_holds_what_the_words_say(command, place, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(place)
    if command == "course report" and not Path("handins").exists():
        assert lowerbound("course", "submit", "lessons", "--out", "handins", "-q") == 0
    if command == "course build" and not Path("ours").exists():
        assert lowerbound("course", "new", "ours", "-q") == 0
    capsys.readouterr()
    held(command, place, tmp_path, capsys)


def test_words_go_to_standard_error_where_a_program_reads(capsys):
    assert lowerbound("data", "get", "digits") == 0
    words = capsys.readouterr()
    assert lowerbound("--json", "data", "get", "digits") == 0
    both = capsys.readouterr()
    assert both.err == words.out + words.err
    assert json.loads(both.out)["result"] == {}


@pytest.mark.parametrize("words", ["--json data list", "data --json list", "data list --json", "data list -q --json"])
def test_the_programs_options_may_stand_anywhere(words, capsys):
    assert lowerbound(*words.split()) == 0
    assert json.loads(capsys.readouterr().out)["command"] == "data list"


def test_an_option_of_the_command_itself_stays_its_own(tmp_path, capsys):
    words = ["translate", "--image", "1x8x8", "-k", "2"]
    assert lowerbound("--json", *words, "--json", tmp_path / "own.json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["result"] == json.loads((tmp_path / "own.json").read_text(encoding="utf-8"))
    assert found["written"] == [str(tmp_path / "own.json")]


def test_behind_two_dashes_words_are_no_options(capsys):
    assert lowerbound("data", "get", "--", "--json") == 2
    assert 'there is no source "--json"' in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("data get mnits", 2, 'did you mean "mnist"'),
        ("smaple run", 2, 'did you mean "sample"'),
        ("data lst", 2, "`lowerbound data --help` lists the commands"),
        ("sample run --sed 3", 2, 'did you mean "--seed"?; `lowerbound sample --help` lists the options'),
        ("sample nowhere", 2, "does not exist"),
        ("sample", 2, 'Missing argument "RUN"'),
        ("infer run --from encodr", 2, 'did you mean "encoder"'),
    ],
)
def test_what_is_refused_is_an_object_too(words, code, said, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert lowerbound("--json", "-q", *words.split()) == code
    both = capsys.readouterr()
    found = json.loads(both.out)
    assert (found["exit_code"], found["written"]) == (code, [])
    assert said in found["error"]
    assert both.err == f"lowerbound: {found['error']}\n"
    assert not list(tmp_path.iterdir())


def test_a_name_like_that_of_a_run_is_pointed_out(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mnist-k20").mkdir()
    (tmp_path / "mnist-k20" / "run.json").write_text("{}", encoding="utf-8")
    assert lowerbound("sample", "mnist-k2") == 2
    assert 'did you mean "mnist-k20"' in capsys.readouterr().err
    assert lowerbound("sample", "mnist-k20/run.json") == 2
    assert "is a file, no run folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"),
    [(KeyboardInterrupt(), 130), (MemoryError(), 1), (OSError(28, "No space left on device"), 2)],
)
def test_each_ending_has_its_code_in_the_object(error, code, monkeypatch, capsys):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(Run, "open", fail)
    assert lowerbound("--json", "export", "run") == code
    assert json.loads(capsys.readouterr().out)["exit_code"] == code


def test_a_fault_of_the_program_is_shown_whole_and_in_the_object(monkeypatch, capsys):
    monkeypatch.setattr(Run, "open", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        lowerbound("--json", "export", "run")
    found = json.loads(capsys.readouterr().out)
    assert (found["exit_code"], found["error"]) == (1, "ZeroDivisionError: division by zero")


@pytest.mark.parametrize("how", ["--debug", "environment"])
def test_the_traceback_is_shown_to_whoever_asks(how, monkeypatch, capsys):
    words = ["data", "get", "mnits"]
    assert lowerbound(*words) == 2
    without = capsys.readouterr().err
    assert len(without.splitlines()) == 1
    if how == "environment":
        monkeypatch.setenv("LOWERBOUND_DEBUG", "1")
    assert lowerbound(*words, *["--debug"] * (how == "--debug")) == 2
    with_it = capsys.readouterr().err
    assert with_it.startswith("Traceback")
    assert with_it.endswith(without)


def test_streams_are_as_they_were_after_each_command(capsys):
    before = sys.stdout, sys.stderr
    for words in (["data", "list", "-q"], ["--json", "data", "get", "x"], ["--version"], ["nothing"]):
        lowerbound(*words)
        assert (sys.stdout, sys.stderr) == before


def test_what_is_no_number_is_null(capsys):
    one = outcome.Outcome()
    one.tell(a=np.float32(0.5), b=np.array([1.0, np.nan]), c=Path("x"), d={1: (np.int64(2), None)}, e=True)
    expected = {"a": 0.5, "b": [1.0, None], "c": "x", "d": {"1": [2, None]}, "e": True}
    assert json.loads(json.dumps(one.as_dict(0)["result"], allow_nan=False)) == expected


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="needs bash")
class TestPipes:
    """In processes of their own."""

    def test_a_reader_that_goes_away_ends_no_work(self, tmp_path):
        """The figure is written although nobody reads the first line, and nothing is said of a broken pipe."""
        done = program("spectrum", "digits", "--out", "s.png", behind="| true; echo ${PIPESTATUS[0]}", cwd=tmp_path)
        assert done.stdout == "0\n"
        assert not re.search("Traceback|BrokenPipe|Exception ignored", done.stderr)
        assert (tmp_path / "s.png").is_file()

    def test_nothing_but_results_comes_through_a_pipe(self, tmp_path):
        done = program(
            "choose-k", "digits", "--out", "k.png", cwd=tmp_path, env={**os.environ, "TERM": "xterm-256color"}
        )
        assert done.returncode == 0, done.stderr
        assert "\x1b" not in done.stdout + done.stderr
        assert not re.search(r"\d+\.\d s$", done.stdout, re.MULTILINE), "progress is on standard error"

    def test_a_full_disk_behind_a_pipe_is_said(self):
        if not Path("/dev/full").exists():
            pytest.skip("needs /dev/full")
        done = program("data", "list", behind="> /dev/full")
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert "no space is left" in done.stderr

    def test_a_program_without_a_console_works(self):
        done = program("data", "list", behind=">&- 2>&-; echo $?")
        assert done.stdout == "0\n"

    @pytest.mark.parametrize("width", ["20", "300"])
    def test_help_and_tables_fit_any_terminal(self, width):
        for words in (["--help"], ["train", "--help"], ["data", "list"]):
            done = program(*words, env={**os.environ, "COLUMNS": width})
            assert done.returncode == 0, done.stderr
            assert "\x1b" not in done.stdout


def table_of_commands():
    """The table of docs/command-line.md, made from the program."""
    rows = [f"| `{name}` | {words.replace('|', chr(92) + '|')} |" for name, words in commands().items()]
    return "\n".join(["| command | what it does |", "|---|---|", *rows])


def test_the_page_lists_the_commands_there_are():
    page = PAGE.read_text(encoding="utf-8")
    assert table_of_commands() in page, f"docs/command-line.md should have this table:\n\n{table_of_commands()}"


def test_the_page_names_every_environment_variable():
    source = Path(outcome.__file__).parent
    known = {
        name
        for file in source.rglob("*.py")
        for name in re.findall(r"\"(LOWERBOUND_[A-Z_]+)\"", file.read_text(encoding="utf-8"))
    }
    page = PAGE.read_text(encoding="utf-8")
    assert known
    assert known == set(re.findall(r"`(LOWERBOUND_[A-Z_]+)`", page))
