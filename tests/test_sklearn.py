"""The scikit-learn estimators: scikit-learn's own checks, copies of them for images, and the tools they are for."""

import copy
import math
import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks

from lowerbound import pca
from lowerbound.errors import InputError
from lowerbound.settings import Settings
from lowerbound.sklearn import PCA, VAE, ConvAutoencoder, LinearAutoencoder
from lowerbound.sklearn_data import Units, choose_shape, flattened

pytestmark = pytest.mark.slow

QUICK = [
    PCA(n_components=2),
    LinearAutoencoder(n_components=2, max_epochs=2, random_state=0),
    ConvAutoencoder(n_components=2, max_epochs=2, random_state=0),
    VAE(n_components=2, max_epochs=2, random_state=0),
]
LAYOUTS = [(3, 4, 5), (1, 6, 6), (5, 7)]
DENSITIES = [QUICK[0], QUICK[3]]

every_estimator = pytest.mark.parametrize("estimator", QUICK, ids=lambda each: type(each).__name__)
every_density = pytest.mark.parametrize("estimator", DENSITIES, ids=lambda each: type(each).__name__)
every_layout = pytest.mark.parametrize("layout", LAYOUTS, ids=str)


def images_of(layout, dtype=np.float64, count=24, seed=0):
    values = np.random.default_rng(seed).integers(0, 256, (count, *layout))
    return values.astype(dtype) if np.issubdtype(dtype, np.integer) else (values / 100 - 1).astype(dtype)


def outputs(estimator, images):
    """All that a fitted estimator says of images."""
    codes = estimator.transform(images)
    found = {"codes": codes, "images": estimator.inverse_transform(codes), "score": estimator.score(images)}
    if hasattr(estimator, "score_samples"):
        found |= {"scores": estimator.score_samples(images), "samples": estimator.sample(3, random_state=1)}
    return {name: np.asarray(value) for name, value in found.items()}


def same(one, other):
    assert one.keys() == other.keys()
    return all(one[name].tobytes() == other[name].tobytes() for name in one)


@parametrize_with_checks(QUICK)
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [PCA, LinearAutoencoder, ConvAutoencoder, VAE])
def test_scikit_learns_own_checks_pass_as_the_estimators_come(kind):
    results = check_estimator(kind(), on_skip=None)
    assert {result["status"] for result in results} <= {"passed", "skipped"}
    assert [result["check_name"] for result in results if result["status"] == "skipped"] in (
        [],
        ["check_array_api_input"],  # needs an environment variable and other libraries
    )


@every_layout
@every_estimator
def test_images_in_any_layout_are_rows(estimator, layout):
    images = images_of(layout)
    rows = images.reshape(len(images), -1)
    fitted = clone(estimator).fit(images)
    flat = clone(estimator).set_params(image_shape=layout).fit(rows)
    assert fitted.n_features_in_ == flat.n_features_in_ == math.prod(layout)
    assert fitted.image_shape_ == flat.image_shape_ == (1, *layout)[-3:]
    found, other = outputs(fitted, images), outputs(flat, rows)
    assert found["images"].shape == images.shape
    assert other["images"].shape == rows.shape
    assert same(found, other)
    assert fitted.transform(rows).tobytes() == found["codes"].tobytes()


@every_layout
@every_estimator
def test_the_checks_of_fitting_for_images(estimator, layout, tmp_path):
    images = images_of(layout)
    fitted = clone(estimator)
    assert fitted.fit(images) is fitted
    found, before = outputs(fitted, images), copy.deepcopy(vars(fitted))
    assert before.keys() == vars(fitted).keys()
    assert same(found, outputs(fitted.fit(images), images))  # fitted twice
    assert clone(estimator).fit_transform(images).tobytes() == found["codes"].tobytes()
    backwards = outputs(fitted, images[::-1])
    alone = [outputs(fitted, image[None]) for image in images[:5]]
    for name in ("codes", "images", "scores"):
        if name in found:
            np.testing.assert_allclose(backwards[name][::-1], found[name], rtol=1e-6, atol=1e-6)
            np.testing.assert_allclose(
                np.concatenate([each[name] for each in alone]), found[name][:5], rtol=1e-6, atol=1e-6
            )
    np.save(tmp_path / "images.npy", images)
    for like in (np.load(tmp_path / "images.npy", mmap_mode="r"), np.asfortranarray(images), torch.from_numpy(images)):
        assert same(found, outputs(clone(estimator).fit(like), like))


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32, np.float64])
@every_estimator
def test_numbers_of_any_kind(estimator, dtype):
    images = images_of((2, 4, 4), dtype)
    found = outputs(clone(estimator).fit(images), images)
    assert found["codes"].dtype == found["images"].dtype == (np.float32 if dtype == np.float32 else np.float64)
    assert all(np.isfinite(value).all() for value in found.values())


@every_estimator
def test_8_bit_images_are_those_of_the_library_itself(estimator):
    images = images_of((1, 6, 6), np.uint8)
    fitted = clone(estimator).fit(images)
    assert (fitted.data_min_, fitted.data_range_) == (0, 255)
    np.testing.assert_allclose(fitted.transform(images), fitted.model_.transform(images), rtol=1e-4, atol=1e-5)
    if isinstance(estimator, PCA):
        theirs = pca.PCA(2).fit(images)
        np.testing.assert_allclose(fitted.components_, theirs.components, atol=1e-12)
        np.testing.assert_allclose(fitted.mean_, 255 * theirs.mean, rtol=1e-14)
        count = len(images)
        np.testing.assert_allclose(
            fitted.explained_variance_, 255**2 * theirs.variances[:2] * count / (count - 1), rtol=1e-12
        )
    else:
        assert fitted.history_["loss"].shape == (2,)
        settings = fitted.stored_.settings
        model = fitted.stored_.build(pca.PCA(2).fit(images)).fit(images, settings)
        weights = model.state_dict()
        assert all(torch.equal(value, weights[name]) for name, value in fitted.model_.state_dict().items())


@every_estimator
def test_8_bit_images_as_real_numbers_give_nearly_the_same(estimator):
    images = images_of((1, 6, 6), np.uint8)
    images[0, 0, 0, :2] = 0, 255  # the least and the largest are those of 8 bits
    one, other = clone(estimator).fit(images), clone(estimator).fit(images.astype(float))
    for name, value in outputs(one, images).items():
        np.testing.assert_allclose(outputs(other, images)[name], value, rtol=2e-3, atol=2e-3)


@every_density
def test_a_score_is_of_the_data_in_their_own_units(estimator):
    images = images_of((1, 5, 5), count=60)
    fitted, other = clone(estimator).fit(images), clone(estimator).fit(1000 * images - 7)
    np.testing.assert_allclose(other.transform(1000 * images - 7), fitted.transform(images), rtol=1e-3, atol=1e-4)
    lost = fitted.score(images) - other.score(1000 * images - 7)
    assert lost == pytest.approx(25 * math.log(1000), abs=1e-7 if isinstance(estimator, PCA) else 8)
    np.testing.assert_allclose(
        other.inverse_transform(other.transform(1000 * images - 7)),
        1000 * fitted.inverse_transform(fitted.transform(images)) - 7,
        atol=1,
    )
    scores = fitted.score_samples(images)
    assert scores.shape == (60,)
    assert fitted.score(images) == pytest.approx(scores.mean())


def test_the_bound_of_a_vae_is_that_of_the_library_but_for_the_draw():
    images = images_of((1, 6, 6), np.uint8, count=400)
    fitted = VAE(n_components=2, max_epochs=2, random_state=0).fit(images)
    exact = fitted.model_.score_samples(images, samples=200) - 36 * math.log(255)
    off = fitted.score_samples(images) - exact
    assert abs(off.mean()) < 5 * off.std() / math.sqrt(len(off))
    assert off.std() > 0


@pytest.mark.parametrize("kind", [LinearAutoencoder, ConvAutoencoder])
def test_the_score_of_an_autoencoder_is_minus_the_squared_error(kind):
    images = images_of((1, 5, 5))
    fitted = kind(n_components=2, max_epochs=2, random_state=0).fit(images)
    error = np.square(fitted.inverse_transform(fitted.transform(images)) - images).mean()
    assert fitted.score(images) == pytest.approx(-error, rel=1e-6)
    assert not hasattr(fitted, "sample")
    assert not hasattr(fitted, "score_samples")


@every_estimator
def test_random_state_rules_every_draw_and_nothing_global_is_touched(estimator):
    images, threads = images_of((1, 5, 5)), torch.get_num_threads()
    before = (np.random.get_state()[1].tobytes(), torch.random.get_rng_state().numpy().tobytes())  # noqa: NPY002
    one = outputs(clone(estimator).fit(images), images)
    clone(estimator).set_params(random_state=None).fit(images)
    drawn = clone(estimator).set_params(random_state=np.random.RandomState(5)).fit(images)
    again = clone(estimator).set_params(random_state=np.random.RandomState(5)).fit(images)
    assert before == (np.random.get_state()[1].tobytes(), torch.random.get_rng_state().numpy().tobytes())  # noqa: NPY002
    assert torch.get_num_threads() == threads
    np.random.seed(1)  # noqa: NPY002
    torch.manual_seed(1)
    assert same(one, outputs(clone(estimator).fit(images), images))
    assert same(outputs(drawn, images), outputs(again, images))
    if not isinstance(estimator, PCA):
        others = [clone(estimator).set_params(random_state=seed).fit(images).transform(images) for seed in (1, None)]
        assert not any(np.array_equal(other, one["codes"]) for other in others)
    with pytest.raises(ValueError, match="cannot be used to seed"):
        clone(estimator).set_params(random_state="one").fit(images)


@every_estimator
def test_pickles_and_clones(estimator):
    images = images_of((1, 5, 5))
    fitted = clone(estimator).fit(images)
    found = outputs(fitted, images)
    assert same(found, outputs(pickle.loads(pickle.dumps(fitted)), images))  # noqa: S301
    assert same(found, outputs(copy.deepcopy(fitted), images))
    assert clone(fitted).get_params() == fitted.get_params()
    with pytest.raises(NotFittedError):
        clone(fitted).transform(images)
    assert isinstance(fitted.__getstate__()["model_"], bytes)  # safetensors, not a pickle of tensors
    unfitted = pickle.loads(pickle.dumps(estimator))  # noqa: S301
    assert unfitted.get_params() == estimator.get_params()


def test_a_pickle_of_another_version_says_so():
    fitted = PCA(n_components=2).fit(images_of((1, 3, 3)))
    state = fitted.__getstate__() | {"_lowerbound_version": "0.0.1"}
    with pytest.warns(UserWarning, match="pickled by lowerbound 0.0.1"):
        PCA().__setstate__(state)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        PCA().__setstate__(fitted.__getstate__())


@pytest.mark.slow
def test_a_pickle_is_read_in_another_process(tmp_path):
    images = images_of((1, 5, 5))
    fitted = VAE(n_components=2, max_epochs=1, random_state=0).fit(images)
    (tmp_path / "vae.pickle").write_bytes(pickle.dumps(fitted))
    np.save(tmp_path / "images.npy", images)
    code = (
        "import pickle, sys, numpy as np; from pathlib import Path; folder = Path(sys.argv[1]);"
        "vae = pickle.loads((folder / 'vae.pickle').read_bytes());"
        "np.save(folder / 'codes.npy', vae.transform(np.load(folder / 'images.npy')))"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code, str(tmp_path)], check=True)
    assert np.load(tmp_path / "codes.npy").tobytes() == fitted.transform(images).tobytes()


@every_estimator
def test_pandas_and_names_of_codes(estimator):
    pandas = pytest.importorskip("pandas")
    images = images_of((9,))
    fitted = clone(estimator).set_output(transform="pandas").fit(images)
    frame = fitted.transform(images)
    name = type(estimator).__name__.lower()
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame.columns) == list(fitted.get_feature_names_out()) == [f"{name}0", f"{name}1"]
    assert fitted.inverse_transform(frame).shape == images.shape
    named = pandas.DataFrame(images, columns=[f"pixel{place}" for place in range(9)])
    assert list(clone(estimator).fit(named).feature_names_in_) == list(named.columns)


def test_a_pipeline_and_a_search_over_the_number_of_components():
    digits = load_digits()
    images, labels = digits.images[:500], digits.target[:500]
    classifier = make_pipeline(VAE(n_components=10, max_epochs=3, random_state=0), LogisticRegression(max_iter=1000))
    assert classifier.fit(images[:400], labels[:400]).score(images[400:], labels[400:]) > 0.75
    search = GridSearchCV(PCA(), {"n_components": [1, 8, 60]}, cv=3).fit(images)
    assert search.best_params_ != {"n_components": 1}
    assert search.cv_results_["mean_test_score"][0] < search.best_score_
    assert search.best_estimator_.transform(images).shape[1] == search.best_params_["n_components"]
    for estimator in (PCA(n_components=4), VAE(n_components=4, max_epochs=1, random_state=0)):
        scores = cross_val_score(estimator, images, cv=3)
        assert scores.shape == (3,)
        held_out = clone(estimator).fit(images[167:]).score(images[:167])
        assert scores[0] == pytest.approx(held_out, abs=1e-6)


@pytest.mark.parametrize("rows", [load_iris().data, load_digits().data[:100]], ids=["flowers", "digits"])
def test_a_linear_autoencoder_of_a_few_numbers_comes_near_pca_as_it_comes(rows):
    pca = PCA(n_components=2).fit(rows)
    best = np.square(pca.inverse_transform(pca.transform(rows)) - rows).mean()
    assert best * (1 - 1e-6) < -LinearAutoencoder(n_components=2, random_state=0).fit(rows).score(rows) < 1.1 * best


def test_settings_are_taken_and_their_seed_is_that_of_the_random_state():
    images = images_of((1, 5, 5))
    settings = Settings(epochs=3, batch_size=7, learning_rate=2e-3, seed=99)
    fitted = ConvAutoencoder(n_components=2, settings=settings, random_state=4, network="dense").fit(images)
    assert fitted.stored_.settings == Settings(epochs=3, batch_size=7, learning_rate=2e-3, seed=4)
    assert len(fitted.history_["loss"]) == 3 * 4
    assert fitted.set_params(max_epochs=1).fit(images).stored_.settings.epochs == 1
    assert ConvAutoencoder(random_state=0, max_epochs=1, network="tutorial").fit(images).n_components_ == 20


def test_training_says_how_far_it_is_where_asked(capfd):
    LinearAutoencoder(n_components=2, max_epochs=1, random_state=0, verbose=True).fit(images_of((1, 4, 4)))
    assert "LinearAutoencoder" in capfd.readouterr().err
    LinearAutoencoder(n_components=2, max_epochs=1, random_state=0).fit(images_of((1, 4, 4)))
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("change", "images", "words"),
    [
        ({"n_components": 26}, images_of((1, 5, 5)), r"n_components=26; .* min\(n_samples=24, n_features=25\)=24"),
        ({"n_components": 0}, images_of((1, 5, 5)), "n_components=0; expected a whole number"),
        ({"n_components": 2.5}, images_of((1, 5, 5)), "n_components=2.5; expected a whole number"),
        ({"image_shape": (1, 5, 4)}, images_of((25,)), "expected .* n_features=25 values in all"),
        ({"image_shape": (1, 5, 5)}, images_of((1, 25, 1)), r"but X has images of shape \[1, 25, 1\]"),
        ({}, images_of((8, 8, 3)), "channels last; expected .*moveaxis"),
        ({}, images_of((1, 2, 3, 4)), r"expected \[N, D\], \[N, H, W\] or \[N, C, H, W\]"),
        ({}, np.full((5, 4), np.nan), "contains NaN"),
        ({}, np.array([[-1.7e308, 1.7e308]] * 4), "too far apart"),
        ({}, images_of((1, 5, 5))[:1], "1 sample"),
    ],
)
@every_estimator
def test_what_cannot_be_fitted_is_refused_in_one_line(estimator, change, images, words):
    with pytest.raises(ValueError, match=words) as caught:
        clone(estimator).set_params(**change).fit(images)
    assert "\n" not in str(caught.value) or "NaN" in words  # scikit-learn's own words on NaN are many


@every_estimator
def test_other_images_and_codes_than_it_was_fitted_to_are_refused(estimator):
    fitted = clone(estimator).fit(images_of((1, 5, 5)))
    name = type(estimator).__name__
    with pytest.raises(ValueError, match=f"X has 24 features, but {name} is expecting 25 features"):
        fitted.transform(images_of((24,)))
    with pytest.raises(ValueError, match=r"images of shape \[25, 1\], but .* is expecting \[1, 5, 5\]"):
        fitted.transform(images_of((25, 1)))
    with pytest.raises(ValueError, match=r"X has 3 features, but .* is expecting 2 components"):
        fitted.inverse_transform(np.zeros((4, 3)))
    with pytest.raises(NotFittedError):
        clone(estimator).score(images_of((1, 5, 5)))
    if hasattr(estimator, "sample"):
        with pytest.raises(ValueError, match="n_samples=0"):
            fitted.sample(0)


def test_a_network_that_is_none_is_refused():
    with pytest.raises(ValueError, match="network='deep'; known are patched"):
        VAE(network="deep").fit(images_of((1, 5, 5)))


@every_estimator
def test_images_that_do_not_vary(estimator):
    images = np.full((10, 1, 4, 4), 3.5)
    found = outputs(clone(estimator).fit(images), images)
    assert all(np.isfinite(value).all() for value in found.values())
    np.testing.assert_allclose(found["images"], 3.5, atol=0.3)


@pytest.mark.parametrize("features", [1, 2, 3, 7, 9, 12, 64, 784])
def test_rows_are_squares_or_single_rows(features):
    channels, height, width = choose_shape(None, None, features)
    assert channels * height * width == features
    assert (channels, height) == (1, math.isqrt(features) if math.isqrt(features) ** 2 == features else 1)


def test_layouts_and_units_come_back():
    images = images_of((3, 4, 5))
    rows, shape = flattened(images)
    assert rows.reshape(-1, *shape).tobytes() == images.tobytes()
    units = Units.of(rows)
    pixels = units.inward(rows)
    assert (pixels.min(), pixels.max()) == (0, 1)
    np.testing.assert_allclose(units.outward(pixels), rows, atol=1e-15)
    assert Units.of(np.full((2, 2), 4.0)) == Units(4.0, 1.0)


def test_errors_of_the_library_are_value_errors():
    assert issubclass(InputError, ValueError)


def test_the_library_alone_imports_no_scikit_learn():
    code = "import sys, lowerbound, lowerbound.pca; print('sklearn' in sys.modules, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
