"""Models as ONNX graphs: codes to images and images to codes, for whoever has neither torch nor this program.

PCA and the linear autoencoder are graphs like the others, so that one path decodes them all. The same model gives the same
bytes, and the number of images is free.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lowerbound.divergence import is_factorised
from lowerbound.errors import InputError
from lowerbound.images import as_floats
from lowerbound.pca import PCA
from lowerbound.posterior import FullNormal, IsotropicNormal
from lowerbound.stored import Model
from lowerbound.tracing import SMALL, traced, unchecked
from lowerbound.vae import VAE

__all__ = ["Graphs", "decoder_of", "encoder_of", "graphs", "spreads"]

CLOSE = 1e-3  # pixel units: so far may an image move when weights are stored as halves
# Where halves of all arrays are too coarse those of the large ones alone may do, from so many numbers on. These have most of
# the bytes, and their many roundings cancel; what moves images are the few numbers that all of an image hangs on.
LARGE = 20_000


@dataclass(frozen=True)
class Graphs:
    """A model as ONNX files.

    Attributes:
        decoder: ``z [n, K]`` to ``x [n, C, H, W]``, the mean of p(x|z).
        encoder: ``x [n, C, H, W]`` in [0, 1] to ``mean [n, K]``, and ``spread [n, S]`` where there is one; None without.
        spread: S, how many standard deviations q has for an image: 1, K, or 0 where it has none that are numbers of one axis.
        halved: Whether large weights are stored as float16.
        missing: Why there is no encoder, where one was asked for.
    """

    decoder: bytes
    encoder: bytes | None
    spread: int
    halved: bool
    missing: str = ""


def graphs(model: Model, pixels: np.ndarray, *, encoders: bool = True, full: bool = False) -> Graphs:
    """A model's graphs.

    Args:
        model: Trained.
        pixels: Some images, uint8 ``[n, C, H, W]``: halves that moved what is decoded from their codes by more than 0.001
            would not be taken for its weights.
        encoders: Whether to write the encoder, too.
        full: Weights as float32, whatever that costs.

    Raises:
        InputError: A decoder that has no graph: an operation that ONNX does not know, or one that depends on the images.

    Example:
        >>> images = np.random.default_rng(0).integers(0, 256, (50, 1, 4, 4)).astype(np.uint8)
        >>> made = graphs(PCA(3).fit(images), images[:5])
        >>> made.halved, made.spread
        (True, 0)
    """
    decoder, encoder = decoder_of(model), encoder_of(model)
    x = torch.from_numpy(as_floats(pixels))
    with unchecked(), torch.no_grad():
        codes = encoder(x)
        z = codes[0] if isinstance(codes, tuple) else codes
        spread = 0 if not isinstance(codes, tuple) else codes[1].shape[1]
        far = torch.cat([z, torch.randn(z.shape, generator=torch.Generator().manual_seed(0))])
        halves = False
        large = any(weights.numel() >= LARGE for weights in decoder.parameters())
        for least in () if full else (SMALL, LARGE)[: 1 + large]:
            half = _halved(decoder, least), _halved(encoder, least)
            there = _first(half[1](x))
            moved = [half[0](far) - decoder(far), decoder(there) - decoder(z)]
            if max(float(each.abs().max()) for each in moved) <= CLOSE:  # not so where it is not a number
                decoder, encoder = half
                halves = True
                break
        outward, inward, missing = traced(decoder, z[:1], "z", ["x"], full=not halves), None, ""
        if encoders:
            try:
                inward = traced(encoder, x[:1], "x", ["mean", "spread"] if spread else ["mean"], full=not halves)
            except InputError as error:
                missing = str(error)
        return Graphs(outward, inward, spread, halves, missing)


def decoder_of(model: Model) -> nn.Module:
    """What maps codes ``[n, K]`` to images ``[n, C, H, W]``: the mean of p(x|z), whatever the likelihood.

    Example:
        >>> images = np.random.default_rng(0).integers(0, 256, (50, 1, 4, 4)).astype(np.uint8)
        >>> decoder_of(PCA(3).fit(images))(torch.zeros(2, 3)).shape
        torch.Size([2, 1, 4, 4])
    """
    if isinstance(model, PCA):
        inner: nn.Module = _line((model.components * model.scales[:, None]).T, model.mean)
    else:
        inner = model.decoder
    shape: Any = model.image_shape
    return _Decoder(inner, shape).eval()


def encoder_of(model: Model) -> nn.Module:
    """What maps images ``[n, C, H, W]`` to the means ``[n, K]`` of q, and to its standard deviations where ``spreads`` has some.

    Example:
        >>> images = np.random.default_rng(0).integers(0, 256, (50, 1, 4, 4)).astype(np.uint8)
        >>> encoder_of(PCA(3).fit(images))(torch.zeros(2, 1, 4, 4)).shape
        torch.Size([2, 3])
    """
    if isinstance(model, PCA):
        inverse = np.divide(1, model.scales, out=np.zeros_like(model.scales), where=model.scales > 1e-9)
        inward = model.components * inverse[:, None]
        return nn.Sequential(nn.Flatten(), _line(inward, -inward @ model.mean)).eval()
    return _Encoder(model.encoder, spreads(model)).eval()


def spreads(model: Model) -> int:
    """S, how many standard deviations q has for an image: of a VAE 1 or K, 0 where q is no product of normals or no q is there.

    Example:
        >>> from lowerbound import recipes
        >>> spreads(recipes.vae((1, 4, 4), 3)), spreads(recipes.conv((1, 4, 4), 3))
        (1, 0)
    """
    if not isinstance(model, VAE):
        return 0
    with unchecked(), torch.no_grad():
        q = model.encoder(torch.zeros(1, *model.image_shape))
    if not is_factorised(q):
        return 0
    head = list(model.encoder)[-1] if isinstance(model.encoder, nn.Sequential) else model.encoder
    return 1 if isinstance(head, IsotropicNormal) else q.event_shape[0]


class _Decoder(nn.Module):
    def __init__(self, inner: nn.Module, image_shape: Sequence[int]) -> None:
        super().__init__()
        self.inner, self.image_shape = inner, tuple(image_shape)

    def forward(self, codes: Tensor) -> Tensor:
        found = self.inner(codes)
        images = found if isinstance(found, Tensor) else found.mean
        return images.reshape(-1, *self.image_shape)


class _Encoder(nn.Module):
    def __init__(self, inner: nn.Module, spread: int) -> None:
        super().__init__()
        self.inner, self.spread = inner, spread

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        head = self.inner[-1] if isinstance(self.inner, nn.Sequential) else None
        if isinstance(head, FullNormal):  # whose L has no graph
            return head.phi(self.inner[:-1](images))[:, : head.latent_dim]  # type: ignore[index, operator]
        q = self.inner(images)
        return (q.mean, q.stddev[:, : self.spread]) if self.spread else q.mean


def _line(weight: np.ndarray, bias: np.ndarray) -> nn.Linear:
    line = nn.Linear(weight.shape[1], weight.shape[0])
    with torch.no_grad():
        line.weight.copy_(torch.from_numpy(weight))
        line.bias.copy_(torch.from_numpy(bias))
    return line


def _first(found: Tensor | tuple[Tensor, ...]) -> Tensor:
    return found if isinstance(found, Tensor) else found[0]


def _halved(module: nn.Module, least: int) -> nn.Module:
    """A copy whose arrays of at least so many numbers have some that float16 holds: stored as float16 they lose nothing."""
    module = copy.deepcopy(module)
    for weights in itertools.chain(module.parameters(), module.buffers()):
        if weights.dtype == torch.float32 and weights.numel() >= least:
            weights.data = weights.data.half().float()
    return module
