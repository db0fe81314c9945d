"""A folder of image files: sizes, colours, classes, split, and every kind of broken file."""

from __future__ import annotations

import io
import os
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lowerbound.errors import InputError
from lowerbound.folder import load_folder
from lowerbound.photo import PIXEL_LIMIT, read_header, read_pixels
from lowerbound.sources import read

ARCHIVE = Path(__file__).parents[2] / "shared" / "data" / "cifar10-jpeg.tar.xz"


def noise(height=8, width=8, channels=3, seed=0):
    shape = (height, width) if channels == 1 else (height, width, channels)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def write(folder, *names, height=8, width=8, channels=3, **options):
    """Different images under the names given."""
    for seed, name in enumerate(names):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise(height, width, channels, seed)).save(file, **options)


def both(images):
    """All images of a set by name."""
    return dict(zip(images.train.names + images.test.names, [*images.train.pixels, *images.test.pixels], strict=True))


# Sizes


def test_images_of_the_size_are_untouched(tmp_path):
    write(tmp_path, *(f"{number}.png" for number in range(7)), height=5, width=9)
    images = load_folder(tmp_path)
    assert images.image_shape == (3, 5, 9)
    for seed in range(7):
        assert np.array_equal(both(images)[f"{seed}.png"].transpose(1, 2, 0), noise(5, 9, 3, seed))


@given(
    st.lists(st.tuples(st.integers(1, 90), st.integers(1, 90)), min_size=2, max_size=6), st.none() | st.integers(1, 40)
)
@settings(max_examples=25, deadline=None)
def test_any_sizes_become_one(tmp_path_factory, sizes, size):
    folder = tmp_path_factory.mktemp("sizes")
    for number, (height, width) in enumerate(sizes):
        Image.fromarray(noise(height, width)).save(folder / f"{number}.png")
    images = load_folder(folder, size=size)
    _, height, width = images.image_shape
    assert len(images.train) + len(images.test) == len(sizes)
    if size is not None:
        assert (height, width) == (size, size)
    elif max(height, width) < 64:
        assert sizes.count((height, width)) == max(map(sizes.count, sizes))


def test_the_most_common_size_wins(tmp_path):
    write(tmp_path, "a.png", "b.png", "c.png", height=10, width=20)
    write(tmp_path, "d.png", "e.png", height=30, width=30)
    images = load_folder(tmp_path)
    assert images.image_shape == (3, 10, 20)
    assert any("most common: 3 of 5" in choice for choice in images.choices)
    assert any("2 of 5 images are scaled to cover" in choice for choice in images.choices)


def test_a_large_size_is_made_smaller_and_keeps_its_aspect(tmp_path):
    write(tmp_path, "a.jpg", "b.jpg", height=300, width=600)
    images = load_folder(tmp_path)
    assert images.image_shape == (3, 32, 64)
    assert any("600 x 300" in choice and "give --size to choose" in choice for choice in images.choices)
    assert load_folder(tmp_path, size=24).image_shape == (3, 24, 24)


def test_resizing_covers_and_crops_at_the_centre(tmp_path):
    wide = np.zeros((10, 30), np.uint8)
    wide[:, 10:20] = 255
    Image.fromarray(wide).save(tmp_path / "wide.png")
    assert (read_pixels(tmp_path / "wide.png", (1, 10, 10)) == 255).all()


# Kinds of files


def test_exif_rotation_is_applied_before_sizes_are_counted(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by a quarter, clockwise
    for ending in ("jpg", "png", "tif", "webp"):
        options = {"lossless": True} if ending == "webp" else {}
        stored = np.zeros((10, 20), np.uint8)
        stored[:, :10] = 255  # the left half: upright, the upper half
        Image.fromarray(stored).convert("RGB").save(tmp_path / f"photo.{ending}", exif=exif, **options)
        header = read_header(tmp_path / f"photo.{ending}")
        assert (header.height, header.width) == (20, 10), ending
        upright = read_pixels(tmp_path / f"photo.{ending}", (1, 20, 10))
        assert upright[0, 2, 5] > 200, ending
        assert upright[0, 17, 5] < 50, ending


def test_grey_stays_grey_until_one_file_is_in_colour(tmp_path):
    write(tmp_path, "a.png", "b.png", channels=1)
    images = load_folder(tmp_path)
    assert images.image_shape == (1, 8, 8)
    assert "1 channel: no file is in colour" in images.choices
    write(tmp_path, "c.png", channels=3)
    images = load_folder(tmp_path)
    assert images.image_shape == (3, 8, 8)
    assert "3 channels: 1 of 3 files are in colour" in images.choices


def test_transparency_becomes_white(tmp_path):
    clear = np.zeros((4, 4, 4), np.uint8)
    Image.fromarray(clear).save(tmp_path / "rgba.png")
    Image.fromarray(clear[..., :2].copy(), "LA").save(tmp_path / "la.png")
    Image.fromarray(clear[..., 0]).save(tmp_path / "l.png", transparency=0)
    palette = Image.new("P", (4, 4))
    palette.putpalette([10, 20, 30])
    palette.save(tmp_path / "p.gif", transparency=0)
    for name in ("rgba.png", "la.png", "l.png", "p.gif"):
        assert (read_pixels(tmp_path / name, (3, 4, 4)) == 255).all(), name


def test_palette_cmyk_and_one_bit(tmp_path):
    palette = Image.new("P", (4, 4))
    palette.putpalette([10, 20, 30])
    palette.save(tmp_path / "p.png")
    assert read_pixels(tmp_path / "p.png", (3, 4, 4))[:, 0, 0].tolist() == [10, 20, 30]
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "c.jpg")
    red = read_pixels(tmp_path / "c.jpg", (3, 8, 8))[:, 4, 4].astype(int)
    assert red[0] > 200 > 60 > max(red[1:])
    Image.new("1", (4, 4), 1).save(tmp_path / "b.png")
    assert (read_pixels(tmp_path / "b.png", (1, 4, 4)) == 255).all()


def test_16_bit_grey_is_divided_by_257(tmp_path):
    values = np.array([[0, 128, 129, 257, 32768, 65535]], np.uint16)
    for ending in ("png", "tif"):
        Image.fromarray(values).save(tmp_path / f"deep.{ending}")
        pixels = read_pixels(tmp_path / f"deep.{ending}", (1, 1, 6))
        assert pixels.ravel().tolist() == np.rint(values / 257).ravel().tolist()


def test_a_photo_of_several_pictures_gives_its_first(tmp_path):
    first, second = Image.fromarray(noise(200, 300)), Image.fromarray(noise(200, 300, seed=1))
    first.save(tmp_path / "phone.jpg", format="MPO", save_all=True, append_images=[second])
    first.save(tmp_path / "plain.jpg")
    shape = (3, 20, 30)
    assert np.array_equal(read_pixels(tmp_path / "phone.jpg", shape), read_pixels(tmp_path / "plain.jpg", shape))


def test_names_in_any_bytes(tmp_path):
    write(tmp_path, "größe/日本.png", "größe/a b.png")
    Image.new("RGB", (8, 8)).save(os.fsencode(tmp_path) + b"/gr\xc3\xb6\xc3\x9fe/\xff.png")
    images = load_folder(tmp_path)
    assert images.class_names == ("größe",)
    assert len(both(images)) == 3


def test_an_animation_gives_its_first_frame(tmp_path):
    frames = [Image.new("L", (6, 6), level) for level in (250, 5, 90)]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    assert (read_pixels(tmp_path / "moving.gif", (1, 6, 6)) == 250).all()


def test_a_large_jpeg_is_decoded_small(tmp_path):
    smooth = np.linspace(0, 255, 1600).astype(np.uint8)
    Image.fromarray(np.tile(smooth, (1200, 1))).save(tmp_path / "large.jpg")
    pixels = read_pixels(tmp_path / "large.jpg", (1, 12, 16))
    assert np.abs(np.diff(pixels[0].astype(int), axis=0)).max() <= 1
    assert np.abs(pixels[0, 0] - smooth.reshape(16, 100).mean(1)).max() < 6


# Files that cannot be read


def bomb(side=50_000):
    """The start of a PNG file that claims to be very large."""
    header = b"IHDR" + side.to_bytes(4, "big") * 2 + bytes([8, 0, 0, 0, 0])
    chunk = (13).to_bytes(4, "big") + header + zlib.crc32(header).to_bytes(4, "big")
    return b"\x89PNG\r\n\x1a\n" + chunk + b"\0\0\0\x0aIDAT"


def test_broken_files_are_skipped_and_listed(tmp_path):
    write(tmp_path, *(f"good/{number}.png" for number in range(6)))
    write(tmp_path, "whole.jpg", height=64, width=64)
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / "cut.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:900])
    (tmp_path / "whole.jpg").unlink()
    (bad / "text.png").write_text("not an image")
    (bad / "empty.gif").touch()
    (bad / "bomb.png").write_bytes(bomb())
    (bad / "large.png").write_bytes(bomb(9_000))
    (bad / "script.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    (bad / "gone.png").symlink_to("nowhere")
    os.mkfifo(bad / "pipe.png")
    Image.fromarray(np.ones((4, 4), np.float32)).save(bad / "floats.tif")
    (tmp_path / "notes.txt").write_text("two files that are no images")
    (tmp_path / "table.csv").write_text("1,2")
    images = load_folder(tmp_path)
    assert len(images.train) + len(images.test) == 6
    reasons = dict(images.skipped)
    assert sorted(reasons) == sorted(f"bad/{file.name}" for file in bad.iterdir())
    assert reasons["bad/bomb.png"] == "more than 64 million"
    assert "9000 x 9000" in reasons["bad/large.png"]
    assert reasons["bad/pipe.png"] == reasons["bad/gone.png"] == "not a regular file"
    assert "no known range" in reasons["bad/floats.tif"]
    assert all("\n" not in reason for reason in reasons.values())
    assert "2 files (.txt, .csv) of other kinds left out" in images.choices


def test_the_limit_holds_before_any_pixel_is_decoded(tmp_path):
    side = int(PIXEL_LIMIT**0.5) + 1
    (tmp_path / "bomb.png").write_bytes(bomb(side))
    start = time.perf_counter()
    with pytest.raises(InputError, match="more than 64 million"):
        read(tmp_path / "bomb.png", (1, 8, 8))
    assert time.perf_counter() - start < 0.5


@pytest.mark.parametrize("ending", ["png", "jpg", "gif", "bmp", "tif", "webp", "ppm"])
def test_no_broken_byte_ever_escapes(tmp_path, ending):
    stream = io.BytesIO()
    kind = {"jpg": "jpeg", "tif": "tiff"}.get(ending, ending)
    Image.fromarray(noise(12, 12)).save(stream, kind)
    whole = stream.getvalue()
    rng = np.random.default_rng(0)
    write(tmp_path, "good.png", "fine.png")
    for number, place in enumerate(rng.integers(0, len(whole), 60)):
        (tmp_path / f"cut{number}.{ending}").write_bytes(whole[:place])
        header = int(rng.integers(0, min(len(whole), 200)))  # somewhere in it
        changed = whole[:header] + rng.bytes(2) + whole[header + 2 :]
        (tmp_path / f"changed{number}.{ending}").write_bytes(changed)
    images = load_folder(tmp_path, size=8)
    assert len(images.train) + len(images.test) + len(images.skipped) == 122


def test_a_folder_without_images_says_what_is_there(tmp_path):
    with pytest.raises(InputError, match="holds no files; expected PNG"):
        load_folder(tmp_path)
    (tmp_path / "notes.txt").write_text("words")
    with pytest.raises(InputError, match=r"1 file \(.txt\) and no image"):
        load_folder(tmp_path)
    (tmp_path / "a.png").write_text("words")
    with pytest.raises(InputError, match="none of the 1 image files"):
        load_folder(tmp_path)
    (tmp_path / "a.png").unlink()
    write(tmp_path, "only.png")
    with pytest.raises(InputError, match="need at least 2"):
        load_folder(tmp_path)


# Names, classes and split


def test_hidden_files_and_loops_of_links_are_left_out(tmp_path):
    write(tmp_path, "a/1.png", "a/2.png", ".hidden/3.png", "a/.4.png")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (tmp_path / "b").symlink_to(tmp_path / "a")
    images = load_folder(tmp_path)
    assert sorted(both(images)) == ["a/1.png", "a/2.png"]


def test_sub_folders_are_classes_in_sorted_order(tmp_path):
    write(tmp_path, "dog/1.png", "cat/deep/1.png", "cat/2.png", "ant/1.png", "dog/2.png", "dog/3.png")
    images = load_folder(tmp_path)
    assert images.class_names == ("ant", "cat", "dog")
    for part in (images.train, images.test):
        assert list(part.names) == sorted(part.names)
        assert [images.class_names[label] for label in part.labels] == [name.split("/")[0] for name in part.names]
    assert load_folder(tmp_path).sha256() == images.sha256()


def test_images_outside_the_classes_leave_no_labels(tmp_path):
    write(tmp_path, "cat/1.png", "cat/2.png", "dog/1.png", "stray.png")
    images = load_folder(tmp_path)
    assert images.train.labels is None
    assert images.class_names == ()
    assert any("as 1 of 4 lie outside the class folders" in choice for choice in images.choices)


@pytest.mark.parametrize("kept", ["test", "val", "valid"])
def test_train_and_test_folders_are_the_split(tmp_path, kept):
    write(tmp_path, "train/cat/1.png", "train/dog/1.png", "train/dog/2.png", f"{kept}/dog/1.png", f"{kept}/eel/1.png")
    images = load_folder(tmp_path)
    assert (len(images.train), len(images.test)) == (3, 2)
    assert images.class_names == ("cat", "dog", "eel")
    assert images.train.labels.tolist() == [0, 1, 1]
    assert images.test.labels.tolist() == [1, 2]


def test_a_flat_split_has_no_labels_and_leaves_other_folders_out(tmp_path):
    write(tmp_path, "Train/1.png", "Train/2.png", "Test/1.png", "val/1.png", "cover.png")
    images = load_folder(tmp_path)
    assert images.train.names == ("Train/1.png", "Train/2.png")
    assert images.test.names == ("Test/1.png",)
    assert images.train.labels is None
    assert any("images that lie in neither are left out: 2" in choice for choice in images.choices)


def test_an_empty_half_of_a_split_is_an_error(tmp_path):
    write(tmp_path, "train/1.png")
    (tmp_path / "test").mkdir()
    with pytest.raises(InputError, match="test holds no readable image"):
        load_folder(tmp_path)


def test_new_images_are_brought_to_the_model(tmp_path):
    write(tmp_path, "b.png", height=30, width=40)
    write(tmp_path, "a/c.png", channels=1)
    images = read(tmp_path, (1, 8, 8))
    assert images.names == ("a/c.png", "b.png")
    assert images.image_shape == (1, 8, 8)


@pytest.mark.slow
@pytest.mark.skipif(not ARCHIVE.exists(), reason="needs ../shared/data/cifar10-jpeg.tar.xz")
def test_60_000_photos_are_read_whole(tmp_path):
    import tarfile

    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    start = time.perf_counter()
    images = load_folder(tmp_path)
    assert time.perf_counter() - start < 120  # 18 s on two quiet cores
    assert (len(images.train), len(images.test), len(images.class_names)) == (50_000, 10_000, 10)
    assert images.skipped == ()
