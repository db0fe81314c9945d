"""Parquet and Arrow files with images in them, written here by pyarrow and, where it is installed, by `datasets`."""

from __future__ import annotations

import io
import json

import numpy as np
import pyarrow
import pyarrow.ipc
import pyarrow.parquet
import pytest
from PIL import Image

from lowerbound.errors import InputError
from lowerbound.sources import load, pack, read, stream

RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.integers(0, 256, (30, 8, 9, 3)).astype(np.uint8)


def png(pixels):
    Image.fromarray(pixels).save(content := io.BytesIO(), "PNG")
    return content.getvalue()


def table(first=0, stop=30, image="image", **columns):
    rows = [{"bytes": png(pixels), "path": f"{n}.png"} for n, pixels in enumerate(PIXELS[first:stop], first)]
    return pyarrow.table({image: rows, **columns})


def classes(*names):
    features = {"image": {"_type": "Image"}, "kind": {"_type": "ClassLabel", "names": names}}
    return {b"huggingface": json.dumps({"info": {"features": features}}).encode()}


def write(file, content):
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix == ".parquet":
        pyarrow.parquet.write_table(content, file, row_group_size=7)
        return
    kind = pyarrow.ipc.new_stream if "stream" in file.name else pyarrow.ipc.new_file
    with kind(file, content.schema) as writer:
        writer.write_table(content, max_chunksize=11)


def everything(images):
    """Pixels by name, of train and test together."""
    return {
        name: pixels
        for part in (images.train, images.test)
        for name, pixels in zip(part.names, part.pixels, strict=True)
    }


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow", "stream.arrow"])
def test_every_format_gives_the_images_in_order(tmp_path, name):
    write(tmp_path / name, table(label=pyarrow.array([n % 3 for n in range(30)])))
    images = load(str(tmp_path / name))
    assert (images.image_shape, len(images.train), len(images.test)) == ((3, 8, 9), 25, 5)
    assert (images.class_names, images.source) == (("0", "1", "2"), str(tmp_path / name))
    found = everything(images)
    for number, pixels in enumerate(PIXELS):
        np.testing.assert_array_equal(found[f"{name}:{number}"], pixels.transpose(2, 0, 1))
    numbers = np.array([int(each.partition(":")[2]) for each in images.train.names])
    np.testing.assert_array_equal(images.train.labels, numbers % 3)


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow", "stream.arrow"])
@pytest.mark.parametrize("start", [0, 5, 7, 14, 29, 30])
def test_a_stream_begins_anywhere(tmp_path, name, start):
    write(tmp_path / name, table())
    blocks = list(stream(tmp_path / name, (3, 8, 9)).blocks(start))
    places = [place for block in blocks for place in block.at]
    assert places == list(range(start, 30))
    if blocks:
        found = np.concatenate([block.pixels for block in blocks])
        np.testing.assert_array_equal(found, PIXELS[start:].transpose(0, 3, 1, 2))


def test_shards_with_a_split_and_names_of_classes(tmp_path):
    kinds = pyarrow.array([n % 2 for n in range(10)])
    for number, split in enumerate(("test-00000-of-00001", "train-00000-of-00002", "train-00001-of-00002")):
        content = table(10 * number, 10 * number + 10, kind=kinds).replace_schema_metadata(classes("cat", "dog"))
        write(tmp_path / "data" / f"{split}.parquet", content)
    images = load(str(tmp_path))
    assert (len(images.train), len(images.test), images.class_names) == (20, 10, ("cat", "dog"))
    np.testing.assert_array_equal(images.test.pixels, PIXELS[:10].transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(images.train.labels, np.arange(20) % 2)
    assert read(tmp_path, (1, 4, 4)).pixels.shape == (30, 1, 4, 4)


def test_rows_without_an_image_are_left_out_and_named(tmp_path):
    rows = [{"bytes": png(pixels), "path": None} for pixels in PIXELS[:12]]
    rows[3], rows[5], rows[7] = None, {"bytes": None, "path": "far.png"}, {"bytes": b"no image", "path": None}
    rows[9] = {"bytes": png(PIXELS[9])[:150], "path": None}
    write(tmp_path / "holes.parquet", pyarrow.table({"image": rows}))
    images = load(str(tmp_path / "holes.parquet"))
    assert sorted(everything(images)) == sorted(f"holes.parquet:{n}" for n in (0, 1, 2, 4, 6, 8, 10, 11))
    reasons = dict(images.skipped)
    assert "row is empty" in reasons["holes.parquet:3"]
    assert "save_to_disk" in reasons["holes.parquet:5"]
    assert "known format" in reasons["holes.parquet:7"]
    packed = pack(str(tmp_path / "holes.parquet"), tmp_path / "holes.npy")
    assert packed.sha256() == images.sha256()
    assert packed.skipped == images.skipped


def test_a_large_table_is_packed(tmp_path, monkeypatch):
    write(tmp_path / "a.parquet", table(label=pyarrow.array(["b", "a"] * 15)))
    held = load(str(tmp_path / "a.parquet"))
    monkeypatch.setattr("lowerbound.packing.room", lambda: 0)
    packed = load(str(tmp_path / "a.parquet"), data_dir=tmp_path / "data")
    assert packed.sha256() == held.sha256()
    assert packed.class_names == ("a", "b")
    np.testing.assert_array_equal(packed.train.labels, held.train.labels)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (pyarrow.table({"x": [1], "y": ["a"]}), "no column of images; .* its columns are x, y"),
        (pyarrow.table({"image": [b"no image"] * 3}), r"none of the 3 rows .* \(not an image of a known format\)"),
    ],
)
def test_tables_without_images_are_refused(tmp_path, content, says):
    write(tmp_path / "a.parquet", content)
    with pytest.raises(InputError, match=says):
        load(str(tmp_path / "a.parquet"))


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
def test_a_broken_table_is_one_line(tmp_path, name):
    write(tmp_path / name, table())
    whole = (tmp_path / name).read_bytes()
    for stop in (0, 3, 100, len(whole) // 2, len(whole) - 1):
        (tmp_path / name).write_bytes(whole[:stop])
        with pytest.raises(InputError, match=name) as error:
            load(str(tmp_path / name))
        assert "\n" not in str(error.value)


def test_labels_that_are_missing_leave_none(tmp_path):
    kinds = pyarrow.array([0, -1, *[1] * 28])
    write(tmp_path / "a.parquet", table(kind=kinds).replace_schema_metadata(classes("cat", "dog")))
    images = load(str(tmp_path / "a.parquet"))
    assert images.train.labels is None
    assert any("1 of 30 rows have none" in choice for choice in images.choices)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the other library's
def test_what_datasets_writes_is_read(tmp_path):
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    features = datasets.Features({"picture": datasets.Image(), "kind": datasets.ClassLabel(names=["cat", "dog"])})
    rows = {"picture": [Image.fromarray(pixels) for pixels in PIXELS], "kind": [n % 2 for n in range(30)]}
    written = datasets.Dataset.from_dict(rows, features=features)
    written.to_parquet(tmp_path / "a.parquet")
    written.save_to_disk(tmp_path / "saved", num_shards=2)
    splits = datasets.DatasetDict(train=written.select(range(20)), test=written.select(range(20, 30)))
    splits.save_to_disk(tmp_path / "split")
    for name in ("a.parquet", "saved"):
        images = load(str(tmp_path / name))
        assert (len(images.train), len(images.test), images.class_names) == (25, 5, ("cat", "dog"))
        assert images.sha256() == load(str(tmp_path / "a.parquet")).sha256()
    images = load(str(tmp_path / "split"))
    np.testing.assert_array_equal(images.test.pixels, PIXELS[20:].transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(images.train.labels, np.arange(20) % 2)
    Image.fromarray(PIXELS[0]).save(tmp_path / "x.png")
    paths = datasets.Dataset.from_dict({"image": [str(tmp_path / "x.png")] * 2})
    paths.cast_column("image", datasets.Image()).save_to_disk(tmp_path / "paths")
    assert load(str(tmp_path / "paths")).skipped == ()
