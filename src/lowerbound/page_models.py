"""What the live page holds of each model: its graphs, the codes of the images it shows, and what these codes are like."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lowerbound.blockwise import batched
from lowerbound.errors import InputError
from lowerbound.evaluation import Generator, squared_errors
from lowerbound.graphs import Graphs, decoder_of, encoder_of, graphs
from lowerbound.images import as_floats
from lowerbound.look import model_style
from lowerbound.page_numbers import coarse
from lowerbound.parts import PRIORS
from lowerbound.pca import PCA
from lowerbound.prior import StandardNormal
from lowerbound.storage import Run
from lowerbound.stored import Model, StoredModel
from lowerbound.vae import VAE

__all__ = ["Shown", "shown_model"]

DEAD, STILL = 0.01, 0.01  # nats, and variance of the mean code: below both, a dimension of a VAE says nothing
FLAT = 1e-8  # of the largest variance: of a plain autoencoder's code, that is none
TRIED = 16  # images that graphs are tried with
NORMAL = "N(0, I)"


@dataclass(frozen=True)
class Shown:
    """A model as the page has it.

    Attributes:
        about: Its entry in the page's JSON.
        assets: Its arrays and graphs by name.
        missing: What of it is not there, by panel or by name, with the reason.
    """

    about: dict[str, Any]
    assets: dict[str, bytes]
    missing: dict[str, str] = field(default_factory=dict)


def shown_model(run: Run, stored: StoredModel, pixels: np.ndarray, *, encoders: bool, full: bool) -> Shown:
    """A model of a run, and what it makes of the images that are shown.

    Args:
        run: Complete.
        stored: Which model.
        pixels: The first test images, uint8 ``[N, C, H, W]``.
        encoders: Whether the page encodes new images.
        full: Whether weights are stored as float32.

    Raises:
        InputError: A model that cannot be loaded, has no graph, or gives codes that are no numbers.
    """
    name, model = stored.recipe, run.load(stored)
    made = graphs(model, pixels[:TRIED], encoders=encoders, full=full)
    codes, spread = _codes(model, pixels, made.spread)
    if not np.isfinite(codes).all():
        raise InputError("its codes are not finite; train it again")
    check = np.array([float(f"{number:.6g}") for number in codes[0]])  # as JSON will have them
    with torch.no_grad():
        answer = decoder_of(model)(torch.tensor(check[None], dtype=torch.float32)).numpy()
    assets = {
        f"codes:{name}": _halves(codes),
        f"errors:{name}": coarse(_errors(run, stored, model, pixels), bits=12).tobytes(),
        f"decoder:{name}": made.decoder,
        f"check:{name}": answer.astype("<f4").tobytes(),
    }
    rate = _rate(model, codes, spread)
    if spread is not None:
        assets[f"spread:{name}"] = _halves(spread)
    if made.encoder is not None:
        assets[f"encoder:{name}"] = made.encoder
    style = model_style(name)
    about = {
        "name": name,
        "label": style.label,
        "colour": style.colour,
        "marker": style.marker,
        "k": stored.latent_dim,
        "encoder": made.encoder is not None,
        "spread": made.spread,
        "generates": isinstance(model, Generator),
        "sigma": next((row.get("sigma") for row in run.metrics if row["name"] == stored.name), None),
        "prior": _prior(model, stored),
        "check": check,
        **_statistics(model, codes, rate),
    }
    return Shown(about, assets, _missing(style.label, model, made, rate))


def _codes(model: Model, pixels: np.ndarray, spread: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Codes float32 ``[N, K]`` and, where q has some, standard deviations ``[N, S]``: what the graph of the encoder gives."""
    if not spread:
        return model.transform(pixels), None
    encoder = encoder_of(model)

    def both(x: Tensor) -> Tensor:
        return torch.cat(encoder(x), dim=1)

    found = batched(both, pixels, lambda block: as_floats(block, model.image_shape))
    return found[:, :-spread], found[:, -spread:]


def _errors(run: Run, stored: StoredModel, model: Model, pixels: np.ndarray) -> np.ndarray:
    """Squared error per pixel of each image: as it was measured, else measured now."""
    measured = run.measured("squared_error", stored.latent_dim).get(stored.recipe)
    if measured is not None and measured.shape[1] >= len(pixels):
        return measured[0, : len(pixels)]
    return squared_errors(model, pixels)


def _rate(model: Model, codes: np.ndarray, spread: np.ndarray | None) -> np.ndarray | None:
    """Mean KL(q(z_j|x) || N(0, 1)) of each dimension over the images, nats ``[K]``; None where the rate is no such sum."""
    if spread is None or not isinstance(model, VAE) or not isinstance(model.prior, StandardNormal):
        return None
    wide = np.maximum(spread.astype(np.float64), 1e-12)
    return (0.5 * (codes.astype(np.float64) ** 2 + wide**2 - 1) - np.log(wide)).mean(0)


def _statistics(model: Model, codes: np.ndarray, rate: np.ndarray | None) -> dict[str, Any]:
    """Mean, principal axes and scales of codes ``[N, K]``; what each dimension carries, and whether it says anything."""
    wide = codes.astype(np.float64)
    mean, variance = wide.mean(0), wide.var(0)
    if isinstance(model, PCA):  # whitened: its axes are principal in the pixels, where they do not vary alike
        axes, scale, weight = np.eye(len(mean)), np.sqrt(variance), model.scales**2
    else:
        values, columns = np.linalg.eigh(np.atleast_2d(np.cov(wide.T, bias=True)))
        axes, scale, weight = columns.T[::-1], np.sqrt(np.maximum(values[::-1], 0)), variance
        largest = np.take_along_axis(axes, np.abs(axes).argmax(1)[:, None], 1)
        axes = axes * np.where(largest < 0, -1, 1)  # one sign, always the same
    still = weight < FLAT * max(float(weight.max()), 1e-300) if rate is None else (variance < STILL) & (rate < DEAD)
    return {
        "mean": mean,
        "axes": axes,
        "scale": scale,
        "raw_mean": mean,
        "raw_scale": np.sqrt(variance),
        "carries": weight / weight.sum() if weight.sum() > 0 else np.zeros(len(mean)),
        "rate": rate,
        "collapsed": still,
    }


def _prior(model: Model, stored: StoredModel) -> str:
    """What is believed of codes before an image is seen, in words."""
    if isinstance(model, PCA) or (isinstance(model, VAE) and isinstance(model.prior, StandardNormal)):
        return NORMAL
    if not isinstance(model, VAE):
        return PRIORS["none"].words
    name = "none" if stored.parts is None or stored.outside else stored.parts.prior.partition(":")[0]
    return PRIORS[name].words if name != "none" else "a prior of its own"


def _missing(label: str, model: Model, made: Graphs, rate: np.ndarray | None) -> dict[str, str]:
    """What of a model the page does not show, with the reason."""
    missing = (
        {f"encoder of the {label}": f"New images cannot be encoded by it: {made.missing}."} if made.missing else {}
    )
    if isinstance(model, VAE) and not made.spread:
        missing[f"ring of the {label}"] = (
            "Its q is no product of normals, so that it has no width along a single dimension: its mean is shown alone."
        )
    if made.spread and rate is None:
        missing[f"rates of the {label}"] = "Its prior is learned, so that its rate is no sum over dimensions."
    return missing


def _halves(values: np.ndarray) -> bytes:
    """Numbers as float16, those beyond it drawn in to the largest there is."""
    most = float(np.finfo(np.float16).max)
    return np.clip(values, -most, most).astype("<f2").tobytes()
