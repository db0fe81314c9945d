"""Ways through codes and the GIFs made of them."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from lowerbound import recipes
from lowerbound.errors import InputError
from lowerbound.morphing import arc, morph, straight, traverse
from lowerbound.moving import STILL, _painted, _settled, gif, there_and_back
from lowerbound.pca import PCA

SHAPE, K = (1, 5, 4), 3
IMAGES = np.random.default_rng(0).integers(0, 256, (60, *SHAPE)).astype(np.uint8)
PPCA = PCA(K).fit(IMAGES)
CODES = st.lists(st.floats(-3, 3), min_size=K, max_size=K).map(np.array)
T = np.linspace(0, 1, 9)


@pytest.mark.parametrize("way", ["straight", "arc"])
@pytest.mark.parametrize("model", [PPCA, recipes.vae(SHAPE, K), recipes.conv(SHAPE, K)], ids=["pca", "vae", "conv"])
def test_both_ends_of_a_morph_are_reconstructions(model, way):
    found = morph(model, IMAGES[0], IMAGES[1], 7, way)
    kept = model.inverse_transform(model.transform(IMAGES[:2]))
    assert found.shape == (7, *SHAPE)
    np.testing.assert_allclose(found[[0, -1]], kept, atol=1e-5)
    back = morph(model, IMAGES[1], IMAGES[0], 7, way)
    np.testing.assert_allclose(back[::-1], found, atol=1e-5)


def test_in_pca_the_straight_way_mixes_the_reconstructions():
    first, last = PPCA.inverse_transform(PPCA.transform(IMAGES[:2]))
    expected = np.multiply.outer(1 - T, first) + np.multiply.outer(T, last)
    np.testing.assert_allclose(morph(PPCA, IMAGES[0], IMAGES[1], len(T)), expected, atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(first=CODES, last=CODES)
def test_an_arc_goes_evenly_in_length_and_angle(first, last):
    lengths = np.linalg.norm(first), np.linalg.norm(last)
    assume(min(lengths) > 0.1)
    cosine = first @ last / lengths[0] / lengths[1]
    assume(abs(cosine) < 0.999)
    way = arc(first, last, T)
    along = np.linalg.norm(way, axis=1)
    np.testing.assert_allclose(along, straight(lengths[:1], lengths[1:], T)[:, 0], rtol=1e-6)
    turns = np.arccos(np.clip((way[1:] * way[:-1]).sum(1) / along[1:] / along[:-1], -1, 1))
    np.testing.assert_allclose(turns, np.arccos(cosine) / (len(T) - 1), atol=1e-6)


@pytest.mark.parametrize("last", [[0, 0, 0], [2, 0, 0], [-1, 0, 0]])
def test_where_there_is_no_one_arc_the_way_is_straight(last):
    first = np.array([1.0, 0, 0])
    np.testing.assert_array_equal(arc(first, np.array(last, float), T), straight(first, np.array(last, float), T))


def test_a_traversal_passes_the_middle_and_shows_what_changes_most():
    codes = PPCA.transform(IMAGES)
    found = traverse(PPCA, codes, number=2, steps=5)
    assert found.names == ("z1", "z2")  # whitened codes: the first component moves pixels most
    middle = PPCA.inverse_transform(codes.mean(0, keepdims=True))[0]
    for images in found.images:
        np.testing.assert_allclose(images[2], middle, atol=1e-5)
    step = found.images[0, 3] - found.images[0, 2]
    expected = 1.5 * codes[:, 0].std() * PPCA.scales[0] * PPCA.components[0].reshape(SHAPE)
    np.testing.assert_allclose(step, expected, atol=1e-5)


def test_a_traversal_along_axes_meets_the_directions_in_which_codes_vary():
    model = recipes.linear(SHAPE, K)
    rng = np.random.default_rng(1)
    turned = np.linalg.qr(rng.normal(size=(K, K)))[0]
    codes = rng.normal(size=(400, K)) * [5, 1, 0.1] @ turned.T
    found = traverse(model, codes, along="axes", number=1, steps=3)
    assert found.names == ("axis 1",)
    line = model.inverse_transform(np.stack([turned[:, 0], 0 * turned[:, 0]]).astype(np.float32))
    moved, expected = (found.images[0, 2] - found.images[0, 0]).ravel(), (line[0] - line[1]).ravel()
    cosine = moved @ expected / np.linalg.norm(moved) / np.linalg.norm(expected)
    assert abs(cosine) > 0.99


def test_a_traversal_of_an_image_leaves_its_other_numbers_alone():
    codes = PPCA.transform(IMAGES)
    found = traverse(PPCA, codes, codes[7], number=K, steps=3)
    place = int(found.names[0][1:]) - 1
    kept = codes[7].copy()
    kept[place] = codes[:, place].mean()
    np.testing.assert_allclose(found.images[0, 1], PPCA.inverse_transform(kept[None])[0], atol=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_gif_has_all_frames_and_goes_on_for_ever(channels):
    images = np.random.default_rng(0).integers(0, 256, (5, channels, 8, 8)).astype(np.uint8)
    content = gif({"VAE": images, "PCA": images[::-1]})
    with Image.open(io.BytesIO(content)) as shown:
        assert shown.format == "GIF"
        assert shown.n_frames == 8
        assert shown.info["loop"] == 0
        times, pages = [], []
        for frame in range(shown.n_frames):
            shown.seek(frame)
            times.append(shown.info["duration"])
            pages.append(np.asarray(shown.convert("RGB")))
    assert times == [600, 60, 60, 60, 600, 60, 60, 60]
    assert (pages[3] == pages[5]).all()  # the way back is the way there
    tile = pages[0][22 : 22 + 112, 8 : 8 + 112].reshape(8, 14, 8, 14, 3)[:, 7, :, 7]
    expected = np.broadcast_to(images[0].transpose(1, 2, 0), (8, 8, 3)).astype(int)
    assert np.abs(tile - expected).max() <= (4 if channels == 1 else 80)
    assert gif({"VAE": images, "PCA": images[::-1]}) == content


@pytest.mark.parametrize("grey", [False, True])
def test_a_pixel_that_stays_is_hardly_off_and_the_ends_are_as_near_as_colours_are(grey):
    rng = np.random.default_rng(0)
    pages = np.clip(np.cumsum(rng.integers(-3, 4, (9, 20, 20, 3)), axis=0) + 120, 0, 255).astype(np.uint8)
    pages = np.repeat(pages[..., :1], 3, axis=-1) if grey else pages
    pages[:, :4] = 255
    colours, drawn = _painted(pages, grey=grey)
    settled = _settled(pages, colours, drawn)
    off = np.abs(colours[settled] - pages.astype(int)).max(-1)
    assert (off[settled != drawn] <= STILL).all()
    assert (settled[[0, -1]] == drawn[[0, -1]]).all()
    assert (settled[1:-1] == settled[:-2]).mean() > (drawn[1:-1] == drawn[:-2]).mean()
    assert (colours[settled[:, :4]] == 255).all(), "paper stays white"


def test_there_and_back_shows_each_end_once():
    assert there_and_back(np.arange(5)).tolist() == [0, 1, 2, 3, 4, 3, 2, 1]
    assert there_and_back(np.arange(2)).tolist() == [0, 1]


def test_what_cannot_move_is_refused():
    codes = PPCA.transform(IMAGES)
    for words, call in {
        'no way "ark".*did you mean "arc"': lambda: morph(PPCA, IMAGES[0], IMAGES[1], 5, "ark"),
        "at least 2": lambda: morph(PPCA, IMAGES[0], IMAGES[1], 1),
        "cannot go along": lambda: traverse(PPCA, codes, along="axis of evil"),
        "1 codes": lambda: traverse(PPCA, codes[:1]),
        "differ in shape": lambda: gif({"a": np.zeros((3, 1, 4, 4)), "b": np.zeros((2, 1, 4, 4))}),
        "none": lambda: gif({}),
    }.items():
        with pytest.raises(InputError, match=words):
            call()
