"""Known sources and array files."""

from __future__ import annotations

import contextlib
import hashlib
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from lowerbound.arrays import load_arrays, name_from, read_arrays, to_pixels
from lowerbound.errors import InputError
from lowerbound.sources import SOURCES, cut_patches, digits, fetch, load, patches, read


@pytest.fixture(scope="module")
def known():
    return {"digits": digits(), "patches": patches()}


# Known sources


@pytest.mark.parametrize("name", ["digits", "patches"])
def test_a_source_is_what_the_table_says(known, name):
    images, table = known[name], SOURCES[name]
    assert images.image_shape == table.image_shape
    assert (len(images.train), len(images.test)) == (table.train, table.test)
    assert set(images.train.labels) == set(images.test.labels) == set(range(len(images.class_names)))
    assert images.choices
    assert load(name).sha256() == images.sha256()


@pytest.mark.parametrize(
    ("name", "start"),
    [("digits", "c3ae9a062ba38f6c"), ("patches", "6c7de555891c33aa")],
)
def test_the_split_never_changes(known, name, start):
    digest = hashlib.sha256(known[name].train.labels.tobytes() + known[name].sha256().encode()).hexdigest()
    assert digest.startswith(start)


def test_every_digit_is_in_one_part_and_can_be_turned_back(known):
    from sklearn.datasets import load_digits

    levels, _ = load_digits(return_X_y=True)
    pixels = np.concatenate([known["digits"].train.pixels, known["digits"].test.pixels]).reshape(-1, 64)
    back = np.rint(pixels / (255 / 16))
    assert sorted(map(bytes, back.astype(np.uint8))) == sorted(map(bytes, levels.astype(np.uint8)))


def test_no_pixel_is_in_two_blocks_of_patches():
    rows, columns = np.mgrid[:427, :640]
    coordinates = cut_patches(np.stack([rows, columns], axis=-1))
    assert coordinates.shape == (60, 81, 2, 32, 32)
    owner = np.full((427, 640), -1)
    for block, patches_of_block in enumerate(coordinates):
        at = tuple(patches_of_block.swapaxes(0, 1).reshape(2, -1))
        assert np.isin(owner[at], (-1, block)).all()
        owner[at] = block
    steps = coordinates - coordinates[:, :, :, :1, :1]  # each patch is one square of the photograph, upright
    assert (steps[:, :, 0] == np.arange(32)[:, None]).all()
    assert (steps[:, :, 1] == np.arange(32)).all()


def test_no_test_patch_is_a_train_patch(known):
    train, test = ({bytes(patch) for patch in part.pixels} for part in (known["patches"].train, known["patches"].test))
    assert not train & test


def test_an_unknown_source_names_the_nearest_and_all_others():
    with pytest.raises(InputError, match='no source "mnsit"; did you mean "mnist"') as error:
        load("mnsit")
    assert all(name in str(error.value) for name in SOURCES)
    with pytest.raises(InputError, match=r"photos/cats does not exist"):
        load("photos/cats")
    with pytest.raises(InputError, match='did you mean "cifar10"'):
        fetch("cifar-10")


def test_sources_that_need_no_download_fetch_nothing():
    assert fetch("digits") == fetch("patches") == []


@pytest.mark.parametrize("size", [0, -3])
def test_a_size_is_at_least_one(size, tmp_path):
    with pytest.raises(InputError, match=f"size is {size}"):
        load(str(tmp_path), size=size)


def test_a_size_is_refused_where_images_have_one():
    with pytest.raises(InputError, match="only images of a folder or of a table are resized"):
        load("digits", size=16)


def test_the_command_line_answers_before_anything_large_is_imported():
    code = "import sys, lowerbound.sources; print({'torch', 'sklearn', 'PIL', 'pooch', 'scipy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


# Array files


@given(arrays_of.arrays(np.uint8, st.tuples(st.integers(2, 20), st.just(1), st.integers(4, 9), st.integers(4, 9))))
@settings(deadline=None, max_examples=30)
def test_8_bit_pixels_survive_the_way_through_floats(pixels):
    for floats in (pixels / 255, (pixels / 255).astype(np.float32)):
        back, choices = to_pixels(floats, "array")
        assert np.array_equal(back, pixels)
        assert choices == ("float pixels v in [0, 1] are stored as round(255 v)",)


@given(
    arrays_of.arrays(
        st.sampled_from(
            [np.uint8, np.int16, np.int64, np.float16, np.float32, np.float64, np.bool_, "M8[s]", "U3", "c8"]
        ),
        arrays_of.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=6),
    )
)
@settings(deadline=None, max_examples=150)
def test_an_array_becomes_pixels_or_one_clear_line(array):
    try:
        pixels, _ = to_pixels(array, "array")
    except InputError as wrong:
        refusal = str(wrong)
    else:
        refusal = "expected"
        assert pixels.dtype == np.uint8
        assert pixels.ndim == 4
        assert pixels.shape[1] in (1, 3)
        assert pixels.size == array.size
    assert "expected" in refusal
    assert "\n" not in refusal


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((5, 8, 9), (5, 1, 8, 9)),
        ((5, 1, 8, 9), (5, 1, 8, 9)),
        ((5, 8, 9, 1), (5, 1, 8, 9)),
        ((5, 8, 9, 3), (5, 3, 8, 9)),
    ],
)
def test_axes_that_can_be_read_in_one_way(shape, expected):
    array = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    pixels, _ = to_pixels(array, "array")
    assert pixels.shape == expected
    channels_last = pixels.transpose(0, 2, 3, 1)
    assert np.array_equal(channels_last.ravel() if shape[-1] in (1, 3) else pixels.ravel(), array.ravel())


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.zeros(5), r"shape \[5\]; expected \[N, H, W\]"),
        (np.zeros((5, 784)), r"shape \[5, 784\]; expected \[N, H, W\]"),
        (np.zeros((1, 5, 3, 8, 8)), "reshape it"),
        (np.zeros((0, 8, 8)), "no empty axis"),
        (np.zeros((64, 64, 3)), r"array\[None\]"),
        (np.zeros((5, 3, 8, 3)), "pad the images"),
        (np.zeros((5, 8, 8, 4)), "drop the alpha channel"),
        (np.zeros((5, 8, 8, 2)), "no axis of 1 or 3 channels"),
        (np.full((5, 8, 8), 255, np.float32), r"range over \[255, 255.0\] as float32; .* divide by 255 or .astype"),
        (np.full((5, 8, 8), 3, np.int64), r"\[3, 3.0\] as int64; expected floats in \[0, 1\] or uint8"),
        (np.full((5, 8, 8), 60_000, np.uint16), "divide by 65535"),
        (np.full((5, 8, 8), -1.0), "shift and scale"),
        (np.ones((5, 8, 8), np.int32), r"astype\(bool\)"),
        (np.zeros((5, 8, 8), complex), "pixels are complex128"),
    ],
)
def test_what_would_need_a_guess_is_refused_with_the_remedy(array, says):
    with pytest.raises(InputError, match=says):
        to_pixels(array, "array")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_the_first_pixel_that_is_no_number_is_named(value):
    array = np.zeros((9000, 2, 5), np.float32)
    array[8000, 1, 3] = array[8999, 0, 0] = value
    with pytest.raises(InputError, match=rf"pixel \[8000, 1, 3\] is {value}"):
        to_pixels(array, "array")


def test_booleans_become_black_and_white():
    pixels, choices = to_pixels(np.eye(5, dtype=bool)[None], "array")
    assert np.array_equal(pixels[0, 0], 255 * np.eye(5))
    assert "0 and 255" in choices[0]


def test_an_npy_of_8_bits_is_kept_as_it_is(tmp_path):
    stored = np.random.default_rng(0).integers(0, 256, (13, 6, 7), dtype=np.uint8)
    np.save(tmp_path / "my images.npy", stored)
    images = load(str(tmp_path / "my images.npy"))
    assert images.name == "my-images"
    assert (len(images.train), len(images.test)) == (11, 2)
    both = [bytes(image) for part in (images.train, images.test) for image in part.pixels]
    assert sorted(both) == sorted(map(bytes, stored))
    assert "seed" in images.choices[0]


def test_a_very_large_npy_stays_on_disk(tmp_path, monkeypatch):
    monkeypatch.setattr("lowerbound.arrays.ON_DISK", 100)
    np.save(tmp_path / "large.npy", np.arange(12 * 64, dtype=np.uint8).reshape(12, 8, 8))
    images = load_arrays(tmp_path / "large.npy")
    base = images.train.pixels
    while isinstance(base, np.ndarray) and not isinstance(base, np.memmap):
        base = base.base
    assert isinstance(base, np.memmap)
    assert (len(images.train), len(images.test)) == (10, 2)
    assert "stays on disk" in images.choices[0]


def test_an_npz_with_its_own_split_and_labels(tmp_path):
    rng = np.random.default_rng(0)
    x_train, x_test = rng.random((6, 8, 8)), rng.random((3, 8, 8))
    np.savez(
        tmp_path / "set.npz", x_train=x_train, x_test=x_test, y_train=[[7], [5], [5], [7], [5], [5]], y_test=[9, 7, 5]
    )
    images = load_arrays(tmp_path / "set.npz")
    assert (len(images.train), len(images.test)) == (6, 3)
    assert images.class_names == ("5", "7", "9")
    assert images.train.labels.tolist() == [1, 0, 0, 1, 0, 0]
    assert images.test.labels.tolist() == [2, 1, 0]
    assert len(read_arrays(tmp_path / "set.npz", (1, 8, 8))) == 9


def test_an_npz_with_labels_in_words(tmp_path):
    np.savez(tmp_path / "set.npz", images=np.zeros((4, 8, 8, 3), np.uint8), labels=["dog", "cat", "dog", "cat"])
    images = load_arrays(tmp_path / "set.npz")
    assert images.class_names == ("cat", "dog")
    assert images.image_shape == (3, 8, 8)


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"pictures": np.zeros((3, 8, 8))}, "holds the keys pictures; expected images"),
        ({"images": np.zeros((3, 8, 8)), "labels": np.eye(3)}, "argmax"),
        ({"images": np.zeros((3, 8, 8)), "labels": np.zeros(4, int)}, r"expected \[3\], one per image"),
        ({"images": np.zeros((1, 8, 8))}, "need at least 2"),
        ({"images": np.array([1, "a", None], dtype=object)}, "never unpickled"),
        ({"x_train": np.zeros((3, 8, 8)), "x_test": np.zeros((3, 9, 8))}, "expected one size"),
    ],
)
def test_an_npz_that_makes_no_sense_is_refused(tmp_path, arrays, says):
    np.savez(tmp_path / "set.npz", **arrays)
    with pytest.raises(InputError, match=says):
        load_arrays(tmp_path / "set.npz")


class Canary:
    """Leaves a file behind when unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_no_code_in_a_file_is_ever_run(tmp_path):
    canary = tmp_path / "canary"
    np.save(tmp_path / "objects.npy", np.array([Canary(canary)], dtype=object), allow_pickle=True)
    (tmp_path / "pickled.npy").write_bytes(pickle.dumps(Canary(canary)))
    for name, says in (("objects", "never unpickled"), ("pickled", "does not start as one")):
        with pytest.raises(InputError, match=says):
            load_arrays(tmp_path / f"{name}.npy")
    assert not canary.exists()


@pytest.mark.parametrize("ending", ["npy", "npz"])
def test_a_broken_file_is_one_clear_line_wherever_it_breaks(tmp_path, ending):
    file = tmp_path / f"images.{ending}"
    np.save(file, np.zeros((3, 8, 8))) if ending == "npy" else np.savez_compressed(
        file, images=np.eye(64).reshape(8, 8, 64)
    )
    whole = file.read_bytes()
    rng = np.random.default_rng(0)
    broken = [whole[:length] for length in range(0, len(whole) - 1, 7)]
    for place, value in zip(rng.integers(0, len(whole), 300), rng.integers(0, 256, 300), strict=True):
        broken.append(whole[:place] + bytes([value]) + whole[place + 1 :])
    refusals = []
    for data in broken:
        file.write_bytes(data)
        with contextlib.suppress(InputError):  # nothing else may be raised; some changes leave a readable file
            load_arrays(file)
            continue
        refusals.append(data)
    assert len(refusals) > len(whole) // 7 - 1  # every truncation, at the least


def test_a_header_that_claims_a_trillion_images_takes_no_memory(tmp_path):
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (1000000000000, 28, 28), }"
    data = b"\x93NUMPY\x01\x00" + len(header + b"\n").to_bytes(2, "little") + header + b"\n"
    (tmp_path / "huge.npy").write_bytes(data)
    with zipfile.ZipFile(tmp_path / "huge.npz", "w") as archive:
        archive.writestr("images.npy", data)
    for name in ("huge.npy", "huge.npz"):
        with pytest.raises(InputError, match="cannot be read as a NumPy file"):
            load_arrays(tmp_path / name)


@pytest.mark.parametrize(
    ("path", "name"),
    [("a/b.npy", "b"), ("my photos", "my-photos"), ("ünï.npz", "n"), ("...", "images"), ("v1.2", "v1.2")],
)
def test_names_are_fit_for_a_folder(path, name):
    assert name_from(Path(path)) == name


# New images for an existing model


def test_new_arrays_must_have_the_size(tmp_path):
    np.save(tmp_path / "new.npy", np.zeros((3, 8, 8), np.uint8))
    assert len(read(tmp_path / "new.npy", (1, 8, 8))) == 3
    with pytest.raises(InputError, match=r"images are \(1, 8, 8\); expected \(3, 8, 8\)"):
        read(tmp_path / "new.npy", (3, 8, 8))


def test_nothing_there(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read(tmp_path / "nothing", (1, 8, 8))


def test_new_files_that_cannot_be_read_are_named_in_a_warning(tmp_path):
    from PIL import Image

    Image.new("L", (8, 8)).save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_text("not an image")
    with pytest.warns(UserWarning, match=r"bad.png \(not an image of a known format\)"):
        images = read(tmp_path, (3, 8, 8))
    assert images.names == ("good.png",)
