"""Images in parts, in memory or on disk, are indexed as one array is."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lowerbound import gallery
from lowerbound.errors import InputError
from lowerbound.folder import folder_stream
from lowerbound.gallery import Gallery, blocks_of, gallery_of
from lowerbound.images import Images


def images(number, seed=0):
    rng = np.random.default_rng(seed)
    return Images(rng.integers(0, 256, (number, 1, 3, 3)).astype(np.uint8), rng.integers(0, 3, number))


@given(st.lists(st.integers(0, 9), min_size=1, max_size=4).filter(sum), st.data())
@settings(deadline=None)
def test_parts_are_one_array(sizes, data):
    parts = tuple(images(size, seed) for seed, size in enumerate(sizes))
    whole, there = np.concatenate([part.pixels for part in parts]), Gallery(parts, tuple("abcd"[: len(parts)]))
    assert len(there) == len(whole)
    positions = np.array(data.draw(st.lists(st.integers(0, len(whole) - 1), max_size=9)), int)
    assert np.array_equal(there[positions], whole[positions])
    start, stop = (data.draw(st.integers(0, len(whole))) for _ in range(2))
    assert np.array_equal(there[start:stop], whole[start:stop])
    assert np.array_equal(np.concatenate([pixels for _, pixels in blocks_of(there, 4)]), whole)
    assert len(set(there.names())) == len(whole), "no two images have one name"
    assert there.labels is not None
    assert len(there.labels) == len(whole)


@pytest.mark.parametrize("room", [2**28, 0])
def test_a_folder_is_the_same_in_memory_and_on_disk_without_what_cannot_be_read(tmp_path, monkeypatch, room):
    for n in range(150):
        Image.new("L", (5, 5), n).save(tmp_path / f"{n:03}.png")
    for n in (0, 70, 149):
        (tmp_path / f"{n:03}.png").write_bytes(b"broken")
    monkeypatch.setattr(gallery, "IN_MEMORY", room)
    there = gallery_of(folder_stream(tmp_path, (1, 5, 5)))
    left = [n for n in range(150) if n not in (0, 70, 149)]
    assert there[:].max((1, 2, 3)).tolist() == left
    assert there.names() == [f"{n:03}.png" for n in left]
    assert [name for name, _ in there.skipped] == ["000.png", "070.png", "149.png"]


def test_nothing_to_look_through(tmp_path):
    with pytest.raises(InputError, match="no images"):
        Gallery((images(0),))
    with pytest.raises(InputError, match="one size"):
        Gallery((images(2), Images(np.zeros((1, 3, 2, 2), np.uint8))), ("a", "b"))
    (tmp_path / "a.png").write_bytes(b"broken")
    with pytest.raises(InputError, match=r"a\.png"):
        gallery_of(folder_stream(tmp_path, (1, 5, 5)))
