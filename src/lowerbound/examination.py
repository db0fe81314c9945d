"""What a doctor measures on a trained model: numbers alone, each over some images, with what their errors can be told from.

Judgements on them are ``diagnosis.diagnose``'s. Whatever cannot be measured of a model is left out, and ``skipped`` says why.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from lowerbound.aggregate import active_units, per_dimension_kl
from lowerbound.binarise import binarised
from lowerbound.blockwise import batched
from lowerbound.errors import InputError
from lowerbound.evaluation import Estimate, squared_errors
from lowerbound.gaps import where_the_nats_go
from lowerbound.images import ROUNDING_SCALE, as_floats
from lowerbound.noise import LaplaceNoise, NormalNoise
from lowerbound.objective import Elbo, value_at
from lowerbound.pca import PCA
from lowerbound.progress import Progress, quiet
from lowerbound.realism import two_sample
from lowerbound.second_opinion import Trial, fresh_decoder, gaussian_divergence, told_apart, train_on
from lowerbound.symptoms import Codes, Density, Pixels, Reference, Symptoms
from lowerbound.vae import VAE

__all__ = ["examine"]

MOST = 10_000  # training images whose principal components are found
CODED = 2_000  # training images whose codes are looked at
GAPS = 16  # images whose bound is taken apart
AT_BOUND = 1.05  # a sigma below this many times the rounding to 8 bits lies at its bound


def examine(
    model: Any,
    train: np.ndarray,
    test: np.ndarray,
    *,
    history: Mapping[str, np.ndarray] | None = None,
    images: int = 400,
    steps: int = 60,
    gaps: int = GAPS,
    seed: int = 0,
    progress: Progress = quiet,
) -> Symptoms:
    """Measure a model on some images.

    The cost does not grow with the data: PCA of at most 10,000 training images, some steps of training with a copy, and for a
    VAE the best q of 16 images. For the default VAE on MNIST that is about a minute on two cores.

    Args:
        model: PCA, an autoencoder or a VAE, fitted.
        train: Images it was trained on, uint8 ``[N, C, H, W]``; for a Bernoulli likelihood grey ones are binarised.
        test: Images it was not trained on.
        history: Loss of each batch of the training, for the figure.
        images: How many of each are reconstructed, drawn by the seed.
        steps: Of the trial training.
        gaps: Test images whose bound is taken apart; 0 for none.
        seed: Fixes all draws.
        progress: Shown on the way.

    Raises:
        InputError: Fewer than 8 training or test images, or images of another size than the model's.

    Example:
        >>> images = np.random.default_rng(0).integers(0, 256, (60, 1, 4, 4)).astype(np.uint8)
        >>> found = examine(PCA(3).fit(images), images, images)
        >>> found.latent_dim, sorted(found.skipped)
        (3, ['decoder', 'density', 'training'])
    """
    if min(len(train), len(test)) < 8:
        raise InputError(f"{len(train)} training and {len(test)} test images came; expected at least 8 of each")
    if isinstance(model, VAE) and model.binary:  # which gives no probability to grey pixels
        train, test = (_black_and_white(_some(each, MOST, seed), seed) for each in (train, test))
    known, new = _some(train, images, seed), _some(test, images, seed + 1)
    coded = _some(train, CODED, seed + 2)
    skipped: dict[str, str] = {}
    with progress("examining", 17) as advance:  # a part of the time each, about
        advance(0, "images")
        pixels = _pixels(train, new, seed)
        reference = _reference(model, train, known, new, seed, skipped)
        advance(5, "reconstructions")
        made = model.inverse_transform(model.transform(new))
        errors, train_errors = squared_errors(model, new), squared_errors(model, known)
        mean = _some(train, MOST, seed).mean(0, dtype=np.float64) / 255
        truth = as_floats(new)
        spread = made.astype(np.float64).var(0).sum() / max(truth.astype(np.float64).var(0).sum(), 1e-12)
        advance(1, "codes")
        drawn, prior = _draws(model, coded, seed)
        codes = _codes(model, coded, drawn, prior, seed)
        advance(1, "decoder")
        own, fresh = _decoders(model, coded, drawn, new, seed, skipped)
        advance(1, "training on")
        trial = _trial(model, train, new, steps, seed, skipped)
        advance(8, "density")
        density = _density(model, known, new, gaps, seed, skipped)
        advance(1, "")
    pictures = {"test images": truth[:8], "reconstructions": made[:8]}
    if hasattr(model, "sample"):
        pictures["samples"] = model.sample(8, seed)
    return Symptoms(
        latent_dim=drawn.shape[1],
        size=new[0].size,
        errors=errors,
        train_errors=train_errors,
        mean_errors=np.square(truth - mean).mean((1, 2, 3)),
        varied=float(spread),
        pixels=pixels,
        codes=codes,
        reference=reference,
        fresh_errors=fresh,
        own_errors=own,
        trial=trial,
        density=density,
        history=history or {},
        pictures=pictures,
        skipped=skipped,
    )


def _some(images: np.ndarray, number: int, seed: int) -> np.ndarray:
    """So many images, drawn by the seed; all where there are not more. A copy, for an array of a file cannot be written to."""
    return images[np.random.default_rng(seed).permutation(len(images))[:number]]


def _black_and_white(images: np.ndarray, seed: int) -> np.ndarray:
    """Images of 0 and 255 as they are; grey ones drawn once, as training draws them at every step."""
    return images if np.isin(images, (0, 255)).all() else binarised(images, seed)


def _pixels(train: np.ndarray, new: np.ndarray, seed: int) -> Pixels:
    least, most = train.min(0), train.max(0)
    moving = least < most
    some = _some(train, CODED, seed)[:, moving]
    saturated = float(((some == 0) | (some == 255)).mean()) if moving.any() else 1.0
    mismatch = None
    if min(len(train), len(new)) >= 40 and moving.any():
        mismatch = two_sample(_some(train, len(new), seed + 3), new, components=20, seed=seed)
    return Pixels(1 - float(moving.mean()), saturated, bool(moving.any()), mismatch)


def _reference(
    model: Any, train: np.ndarray, known: np.ndarray, new: np.ndarray, seed: int, skipped: dict[str, str]
) -> Reference | None:
    k = model.transform(new[:1]).shape[1]
    some = _some(train, MOST, seed)
    most = min(len(some), new[0].size)
    if k >= most:
        skipped["PCA"] = f"K = {k} is as many as the {most} components there are"
        return None
    whole = PCA(min(2 * k, most)).fit(some)
    of = {each: _first(whole, each) for each in sorted({max(1, k // 2), k, min(2 * k, most)})}
    pca = of[k]
    shrinkage = np.maximum(1 - pca.noise_variance / np.maximum(pca.variances[:k], 1e-12), 0)
    shrunk = pca.inverse_transform(pca.transform(new) * shrinkage)
    return Reference(
        variances=whole.variances,
        explained=whole.explained,
        noise=pca.noise_variance,
        errors={each: squared_errors(one, new) for each, one in of.items()},
        shrunk=np.square(as_floats(new) - shrunk, dtype=np.float64).mean((1, 2, 3)),
        train_errors=squared_errors(pca, known),
        scores={each: one.score_samples(new) for each, one in of.items() if each <= k},
    )


def _first(pca: PCA, k: int) -> PCA:
    """The PCA with its first K components."""
    first = copy.copy(pca)
    first.latent_dim, first.components = k, pca.components[:k]
    return first


@torch.no_grad()
def _draws(model: Any, images: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A draw from q(z|x) of each image (its code, where there is no q), and as many from the prior, ``[N, K]`` each."""
    if not isinstance(model, VAE):
        codes = model.transform(images)
        return codes, np.random.default_rng(seed).standard_normal(codes.shape)
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        codes = batched(lambda x: model.encoder(x).sample(), images, lambda block: as_floats(block, model.image_shape))
        return codes, model.prior().sample(torch.Size([len(codes)])).numpy()


def _codes(model: Any, images: np.ndarray, drawn: np.ndarray, prior: np.ndarray, seed: int) -> Codes:
    kl = per_dimension_kl(model, images, seed=seed) if isinstance(model, VAE) else None
    return Codes(
        variances=active_units(model, images).variances,
        kl=kl,
        divergence=gaussian_divergence(drawn.astype(np.float64), prior.astype(np.float64), seed=seed),
        told_apart=told_apart(drawn, prior, seed),
    )


def _decoders(
    model: Any, coded: np.ndarray, drawn: np.ndarray, new: np.ndarray, seed: int, skipped: dict[str, str]
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Squared errors of test images decoded from the same draws: by the model's decoder, and by a fresh one."""
    if len(coded) < 100:
        skipped["decoder"] = f"{len(coded)} training images are too few to fit another decoder; 100 are needed"
        return None, None
    probe = np.random.default_rng(seed).standard_normal((3, drawn.shape[1])).astype(np.float32) * drawn.std(0)
    probe[2] = probe[0] + probe[1]
    one, two, both = model.inverse_transform(probe)
    nothing = model.inverse_transform(np.zeros_like(probe[:1]))[0]
    moved = np.abs(np.stack([one, two]) - nothing).max()  # by codes as far from zero as they usually are
    if moved < 0.1:
        skipped["decoder"] = "it shows nearly the same image for any code"
    elif np.abs(both - one - two + nothing).max() < 1e-4 * moved:
        skipped["decoder"] = "this decoder is a linear map by choice"
    if "decoder" in skipped:
        return None, None
    codes, _ = _draws(model, new, seed + 1)
    own = np.square(as_floats(new) - model.inverse_transform(codes), dtype=np.float64).mean((1, 2, 3))
    return own, fresh_decoder(drawn, coded, codes, new, seed)


def _trial(
    model: Any, train: np.ndarray, new: np.ndarray, steps: int, seed: int, skipped: dict[str, str]
) -> Trial | None:
    if isinstance(model, PCA):
        skipped["training"] = "PCA is found in closed form"
        return None
    return train_on(model, train, new, steps=steps, seed=seed)


def _density(
    model: Any, known: np.ndarray, new: np.ndarray, gaps: int, seed: int, skipped: dict[str, str]
) -> Density | None:
    if not isinstance(model, VAE):
        skipped["density"] = "no bound, no prior and no pixel noise, so nothing of these can be at fault"
        return None
    found = None
    if gaps < 2:
        skipped["gaps"] = "not asked for"
    elif not hasattr(model.encoder[-1], "phi"):  # type: ignore[index]
        skipped["gaps"] = f"the head {type(model.encoder[-1]).__name__} has no phi to move"  # type: ignore[index]
    else:
        found = where_the_nats_go(model, new, number=gaps, samples=100, steps=100, temperatures=0, seed=seed)
    sigma, at_bound = _sigma(model, new)
    return Density(
        elbo=model.score_samples(new, samples=4, seed=seed).astype(np.float64),
        train_elbo=model.score_samples(known, samples=4, seed=seed).astype(np.float64),
        rate=_rate(model, new, seed),
        beta=_beta(model.objective),
        sigma=sigma,
        at_bound=at_bound,
        gaps=found,
    )


def _rate(model: VAE, images: np.ndarray, seed: int) -> Estimate:
    bound = Elbo(samples=4)
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        found = batched(lambda x: bound(model, x).rate, images, lambda block: as_floats(block, model.image_shape))
    return Estimate.of(found)


def _beta(objective: Any) -> float:
    """The weight of the rate when training ends; 1 for objectives that have none."""
    inner: Any = getattr(objective, "objective", objective)  # within Binarised
    return float(value_at(getattr(inner, "beta", 1.0), 1.0))


@torch.no_grad()
def _sigma(model: VAE, images: np.ndarray) -> tuple[float | None, float]:
    """The mean standard deviation of the pixel noise, and the share of pixels where it lies at its bound."""
    x = torch.from_numpy(as_floats(images[:100], model.image_shape))
    p = model.decoder(model.encoder(x.to(next(model.parameters()).dtype)).mean)
    if not isinstance(p, NormalNoise | LaplaceNoise):  # others have no sigma that learning moves
        return None, 0.0
    return float(p.stddev.mean()), float((p.stddev < AT_BOUND * ROUNDING_SCALE).float().mean())
