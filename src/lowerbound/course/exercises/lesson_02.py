"""Lesson 2, convolutions: sizes after them, an offset for every pixel, and the convolutional autoencoder."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lowerbound.course.exercise import Exercise, Wrong, expect

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["EXERCISES"]

Answer = Callable[..., Any]


def _size(size_after: Answer, size: int, filter_size: int, convolutions: int, nudge: str) -> None:
    """Compare with what convolutions really leave."""
    import torch
    from torch import nn

    row = torch.zeros(1, 1, size)
    for _ in range(convolutions):
        row = nn.Conv1d(1, 1, filter_size)(row)
    given = size_after(size, filter_size, convolutions)
    if given is ...:
        raise NotImplementedError
    expect(given is not None, "no number came back: is there a return?")
    expect(
        given == row.shape[-1],
        f"{size} rows and {convolutions} convolution{'s' * (convolutions > 1)} with filters of {filter_size} leave "
        f"{row.shape[-1]} rows; yours gives {given}{nudge}",
    )


def one_convolution(size_after: Answer) -> None:
    """A filter of 5 has 24 places in 28 rows."""
    _size(size_after, 28, 5, 1, ": at how many places does the filter lie wholly within the image?")


def two_convolutions(size_after: Answer) -> None:
    """Each one takes its share."""
    _size(size_after, 28, 5, 2, ": every convolution takes away filter_size - 1")


def even_filter(size_after: Answer) -> None:
    """Half the filter, twice, is no rule for even filters."""
    _size(size_after, 28, 4, 1, ": twice half the filter is right for odd filters only")


def keeps_the_shape(pixel_bias: Answer) -> None:
    """Images in, images out."""
    import torch

    out = pixel_bias((3, 4, 5))(torch.rand(2, 3, 4, 5))
    expect(out is not None, "nothing came out: does forward return the images?")
    expect(
        tuple(out.shape) == (2, 3, 4, 5),
        f"images of shape (2, 3, 4, 5) should keep their shape; yours have {tuple(out.shape)}",
    )


def starts_at_zero(pixel_bias: Answer) -> None:
    """Before training nothing is changed."""
    import torch

    x = torch.rand(2, 3, 4, 5)
    off = float((pixel_bias((3, 4, 5))(x) - x).detach().abs().max())
    expect(
        off < 1e-6, f"at the start the offsets are zero, so images pass unchanged; yours are changed by up to {off:.3g}"
    )


def is_learned(pixel_bias: Answer) -> None:
    """An optimiser finds it."""
    found = list(pixel_bias((3, 4, 5)).parameters())
    expect(
        len(found) == 1,
        f"your layer has {len(found)} parameters; expected one, the offsets: only an nn.Parameter set on self is trained",
    )


def one_per_pixel(pixel_bias: Answer) -> None:
    """Not one per channel, and not one per image."""
    (offset,) = pixel_bias((3, 4, 5)).parameters()
    expect(
        tuple(offset.shape) == (3, 4, 5),
        f"images of shape (3, 4, 5) need 60 offsets, one for each value; yours has shape {tuple(offset.shape)}, "
        f"{offset.numel()} of them",
    )


def is_added(pixel_bias: Answer) -> None:
    """The same offsets for every image of the batch."""
    import torch

    layer = pixel_bias((1, 2, 3))
    with torch.no_grad():
        for offset in layer.parameters():
            offset.copy_(torch.arange(6.0).reshape(1, 2, 3))
    change = layer(torch.ones(4, 1, 2, 3)).detach() - 1
    expect(
        torch.allclose(change, torch.arange(6.0).reshape(1, 1, 2, 3).expand(4, 1, 2, 3), atol=1e-5),
        f"with offsets 0 to 5, the pixels of every image should rise by 0 to 5; those of your first image change by "
        f"{[round(float(c), 2) for c in change[0].flatten()]}",
    )


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
        name="size_after",
        lesson="02",
        task="the rows that are left of an image after some convolutions without padding",
        cases=(one_convolution, two_convolutions, even_filter),
        hints=(
            "A filter of 5 rows can begin at row 1, 2, ... of 28; the last place where it fits ends at row 28. Count them.",
            "One convolution leaves size - (filter_size - 1) rows, whether the filter is odd or even.",
            "return size - convolutions * (filter_size - 1)",
        ),
        wrong=(
            Wrong("the whole filter lost", "one_convolution", (("(filter_size - 1)", "filter_size"),)),
            Wrong("half the filter lost", "one_convolution", (("(filter_size - 1)", "(filter_size // 2)"),)),
            Wrong("always one", "two_convolutions", (("convolutions * ", ""),)),
            Wrong("twice half the filter", "even_filter", (("(filter_size - 1)", "2 * (filter_size // 2)"),)),
        ),
    ),
    Exercise(
        name="PixelBias",
        lesson="02",
        task="a layer that adds a learned offset to every pixel of every channel, all of them 0 at the start",
        cases=(keeps_the_shape, starts_at_zero, is_learned, one_per_pixel, is_added),
        hints=(
            "Only an nn.Parameter is seen by the optimiser; a plain tensor on self is not.",
            "Its shape is image_shape, without the batch: adding it to images [b, C, H, W] gives every image the same offsets.",
            "self.bias = nn.Parameter(torch.zeros(image_shape)), and in forward: images + self.bias.",
        ),
        wrong=(
            Wrong("a row more", "keeps_the_shape", (("images + self.bias", "(images + self.bias).flatten(1)"),)),
            Wrong("a random start", "starts_at_zero", (("torch.zeros(", "torch.randn("),)),
            Wrong(
                "a plain tensor",
                "is_learned",
                (("nn.Parameter(torch.zeros(image_shape))", "torch.zeros(image_shape)"),),
            ),
            Wrong(
                "one per channel", "one_per_pixel", (("torch.zeros(image_shape)", "torch.zeros(image_shape[0], 1, 1)"),)
            ),
            Wrong("taken off", "is_added", (("images + self.bias", "images - self.bias"),)),
        ),
    ),
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
