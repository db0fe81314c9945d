"""The schematic of a network: every size is written, and everything fits."""

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowerbound.errors import InputError
from lowerbound.look import STYLES, style
from lowerbound.schematic import Plane, schematic

TIMES = "\N{MULTIPLICATION SIGN}"


def tutorial(channels, height, width, k, filters=32, size=5):
    """The network of two convolutions, a linear code, and their mirror image; never smaller than 1 x 1."""
    first = (filters, max(1, height - size + 1), max(1, width - size + 1))
    second = (filters, max(1, height - 2 * size + 2), max(1, width - 2 * size + 2))
    convolution, back = f"{size}x{size} convolution, ReLU", f"{size}x{size} transposed convolution"
    return [
        Plane((channels, height, width), "", "encoder"),
        Plane(first, convolution, "encoder"),
        Plane(second, convolution, "encoder"),
        Plane((math.prod(second),), "flatten", "encoder"),
        Plane((k,), "linear", "code"),
        Plane((math.prod(second),), "linear, ReLU", "decoder"),
        Plane(second, "unflatten", "decoder"),
        Plane(first, f"{back}, ReLU", "decoder"),
        Plane((channels, height, width), f"{back}, pixel bias", "decoder"),
    ]


def texts_of(figure):
    return [text for text in figure.axes[0].texts if text.get_text()]


def assert_readable(figure):
    around, canvas = figure.get_tightbbox(), figure.bbox_inches
    assert around.x0 > -0.01
    assert around.y0 > -0.01
    assert around.x1 < canvas.width + 0.01
    assert around.y1 < canvas.height + 0.01
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts_of(figure)]
    for (one, a), (other, b) in itertools.combinations(boxes, 2):
        across, down = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        assert across < 1 or down < 1, f"{one!r} lies on {other!r}"


@pytest.mark.parametrize("name", STYLES)
@pytest.mark.parametrize(
    ("shape", "filters"),
    [((1, 28, 28), 32), ((1, 8, 8), 32), ((3, 32, 32), 512), ((1, 1, 1), 1), ((3, 250, 3), 32), ((3, 256, 256), 128)],
)
def test_every_size_is_written(shape, filters, name):
    planes = tutorial(*shape, k=20, filters=filters)
    with style(name):
        figure = schematic(planes)
    written = [text.get_text().replace("@\n", "@ ") for text in texts_of(figure)]
    for plane in planes:
        assert plane.size in written
    assert {"encoder", "code", "decoder", "K = 20"} <= set(written)
    assert_readable(figure)


@settings(max_examples=8, deadline=None)
@given(
    st.sampled_from([1, 3]),
    st.integers(1, 256),
    st.integers(1, 256),
    st.integers(1, 512),
    st.sampled_from([1, 16, 512]),
)
def test_any_image_size_fits(channels, height, width, k, filters):
    assert_readable(schematic(tutorial(channels, height, width, k, filters)))


@pytest.mark.parametrize("depth", [1, 2, 5, 10, 13, 27])
def test_deep_networks_go_on_in_further_rows(depth):
    long = (
        "a residual block of two 3x3 convolutions with stride 2, batch normalisation, ReLU and a shortcut around them"
    )
    planes = [Plane((512, 128, 128), long, "encoder") for _ in range(depth)]
    figure = schematic(planes)
    assert sum(text.get_text().replace("@\n", "@ ") == f"512 @ 128 {TIMES} 128" for text in texts_of(figure)) == depth
    assert_readable(figure)


def test_a_plane_that_cannot_be_drawn_is_refused():
    for shape in [(), (3, 4), (0,), (1, 0, 3)]:
        with pytest.raises(InputError, match=r"expected \(C, H, W\) or \(features,\)"):
            Plane(shape, "", "encoder")
    with pytest.raises(InputError, match="no planes"):
        schematic([])
