"""The verbs that look through images, as people use them: what they say, what they write, what they refuse."""

import csv
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lowerbound import contact, load
from lowerbound.errors import InputError
from tests.command_line import HOSTILE, lowerbound, refused

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A PCA of the digits, and folders of digits among which some are strange, or there twice, or have hostile names."""
    place = tmp_path_factory.mktemp("search")
    pixels = load("digits").test.pixels[:, 0]
    (place / "digits").mkdir()
    for n, image in enumerate(pixels[:60]):
        Image.fromarray(image).save(place / "digits" / f"{n:03}.png")
    rng = np.random.default_rng(0)
    (place / "mixed").mkdir()
    for name, image in zip(HOSTILE, pixels[60:], strict=False):
        Image.fromarray(image).save(place / "mixed" / name)
    for n in range(3):
        Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8)).save(place / "mixed" / f"noise{n}.png")
    (place / "mixed" / "broken.png").write_bytes(b"no image")
    shutil.copytree(place / "digits", place / "twice")
    shutil.copy(place / "twice" / "007.png", place / "twice" / "copy of 7.png")
    Image.fromarray(pixels[9]).save(place / "twice" / "again 9.bmp")
    (place / "one").mkdir()
    Image.fromarray(pixels[5]).convert("RGB").resize((40, 30)).save(place / "one" / "large and in colour.jpg")
    (place / "empty").mkdir()
    here = Path.cwd()
    os.chdir(place)
    try:
        assert lowerbound("train", "digits", "--model", "pca", "-k", "8", "--out", "run") == 0
        assert lowerbound("train", "twice", "--model", "pca", "-k", "8", "--out", "run-twice") == 0
    finally:
        os.chdir(here)
    return place


@pytest.fixture(autouse=True)
def _there(place, monkeypatch):
    monkeypatch.chdir(place)


def table(name):
    with Path(name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def same_in_json(name, rows):
    """The CSV and the JSON say the same."""
    found = json.loads(Path(f"{name}.json").read_text(encoding="utf-8"))[rows]
    lines = table(f"{name}.csv")
    assert [row["name"] for row in found] == [line["name"] for line in lines]
    assert [str(row["position"]) for row in found] == [line["position"] for line in lines]
    return lines


def test_outliers_in_a_folder_with_hostile_names(capsys):
    assert lowerbound("outliers", "run", "mixed", "--out", "a/found.csv") == 0
    said = capsys.readouterr()
    assert "broken.png" in said.err
    assert "10 images, each held against 360 test images by reconstruction error and likelihood" in said.out
    assert "3 images to look at: on average at most 5%" in said.out
    rows = same_in_json("a/found", "images")
    assert {row["name"] for row in rows[:3]} == {f"noise{n}.png" for n in range(3)}
    assert {row["name"] for row in rows} == {*HOSTILE, *(f"noise{n}.png" for n in range(3))}
    assert [row["rank"] for row in rows] == [str(n) for n in range(1, 11)]
    assert [row["found"] for row in rows] == ["1"] * 3 + ["0"] * 7
    assert float(rows[0]["p"]) >= 1 / 361 - 1e-6
    assert sorted(each.name for each in Path("a").iterdir()) == ["found.csv", "found.json", "found.png", "found.svg"]


def test_outliers_among_the_test_images(capsys):
    assert lowerbound("outliers", "run", "--by", "error", "-n", "3", "--out", "b") == 0
    said = capsys.readouterr().out
    assert "360 images, each held against 180 test images by reconstruction error" in said
    rows = table("b.csv")
    assert len(rows) == 360
    assert set(rows[0]) == {"rank", "position", "name", "found", "p", "p_error", "error"}
    p = np.array([float(row["p"]) for row in rows])
    assert (np.diff(p) >= 0).all()
    assert abs(p.mean() - 0.5) < 0.05, "uniform: nothing is strange among equals"


def test_one_image_of_another_size_and_in_colour(capsys):
    assert lowerbound("outliers", "run", "one", "--out", "c") == 0
    assert len(table("c.csv")) == 1
    assert lowerbound("cluster", "run", "one", "--out", "c") == 0
    assert "too few images" in capsys.readouterr().out


def test_neighbours_of_a_file_are_the_file_first(capsys):
    assert lowerbound("neighbours", "run-twice", "digits/009.png", "twice", "-n", "4", "--out", "d") == 0
    assert "1 image among 62, by codes of pca-k8 (cosine); exact" in capsys.readouterr().out
    rows = same_in_json("d", "neighbours")
    assert {row["name"] for row in rows[:2]} == {"009.png", "again 9.bmp"}
    assert [float(row["distance"]) < 1e-5 for row in rows] == [True, True, False, False]
    assert {row["query"] for row in rows} == {"009.png"}


def test_neighbours_of_a_position_leave_it_out(capsys):
    for way in ("codes", "pixels"):
        assert lowerbound("neighbours", "run", "1500", "--by", way, "-n", "5", "--out", "e") == 0
        rows = table("e.csv")
        assert len(rows) == 5
        assert "1500" not in {row["position"] for row in rows}
        assert rows[0]["query"] == "test 63", "after 1,437 training images"
    assert lowerbound("neighbours", "run", "digits", "-n", "2", "--out", "e") == 0
    assert len(table("e.csv")) == 120


def test_duplicates_of_a_folder_and_of_its_run(capsys):
    for source in ("twice", "run-twice"):
        assert lowerbound("duplicates", source, "--out", "f") == 0
        rows = same_in_json("f", "copies")
        kinds = {row["name"]: row["kind"] for row in rows}
        assert kinds.keys() == {"007.png", "copy of 7.png", "009.png", "again 9.bmp"}, source
        assert sorted(kinds.values()) == ["exact", "first", "first", "same file"]
        assert (
            "2 groups of copies; 2 images could go: 1 the same file again, 1 with the same pixels"
            in capsys.readouterr().out
        )
    assert lowerbound("duplicates", "digits", "--out", "g") == 0
    assert "no copies were found" in capsys.readouterr().out
    assert table("g.csv") == []
    assert not Path("g.png").exists()


def test_clusters(capsys):
    assert lowerbound("cluster", "run", "-n", "4", "--out", "h") == 0
    assert "4 clusters, as you asked" in capsys.readouterr().out
    rows = same_in_json("h", "images")
    assert len(rows) == 1797
    assert {row["cluster"] for row in rows} == {"1", "2", "3", "4"}
    for row in rows[:50]:
        assert sum(float(row[f"p_{n}"]) for n in range(1, 5)) == pytest.approx(1, abs=1e-4)
        assert float(row["probability"]) == pytest.approx(float(row[f"p_{row['cluster']}"]))
    assert lowerbound("cluster", "run", "digits", "--most", "2", "--out", "i") == 0
    about = json.loads(Path("i.json").read_text(encoding="utf-8"))
    assert [each["clusters"] for each in about["tried"]] == [1, 2]
    assert about["why"] in capsys.readouterr().out
    assert Path("i-curve.png").is_file()


def test_a_file_that_goes_while_it_is_read_is_named_and_the_rest_goes_on(capsys, monkeypatch):
    from lowerbound import streams

    real = streams.read_pixels

    def gone(file, shape):
        if Path(file).name == "011.png":
            Path(file).unlink(missing_ok=True)
        return real(file, shape)

    shutil.copytree("digits", "going")
    monkeypatch.setattr(streams, "read_pixels", gone)
    assert lowerbound("outliers", "run", "going", "--out", "j") == 0
    assert "011.png" in capsys.readouterr().err
    assert len(table("j.csv")) == 59


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("outliers run empty", "holds no files"),
        ("outliers run nowhere", "does not exist"),
        ("outliers digits", "no run folder"),
        ("outliers run mixed --by eror", 'did you mean "error"'),
        ("outliers run mixed --fdr 2", "fdr is 2"),
        ("outliers run mixed --out empty", "is a folder"),
        ("outliers run mixed --out a.txt", "without ending"),
        ("neighbours run 9999", "there is no image 9999"),
        ("neighbours run nowhere.png", "does not exist"),
        ("neighbours run 3 --by code", 'did you mean "codes"'),
        ("neighbours run 3 --metric far", "expected one of"),
        ("duplicates empty", "holds no files"),
        ("duplicates one", "need at least 2"),
        ("duplicates digits --model pca", "is no run"),
        ("duplicates run --size 9", "leave it out"),
        ("cluster run one -n 2", "expected 1 to 1"),
    ],
)
def test_mistakes_get_one_line(capsys, words, said):
    assert said in refused(capsys, *words.split())


def test_a_sheet_shows_any_name_on_one_line():
    images = np.zeros((len(HOSTILE), 1, 8, 8), np.uint8)
    figure = contact.sheet([contact.Row(images, HOSTILE)])
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert len(texts) == len(HOSTILE) + 1, "a line break in a caption is a second line of it"
    with pytest.raises(InputError, match="expected 1 to 64"):
        contact.sheet([contact.Row(np.zeros((65, 1, 8, 8)))])
    with pytest.raises(InputError, match="channels"):
        contact.sheet([contact.Row(np.zeros((5, 2, 8, 8)))])
    colours = np.random.default_rng(0).random((6, 3, 9, 20))
    assert contact.sheet([contact.Row(colours, apart=3, signed=True, marked=[0])], columns=9).axes
