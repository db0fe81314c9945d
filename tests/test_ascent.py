"""The figures of gradient ascent: what is drawn is what came in."""

import numpy as np
import pytest

from lowerbound import ascent
from lowerbound.errors import InputError


def test_lines_stand_at_the_encoder_and_at_the_end():
    figure = ascent.elbo_ascent(np.linspace(-50, 10, 80), np.full(80, 2.0), encoder=-3.0, bound=8.0)
    large = figure.axes[0]
    level = [line.get_ydata()[0] for line in large.lines if len(set(line.get_ydata())) == 1]
    assert level == [-3.0, 8.0]
    low, high = large.get_ylim()
    assert low < -3
    assert high > 8
    assert [text.get_text() for text in large.get_legend().get_texts()] == [
        "the encoder's q: -3.0",
        "q at the end: 8.0",
    ]


def test_the_curve_is_reconstruction_less_kl():
    reconstruction, kl = np.arange(30.0), np.arange(30.0) ** 2
    figure = ascent.elbo_ascent(reconstruction, kl)
    drawn = [axes.lines[0].get_ydata() for axes in figure.axes]
    for seen, wanted in zip(drawn, (reconstruction - kl, reconstruction, kl), strict=True):
        assert np.allclose(seen, wanted)


@pytest.mark.parametrize("steps", [1, 2, 700])
def test_any_number_of_steps(steps):
    assert len(ascent.elbo_ascent(np.zeros(steps), np.ones(steps), encoder=-1.0).axes) == 3


def test_a_constant_is_smoothed_to_itself():
    figure = ascent.elbo_ascent(np.full(60, 5.0), np.zeros(60))
    assert np.allclose(figure.axes[0].lines[1].get_ydata(), 5.0)  # the ends too


@pytest.mark.parametrize("channels", [1, 3])
def test_images_are_drawn_as_they_are(channels):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (channels, 5, 7)).astype(np.uint8)
    rows = {f"sigma {s}, lax": (rng.random((channels, 5, 7)), rng.random((4, channels, 5, 7))) for s in range(3)}
    figure = ascent.reconstructions(image, rng.random((channels, 5, 7)), rows)
    shown = [axes.images[0].get_array() for axes in figure.axes if axes.images]
    assert len(shown) == 2 + 3 * 5
    assert np.allclose(np.moveaxis(np.atleast_3d(shown[0]), -1, 0), image / 255)


@pytest.mark.parametrize("k", [1, 2, 20])
def test_q_beside_h(k):
    rng = np.random.default_rng(0)
    root = rng.normal(size=(k, k))
    figure = ascent.codes(
        np.zeros(k), np.ones(k), root @ root.T, draws=rng.normal(size=(50, k)), encoder_scale=np.full(k, 0.1)
    )
    assert len(figure.axes) == min(k, 2)


@pytest.mark.parametrize("radius", [1, 2])
def test_ellipses_lie_at_their_distance(radius):
    """(z - m)' C^-1 (z - m) is the squared radius everywhere."""
    root = np.random.default_rng(0).normal(size=(2, 2))
    covariance, mean = root @ root.T, np.array([1.0, -2.0])
    figure = ascent.codes(np.zeros(2), mean, covariance, draws=np.zeros((1, 2)), dimensions=(0, 1))
    points = np.array(figure.axes[1].lines[radius - 1].get_xydata()) - mean
    assert np.allclose(np.einsum("ni,ij,nj->n", points, np.linalg.inv(covariance), points), radius**2)


def test_the_plane_shows_where_q_and_h_differ_most():
    mean = np.array([0.0, 3.0, 0.1, -2.0])
    figure = ascent.codes(np.zeros(4), mean, np.eye(4), draws=np.zeros((1, 4)))
    assert (figure.axes[1].get_xlabel(), figure.axes[1].get_ylabel()) == ("dimension 2", "dimension 4")


def test_says_what_cannot_be_drawn():
    blank = np.zeros((1, 4, 4))
    with pytest.raises(InputError, match="steps"):
        ascent.elbo_ascent(np.zeros(3), np.zeros(4))
    with pytest.raises(InputError, match="0 rows"):
        ascent.reconstructions(blank, blank, {})
    with pytest.raises(InputError, match="two of 0 to 2"):
        ascent.codes(np.zeros(3), np.zeros(3), np.eye(3), draws=np.zeros((1, 3)), dimensions=(0, 3))
