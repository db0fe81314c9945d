"""Images that do not fit in memory: packed once, resumed, found again, and the same as if they had been in memory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lowerbound.arrays import array_stream, load_arrays, read_arrays
from lowerbound.errors import InputError
from lowerbound.folder import load_folder
from lowerbound.images import Images
from lowerbound.packed import beside, open_packed
from lowerbound.packing import Arrangement, pack
from lowerbound.sources import load
from lowerbound.sources import pack as pack_source
from lowerbound.streams import stream_of

ABOUT = {"name": "noise", "choices": (), "skipped": (), "source": "noise"}

KILLED = """
import os, signal, sys
from pathlib import Path
from lowerbound import packing
from lowerbound.sources import pack

packing.RECORD_EVERY = 0.0
put, left = packing._put, [int(sys.argv[3])]
def killing(*words):
    left[0] -= 1
    if left[0] < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    put(*words)
packing._put = killing
pack(sys.argv[1], Path(sys.argv[2]))
"""


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """300 files in two classes, of which two break while their pixels are decoded and one has no header."""
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    for number in range(300):
        file = folder / f"class{number % 2}" / f"{number:03}.png"
        file.parent.mkdir(exist_ok=True)
        Image.fromarray(random.integers(0, 256, (8, 9, 3)).astype(np.uint8)).save(file)
    for number in (40, 231):
        file = folder / f"class{number % 2}" / f"{number:03}.png"
        file.write_bytes(file.read_bytes()[:120])
    (folder / "class0" / "000.png").write_text("no image")
    return folder


def same(one, other):
    assert one.sha256() == other.sha256()
    for a, b in ((one.train, other.train), (one.test, other.test)):
        assert list(a.names) == list(b.names)
        np.testing.assert_array_equal(a.labels, b.labels)
    assert (one.class_names, one.skipped) == (other.class_names, other.skipped)


def on_disk(pixels):
    while isinstance(pixels, np.ndarray) and not isinstance(pixels, np.memmap):
        pixels = pixels.base
    return isinstance(pixels, np.memmap)


def test_a_packed_folder_is_what_it_is_in_memory(photos, tmp_path):
    packed = pack_source(str(photos), tmp_path / "photos.npy")
    assert len(packed.skipped) == 3
    same(packed, load_folder(photos))
    assert on_disk(packed.train.pixels)
    assert on_disk(packed.test.pixels)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["photos.npy", "photos.npy.arrow"]
    same(load(str(tmp_path / "photos.npy")), packed)
    assert np.load(tmp_path / "photos.npy").shape == (297, 3, 8, 9)


def test_what_has_no_room_in_memory_is_packed_and_found_again(photos, tmp_path, monkeypatch):
    held = load(str(photos), data_dir=tmp_path)
    assert not on_disk(held.train.pixels)
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr("lowerbound.packing.room", lambda: 10_000)
    packed = load(str(photos), data_dir=tmp_path)
    same(packed, held)
    assert on_disk(packed.train.pixels)
    assert any("a quarter of the memory" in choice for choice in packed.choices)
    monkeypatch.setattr("lowerbound.folder._headers", None)  # a folder that is packed is not read again
    same(load(str(photos), data_dir=tmp_path), held)
    monkeypatch.undo()
    assert not on_disk(load(str(photos), data_dir=tmp_path, size=4).train.pixels)  # another size is another set


def test_changed_files_are_packed_anew(tmp_path, monkeypatch):
    monkeypatch.setattr("lowerbound.packing.room", lambda: 0)
    for number in range(3):
        Image.new("L", (4, 4), number).save(tmp_path / f"{number}.png")
    before = load(str(tmp_path), data_dir=tmp_path / "data")
    Image.new("L", (4, 4), 200).save(tmp_path / "1.png")
    os.utime(tmp_path / "1.png", ns=(0, 0))
    assert load(str(tmp_path), data_dir=tmp_path / "data").sha256() != before.sha256()


def killed(photos, out, blocks):
    words = [sys.executable, "-c", KILLED, str(photos), str(out), str(blocks)]
    return subprocess.run(words, capture_output=True, check=False).returncode


def resumed_is_unbroken(photos, tmp_path, blocks):
    pack_source(str(photos), tmp_path / "unbroken.npy")
    for left in blocks:
        assert killed(photos, tmp_path / "killed.npy", left) == -signal.SIGKILL
        assert not (tmp_path / "killed.npy").exists()
    done = []

    def watch(task, total):
        import contextlib

        @contextlib.contextmanager
        def bar():
            yield lambda steps, word: done.append((task, steps))

        return bar()

    same(pack_source(str(photos), tmp_path / "killed.npy", progress=watch), load_folder(photos))
    for name in ("killed.npy", "killed.npy.arrow"):
        assert (tmp_path / name).read_bytes() == (tmp_path / name.replace("killed", "unbroken")).read_bytes()
    assert len(list(tmp_path.iterdir())) == 4
    return next(steps for task, steps in done if task == "packing images")  # found as they were left


@pytest.mark.slow
def test_packing_killed_and_resumed_gives_the_same_bytes(photos, tmp_path):
    assert resumed_is_unbroken(photos, tmp_path, [2, 1]) == 3 * 64


@pytest.mark.soak
@pytest.mark.parametrize("left", range(5))
def test_packing_killed_at_every_block(photos, tmp_path, left):
    assert resumed_is_unbroken(photos, tmp_path, [left]) == left * 64


def test_another_file_is_not_overwritten(photos, tmp_path):
    np.save(tmp_path / "mine.npy", np.zeros(3))
    with pytest.raises(InputError, match="holds other images"):
        pack_source(str(photos), tmp_path / "mine.npy")
    assert np.load(tmp_path / "mine.npy").shape == (3,)


def test_no_room_on_the_disk_is_said_before_anything_is_decoded(photos, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 100}))
    with pytest.raises(InputError, match="are free"):
        pack_source(str(photos), tmp_path / "photos.npy")
    assert not (tmp_path / "photos.npy").exists()


@settings(max_examples=30, deadline=None)
@given(count=st.integers(1, 2500), seed=st.integers(0, 2**32 - 1))
def test_any_order_is_kept(tmp_path_factory, count, seed):
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 256, (count, 1, 2, 2)).astype(np.uint8)
    order, train = random.permutation(count), int(random.integers(1, count + 1))
    stream = stream_of(Images(pixels, np.arange(count)), "noise")
    out = tmp_path_factory.mktemp("order") / "noise.npy"
    images = pack(stream, lambda kept, skipped: Arrangement(order, train, order), ABOUT, out)
    np.testing.assert_array_equal(np.load(out), pixels[order])
    np.testing.assert_array_equal(images.train.labels, order[:train])
    np.testing.assert_array_equal(images.test.pixels, pixels[order[train:]])
    everything = read_arrays(out, (1, 2, 2))
    np.testing.assert_array_equal(everything.labels, order)


def test_a_table_that_belongs_to_another_array_is_refused(photos, tmp_path):
    out = tmp_path / "photos.npy"
    pack_source(str(photos), out)
    np.save(out, np.zeros((5, 1, 2, 2), np.uint8))
    with pytest.raises(InputError, match=r"tells of 297 images and .* holds 5"):
        load_arrays(out)
    beside(out).write_bytes(b"no table")
    with pytest.raises(InputError, match="is not as lowerbound wrote it"):
        open_packed(out)


def test_floats_are_streamed_as_they_are_read_whole(tmp_path):
    np.save(tmp_path / "floats.npy", np.random.default_rng(0).random((50, 5, 5)).astype(np.float32))
    blocks = list(array_stream(tmp_path / "floats.npy", (1, 5, 5)).blocks(20))
    whole = read_arrays(tmp_path / "floats.npy", (1, 5, 5)).pixels
    np.testing.assert_array_equal(np.concatenate([block.pixels for block in blocks]), whole[20:])


LARGER = """
import sys, threading, time
from pathlib import Path
import numpy as np
from lowerbound.encoding import encode
from lowerbound.images import Images
from lowerbound.packing import Arrangement, pack
from lowerbound.pca import PCA
from lowerbound.sources import load, stream
from lowerbound.splits import hold_out
from lowerbound.streams import Block, Stream

def anonymous():
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("RssAnon")).split()[1])

def watch():
    while not over:
        peak[0] = max(peak[0], anonymous())
        time.sleep(0.01)

def blocks(start):
    for first in range(start, count, 1000):
        yield Block(tile + np.uint8(first // 1000 % 256), np.arange(first, first + 1000), first + 1000)

count, place = int(sys.argv[2]), Path(sys.argv[1])
tile = np.random.default_rng(0).integers(0, 256, (1000, 1, 16, 16), np.uint8)
PCA(2).fit(tile)  # what a first use takes is no matter of the images
begin, over, peak = anonymous(), [], [0]
thread = threading.Thread(target=watch)
thread.start()
order = np.concatenate(hold_out(count))
about = {"name": "noise", "choices": (), "skipped": (), "source": "noise"}
pack(Stream(count, (1, 16, 16), "noise", blocks), lambda kept, skipped: Arrangement(order, count - count // 6), about, place)
images = load(str(place))
pca = PCA(3).fit(images.train.pixels)
images.sha256()
encode(pca, stream(place, (1, 16, 16)), place.with_name("codes.parquet"), stamp="pca")
over.append(True)
thread.join()
print(place.stat().st_size, peak[0] - begin)
"""


def larger_than_memory(tmp_path, count):
    words = [sys.executable, "-c", LARGER, str(tmp_path / "noise.npy"), str(count)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return map(int, done.stdout.split())


needs_linux = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc/self/status")


@pytest.mark.slow
@needs_linux
def test_data_larger_than_memory_are_packed_learned_from_and_encoded(tmp_path):
    data, growth = larger_than_memory(tmp_path, 1_600_000)
    assert data > 400e6
    assert growth < 200e6


@pytest.mark.soak
@needs_linux
def test_data_ten_times_the_memory(tmp_path):
    data, growth = larger_than_memory(tmp_path, 12_000_000)
    assert data > 3e9
    assert growth < 300e6
