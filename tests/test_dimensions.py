"""Choosing K: each criterion against its definition or a second opinion, and what is recognised of reconstructions."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import gammaln
from sklearn import decomposition

from lowerbound import sources
from lowerbound.dimension_curves import Shown, choosing
from lowerbound.dimensions import SHARES, choose, held_out, log_evidence, parallel_analysis, shares
from lowerbound.errors import InputError
from lowerbound.evaluation import Estimate
from lowerbound.images import Images, ImageSet
from lowerbound.legibility import Legibility, Reader, legibility, outlines, truncated, unreadable
from lowerbound.pca import PCA

SHAPES = st.tuples(st.sampled_from([1, 3]), st.integers(2, 5), st.integers(2, 5))


def noise(count, shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, *shape)).astype(np.uint8)


def planted(count, rank, shape=(1, 6, 6), seed=0, scale=40.0, other=4.0):
    """Images with ``rank`` strong directions and equal noise in all others."""
    random = np.random.default_rng(seed)
    basis = np.linalg.qr(random.standard_normal((math.prod(shape), rank)))[0]
    flat = (
        128
        + random.standard_normal((count, rank)) @ basis.T * scale
        + random.normal(0, other, (count, math.prod(shape)))
    )
    return flat.clip(0, 255).round().astype(np.uint8).reshape(count, *shape)


def every_component(images):
    return PCA(min(len(images), math.prod(images.shape[1:]))).fit(images)


def slow_evidence(variances, number):
    """Minka's equation with loops, as in the paper."""
    d, found = len(variances), []
    for k in range(1, d):
        noise = variances[k:].mean()
        used = np.where(np.arange(d) < k, variances, noise)
        total = -k * math.log(2) - number / 2 * np.log(used).sum()
        for i in range(1, k + 1):
            total += gammaln((d - i + 1) / 2) - (d - i + 1) / 2 * math.log(math.pi)
        for i in range(k):
            for j in range(i + 1, d):
                gap = (1 / used[j] - 1 / used[i]) * (variances[i] - variances[j]) * number
                total -= math.log(gap) / 2
        free = d * k - k * (k + 1) / 2
        found.append(total + (free + k) / 2 * math.log(2 * math.pi) - k / 2 * math.log(number))
    return np.array(found)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 12), st.integers(20, 5000), st.integers(0, 99))
def test_evidence_is_minkas_equation(d, number, seed):
    variances = np.sort(np.random.default_rng(seed).exponential(1.0, d) + 0.01)[::-1]
    ours = log_evidence(variances, number, pixels=d, total=variances.sum())
    np.testing.assert_allclose(ours, slow_evidence(variances, number), rtol=1e-9)


@pytest.mark.parametrize("rank", [1, 4, 9])
def test_evidence_finds_planted_directions_as_scikit_learn_does(rank):
    images = planted(2000, rank)
    pca = every_component(images)
    ours = log_evidence(pca.variances, 2000, pixels=36, total=pca.total_variance).argmax() + 1
    assert ours == rank == decomposition.PCA("mle").fit(images.reshape(2000, -1) / 255).n_components_


def test_pixels_that_never_change_and_spectra_cut_short_leave_the_evidence_alone():
    images = planted(2000, 4)
    pca = every_component(images)
    whole = log_evidence(pca.variances, 2000, pixels=36, total=pca.total_variance)
    padded = np.concatenate([pca.variances, np.zeros(10)])
    np.testing.assert_allclose(log_evidence(padded, 2000, pixels=46, total=pca.total_variance), whole)
    cut = log_evidence(pca.variances[:12], 2000, pixels=36, total=pca.total_variance)
    assert len(cut) == 12
    assert cut.argmax() == whole.argmax() == 3


@pytest.mark.parametrize("shape", [(1, 6, 6), (3, 20, 20)])  # more images than pixels, and fewer
def test_parallel_analysis_finds_planted_directions_and_none_in_noise(shape):
    assert parallel_analysis(planted(400, 5, shape)) == 5
    assert parallel_analysis(noise(400, shape)) == 0
    assert parallel_analysis(np.zeros((20, *shape), np.uint8)) == 0


def test_parallel_analysis_is_a_function_of_the_seed():
    images = sources.digits().train.pixels
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    assert parallel_analysis(images, seed=3) == parallel_analysis(images, seed=3)
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


@settings(max_examples=25, deadline=None)
@given(SHAPES, st.integers(2, 60), st.integers(1, 300), st.integers(0, 99))
def test_held_out_likelihood_is_that_of_a_model_fitted_for_each_k(shape, count, tested, seed):
    train, test = noise(count, shape, seed), noise(tested, shape, seed + 1)
    pca = every_component(train)
    scores = held_out(pca, test)
    for k in {1, 2, pca.latent_dim // 2 or 1, pca.latent_dim - 1 or 1, pca.latent_dim}:
        each = PCA(min(k, pca.latent_dim)).fit(train).score_samples(test)
        want = Estimate.of(each)
        got = scores.at(min(k, pca.latent_dim))
        assert got.mean == pytest.approx(want.mean, rel=1e-6, abs=1e-6)
        if tested > 1:
            assert got.standard_error == pytest.approx(want.standard_error, rel=1e-4, abs=1e-6 * abs(want.mean))
    assert scores.mean[scores.best - 1] == scores.mean.max()


def test_held_out_likelihood_finds_planted_directions():
    images = planted(4000, 6)
    assert held_out(every_component(images[:3000]), images[3000:]).best == 6


@settings(max_examples=25, deadline=None)
@given(SHAPES, st.lists(st.integers(1, 8), min_size=1, max_size=4, unique=True))
def test_truncated_images_are_those_of_pca(shape, ks):
    images, ks = noise(30, shape), sorted(k for k in ks if k <= math.prod(shape))
    if not ks:
        return
    for k, got in zip(ks, truncated(every_component(images), images, ks), strict=True):
        pca = PCA(k).fit(images)
        want = pca.inverse_transform(pca.transform(images)).clip(0, 1)
        np.testing.assert_allclose(got, want, atol=1e-4)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from([1, 3]), st.integers(4, 40), st.integers(4, 40), st.integers(0, 99))
def test_outlines_forget_brightness_and_the_sign_of_edges(channels, height, width, seed):
    images = np.random.default_rng(seed).random((3, channels, height, width), np.float32)
    seen = outlines(images)
    assert np.isfinite(seen).all()
    assert seen.any()
    np.testing.assert_allclose(outlines(images + 0.5), seen, atol=2e-3)
    np.testing.assert_allclose(outlines(1 - images), seen, atol=2e-3)
    assert not outlines(np.full_like(images, 0.3)).any()


@pytest.mark.slow
def test_what_is_recognised_on_digits():
    digits = sources.digits()
    read = legibility(digits.train, digits.test, PCA(64).fit(digits.train.pixels), [1, 8, 64])
    for reader in read.readers:
        assert reader.original.mean > 0.95
        low, middle, all_of_it = (each.mean for each in reader.agreement)
        assert low < middle < all_of_it == 1  # all components: the originals themselves
        assert reader.accuracy[-1] == reader.original
        for each in (*reader.accuracy, *reader.agreement):
            assert each.standard_error == pytest.approx(math.sqrt(each.mean * (1 - each.mean) / read.tested))
    assert read == legibility(digits.train, digits.test, PCA(64).fit(digits.train.pixels), [1, 8, 64])


def test_variance_alone_does_not_tell_what_is_recognised():
    """The class lies in a faint direction beneath a strong one that says nothing: nearly all variance, nothing recognised."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 900)
    images = 128 + np.repeat(random.normal(0, 30, (900, 1, 1, 1)), 64, 1).reshape(900, 1, 8, 8)
    images[:, :, :, 4] += 24 * labels[:, None, None]  # a bar that stands, or one that lies
    images[:, :, 4] += 24 * (1 - labels)[:, None, None]
    images = images.clip(0, 255).round().astype(np.uint8)
    train, test = Images(images[:600], labels[:600]), Images(images[600:], labels[600:])
    pca = PCA(64).fit(train.pixels)
    read = legibility(train, test, pca, [1, 2])
    assert pca.explained[1] > 0.95
    outline = read.readers[1]
    assert outline.original.mean == outline.accuracy[1].mean == 1
    assert outline.accuracy[0].mean < 0.7
    assert read.enough(outline) == 2


def test_enough_is_from_where_on_agreement_stays():
    reader = Reader("pixels", Estimate(1, 0), (), tuple(Estimate(each, 0) for each in (0.9, 0.5, 0.8, 0.9)))
    read = Legibility((1, 2, 3, 4), (reader,), 10, 10, 2)
    assert read.enough(reader) == 3
    assert read.enough(reader, 0.95) is None
    assert read.enough(reader, 0.1) == 1


@pytest.mark.slow
def test_choose_on_digits_says_all_and_is_a_function_of_the_seed():
    digits = sources.digits()
    found = choose(digits)
    assert all(
        found.explained[found.share_ks[share]] >= share > found.explained[found.share_ks[share] - 1] for share in SHARES
    )
    said = json.loads(json.dumps(found.to_json(), allow_nan=False))
    k, why = found.recommendation()
    assert said["recommended"] == {"k": k, "why": why}
    assert {*found.share_ks.values()} <= {*found.legibility.ks}
    assert said == json.loads(json.dumps(choose(digits).to_json()))


@pytest.mark.parametrize("labels", [None, np.zeros(40, np.int64), np.arange(40)])
def test_images_that_cannot_be_read_are_judged_by_the_rest(labels):
    pixels = planted(40, 3)
    images = Images(pixels, labels)
    found = choose(ImageSet("planted", images, images[:1]))
    if labels is not None and labels.any():
        assert found.legibility is not None  # forty classes of one image each: no sense, but no failure
        return
    assert found.legibility is None
    assert unreadable(images, images) in found.recommendation()[1]
    assert found.recommendation()[0] == max(found.parallel, 1)
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["legibility"] is None


@pytest.mark.parametrize(("train", "test"), [(1, 1), (3, 0)])
def test_too_few_images_are_refused(train, test):
    with pytest.raises(InputError, match="expected at least 2 and 1"):
        choose(ImageSet("few", Images(noise(train, (1, 2, 2))), Images(noise(test, (1, 2, 2)))))


def test_images_that_do_not_vary_are_refused():
    blank = Images(np.full((9, 1, 4, 4), 7, np.uint8))
    with pytest.raises(InputError, match="the same"):
        choose(ImageSet("blank", blank, blank))
    with pytest.raises(InputError, match="two classes"):
        legibility(blank, blank, PCA(2).fit(noise(9, (1, 4, 4))), [1])


def test_shares_are_the_smallest_k():
    assert [shares(np.array([0, 0.5, 0.8, 0.9]), share) for share in (0.5, 0.6, 0.95)] == [1, 2, None]


def shown(name, *, readers=2, pictures=3, shape=(1, 8, 8), most=784):
    curves = {f"by {n}": np.linspace(0.1, 1, 5) for n in range(readers)}
    images = np.random.default_rng(0).random((6, *shape))
    return Shown(
        name,
        1 - 0.99 ** np.arange(most + 1),
        {"parallel analysis": min(30, most), "evidence": most},
        np.geomspace(1, most, 5) if readers else (),
        curves,
        {by: np.full(5, 0.02) for by in curves},
        {f"K = {n}\n{n}%": images for n in range(pictures)},
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "sets",
    [
        [shown("digits")],
        [shown("mnist"), shown("cifar10", shape=(3, 32, 32), most=3072)],
        [
            shown("a name far too long for any legend there is or will be", readers=0),
            shown("中文", pictures=0),
            shown("$5"),
        ],
        [shown("wide", shape=(3, 2, 90), readers=1, pictures=5, most=2)],
        [shown("one", readers=0, most=1)],
    ],
)
def test_the_figure_holds_all_and_cuts_nothing_off(sets):
    figure = choosing(sets)
    read = any(one.agreement for one in sets)
    assert len(figure.axes) == 1 + read + sum(len(one.pictures) for one in sets)
    around, canvas = figure.get_tightbbox(), figure.bbox_inches
    assert min(around.x0, around.y0) > -0.01
    assert max(around.x1 - canvas.width, around.y1 - canvas.height) < 0.01


def test_the_figure_refuses_what_does_not_fit():
    with pytest.raises(InputError, match="expected 1 to 3"):
        choosing([])
    with pytest.raises(InputError, match="one number for each"):
        choosing([Shown("odd", np.array([0, 1.0]), ks=(1, 2), agreement={"by pixels": np.ones(3)})])
    with pytest.raises(InputError, match="expected 0 to 1"):
        choosing([Shown("odd", np.array([0, 1.0]), {"Minka": 9})])
    with pytest.raises(InputError, match="M >= 1"):
        choosing([Shown("odd", np.array([0.0]))])
