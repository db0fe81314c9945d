"""The default network: patches of 2x2 pixels, one convolution of stride 2 and narrow dense layers; it starts at PCA and is fast.

Single pixels at full resolution are few planes and many places, for which convolutions run at a tenth of a processor's speed.
As planes of patches the same image is a few large matrix products. What was tried on the way stands in ``benchmarks/README.md``.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from lowerbound.backbone import ImageShape, PixelBias

__all__ = ["FromPatches", "FromRows", "PatchedDecoder", "PatchedEncoder", "Residual", "ToPatches", "ToRows"]

GAIN = 0.7  # of He's standard deviation (He et al., 2015, https://arxiv.org/abs/1502.01852): large weights learn later


class ToPatches(nn.Module):
    """Images ``[batch, C, H, W]`` as planes of 2x2 patches, ``[batch, 4 C, h, w]``, with zeros beside up to even h and w.

    Example:
        >>> ToPatches()(torch.zeros(2, 3, 7, 5)).shape
        torch.Size([2, 12, 4, 4])
    """

    def forward(self, images: Tensor) -> Tensor:
        """Fold the patches into planes."""
        height, width = images.shape[-2:]
        images = functional.pad(images, (0, -width % 4, 0, -height % 4))
        return functional.pixel_unshuffle(images, 2).contiguous(memory_format=torch.channels_last)


class FromPatches(nn.Module):
    """Planes of 2x2 patches, ``[batch, 4 C, h, w]``, as images ``[batch, C, H, W]``; what is beyond them is cut off.

    Example:
        >>> FromPatches((3, 7, 5))(torch.zeros(2, 12, 4, 4)).shape
        torch.Size([2, 3, 7, 5])
    """

    def __init__(self, image_shape: ImageShape) -> None:
        super().__init__()
        self.image_shape = image_shape

    def forward(self, planes: Tensor) -> Tensor:
        """Unfold the patches."""
        return functional.pixel_shuffle(planes, 2)[..., : self.image_shape[1], : self.image_shape[2]]


class Residual(nn.Module):
    """x + SiLU(3x3 convolution of x) (He et al., 2016, https://arxiv.org/abs/1512.03385).

    Example:
        >>> Residual(4)(torch.zeros(2, 4, 3, 3)).shape
        torch.Size([2, 4, 3, 3])
    """

    def __init__(self, planes: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(planes, planes, 3, padding=1)

    def forward(self, planes: Tensor) -> Tensor:
        """Add what the convolution sees to planes ``[batch, planes, h, w]``."""
        return planes + functional.silu(self.convolution(planes))


class FromRows(nn.Module):
    """Rows of features as planes, ``[batch, planes, h, w]``, of which those of one place lie together in memory.

    Example:
        >>> FromRows(3, (4, 2))(torch.zeros(5, 24)).shape
        torch.Size([5, 3, 4, 2])
    """

    def __init__(self, planes: int, grid: tuple[int, int]) -> None:
        super().__init__()
        self.shape = (*grid, planes)

    def forward(self, rows: Tensor) -> Tensor:
        """Give rows ``[batch, features]`` the shape of planes."""
        return rows.unflatten(1, self.shape).permute(0, 3, 1, 2)


class ToRows(nn.Module):
    """Planes as rows of features, those of one place side by side: no copy of what lies channels last.

    Example:
        >>> ToRows()(torch.zeros(5, 3, 4, 2)).shape
        torch.Size([5, 24])
    """

    def forward(self, planes: Tensor) -> Tensor:
        """Give planes ``[batch, planes, h, w]`` the shape of rows."""
        return planes.permute(0, 2, 3, 1).flatten(1)


class PatchedEncoder(nn.Module):
    """Patches, a convolution of stride 2 and a dense layer, with the pixels themselves beside: as ``StridedEncoder``, but fast.

    The head that follows sees ``[dense features, pixels less their bias]``, so that its weights can be set to those of PCA.

    Args:
        image_shape: Channels, height, width.
        planes: Of the convolution.
        hidden: Units of the dense layer.

    Example:
        >>> PatchedEncoder((1, 28, 28)).out_features
        912
    """

    def __init__(self, image_shape: ImageShape, planes: int = 32, hidden: int = 128) -> None:
        super().__init__()
        channels, height, width = image_shape
        self.out_features = hidden + math.prod(image_shape)
        self.bias = PixelBias(image_shape)
        self.layers = nn.Sequential(
            ToPatches(),
            nn.Conv2d(4 * channels, planes, 4, stride=2, padding=1),
            nn.SiLU(),
            ToRows(),
            nn.Linear(planes * -(-height // 4) * -(-width // 4), hidden),
            nn.SiLU(),
        )
        _set_weights(self.layers)

    def forward(self, images: Tensor) -> Tensor:
        """Map images ``[batch, C, H, W]`` to features ``[batch, out_features]``.

        A convolution is linear, so the offsets take theirs alone: their gradient goes back through it once for the batch, and
        not once for every image, which would take a fifteenth of a step.
        """
        patches, convolution = self.layers[0], self.layers[1]
        alone = functional.conv2d(patches(self.bias.bias[None]), convolution.weight, stride=2, padding=1)  # type: ignore[arg-type]
        features = self.layers[2:](convolution(patches(images)) + alone)
        return torch.cat([features, self.bias(images).flatten(1)], dim=-1)


class PatchedDecoder(nn.Module):
    """A linear image plus two dense layers, a residual convolution, a transposed one of stride 2, and patches.

    decode(z) = bias + linear(z) + network(z): with the network's last layer at zero this is PCA's decoder.

    Args:
        image_shape: Channels, height, width.
        latent_dim: K.
        planes: Of the residual convolution; the transposed one has half as many.
        hidden: Units of the first dense layer.

    Example:
        >>> PatchedDecoder((3, 7, 5), latent_dim=4)(torch.zeros(2, 6, 4)).shape
        torch.Size([2, 6, 3, 7, 5])
    """

    def __init__(self, image_shape: ImageShape, latent_dim: int, planes: int = 32, hidden: int = 512) -> None:
        super().__init__()
        channels, height, width = image_shape
        grid = (-(-height // 4), -(-width // 4))
        self.linear = nn.Linear(latent_dim, math.prod(image_shape), bias=False)
        self.layers = nn.Sequential(
            nn.Linear(latent_dim, hidden),
            nn.SiLU(),
            nn.Linear(hidden, planes * math.prod(grid)),
            nn.SiLU(),
            FromRows(planes, grid),
            Residual(planes),
            nn.ConvTranspose2d(planes, planes // 2, 4, stride=2, padding=1),
            nn.SiLU(),
            nn.Conv2d(planes // 2, 4 * channels, 3, padding=1),
        )
        _set_weights(self.layers)
        self.image = FromPatches(image_shape)
        self.bias = PixelBias(image_shape)

    def forward(self, codes: Tensor) -> Tensor:
        """Map codes ``[..., K]`` to images ``[..., C, H, W]``."""
        flat = codes.reshape(-1, codes.shape[-1])
        network = self.image(self.layers(flat))
        images = self.bias(network + self.linear(flat).reshape(network.shape))
        return images.reshape(*codes.shape[:-1], *images.shape[1:])


@torch.no_grad()
def _set_weights(network: nn.Sequential) -> None:
    """Random weights of the size that keeps signals as large as they are, times ``GAIN``; biases zero."""
    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            inputs = layer.weight[0].numel()
        elif isinstance(layer, nn.ConvTranspose2d):  # each pixel of what comes out sees one in stride^2 of the filter
            inputs = layer.weight[:, 0].numel() / math.prod(layer.stride)
        else:
            continue
        layer.weight.normal_(0, GAIN * math.sqrt(2 / inputs))
        nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
