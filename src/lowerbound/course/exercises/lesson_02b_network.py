"""Lesson 2, the convolutional autoencoder: its layers, its offsets, and where it bends."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lowerbound.course.exercise import Exercise, Wrong, expect

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["EXERCISES"]

Answer = Callable[..., Any]


SHAPE, LATENT, PLANES = (1, 12, 10), 3, 4


def code_shape(autoencoder: Answer) -> None:
    """An image becomes K numbers."""
    import torch

    for shape in (SHAPE, (3, 11, 12)):
        code = autoencoder(shape, LATENT, PLANES, 5).encode(torch.rand(6, *shape))
        expect(code is not None, "encode gives None: is there a return?")
        expect(
            tuple(code.shape) == (6, LATENT),
            f"6 images of shape {shape} and K = 3 should give codes of shape (6, 3); yours have {tuple(code.shape)}: flatten the "
            "planes of each image, then one linear layer",
        )


def picture_shape(autoencoder: Answer) -> None:
    """K numbers become an image of the size that came in."""
    import torch

    for shape in (SHAPE, (3, 11, 12)):
        images = autoencoder(shape, LATENT, PLANES, 5).decode(torch.randn(6, LATENT))
        expect(
            tuple(images.shape) == (6, *shape),
            f"6 codes should give images of shape {(6, *shape)}; yours have {tuple(images.shape)}",
        )


def rows_of_codes(autoencoder: Answer) -> None:
    """Any dimensions may stand before K."""
    import torch

    images = autoencoder(SHAPE, LATENT, PLANES, 5).decode(torch.randn(5, 7, LATENT))
    expect(
        tuple(images.shape) == (5, 7, *SHAPE),
        f"codes of shape (5, 7, K) should give images of shape {(5, 7, *SHAPE)}; yours have {tuple(images.shape)}",
    )


def other_filters(autoencoder: Answer) -> None:
    """Other filters and other numbers of planes, odd and even."""
    import torch

    for planes, filter_size in ((6, 3), (2, 4)):
        model = autoencoder((1, 9, 10), LATENT, planes, filter_size)
        back = tuple(model.decode(model.encode(torch.rand(2, 1, 9, 10))).shape)
        expect(
            back == (2, 1, 9, 10),
            f"with {planes} planes and filters of {filter_size} the images come back as {back} instead of (2, 1, 9, 10)",
        )
        first = _layers(model)[0][0]
        expect(
            (first.out_channels, first.kernel_size[0]) == (planes, filter_size),
            f"asked for {planes} planes and filters of {filter_size}, your first convolution has {first.out_channels} planes and "
            f"filters of {first.kernel_size[0]}",
        )


def two_each_way(autoencoder: Answer) -> None:
    """Two convolutions in, two transposed ones out, a linear layer at each side of the code."""
    inward, outward, linear = map(len, _layers(autoencoder(SHAPE, LATENT, PLANES, 5)))
    expect(
        (inward, outward, linear) == (2, 2, 2),
        f"expected 2 Conv2d, 2 ConvTranspose2d and 2 Linear layers; yours has {inward}, {outward} and {linear}",
    )


def two_offsets(autoencoder: Answer) -> None:
    """One for the way in, one for the way out."""
    number = len(_offsets(autoencoder(SHAPE, LATENT, PLANES, 5)))
    expect(
        number == 2,
        f"expected two offsets per pixel, one of the encoder and one of the decoder; yours has {number}: PixelBias at both ends, "
        "each with its own",
    )


def offset_comes_first(autoencoder: Answer) -> None:
    """What is added to the image is added before all else."""
    import torch

    model = autoencoder(SHAPE, LATENT, PLANES, 5)
    x = torch.rand(1, *SHAPE, requires_grad=True)
    by_image, *by_offsets = torch.autograd.grad(model.encode(x).sum(), [x, *_offsets(model)], allow_unused=True)
    expect(
        any(by is not None and torch.allclose(by, by_image[0], atol=1e-6) for by in by_offsets),
        "adding to a pixel and adding to its offset should change the code alike; in yours they do not: the first thing that "
        "encode does to the images is the PixelBias",
    )


def offset_comes_last(autoencoder: Answer) -> None:
    """What is added to the output is added after all else."""
    import torch

    model = autoencoder(SHAPE, LATENT, PLANES, 5)
    image = model.decode(torch.randn(1, LATENT)).sum()
    by_offsets = torch.autograd.grad(image, _offsets(model), allow_unused=True)
    expect(
        any(by is not None and torch.allclose(by, torch.ones_like(by)) for by in by_offsets),
        "one more in an offset should be one more in that pixel of the decoded image; in yours it is not: the last thing that "
        "decode does is the PixelBias",
    )


def bends_in_the_encoder(autoencoder: Answer) -> None:
    """ReLUs on what the convolutions give."""
    import torch

    model = autoencoder(SHAPE, LATENT, PLANES, 5)
    inward, _, linear = _layers(model)
    seen = _entering([*inward, *linear])
    model.encode(torch.randn(8, *SHAPE))
    for name, low in seen[1:]:
        expect(
            low >= 0,
            f"what enters your {name} goes down to {low:.3f}: a ReLU on the convolution before it leaves nothing below 0",
        )


def bends_in_the_decoder(autoencoder: Answer) -> None:
    """ReLUs on what enters the transposed convolutions."""
    import torch

    model = autoencoder(SHAPE, LATENT, PLANES, 5)
    _, outward, _ = _layers(model)
    seen = _entering(outward)
    model.decode(2 * torch.randn(8, LATENT))
    for number, (_, low) in enumerate(seen, start=1):
        expect(
            low >= 0,
            f"what enters transposed convolution {number} goes down to {low:.3f}: a ReLU before it leaves nothing below 0",
        )


def free_codes(autoencoder: Answer) -> None:
    """Numbers of a code may be negative."""
    import torch

    low = float(autoencoder(SHAPE, 8, PLANES, 5).encode(3 * torch.randn(40, *SHAPE)).detach().min())
    expect(
        low < 0, f"320 numbers of codes, and the least is {low:.3f}: no ReLU on the code, or half of its room is lost"
    )


def free_pixels(autoencoder: Answer) -> None:
    """What is taken away from the offsets is negative."""
    import torch

    low = float(autoencoder(SHAPE, 8, PLANES, 5).decode(3 * torch.randn(40, 8)).detach().min())
    expect(
        low < 0,
        f"of 40 decoded images the least pixel is {low:.3f}: no ReLU after the last transposed convolution, for it must be able "
        "to take away from the offsets, too",
    )


def _layers(model: nn.Module) -> tuple[list[Any], list[Any], list[Any]]:
    """Convolutions, transposed convolutions and linear layers, in the order in which they were made."""
    from torch import nn

    return (
        [layer for layer in model.modules() if isinstance(layer, nn.Conv2d)],
        [layer for layer in model.modules() if isinstance(layer, nn.ConvTranspose2d)],
        [layer for layer in model.modules() if isinstance(layer, nn.Linear)],
    )


def _offsets(model: nn.Module) -> list[Tensor]:
    """Parameters of an image's shape, each one once."""
    return [parameter for parameter in model.parameters() if tuple(parameter.shape) == SHAPE]


def _entering(layers: list[Any]) -> list[tuple[str, float]]:
    """The kind of each layer and the least number that enters it, in the order in which they are used; filled by their use."""
    seen: list[tuple[str, float]] = []
    for layer in layers:
        layer.register_forward_pre_hook(
            lambda of, given: seen.append((type(of).__name__, float(given[0].detach().min())))
        )
    return seen


EXERCISES = (
    Exercise(
        name="ConvAutoencoder",
        lesson="02",
        task="the layers, and how images and codes pass through them",
        cases=(
            code_shape,
            picture_shape,
            rows_of_codes,
            other_filters,
            two_each_way,
            two_offsets,
            offset_comes_first,
            offset_comes_last,
            bends_in_the_encoder,
            bends_in_the_decoder,
            free_codes,
            free_pixels,
        ),
        hints=(
            "Read the schematic from left to right; each arrow is a layer, and the numbers at its ends are what the layer needs.",
            "In: PixelBias(image_shape), Conv2d(channels, planes, filter_size), Conv2d(planes, planes, filter_size), "
            "Linear(inner, latent_dim), with functional.relu around each convolution. Out: the mirror image.",
            "Out: functional.relu(self.from_code(rows)).unflatten(-1, self.inner_shape), then functional.relu around the "
            "first ConvTranspose2d(planes, planes, filter_size), then the second one, to `channels`, and the second PixelBias.",
        ),
        wrong=(
            Wrong("not flattened", "code_shape", (("x.flatten(1)", "x"),)),
            Wrong(
                "one colour",
                "picture_shape",
                (
                    ("nn.ConvTranspose2d(planes, channels,", "nn.ConvTranspose2d(planes, 1,"),
                    ("self.bias_out(self.deconv_2(x))", "self.deconv_2(x)"),
                ),
            ),
            Wrong("codes not in one row", "rows_of_codes", (("self.from_code(rows)", "self.from_code(h)"),)),
            Wrong(
                "a padded convolution for a transposed one",
                "two_each_way",
                (
                    (
                        "nn.ConvTranspose2d(planes, planes, filter_size)",
                        "nn.Conv2d(planes, planes, filter_size, padding=filter_size - 1)",
                    ),
                ),
            ),
            Wrong("filters of 5", "other_filters", (("filter_size)\n", "5)\n"),)),
            Wrong(
                "one offset for both ends",
                "two_offsets",
                (("self.bias_out = PixelBias(image_shape)", "self.bias_out = self.bias_in"),),
            ),
            Wrong(
                "no offset on the way in", "offset_comes_first", (("self.conv_1(self.bias_in(x))", "self.conv_1(x)"),)
            ),
            Wrong(
                "no offset on the way out",
                "offset_comes_last",
                (("self.bias_out(self.deconv_2(x))", "self.deconv_2(x)"),),
            ),
            Wrong(
                "no ReLU after a convolution",
                "bends_in_the_encoder",
                (("functional.relu(self.conv_1(self.bias_in(x)))", "self.conv_1(self.bias_in(x))"),),
            ),
            Wrong(
                "no ReLU before the code's layer",
                "bends_in_the_encoder",
                (("functional.relu(self.conv_2(x))", "self.conv_2(x)"),),
            ),
            Wrong(
                "no ReLU after the code",
                "bends_in_the_decoder",
                (("functional.relu(self.from_code(rows))", "self.from_code(rows)"),),
            ),
            Wrong(
                "no ReLU between the two",
                "bends_in_the_decoder",
                (("functional.relu(self.deconv_1(x))", "self.deconv_1(x)"),),
            ),
            Wrong(
                "a ReLU on the code",
                "free_codes",
                (("self.to_code(x.flatten(1))", "functional.relu(self.to_code(x.flatten(1)))"),),
            ),
            Wrong(
                "a ReLU at the end",
                "free_pixels",
                (("self.bias_out(self.deconv_2(x))", "self.bias_out(functional.relu(self.deconv_2(x)))"),),
            ),
        ),
    ),
)
