"""p-values that are uniform where nothing is strange, and small where something is."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest

from lowerbound import PCA, Settings, recipes
from lowerbound.conformal import benjamini_hochberg, joint_p_values, p_values
from lowerbound.errors import InputError
from lowerbound.outliers import Outliers, choose_measure, outliers, strangeness


def test_p_is_a_multiple_of_one_over_n_plus_one_and_uniform_under_the_null():
    rng = np.random.default_rng(0)
    calibration, scores = rng.standard_exponential(999), rng.standard_exponential(20_000)
    p = p_values(calibration, scores)
    assert np.allclose(p * 1000, np.rint(p * 1000))
    assert p.min() >= 1 / 1000
    # Given one calibration set p is off by its own sampling error, sqrt(1 / 999); over many it is uniform.
    fresh = np.array([p_values(rng.random(19), rng.random(1))[0] for _ in range(4000)])
    counts = np.bincount(np.rint(fresh * 20).astype(int), minlength=21)[1:]
    assert counts.sum() == 4000
    assert abs(counts - 200).max() < 5 * np.sqrt(200)


@given(st.integers(1, 30), st.integers(0, 2**32 - 1), st.floats(0.01, 0.99))
@settings(deadline=None, max_examples=30)
def test_no_more_small_p_values_than_there_should_be_even_with_ties(count, seed, level):
    """P(p <= level) <= level, over calibration and image together, whatever the distribution."""
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 6, (3000, count + 1))
    p = np.array([p_values(row[1:], row[:1])[0] for row in scores])
    assert (p <= level).mean() <= level + 4 * np.sqrt(level / 3000)


@pytest.mark.parametrize("dependence", [0.0, 0.9, 1.0])
def test_joint_p_values_are_exactly_uniform_under_the_null(dependence):
    rng = np.random.default_rng(1)

    def drawn(number):
        first, second = rng.standard_normal((2, number))
        return np.stack([first, dependence * first + np.sqrt(1 - dependence**2) * second], axis=1)

    p = np.concatenate([joint_p_values(drawn(19), drawn(1)) for _ in range(4000)])
    for level in (0.1, 0.25, 0.5):
        assert (p <= level + 1e-9).mean() <= level + 4 * np.sqrt(level / 4000)
    if dependence == 1.0:  # the better of two equal ranks is one of them: nothing is lost
        assert kstest(p - rng.random(4000) / 20, "uniform").pvalue > 0.001


@given(st.integers(1, 12), st.integers(1, 5), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=60)
def test_joint_p_values_are_ranks_in_the_bag_of_all(count, number, seed):
    """Against the definition, written down literally."""
    rng = np.random.default_rng(seed)
    calibration, scores = rng.integers(0, 5, (count, 2)), rng.integers(0, 5, (number, 2))
    found = joint_p_values(calibration, scores)
    for one, p in zip(scores, found, strict=True):
        bag = np.concatenate([calibration, one[None]])
        ranks = (bag[None] >= bag[:, None]).sum(1).min(1)  # how many are at least as strange, by the better measure
        assert p == pytest.approx((ranks <= ranks[-1]).sum() / (count + 1))


@pytest.mark.parametrize("dependence", [0.0, 0.99])
def test_joint_p_values_are_never_above_bonferroni_and_below_where_scores_agree(dependence):
    rng = np.random.default_rng(2)
    drawn = rng.standard_normal((2, 700))
    scores = np.stack([drawn[0], dependence * drawn[0] + np.sqrt(1 - dependence**2) * drawn[1]], axis=1)
    joint = joint_p_values(scores[:500], scores[500:])
    single = [p_values(*np.split(column, [500])) for column in scores.T]
    bonferroni = 2 * np.minimum(*single)
    assert (joint <= bonferroni + 1e-12).all()
    assert (joint / np.minimum(*single)).mean() < (1.3 if dependence else 2.0)


def test_benjamini_hochberg_keeps_its_promise():
    rng = np.random.default_rng(3)
    shares = []
    for _ in range(300):
        calibration = rng.standard_normal(2000)
        scores = np.concatenate([rng.standard_normal(180), rng.standard_normal(20) + 5])
        found = benjamini_hochberg(p_values(calibration, scores), 0.1)
        shares.append(found[:180].sum() / max(1, found.sum()))
    assert np.mean(shares) <= 0.1 + 3 * np.std(shares) / np.sqrt(300)
    assert benjamini_hochberg(np.array([0.9, 0.8]), 0.05).sum() == 0
    for wrong in (0, 1, 5, -0.1):
        with pytest.raises(InputError, match="fdr"):
            benjamini_hochberg(np.array([0.1]), wrong)


def stripes(number, seed, noise=20):
    rng = np.random.default_rng(seed)
    pixels = rng.random((number, 1, 1, 6)) * 200 + rng.random((number, 1, 6, 6)) * noise
    return pixels.astype(np.uint8)


@pytest.mark.parametrize("kind", ["pca", "vae"])
def test_images_of_another_kind_are_found_and_others_are_not(kind):
    train = stripes(300, 0)
    model = PCA(6).fit(train)
    if kind == "vae":
        model = recipes.vae((1, 6, 6), 6, start=model).fit(train, Settings(epochs=1))
    turned = stripes(30, 5).transpose(0, 1, 3, 2)
    images = np.concatenate([stripes(150, 1), turned])
    found = outliers(model, images, stripes(1200, 2))
    assert found.by == "both"
    assert found.calibration == 1200
    assert found.found[150:].mean() > 0.8
    assert found.found[:150].mean() < 0.1
    assert set(found.order[:20]) <= set(range(150, 180))
    assert (np.diff(found.p_values["both"][found.order]) >= 0).all()
    assert set(found.scores) == {"error", "likelihood"}
    again = outliers(model, images, stripes(1200, 2))
    assert np.array_equal(again.p_values["both"], found.p_values["both"])


def test_no_image_calibrates_itself():
    """One wild image among equals: against its own half its p would be 2 / (n + 1)."""
    images = np.concatenate([stripes(99, 1), np.random.default_rng(0).integers(0, 256, (1, 1, 6, 6)).astype(np.uint8)])
    pca = PCA(6).fit(stripes(300, 0))
    found = outliers(pca, images, by="error", seed=4)
    assert found.p_values["error"][99] == 1 / 51
    scores, order = found.scores["error"], np.random.default_rng(4).permutation(100)
    first, second = order[:50], order[50:]
    assert np.array_equal(found.p_values["error"][first], p_values(scores[second], scores[first]))
    assert np.array_equal(found.p_values["error"][second], p_values(scores[first], scores[second]))
    assert found.found.sum() == 0
    assert found.least == 40, "0.05 x 51 / 100 has no room for one"


def test_blocks_change_nothing():
    pca, images = PCA(6).fit(stripes(300, 0)), stripes(1100, 1)
    whole, part = strangeness(pca, images), strangeness(pca, images[1000:])
    assert np.allclose(whole["error"][1000:], part["error"], atol=1e-12)
    assert np.allclose(whole["likelihood"][1000:], part["likelihood"])


def test_what_cannot_be_asked():
    pca, auto = PCA(2).fit(stripes(50, 0)), recipes.linear((1, 6, 6), latent_dim=2)
    assert choose_measure(auto, None) == "error"
    with pytest.raises(InputError, match="plain autoencoder"):
        choose_measure(auto, "both")
    with pytest.raises(InputError, match='did you mean "error"'):
        choose_measure(pca, "eror")
    with pytest.raises(InputError, match="at least 2"):
        outliers(pca, stripes(1, 0))
    with pytest.raises(InputError, match="at least 1"):
        outliers(pca, stripes(0, 0), stripes(3, 0))


def test_the_least_that_can_be_found_is_what_it_takes():
    for count, calibration, fdr in ((1000, 499, 0.05), (50, 5000, 0.05), (200, 99, 0.1)):
        least = Outliers({}, {}, "error", np.arange(count), np.zeros(count, bool), fdr, calibration).least
        p = np.ones(count)
        p[:least] = 1 / (calibration + 1)
        assert benjamini_hochberg(p, fdr).sum() == least
        p[least - 1] = 1
        assert benjamini_hochberg(p, fdr).sum() == 0 or least == 1
