"""The sections of a run's report: which figures are drawn of it, and the words beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from lowerbound import curves, figures, look, maps
from lowerbound.backbone import StridedEncoder
from lowerbound.images import Images, ImageSet, as_floats
from lowerbound.layers import steps
from lowerbound.page import Section
from lowerbound.pca import PCA
from lowerbound.replicates import averaged
from lowerbound.schematic import Plane, schematic
from lowerbound.state import History
from lowerbound.storage import Run
from lowerbound.stored import Model
from lowerbound.vae import VAE, draw_codes

__all__ = [
    "examples",
    "interpolate",
    "learned_prior",
    "pair",
    "planes",
    "principal_axes",
    "random_codes",
    "reconstruct",
    "sections",
]

SHOWN = 8  # images in a row
STEPS = 11  # of an interpolation


def sections(run: Run, images: ImageSet) -> list[Callable[[], Section]]:
    """The sections of the report in the order they are read; each draws and stores its figure when it is called."""
    k, stored = run.about["shown_k"], run.shown
    models = {each.recipe: run.load(each) for each in stored if each.latent_dim == k}
    ks = list(dict.fromkeys(each.latent_dim for each in stored))
    history = {each.recipe: run.history(each) for each in stored if each.latent_dim == k}
    drawn: list[Callable[[], Section]] = [partial(_examples, run, images)]
    if "pca" in models:
        drawn.append(partial(_spectrum, run, models["pca"], k))
    if len(ks) > 1 and any(row["mse"]["mean"] > 0 for row in run.metrics):
        drawn.append(partial(_errors, run))
    drawn += [partial(_reconstructions, run, images, each) for each in ks]
    drawn += [partial(_map, run, images, models), partial(_interpolation, run, images, models)]
    drawn.append(partial(_samples, run, models))
    if {"linear", "conv"} & set(models):
        drawn.append(partial(_losses, run, history))
    drawn += [partial(_bound, run, history[name]) for name, model in models.items() if isinstance(model, VAE)]
    if {"conv", "vae"} & set(models):
        drawn.append(partial(_schematic, run, models))
    return drawn


def _examples(run: Run, images: ImageSet) -> Section:
    shown = examples(images.train, 30)
    return _section(
        run,
        "images",
        figures.samples_of(shown.pixels, shown.labels, images.class_names),
        "The images",
        "Training images drawn at random"
        + (", their class below each. " if shown.labels is not None else ". ")
        + "No model sees the classes: they only colour the map further down.",
        "A sheet of training images.",
    )


def _spectrum(run: Run, pca: Any, k: int) -> Section:
    return _section(
        run,
        "eigenspectrum",
        curves.eigenspectrum(pca.explained, k),
        "How many dimensions?",
        "The fraction of the pixels' variance that lies in the first K principal components. It is a rough guide to K: "
        "variance is not what makes an image recognisable.",
        f"Cumulative fraction of variance against K, {pca.explained[k]:.1%} at K = {k}.",
    )


def _errors(run: Run) -> Section:
    """Error against K, where the run has more than one."""
    by_model: dict[str, tuple[list[float], list[float], list[float]]] = {}
    for row in averaged(run.metrics):
        if row["mse"]["mean"] <= 0:  # a perfect image has no place on a logarithmic axis
            continue
        line = by_model.setdefault(row["model"], ([], [], []))
        error = row["mse"]["standard_error"]  # there is none of a single image
        for values, value in zip(line, (row["k"], row["mse"]["mean"], 0.0 if error is None else error), strict=True):
            values.append(value)
    return _section(
        run,
        "error-against-k",
        curves.error_against_k({name: tuple(map(np.array, line)) for name, line in by_model.items()}),  # type: ignore[misc]
        "Error against K",
        "How much of the test images each model loses when it may keep K numbers. Where a curve lies a step to the left of "
        "PCA's, that step is what the network saves.",
        "Test error of each model against K, on logarithmic axes.",
    )


def _reconstructions(run: Run, images: ImageSet, k: int) -> Section:
    shown = examples(images.test, SHOWN).pixels
    models = {stored.recipe: run.load(stored) for stored in run.shown if stored.latent_dim == k}
    errors = {row["model"]: row["mse"]["mean"] for row in averaged(run.metrics) if row["k"] == k}
    return _section(
        run,
        f"reconstructions-k{k}",
        figures.reconstructions(shown, reconstruct(models, shown), errors=errors, k=k),
        f"Reconstructions from K = {k} numbers",
        "Test images above what each model makes of them. Look for what is lost first: thin strokes, texture, or what makes "
        "two classes differ.",
        "Test images, and each model's reconstruction of them.",
    )


def reconstruct(models: Mapping[str, Model], pixels: np.ndarray) -> dict[str, np.ndarray]:
    """What each model makes of images ``[n, C, H, W]``."""
    return {name: model.inverse_transform(model.transform(pixels)) for name, model in models.items()}


def _map(run: Run, images: ImageSet, models: Mapping[str, Model]) -> Section:
    chosen = examples(images.test, 3000)
    placed = {name: principal_axes(_codes(model, chosen.pixels)) for name, model in models.items()}
    classes = ", coloured by class" if chosen.labels is not None else ""
    figure = maps.codes_map(
        {name: xy for name, (xy, _) in placed.items()},
        chosen.labels,
        images.class_names,
        fractions={name: fractions for name, (_, fractions) in placed.items()},
    )
    return _section(
        run,
        "codes",
        figure,
        "Where the codes lie",
        f"The codes of {len(chosen):,} test images, seen along the two directions in which they vary most{classes}. "
        "Images that a model holds to be alike lie close together.",
        "A scatter plot of codes for each model.",
    )


def _codes(model: Model, pixels: np.ndarray) -> np.ndarray:
    """Codes of images; PCA's on the scale of the pixels, since whitened ones vary alike in all directions."""
    codes = model.transform(pixels)
    return codes * model.scales if isinstance(model, PCA) else codes


def principal_axes(codes: np.ndarray) -> tuple[np.ndarray, tuple[float, float]]:
    """Codes ``[N, K]`` along their first two principal axes ``[N, 2]``, and the fractions of their variance there.

    Example:
        >>> xy, fractions = principal_axes(np.array([[0.0, 0.0, 3.0], [0.0, 0.0, -3.0]]))
        >>> xy.shape, [round(fraction, 3) for fraction in fractions]
        ((2, 2), [1.0, 0.0])
    """
    centred = np.asarray(codes, np.float64) - codes.mean(0)
    _, lengths, axes = np.linalg.svd(centred, full_matrices=False)
    axes *= np.sign(np.take_along_axis(axes, np.abs(axes).argmax(1)[:, None], 1))  # one sign, always the same
    total = max(float((lengths**2).sum()), 1e-30)
    xy, part = np.zeros((len(codes), 2)), np.zeros(2)
    found = min(2, len(axes))
    xy[:, :found] = centred @ axes[:found].T
    part[:found] = lengths[:found] ** 2 / total
    return xy, (float(part[0]), float(part[1]))


def interpolate(models: Mapping[str, Model], first: np.ndarray, last: np.ndarray) -> dict[str, np.ndarray]:
    """The way between two images uint8 ``[C, H, W]`` in 11 steps, in pixels and through each model's codes.

    x(t) = decode((1 - t) encode(x1) + t encode(x2)), for t = 0, 0.1 ... 1: ``[11, C, H, W]`` each.
    """
    t = np.linspace(0, 1, STEPS, dtype=np.float32)
    ends = np.stack([first, last])
    pixels = as_floats(ends)
    ways = {"pixels": np.stack([(1 - s) * pixels[0] + s * pixels[1] for s in t])}
    for name, model in models.items():
        codes = model.transform(ends)
        ways[name] = model.inverse_transform(np.outer(1 - t, codes[0]) + np.outer(t, codes[1]))
    return ways


def _interpolation(run: Run, images: ImageSet, models: Mapping[str, Model]) -> Section:
    first, last = pair(images.test)
    ways = interpolate(models, images.test.pixels[first], images.test.pixels[last])
    return _section(
        run,
        "interpolation",
        figures.interpolation(ways),
        "From one image to another",
        "Two test images and the way between them: mixing pixels fades one out and the other in, mixing codes passes through "
        "what the decoder takes for images. Look half way: is that a thing of any class?",
        "Rows of images that go from one test image to another.",
    )


def _samples(run: Run, models: Mapping[str, Model]) -> Section:
    decoders = [name for name in ("pca", "conv", "vae") if name in models] or list(models)
    seed, k = run.shown[0].settings.seed, run.about["shown_k"]
    made = {name: models[name].inverse_transform(random_codes(models[name], k, 25, seed)) for name in decoders}
    learned = any(learned_prior(models[name]) for name in decoders)
    return _section(
        run,
        "samples",
        figures.samples_grid(made, "the prior that each model has" if learned else ""),
        "Images out of thin air",
        "Each decoder at the same 25 codes drawn from N(0, I)"
        + ("; a VAE that learned its prior at 25 codes drawn from that. " if learned else ". ")
        + "Probabilistic PCA and the VAE were made for such codes; where those of a plain autoencoder lie, nothing has decided.",
        "Grids of images decoded from random codes.",
    )


def random_codes(model: Model, k: int, number: int, seed: int) -> np.ndarray:
    """Codes ``[number, K]`` to decode: from N(0, I), the same for every model, or from the prior that a VAE has learned."""
    if isinstance(model, VAE) and learned_prior(model):
        return draw_codes(model.prior, number, seed)
    return np.random.default_rng(seed).standard_normal((number, k)).astype(np.float32)


def learned_prior(model: Model) -> bool:
    """Whether a model's prior is another than N(0, I)."""
    return isinstance(model, VAE) and any(True for _ in model.prior.parameters())


def _losses(run: Run, history: Mapping[str, History]) -> Section:
    return _section(
        run,
        "losses",
        curves.losses({name: history[name]["loss"] for name in ("linear", "conv") if name in history}),
        "Training the autoencoders",
        "Mean squared error per pixel of every training batch, cut at twice the median. A curve that still falls at its "
        "end asks for more epochs.",
        "Loss against training batch.",
    )


def _bound(run: Run, terms: History) -> Section:
    apart = {"reconstruction": -terms["distortion"], "kl": terms["rate"]}
    sigma = {"sigma": terms["sigma"]} if "sigma" in terms else {}
    told = ": sigma, the learned pixel noise, carries most of the rise." if sigma else "."
    return _section(
        run,
        "elbo",
        curves.elbo_curves(apart | sigma),
        "What the bound is made of",
        "The ELBO is its reconstruction term less its KL term, in nats per image with all constants. Apart from each "
        f"other they show what the sum hides{told}",
        "ELBO, reconstruction term and KL term against training batch.",
    )


def _schematic(run: Run, models: Mapping[str, Model]) -> Section:
    name = "vae" if "vae" in models else "conv"
    return _section(
        run,
        "network",
        schematic(planes(models[name])),
        "The network",
        "The planes an image passes through on its way to a code and back, with their sizes. The numbers are exact, the areas "
        "only suggest them.",
        "A schematic of the network's planes.",
    )


def planes(model: Any) -> list[Plane]:
    """The planes of a convolutional model, from image to code to image."""
    backbone: Any = model.encoder[0]
    decoder: Any = model.decoder[0] if isinstance(model, VAE) else model.decoder  # a VAE's ends in its likelihood
    k = decoder.layers[0].in_features
    beside = isinstance(backbone, StridedEncoder)
    inward = steps(backbone.layers, model.image_shape)
    outward = steps(decoder.layers, (k,))
    if beside:
        outward[-1] = (outward[-1][0] + ", plus linear path", outward[-1][1])
    return [
        Plane(model.image_shape, "", "encoder"),
        *(Plane(shape, words, "encoder") for words, shape in inward),
        Plane((k,), "linear, also of the pixels" if beside else "linear", "code"),
        *(Plane(shape, words, "decoder") for words, shape in outward),
    ]


def examples(images: Images, number: int) -> Images:
    """Some images, drawn by a fixed seed, in the order they are stored."""
    order = np.random.default_rng(0).permutation(len(images))[:number]
    return images[np.sort(order) if number > 100 else order]


def pair(images: Images, seed: int = 0) -> tuple[int, int]:
    """Two images drawn by a seed, of different classes where there are classes."""
    order = np.random.default_rng(seed).permutation(len(images))
    first = int(order[0])
    if images.labels is not None:
        others = order[images.labels[order] != images.labels[first]]
        if len(others):
            return first, int(others[0])
    return first, int(order[-1])


def _section(run: Run, name: str, figure: Any, title: str, text: str, alt: str) -> Section:
    """Store a figure in the run; the section that shows it."""
    png, _ = look.save(figure, run.path / "figures", name)
    return Section(title, text, figure=png, alt=alt)
