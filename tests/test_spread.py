"""Pictures of draws, gradients and rates: what they hold, and that all of it can be read."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch import Size

from lowerbound import look, rates, spread
from lowerbound.errors import InputError
from lowerbound.posterior import IsotropicNormal


@pytest.fixture(params=look.STYLES)
def any_style(request):
    with look.style(request.param):
        yield request.param


def assert_readable(figure):
    """All drawn things lie on the canvas and no two texts overlap."""
    around, canvas = figure.get_tightbbox(), figure.bbox_inches
    assert min(around.x0, around.y0) > -0.01, around
    assert max(around.x1 - canvas.width, around.y1 - canvas.height) < 0.01, around
    texts = [text for legend in figure.legends for text in legend.get_texts()]
    for axes in figure.axes:
        texts += [*axes.texts, axes.title, axes._left_title, axes.xaxis.label, axes.yaxis.label]
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            texts += [tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts if text.get_visible() and text.get_text()]
    for (one, a), (other, b) in itertools.combinations(boxes, 2):
        across, down = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        assert across < 1 or down < 1.5, f"{one!r} lies on {other!r}"


@pytest.mark.parametrize("seed", range(5))
def test_two_sigma_circles_hold_86_5_percent_of_the_draws(seed):
    draws = 10_000
    torch.manual_seed(seed)
    phi = torch.randn(4, 3)
    codes = IsotropicNormal.from_phi(phi).rsample(Size([draws])).transpose(0, 1)
    for sigmas in (1.0, 2.0):
        expected = 1 - math.exp(-(sigmas**2) / 2)
        error = math.sqrt(expected * (1 - expected) / draws)
        assert (abs(spread.inside(phi.numpy(), codes.numpy(), sigmas) - expected) < 4 * error).all()


@pytest.mark.parametrize("n", [1, 4, 6])
def test_circles_are_drawn_where_phi_says(n, any_style):
    phi = np.random.default_rng(0).normal(size=(n, 3))
    codes = phi[:, None, :2] + np.exp(phi[:, None, 2:]) * np.random.default_rng(1).normal(size=(n, 100, 2))
    figure = spread.circles(phi, codes)
    assert len(figure.axes) == n
    for axes, (*mean, log_scale) in zip(figure.axes, phi, strict=True):
        one, two = axes.patches
        np.testing.assert_allclose([one.center, two.center], [mean, mean])
        np.testing.assert_allclose([one.radius, two.radius], np.exp(log_scale) * np.array([1, 2]))
        assert len(axes.collections[0].get_offsets()) == 100
    assert_readable(figure)


@pytest.mark.parametrize("ratio", [1.0, 30.0, 1e5])
def test_gradients_of_any_spread_share_an_axis(ratio, any_style):
    noise = np.random.default_rng(0).normal(size=(4, 500))
    names = ["reparameterised", "sticking the landing", "score function", "score function, baseline"]
    draws = {name: -3 + row * (ratio if "score" in name else 1) for name, row in zip(names, noise, strict=True)}
    figure = spread.gradient_spread(draws, component="μ₁")
    assert len(figure.axes) == 4
    for axes, name in zip(figure.axes, names, strict=True):
        assert axes.get_title("left").startswith(name)
        assert axes.patches[0].get_data().values.sum() == pytest.approx(1)  # no draw is cut off
    assert_readable(figure)


@pytest.mark.parametrize("values", [[0.0, 0.0], [5.0, 5.0, 5.0], [1e-9, -1e9]])
def test_gradients_without_spread_or_with_much_still_give_a_figure(values):
    assert_readable(spread.gradient_spread({"a": np.array(values), "b": np.array([0.0, 1.0])}))
    assert_readable(spread.gradient_spread({"a": np.array(values)}))


def test_variance_against_draws_is_a_straight_line_on_its_axes(any_style):
    draws = np.array([1, 2, 4, 8, 16, 32, 64, 128])
    curves = {"reparameterised": 3 / draws, "score function": 4e3 / draws, "sticking the landing": 0.0 * draws}
    figure = spread.gradient_variance(draws, curves)
    (axes,) = figure.axes
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    np.testing.assert_allclose(axes.lines[1].get_ydata(), 4e3 / draws)
    assert not any("$" in label.get_text() for label in axes.get_yticklabels())
    assert len({(line.get_color(), line.get_marker()) for line in axes.lines}) == 3
    assert_readable(figure)


@pytest.mark.parametrize(
    ("rate", "limit"), [((25.1, 0.2), ("at most log 2000", 7.6)), ((9.0, 0.2), None), ((2.5, 0.0), ("log N", 7.6))]
)
def test_terms_begin_where_the_one_before_ends(rate, limit, any_style):
    terms = {"mutual information": (2.0, 0.05), "total correlation": (-0.01, 0.1)}
    terms["dimension-wise KL"] = (rate[0] - 1.99, 0.1)
    figure = rates.rate_split(rate, terms, limit=limit)
    bars = figure.axes[0].patches
    np.testing.assert_allclose([bar.get_x() for bar in bars], [0, 0, 2.0, 1.99], atol=1e-9)
    np.testing.assert_allclose([bar.get_width() for bar in bars], [rate[0], 2.0, -0.01, rate[0] - 1.99])
    assert_readable(figure)


@pytest.mark.parametrize("k", [1, 2, 20, 200])
def test_dimensions_are_sorted_and_marked(k, any_style):
    kl = np.random.default_rng(k).exponential(size=k)
    active = kl > 0.5
    figure = rates.kl_by_dimension(kl, active)
    (axes,) = figure.axes
    by_place = sorted(axes.patches, key=lambda bar: bar.get_x())
    np.testing.assert_allclose([bar.get_height() for bar in by_place], np.sort(kl)[::-1])
    assert [not bar.get_hatch() for bar in by_place] == active[np.argsort(-kl)].tolist()
    assert f"{active.sum()} of {k} dimensions" in axes.get_title("left")
    assert_readable(figure)


def test_wrong_arrays_are_refused_with_the_right_words():
    row = np.ones(3)
    for words, call in {
        "K is 2": lambda: spread.circles(np.ones((2, 4)), np.ones((2, 9, 3))),
        r"expected \[n, 3\]": lambda: spread.inside(np.ones((2, 3)), np.ones((3, 9, 2))),
        "no gradients came": lambda: spread.gradient_spread({}),
        r"a has shape \[1\]": lambda: spread.gradient_spread({"a": [1.0]}),
        "no variances came": lambda: spread.gradient_variance(row, {}),
        "a has 2 variances for 3": lambda: spread.gradient_variance(row, {"a": row[:2]}),
        "no term of the rate": lambda: rates.rate_split((1.0, 0.1), {}),
        "add up to 2 nats": lambda: rates.rate_split((1.0, 0.1), {"a": (2.0, 0.1)}),
        r"active has shape \[2\]": lambda: rates.kl_by_dimension(row, [True, False]),
        r"kl has shape \[0\]": lambda: rates.kl_by_dimension([], []),
    }.items():
        with pytest.raises(InputError, match=words):
            call()
