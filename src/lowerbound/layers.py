"""A network told layer by layer: what each makes of its input, in words and in sizes."""

from __future__ import annotations

import torch
from torch import nn

from lowerbound.backbone import PixelBias
from lowerbound.patched import FromRows, Residual, ToPatches, ToRows

__all__ = ["steps"]


@torch.no_grad()
def steps(layers: nn.Sequential, shape: tuple[int, ...]) -> list[tuple[str, tuple[int, ...]]]:
    """What happens to an input of a shape, layer by layer: words for it, and the shape that comes out.

    Example:
        >>> from lowerbound.backbone import ConvEncoder
        >>> steps(ConvEncoder((1, 28, 28)).layers, (1, 28, 28))[0]
        ('per-pixel bias, 5x5 convolution, ReLU', (32, 24, 24))
    """
    passing = torch.zeros(1, *shape)
    done: list[tuple[str, tuple[int, ...]]] = []
    before = ""
    for layer in layers:
        passing = layer(passing)
        words = _words(layer)
        if type(layer) in {*ACTIVATIONS, PixelBias} and done:
            done[-1] = (f"{done[-1][0]}, {words}", done[-1][1])
        elif isinstance(layer, PixelBias):
            before = f"{words}, "
        else:
            done.append((before + words, tuple(passing.shape[1:])))
            before = ""
    return done


ACTIVATIONS: dict[type[nn.Module], str] = {nn.ReLU: "ReLU", nn.Tanh: "tanh", nn.SiLU: "SiLU"}
WORDS: dict[type[nn.Module], str] = {
    **ACTIVATIONS,
    PixelBias: "per-pixel bias",
    nn.Linear: "linear",
    nn.Flatten: "flattened",
    ToRows: "flattened",
    nn.Unflatten: "unflattened",
    FromRows: "unflattened",
    ToPatches: "2x2 patches as planes",
    Residual: "3x3 convolution, SiLU, added",
}


def _words(layer: nn.Module) -> str:
    """A layer in words."""
    if isinstance(layer, nn.ConvTranspose2d | nn.Conv2d):
        stride = f", stride {layer.stride[0]}" if layer.stride[0] > 1 else ""
        kind = "transposed convolution" if isinstance(layer, nn.ConvTranspose2d) else "convolution"
        return f"{layer.kernel_size[0]}x{layer.kernel_size[1]} {kind}{stride}"
    return WORDS.get(type(layer), type(layer).__name__)
