"""The sections of a run's report: which figures are drawn of it, and the words beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch

from lowerbound import curves, figures, look, maps
from lowerbound.backbone import StridedEncoder, steps
from lowerbound.images import Images, ImageSet, as_floats
from lowerbound.page import Section
from lowerbound.pca import PCA
from lowerbound.schematic import Plane, schematic
from lowerbound.storage import Model, Run

__all__ = ["examples", "interpolate", "pair", "planes", "principal_axes", "sections"]

SHOWN = 8  # images in a row
STEPS = 11  # of an interpolation


def _of_data(run: Run, images: ImageSet) -> Iterator[Section]:
    """Images of the source, and how their variance spreads over principal components."""
    shown = examples(images.train, 30)
    figure = figures.samples_of(shown.pixels, shown.labels, images.class_names)
    yield _section(
        run,
        "images",
        figure,
        "The images",
        "Training images drawn at random"
        + (", their class below each. " if shown.labels is not None else ". ")
        + "No model sees the classes: they only colour the map further down.",
        "A sheet of training images.",
    )
    pca = next((run.load(stored) for stored in run.models if stored.recipe == "pca"), None)
    if pca is not None:
        k = run.about["shown_k"]
        yield _section(
            run,
            "eigenspectrum",
            curves.eigenspectrum(pca.explained, k),  # type: ignore[union-attr]
            "How many dimensions?",
            "The fraction of the pixels' variance that lies in the first K principal components. It is a rough guide to K: "
            "variance is not what makes an image recognisable.",
            f"Cumulative fraction of variance against K, {pca.explained[k]:.1%} at K = {k}.",  # type: ignore[union-attr]
        )


def _of_errors(run: Run) -> Iterator[Section]:
    """Error against K, where the run has more than one."""
    ks = list(dict.fromkeys(row["k"] for row in run.metrics))
    if len(ks) < 2:
        return
    by_model: dict[str, tuple[list[int], list[float], list[float]]] = {}
    for row in run.metrics:
        line = by_model.setdefault(row["model"], ([], [], []))
        for values, value in zip(line, (row["k"], row["mse"]["mean"], row["mse"]["standard_error"]), strict=True):
            values.append(value)
    yield _section(
        run,
        "error-against-k",
        curves.error_against_k(by_model),  # type: ignore[arg-type]
        "Error against K",
        "How much of the test images each model loses when it may keep K numbers. Where a curve lies a step to the left of "
        "PCA's, that step is what the network saves.",
        "Test error of each model against K, on logarithmic axes.",
    )


def _reconstructions(run: Run, images: ImageSet, models: Mapping[str, Model], k: int) -> Section:
    shown = examples(images.test, SHOWN).pixels
    made = {name: model.inverse_transform(model.transform(shown)) for name, model in models.items()}
    errors = {row["model"]: row["mse"]["mean"] for row in run.metrics if row["k"] == k}
    return _section(
        run,
        f"reconstructions-k{k}",
        figures.reconstructions(shown, made, errors=errors, k=k),
        f"Reconstructions from K = {k} numbers",
        "Test images above what each model makes of them. Look for what is lost first: thin strokes, texture, or what makes "
        "two classes differ.",
        "Test images, and each model's reconstruction of them.",
    )


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
        f"The codes of {len(chosen):,} test images, seen along the two directions in which they vary most{classes}. Images that a model "
        "holds to be alike lie close together.",
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
    codes = np.random.default_rng(run.models[0].settings.seed).standard_normal((25, run.about["shown_k"]))
    made = {name: models[name].inverse_transform(codes.astype(np.float32)) for name in decoders}
    return _section(
        run,
        "samples",
        figures.samples_grid(made),
        "Images out of thin air",
        "Each decoder at the same 25 codes drawn from N(0, I). Probabilistic PCA and the VAE were made for "
        "such codes; where those of a plain autoencoder lie, nothing has decided.",
        "Grids of images decoded from random codes.",
    )


def _of_training(run: Run, k: int) -> Iterator[Section]:
    """Loss curves, and what the bound is made of."""
    history = {stored.recipe: run.history(stored) for stored in run.models if stored.latent_dim == k}
    plain = {name: history[name]["loss"] for name in ("linear", "conv") if name in history}
    if plain:
        yield _section(
            run,
            "losses",
            curves.losses(plain),
            "Training the autoencoders",
            "Mean squared error per pixel of every training batch, cut at twice the median. A curve that still falls at its "
            "end asks for more epochs.",
            "Loss against training batch.",
        )
    if "vae" in history:
        terms = history["vae"]
        yield _section(
            run,
            "elbo",
            curves.elbo_curves({"reconstruction": -terms["distortion"], "kl": terms["rate"], "sigma": terms["sigma"]}),
            "What the bound is made of",
            "The ELBO is its reconstruction term less its KL term, in nats per image with all constants. Apart from each "
            "other they show what the sum hides: sigma, the learned pixel noise, carries most of the rise.",
            "ELBO, reconstruction term, KL term and sigma against training batch.",
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
    backbone, decoder = model.encoder[0], model.decoder
    decoder = decoder[0] if isinstance(decoder, torch.nn.Sequential) else decoder
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


