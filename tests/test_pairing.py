"""Paired differences: that images' own hardness cancels, and that an interval holds the truth as often as it says."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from lowerbound.errors import InputError
from lowerbound.evaluation import Estimate
from lowerbound.pairing import Contender, paired, verdict


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 60), st.integers(0, 999))
def test_with_one_seed_it_is_the_paired_t_interval(images, seed):
    first, second = np.random.default_rng(seed).standard_normal((2, images))
    found = paired(first, second)
    expected = stats.ttest_rel(first, second).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.mean == pytest.approx((first - second).mean())
    again = paired(first[None], second[None])
    assert again == found


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 4), st.integers(2, 30), st.integers(0, 999))
def test_turned_round_it_is_its_own_negative_and_hardness_cancels(seeds, images, seed):
    random = np.random.default_rng(seed)
    first, second = random.standard_normal((2, seeds, images))
    hard = 100 * random.standard_normal(images)
    found, turned, harder = paired(first, second), paired(second, first), paired(first + hard, second + hard)
    assert (turned.mean, turned.low, turned.high) == pytest.approx((-found.mean, -found.high, -found.low))
    assert (harder.mean, harder.low, harder.high) == pytest.approx((found.mean, found.low, found.high), abs=1e-9)
    assert found.by_seed == pytest.approx((first - second).mean(1))


@pytest.mark.parametrize(("of_seed", "of_image"), [(1.0, 0.0), (0.0, 1.0), (0.2, 1.0), (0.0, 0.0)])
def test_an_interval_holds_the_truth_as_often_as_it_says(of_seed, of_image):
    random = np.random.default_rng(0)
    inside = []
    for _ in range(600):
        drawn = of_seed * random.standard_normal((3, 1)) + of_image * random.standard_normal((1, 40))
        found = paired(0.3 + drawn + 0.5 * random.standard_normal((3, 40)), np.zeros((3, 40)))
        inside.append(found.low < 0.3 < found.high)
    assert np.mean(inside) > 0.91  # 600 trials: 0.95 less 4 standard errors
    if of_seed != of_image:
        assert np.mean(inside) < 0.995


def test_seeds_count_where_they_differ():
    random = np.random.default_rng(0)
    images = random.standard_normal(1000)
    alike = paired(np.stack([images] * 3), np.zeros((3, 1000)))
    apart = paired(np.stack([images - 1, images, images + 1]), np.zeros((3, 1000)))
    one = paired(images, np.zeros(1000))
    assert (alike.low, alike.high) == pytest.approx((one.low, one.high))
    assert apart.high - apart.low > 10 * (one.high - one.low)
    assert apart.high - apart.mean == pytest.approx(apart.standard_error * stats.t.ppf(0.975, 2), rel=0.05)


def test_what_cannot_be_known_is_said_so():
    single = paired(np.array([1.0]), np.array([0.5]))
    assert single.mean == 0.5
    assert math.isnan(single.low)
    assert not single.certain
    assert json.loads(json.dumps(single.to_json(), allow_nan=False))["low"] is None
    same = paired(np.ones(5), np.ones(5))
    assert (same.low, same.high, same.certain) == (0, 0, False)


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        (np.ones(3), np.ones(4), "same order"),
        (np.ones(0), np.ones(0), "same order"),
        (np.ones((1, 1, 3)), np.ones((1, 1, 3)), "same order"),
        (np.array([1.0, np.nan]), np.ones(2), "not finite"),
    ],
)
def test_what_is_no_pair_is_refused(first, second, words):
    with pytest.raises(InputError, match=words):
        paired(first, second)


def test_a_confidence_must_be_one():
    with pytest.raises(InputError, match="between 0 and 1"):
        paired(np.ones(3), np.ones(3), confidence=95)


def contenders(more, told=0.85):
    errors = np.random.default_rng(0).random(500) / 50
    vae = Contender("the VAE", errors + more, told=Estimate(told, 0.005))
    return vae, Contender("the autoencoder", errors), Contender("PCA", errors * 2, told=Estimate(0.99, 0.002))


def test_a_verdict_says_price_and_purchase():
    vae, autoencoder, pca = contenders(np.linspace(0.001, 0.003, 500))
    price, purchase = verdict(20, vae, autoencoder, pca)
    assert "At K = 20 the VAE pays 0.002000 more squared error per pixel than the autoencoder" in price
    assert "95 % interval 0.001949 to 0.002051 over 500 images, 1 seed" in price
    assert purchase.startswith("It buys samples that a classifier tells from real images 85.0 ± 0.5 % of the time")
    assert "against 99.0 ± 0.2 % for PCA" in purchase
    assert "against" not in verdict(20, vae, autoencoder)[1]
    assert "for PCA" in verdict(20, vae, pca)[1]


def test_a_verdict_calls_nothing_paid_that_is_not():
    vae, autoencoder, pca = contenders(-np.linspace(0.001, 0.003, 500))
    price, purchase = verdict(20, vae, autoencoder, pca)
    assert "has 0.002000 less squared error per pixel" in price
    assert "interval 0.001949 to 0.002051" in price
    assert purchase.startswith("A classifier tells its samples")
    noise = np.random.default_rng(1).standard_normal(500) / 1000
    price, purchase = verdict(20, *contenders(noise - noise.mean())[:2])
    assert "do not surely differ" in price
    assert purchase.startswith("A classifier tells its samples")
    assert "not measured" in verdict(20, autoencoder, pca)[1]
    one = Contender("the VAE", vae.errors[:1])
    assert "no interval comes of 1 image, 1 seed" in verdict(20, one, Contender("the AE", autoencoder.errors[:1]))[0]
