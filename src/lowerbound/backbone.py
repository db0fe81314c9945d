"""Networks from images to features and from codes to images; no distribution is made here.

An encoder's backbone maps images ``[batch, C, H, W]`` to features ``[batch, out_features]``; a posterior head
(``posterior.py``) turns these into q(z|x). A decoder's backbone maps codes ``[..., K]`` to images ``[..., C, H, W]``; a
likelihood head (``likelihood.py``) turns these into p(x|z). Every one takes any image size from 1x1.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = [
    "ConvDecoder",
    "ConvEncoder",
    "DenseDecoder",
    "DenseEncoder",
    "LinearDecoder",
    "PixelBias",
    "StridedDecoder",
    "StridedEncoder",
]

ImageShape = tuple[int, int, int]


class PixelBias(nn.Module):
    """A learned offset for every pixel, so that the layers between need not spend themselves on the mean image.

    Example:
        >>> PixelBias((1, 2, 2))(torch.zeros(3, 1, 2, 2)).shape
        torch.Size([3, 1, 2, 2])
    """

    def __init__(self, image_shape: ImageShape) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(image_shape))

    def forward(self, images: Tensor) -> Tensor:
        """Add the offset to images ``[..., C, H, W]``."""
        return images + self.bias


class LinearDecoder(nn.Module):
    """Codes to images by one matrix and an offset.

    Example:
        >>> LinearDecoder((1, 4, 4), latent_dim=2)(torch.zeros(5, 3, 2)).shape
        torch.Size([5, 3, 1, 4, 4])
    """

    def __init__(self, image_shape: ImageShape, latent_dim: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(latent_dim, math.prod(image_shape)), nn.Unflatten(-1, image_shape))

    def forward(self, codes: Tensor) -> Tensor:
        """Map codes ``[..., K]`` to images ``[..., C, H, W]``."""
        return self.layers(codes)


class DenseEncoder(nn.Module):
    """Two dense layers with tanh, as in Burda et al. (2016, https://arxiv.org/abs/1509.00519).

    Example:
        >>> DenseEncoder((1, 28, 28)).out_features
        200
    """

    def __init__(self, image_shape: ImageShape, hidden: int = 200) -> None:
        super().__init__()
        self.out_features = hidden
        pixels = math.prod(image_shape)
        self.layers = nn.Sequential(
            PixelBias(image_shape),
            nn.Flatten(),
            nn.Linear(pixels, hidden),
            nn.Tanh(),
            nn.Linear(hidden, hidden),
            nn.Tanh(),
        )

    @property
    def bias(self) -> PixelBias:
        """The offset of every pixel."""
        return self.layers[0]  # type: ignore[return-value]

    def forward(self, images: Tensor) -> Tensor:
        """Map images ``[batch, C, H, W]`` to features ``[batch, out_features]``."""
        return self.layers(images)


class DenseDecoder(nn.Module):
    """The mirror image of `DenseEncoder`: two dense layers with tanh, then the pixels and their bias.

    Example:
        >>> DenseDecoder((1, 4, 4), latent_dim=2)(torch.zeros(5, 3, 2)).shape
        torch.Size([5, 3, 1, 4, 4])
    """

    def __init__(self, image_shape: ImageShape, latent_dim: int, hidden: int = 200) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(latent_dim, hidden),
            nn.Tanh(),
            nn.Linear(hidden, hidden),
            nn.Tanh(),
            nn.Linear(hidden, math.prod(image_shape), bias=False),
            nn.Unflatten(-1, image_shape),
            PixelBias(image_shape),
        )

    @property
    def bias(self) -> PixelBias:
        """The offset of every pixel."""
        return self.layers[-1]  # type: ignore[return-value]

    def forward(self, codes: Tensor) -> Tensor:
        """Map codes ``[..., K]`` to images ``[..., C, H, W]``."""
        return self.layers(codes)


def fitting_filter_size(image_shape: ImageShape, filter_size: int) -> int:
    """The largest filter up to ``filter_size`` that two valid convolutions can use on an image.

    Example:
        >>> fitting_filter_size((1, 28, 28), 5), fitting_filter_size((1, 8, 8), 5), fitting_filter_size((1, 1, 1), 5)
        (5, 4, 1)
    """
    return min(filter_size, (min(image_shape[1:]) - 1) // 2 + 1)


class ConvEncoder(nn.Module):
    """The tutorial's recognition network: per-pixel bias, two valid convolutions with ReLUs, flattened.

    Args:
        image_shape: Channels, height, width.
        num_filters: Planes of both convolutions.
        filter_size: Side of the filters; falls to what fits a small image.

    Example:
        >>> ConvEncoder((1, 28, 28)).out_features
        12800
    """

    def __init__(self, image_shape: ImageShape, num_filters: int = 32, filter_size: int = 5) -> None:
        super().__init__()
        channels, height, width = image_shape
        size = fitting_filter_size(image_shape, filter_size)
        lost = 2 * (size - 1)  # a valid convolution loses size - 1 rows and columns, for odd and even sizes alike
        self.out_features = num_filters * (height - lost) * (width - lost)
        self.layers = nn.Sequential(
            PixelBias(image_shape),
            nn.Conv2d(channels, num_filters, size),
            nn.ReLU(),
            nn.Conv2d(num_filters, num_filters, size),
            nn.ReLU(),
            nn.Flatten(),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Map images ``[batch, C, H, W]`` to features ``[batch, out_features]``.

        What ``layers`` does, in less time: a convolution is linear, so the offsets take theirs alone. Their gradient then goes
        back through the filters once for the batch, not once for every image.
        """
        layers: Any = self.layers
        alone = functional.conv2d(layers[0].bias[None], layers[1].weight)
        return layers[2:](layers[1](images) + alone)


def transposed_by_rows(planes: Tensor, weight: Tensor) -> Tensor:
    """A transposed convolution of stride 1, one for every row of the filters, whose images are added a row lower each time.

    The same as ``conv_transpose2d``, but its convolutions have as many outputs as filters have rows: those with one output
    for every channel of an image leave most lanes of a processor's vectors empty.

    Args:
        planes: ``[batch, planes, H, W]``.
        weight: ``[planes, C, rows, columns]``.

    Returns:
        ``[batch, C, H + rows - 1, W + columns - 1]``.

    Example:
        >>> transposed_by_rows(torch.zeros(2, 32, 24, 24), torch.zeros(32, 1, 5, 5)).shape
        torch.Size([2, 1, 28, 28])
    """
    inputs, channels, rows, columns = weight.shape
    filters = weight.transpose(1, 2).reshape(inputs, rows * channels, 1, columns)
    parts = functional.conv_transpose2d(planes, filters).unflatten(1, (rows, channels))
    shifted = [functional.pad(parts[:, row], (0, 0, row, rows - 1 - row)) for row in range(rows)]
    return torch.stack(shifted).sum(0)


class ConvDecoder(nn.Module):
    """The mirror image of `ConvEncoder`: a dense layer, two transposed convolutions, per-pixel bias.

    Example:
        >>> ConvDecoder((3, 32, 32), latent_dim=64)(torch.zeros(2, 64)).shape
        torch.Size([2, 3, 32, 32])
    """

    def __init__(self, image_shape: ImageShape, latent_dim: int, num_filters: int = 32, filter_size: int = 5) -> None:
        super().__init__()
        channels, height, width = image_shape
        size = fitting_filter_size(image_shape, filter_size)
        planes = (num_filters, height - 2 * (size - 1), width - 2 * (size - 1))
        self.layers = nn.Sequential(
            nn.Linear(latent_dim, math.prod(planes)),
            nn.ReLU(),
            nn.Unflatten(-1, planes),
            nn.ConvTranspose2d(num_filters, num_filters, size),
            nn.ReLU(),
            nn.ConvTranspose2d(num_filters, channels, size),
            PixelBias(image_shape),
        )

    def forward(self, codes: Tensor) -> Tensor:
        """Map codes ``[..., K]`` to images ``[..., C, H, W]``.

        What ``layers`` does, in less time: planes come last in memory, where convolutions are fastest, and the dense layer
        puts them there by the order of its rows.
        """
        layers: Any = self.layers
        dense, _, shaped, first, _, last, offset = layers
        planes, height, width = shaped.unflattened_size
        weight = dense.weight.unflatten(0, (planes, height * width)).transpose(0, 1).flatten(0, 1)
        bias = dense.bias.unflatten(0, (planes, height * width)).t().flatten()
        flat = codes.reshape(-1, codes.shape[-1])  # convolutions know one batch axis
        hidden = functional.linear(flat, weight, bias).relu().view(-1, height, width, planes).permute(0, 3, 1, 2)
        images = transposed_by_rows(first(hidden).relu(), last.weight) + (offset.bias + last.bias[:, None, None])
        return images.reshape(*codes.shape[:-1], *images.shape[1:])


class StridedEncoder(nn.Module):
    """Two convolutions of stride 2 and a dense layer, with the pixels themselves beside: the default network.

    The head that follows sees ``[dense features, pixels less their bias]``. So its weights can be set to those of PCA, with
    zeros for the dense features: training then starts at PCA's optimum and can only improve on it.

    Args:
        image_shape: Channels, height, width.
        num_filters: Planes of the first convolution; the second has twice as many.
        hidden: Units of the dense layer.

    Example:
        >>> StridedEncoder((1, 28, 28)).out_features
        1296
    """

    def __init__(self, image_shape: ImageShape, num_filters: int = 24, hidden: int = 512) -> None:
        super().__init__()
        channels, height, width = image_shape
        quarter = (2 * num_filters, -(-height // 4), -(-width // 4))  # rounded up: sizes 1, 2, 3 ... all work
        self.out_features = hidden + math.prod(image_shape)
        self.bias = PixelBias(image_shape)
        self.layers = nn.Sequential(
            nn.Conv2d(channels, num_filters, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(num_filters, 2 * num_filters, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(math.prod(quarter), hidden),
            nn.ReLU(),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Map images ``[batch, C, H, W]`` to features ``[batch, out_features]``."""
        centred = self.bias(images)
        return torch.cat([self.layers(centred), centred.flatten(1)], dim=-1)


class StridedDecoder(nn.Module):
    """The mirror image of `StridedEncoder`: a linear image plus dense layers and transposed convolutions of stride 2.

    decode(z) = bias + linear(z) + network(z): with the network's last layer at zero this is PCA's decoder.

    Example:
        >>> StridedDecoder((3, 7, 5), latent_dim=4)(torch.zeros(2, 6, 4)).shape
        torch.Size([2, 6, 3, 7, 5])
    """

    def __init__(self, image_shape: ImageShape, latent_dim: int, num_filters: int = 24, hidden: int = 512) -> None:
        super().__init__()
        channels, height, width = image_shape
        half = (-(-height // 2), -(-width // 2))
        quarter = (2 * num_filters, -(-height // 4), -(-width // 4))

        def doubling(inputs: int, outputs: int, size: tuple[int, int]) -> nn.ConvTranspose2d:
            odd_or_even = (1 - size[0] % 2, 1 - size[1] % 2)  # ceil(n / 2) planes grow back to exactly n
            return nn.ConvTranspose2d(inputs, outputs, 3, stride=2, padding=1, output_padding=odd_or_even)

        self.linear = nn.Linear(latent_dim, math.prod(image_shape), bias=False)
        self.layers = nn.Sequential(
            nn.Linear(latent_dim, hidden),
            nn.ReLU(),
            nn.Linear(hidden, math.prod(quarter)),
            nn.ReLU(),
            nn.Unflatten(-1, quarter),
            doubling(2 * num_filters, num_filters, half),
            nn.ReLU(),
            doubling(num_filters, channels, (height, width)),
        )
        self.bias = PixelBias(image_shape)

    def forward(self, codes: Tensor) -> Tensor:
        """Map codes ``[..., K]`` to images ``[..., C, H, W]``."""
        flat = codes.reshape(-1, codes.shape[-1])
        network = self.layers(flat)
        images = self.bias(network + self.linear(flat).reshape(network.shape))
        return images.reshape(*codes.shape[:-1], *images.shape[1:])
