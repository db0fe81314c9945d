"""The figure of where the nats go: what it draws is what it was given."""

import numpy as np
import pytest

from lowerbound import look
from lowerbound.errors import InputError
from lowerbound.nats import nats


def rows(number, seed=0):
    random = np.random.default_rng(seed)
    encoder = random.normal(600, 50, number)
    optimum = encoder + random.gamma(2, 2, number)
    return random.gamma(9, 3, number), encoder, optimum, optimum + random.gamma(3, 1, number)


@pytest.mark.parametrize("style", ["plain", "xkcd"])
@pytest.mark.parametrize("number", [1, 2, 64])
def test_bars_are_the_means_and_the_gaps(style, number):
    rate, encoder, optimum, log_p = rows(number)
    with look.style(style):
        figure = nats(rate, encoder, optimum, log_p, richer={"full": (optimum + log_p) / 2}, errors=(0.1, 0.2))
    left, right = figure.axes
    heights = [bar.get_height() for bar in left.patches]
    np.testing.assert_allclose(heights, [-rate.mean(), (optimum - encoder).mean(), (log_p - optimum).mean()])
    first, total = (steps.get_data().values for steps in right.patches)
    assert (np.diff(total) <= 1e-9).all()
    np.testing.assert_allclose(np.sort(first), np.sort(optimum - encoder))
    np.testing.assert_allclose(np.sort(total), np.sort(log_p - encoder))
    words = " ".join(text.get_text() for text in left.texts)
    assert f"ELBO {encoder.mean():.1f}" in words
    assert f"log p(x) {log_p.mean():.1f}" in words
    assert "± 0.10" in words
    assert "best full q" in words


def test_no_words_of_the_levels_lie_on_each_other():
    for seed in range(4):
        figure = nats(*rows(20, seed))
        boxes = [text.get_window_extent() for text in figure.axes[0].texts]
        for n, box in enumerate(boxes):
            assert not any(box.overlaps(other) for other in boxes[n + 1 :])


@pytest.mark.parametrize("scale", [0.0, 1e-6, 1e6])
def test_gaps_of_any_size_are_drawn(scale):
    rate, encoder, optimum, log_p = (scale * row for row in rows(5))
    heights = [bar.get_height() for bar in nats(rate, encoder, optimum, log_p).axes[0].patches]
    np.testing.assert_allclose(heights, [-rate.mean(), (optimum - encoder).mean(), (log_p - optimum).mean()])


def test_what_cannot_be_drawn_is_refused():
    rate, encoder, optimum, log_p = rows(3)
    with pytest.raises(InputError, match="rows have shapes"):
        nats(rate[:2], encoder, optimum, log_p)
    with pytest.raises(InputError, match="rows have shapes"):
        nats(rate[:0], encoder[:0], optimum[:0], log_p[:0])
    with pytest.raises(InputError, match="log_p holds numbers that are not finite"):
        nats(rate, encoder, optimum, log_p + np.inf)
