"""One contract for every model: the same verbs, shapes, bytes, and words for what cannot be used."""

import math

import numpy as np
import pytest
import torch

from lowerbound import recipes
from lowerbound.errors import InputError
from lowerbound.evaluation import Compressor, Generator
from lowerbound.images import as_floats
from lowerbound.pca import PCA
from lowerbound.settings import Settings

SHAPES = [(1, 8, 8), (3, 5, 7), (1, 1, 1), (1, 28, 28)]
MODELS = [
    ("pca", "strided"),
    ("linear", "strided"),
    ("conv", "strided"),
    ("conv", "tutorial"),
    ("vae", "strided"),
    ("vae", "tutorial"),
]
COUNT = 13


def images_of(shape, seed=0, count=COUNT):
    return np.random.default_rng(seed).integers(0, 256, (count, *shape)).astype(np.uint8)


def size_of_codes(shape):
    return min(3, math.prod(shape))


def build(name, network, shape, seed=0, start=None):
    k = size_of_codes(shape)
    if name == "pca":
        return PCA(k)
    torch.manual_seed(seed)
    return recipes.recipe(name).build(shape, k, recipes.NETWORKS[network], start)


def fit(model, images, seed=0):
    how = () if isinstance(model, PCA) else (Settings(epochs=2, batch_size=5, seed=seed),)
    return model.fit(images, *how)


def outputs(model, images):
    codes = model.transform(images)
    found = [codes, model.inverse_transform(codes)]
    return [*found, model.sample(4), model.score_samples(images)] if isinstance(model, Generator) else found


def over(models):
    """Run a test for each of some models and for each shape."""
    names = pytest.mark.parametrize(("name", "network"), models, ids=map("-".join, models))
    return lambda test: names(pytest.mark.parametrize("shape", SHAPES, ids=str)(test))


every_model, every_network = over(MODELS), over(MODELS[1:])


@every_model
def test_verbs_shapes_and_bytes(name, network, shape):
    images, k = images_of(shape), size_of_codes(shape)
    model = build(name, network, shape)
    assert fit(model, images) is model
    assert isinstance(model, Compressor)
    assert isinstance(model, Generator) == (name in {"pca", "vae"})
    found = outputs(model, images)
    shapes = [(COUNT, k), (COUNT, *shape), (4, *shape), (COUNT,)]
    assert [array.shape for array in found] == shapes[: len(found)]
    assert all(array.dtype == np.float32 for array in found[:3])
    assert all(np.isfinite(array).all() for array in found)
    torch.rand(3)
    for array, again in zip(found, outputs(model, images), strict=True):  # nothing is drawn that has no seed
        assert array.tobytes() == again.tobytes()
    twin = fit(build(name, network, shape), images)
    for array, other in zip(found, outputs(twin, images), strict=True):
        assert array.tobytes() == other.tobytes()
    np.testing.assert_allclose(model.transform(as_floats(images)), found[0])  # 8-bit or float
    np.testing.assert_allclose(model.transform(images[2:5]), found[0][2:5], rtol=1e-4, atol=1e-5)
    assert np.array_equal(images, images_of(shape))  # left as they were


@every_model
def test_no_images_give_no_codes(name, network, shape):
    model = fit(build(name, network, shape), images_of(shape))
    codes = model.transform(images_of(shape, count=0))
    assert codes.shape == (0, size_of_codes(shape))
    assert model.inverse_transform(codes).shape == (0, *shape)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_pca_is_the_same_to_the_last_bit_in_any_order(shape):
    images, k = images_of(shape), size_of_codes(shape)
    shuffled = images[np.random.default_rng(1).permutation(COUNT)]
    one, other = PCA(k).fit(images).tensors(), PCA(k).fit(shuffled).tensors()
    assert all(one[name].tobytes() == other[name].tobytes() for name in one)


@every_network
def test_another_seed_gives_other_weights(name, network, shape):
    done = []
    for seed in (0, 1):
        model = fit(build(name, network, shape), images_of(shape), seed)
        done.append(b"".join(value.numpy().tobytes() for value in model.state_dict().values()))
    assert done[0] != done[1]


@every_network
def test_every_parameter_gets_a_gradient(name, network, shape):
    model = build(name, network, shape, seed=1)
    terms = model.loss(torch.from_numpy(as_floats(images_of(shape, count=40))))
    assert terms.loss.shape == (40,)
    terms.loss.mean().backward()
    for where, parameter in model.named_parameters():
        assert parameter.grad is not None, where
        assert torch.isfinite(parameter.grad).all(), where
        assert parameter.grad.any(), where


@every_model
def test_what_cannot_be_used_is_refused_in_words(name, network, shape):
    images, k = images_of(shape), size_of_codes(shape)
    channels, height, width = shape
    model = fit(build(name, network, shape), images)
    size = f"{channels}, {height}, {width}"
    verbs = [model.transform]
    if isinstance(model, Generator):
        verbs += [model.score_samples, model.score]
    for verb in verbs:
        for wrong in [images_of((channels, height + 1, width)), images_of((4 - channels, height, width)), images[0]]:
            with pytest.raises(InputError, match=rf"images have shape .*; expected \[N, {size}\]"):
                verb(wrong)
        with pytest.raises(InputError, match="pixels are int64; expected uint8, or floats"):
            verb(images.astype(np.int64))
    for wrong in [np.zeros((2, k + 1), np.float32), np.zeros(k, np.float32), np.zeros((2, 1, k), np.float32)]:
        with pytest.raises(InputError, match=rf"codes have shape \[.*\]; expected \[N, {k}\]"):
            model.inverse_transform(wrong)


@every_model
def test_what_cannot_be_learned_from_is_refused_in_words(name, network, shape):
    images = images_of(shape)
    model = build(name, network, shape)
    wrong = [as_floats(images), images.astype(np.int64), images[0]]
    if name != "pca":
        wrong += [images_of((shape[0], shape[1] + 1, shape[2])), images[:0]]
    for each in wrong:
        with pytest.raises(InputError, match="expected"):
            fit(model, each)


def textured(shape, count=600):
    """Images with a few strong directions, unlike noise."""
    random = np.random.default_rng(0)
    directions = random.standard_normal((5, *shape)) * np.linspace(30, 8, 5).reshape(5, 1, 1, 1)
    images = 128 + np.einsum("nk,kchw->nchw", random.standard_normal((count, 5)), directions)
    return (images + random.normal(0, 8, images.shape)).clip(0, 255).round().astype(np.uint8)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 5, 7), (1, 1, 1)], ids=str)
def test_a_vae_starts_at_the_posterior_mean_of_probabilistic_pca(shape):
    images = textured(shape)
    pca = PCA(size_of_codes(shape)).fit(images)
    sigma2 = pca.noise_variance
    loadings = pca.components.T * np.sqrt(np.maximum(pca.scales**2 - sigma2, 0))  # W
    centred = images.reshape(len(images), -1) / 255 - pca.mean
    inner = loadings.T @ loadings + sigma2 * np.eye(pca.latent_dim)
    codes = centred @ loadings @ np.linalg.inv(inner)
    model = build("vae", "strided", shape, start=pca)
    np.testing.assert_allclose(model.transform(images), codes, atol=1e-4)
    expected = (codes @ loadings.T + pca.mean).reshape(images.shape)
    np.testing.assert_allclose(model.inverse_transform(model.transform(images)), expected, atol=1e-4)
    assert model.gauges()["sigma"].item() == pytest.approx(math.sqrt(sigma2), rel=1e-5)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 5, 7), (1, 1, 1)], ids=str)
def test_an_autoencoder_starts_at_the_reconstructions_of_pca(shape):
    images = textured(shape)
    pca = PCA(size_of_codes(shape)).fit(images)
    model = build("conv", "strided", shape, start=pca)
    np.testing.assert_allclose(model.transform(images), pca.transform(images) * pca.scales, atol=1e-4)
    expected = pca.inverse_transform(pca.transform(images))
    np.testing.assert_allclose(model.inverse_transform(model.transform(images)), expected, atol=1e-4)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 5, 7)], ids=str)
def test_a_vae_that_starts_at_pca_is_below_its_evidence_by_the_gap_of_q_alone(shape):
    images = textured(shape)
    pca = PCA(5).fit(images)
    model = recipes.vae(shape, 5, start=pca)
    with torch.no_grad():
        deviation = model.encoder(torch.zeros(1, *shape)).stddev.double()[0].numpy()

    def gap_of(deviation):
        """KL(q || posterior), the same for every image."""
        ratio = deviation**2 * pca.scales**2 / pca.noise_variance  # of variances; the posterior's is sigma^2 / lambda
        return 0.5 * (ratio - 1 - np.log(ratio)).sum()

    gap = gap_of(deviation)
    assert gap < min(gap_of(0.95 * deviation), gap_of(1.05 * deviation))  # no other isotropic q is nearer
    bounds = np.array([model.score(images, samples=10, seed=seed) for seed in range(10)])
    error = bounds.std(ddof=1) / math.sqrt(len(bounds))
    evidence = pca.score(images)
    assert 0 < gap < 5
    assert bounds.mean() == pytest.approx(evidence - gap, abs=5 * error + 0.01)
    assert bounds.mean() + 4 * error < evidence


@pytest.mark.slow
@pytest.mark.parametrize("network", recipes.NETWORKS)
def test_the_score_of_a_vae_is_seeded_and_less_noisy_with_more_draws(network):
    images = images_of((1, 8, 8))
    model = fit(build("vae", network, (1, 8, 8)), images)
    assert model.score(images, seed=1) == model.score(images, seed=1) != model.score(images, seed=2)
    one, many = (np.std([model.score(images, samples=n, seed=seed) for seed in range(30)]) for n in (1, 64))
    assert many < one / 3
    assert not np.array_equal(model.sample(3, seed=1), model.sample(3, seed=2))
    state = torch.random.get_rng_state()
    model.sample(3)
    model.score(images)
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("name", recipes.RECIPES)
def test_every_recipe_has_settings_for_any_number_of_images(name):
    recipe = recipes.recipe(name)
    epochs = [recipe.settings(images, (1, 8, 8)).epochs for images in (1, 10, 1_437, 60_000, 10**6)]
    if name == "pca":
        assert recipe.build is None
        assert not any(epochs)
    else:
        assert epochs == sorted(epochs, reverse=True)  # small data sets are seen more often
        assert min([*epochs, recipe.tutorial.epochs]) > 1


def test_a_name_that_no_recipe_has_is_refused_with_the_nearest():
    with pytest.raises(InputError, match='no model "vea"; did you mean "vae"\\?; known are pca, linear, conv, vae'):
        recipes.recipe("vea")
