"""Lesson 1, the linear autoencoder: its size, its two maps, and their training."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from lowerbound.course.exercise import Exercise, Wrong, expect

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["EXERCISES"]

Answer = Callable[..., Any]


FEWEST, MOST = 2, 200  # numbers per image: fewer show nothing, more compress little of images this small


def whole_number(choose_k: Any) -> None:
    """K counts something."""
    expect(
        isinstance(choose_k, (int, np.integer)) and not isinstance(choose_k, bool),
        f"K counts the numbers in a code, so it is a whole number; yours is {choose_k!r}, of type {type(choose_k).__name__}",
    )


def enough(choose_k: Any) -> None:
    """Not one or none."""
    expect(
        choose_k >= FEWEST,
        f"yours keeps {choose_k} per image: all images would lie on one line or point; take {FEWEST} at the very least",
    )


def not_too_many(choose_k: Any) -> None:
    """There is something to leave out."""
    expect(
        choose_k <= MOST,
        f"yours keeps {choose_k} numbers per image, which leaves little to learn: at K = the number of pixels, copying "
        f"would be perfect; take {MOST} at most",
    )


def _pair(given: Any, words: str) -> None:
    expect(given is not None, f"{words} came back as None: is there a return?")


def code_shape(autoencoder: Answer) -> None:
    """An image becomes K numbers, a grey one and one in colour."""
    import torch

    for shape, latent_dim in (((1, 3, 4), 2), ((3, 4, 2), 5)):
        code = autoencoder(shape, latent_dim).encode(torch.rand(6, *shape))
        _pair(code, "the code")
        expect(
            tuple(code.shape) == (6, latent_dim),
            f"6 images of shape {shape} and K = {latent_dim} should give codes of shape (6, {latent_dim}); yours have shape "
            f"{tuple(code.shape)}",
        )


def image_shape(autoencoder: Answer) -> None:
    """K numbers become an image."""
    import torch

    for shape, latent_dim in (((1, 3, 4), 2), ((3, 4, 2), 5)):
        images = autoencoder(shape, latent_dim).decode(torch.randn(6, latent_dim))
        _pair(images, "the decoded image")
        expect(
            tuple(images.shape) == (6, *shape),
            f"6 codes should give images of shape {(6, *shape)}; yours have shape {tuple(images.shape)}: put the row of "
            "pixels back in its channels, rows and columns",
        )


def rows_of_codes(autoencoder: Answer) -> None:
    """Any dimensions may stand before K: later lessons decode several codes for each image."""
    import torch

    images = autoencoder((1, 3, 4), 2).decode(torch.randn(5, 7, 2))
    expect(
        tuple(images.shape) == (5, 7, 1, 3, 4),
        f"codes of shape (5, 7, K) should give images of shape (5, 7, 1, 3, 4); yours have {tuple(images.shape)}: unflatten "
        "the last dimension, -1, and leave those before it alone",
    )


def nothing_but_linear(autoencoder: Answer) -> None:
    """f(a + b) + f(0) = f(a) + f(b) for both maps."""
    import torch

    model = autoencoder((1, 3, 4), 3)
    with torch.no_grad():
        for name, of, a, b in (
            ("encode", model.encode, 4 * torch.randn(9, 1, 3, 4), 4 * torch.randn(9, 1, 3, 4)),
            ("decode", model.decode, 4 * torch.randn(9, 3), 4 * torch.randn(9, 3)),
        ):
            off = float((of(a + b) + of(0 * a) - of(a) - of(b)).abs().max())
            expect(
                off < 1e-3,
                f"a linear map with an offset has f(a + b) + f(0) = f(a) + f(b); your {name} misses that by {off:.3g}: is "
                "there a ReLU or another bend in it?",
            )


def weights_and_offsets(autoencoder: Answer) -> None:
    """Two matrices and two offsets, all of them learned."""
    learned = sum(p.numel() for p in autoencoder((1, 3, 4), 3).parameters() if p.requires_grad)
    expected = 12 * 3 + 3 + 3 * 12 + 12
    expect(
        learned == expected,
        f"for 12 pixels and K = 3 there are 12 x 3 + 3 numbers to learn on the way in and 3 x 12 + 12 on the way out, "
        f"{expected} together; yours has {learned}: two nn.Linear, each with its bias",
    )


def _toy(start: float = 0.25) -> Any:
    """A model with one number to learn: whatever the image, it gives that number in every pixel; it notes what it is shown."""
    import torch
    from torch import nn

    class OneNumber(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.level = nn.Parameter(torch.tensor(start))
            self.seen: list[Tensor] = []

        def encode(self, x: Tensor) -> Tensor:
            self.seen.append(x.detach().clone())
            return x.flatten(1)[:, :1] * 0 + self.level

        def decode(self, z: Tensor) -> Tensor:
            return z[..., None, None].expand(*z.shape[:-1], 1, 2, 2).contiguous()

        def forward(self, x: Tensor) -> Tensor:
            return self.decode(self.encode(x))

    return OneNumber()


def one_loss_per_step(train_autoencoder: Answer) -> None:
    """As many losses as batches, over all epochs."""
    given = train_autoencoder(_toy(), np.full((12, 1, 2, 2), 200, np.uint8), 3, 4)
    expect(given is not None, "no losses came back: is there a return?")
    expect(
        len(given) == 9,
        f"12 images in batches of 4 are 3 steps, and 3 epochs make 9; yours gives {len(given)} losses: note one after each step",
    )


def plain_numbers(train_autoencoder: Answer) -> None:
    """Losses do not drag their graphs along."""
    given = train_autoencoder(_toy(), np.full((4, 1, 2, 2), 200, np.uint8), 1, 2)
    expect(
        not any(getattr(loss, "requires_grad", False) for loss in given),
        "your losses are tensors that still carry all that is needed for gradients, which fills the memory step by step: "
        "note plain numbers, loss.item()",
    )


def per_pixel(train_autoencoder: Answer) -> None:
    """The first loss is the mean of the squared differences."""
    first = float(train_autoencoder(_toy(0.25), np.full((8, 1, 2, 2), 191, np.uint8), 1, 8)[0])
    right = (191 / 255 - 0.25) ** 2
    expect(
        abs(first - right) < 1e-4,
        f"every pixel is 0.749, and the model starts by saying 0.25 everywhere, so the mean squared error is {right:.4f}; your "
        f"first loss is {first:.4f}, {first / right:.3g} times that: the mean over pixels and images, not a sum, of squares",
    )


def short_last_batch(train_autoencoder: Answer) -> None:
    """Numbers of images that the batch size does not divide."""
    steps = len(train_autoencoder(_toy(), np.full((12, 1, 2, 2), 200, np.uint8), 2, 5))
    expect(
        steps == 6,
        f"12 images in batches of 5 are 3 steps, the last with 2 images; 2 epochs make 6; yours makes {steps}",
    )


def every_image(train_autoencoder: Answer) -> None:
    """Each image is shown once in an epoch, in [0, 1]."""
    import torch

    model = _toy()
    pixels = (np.arange(10, dtype=np.uint8)[:, None, None, None] * 20 + np.zeros((10, 1, 2, 2))).astype(np.uint8)
    train_autoencoder(model, pixels, 1, 4)
    shown = torch.cat(model.seen)[:, 0, 0, 0].mul(255).round().sort().values.tolist()
    expect(
        shown == [20 * n for n in range(10)],
        f"in one epoch the model should see each of the 10 images once, with pixels in [0, 1]; it saw {len(shown)} images, "
        f"the brightest of {shown[-1] / 255:.3g}",
    )


def settles(train_autoencoder: Answer) -> None:
    """It gets where it should, and stays."""
    losses = train_autoencoder(_toy(0.42), np.full((8, 1, 2, 2), 102, np.uint8), 160, 8)
    first, last, worst = float(losses[0]), float(losses[-1]), max(map(float, losses[100:]))
    expect(
        abs(last - first) > 1e-3 * first,
        f"the loss was {first:.5f} at first and is {last:.5f} after 160 steps: it does not move; is there an optimizer.step(), "
        "and a loss.backward() before it?",
    )
    expect(
        worst < 0.5 * first,
        f"the loss was {first:.5f} at first, and after step 100 it still reached {worst:.5f}, where it should be near 0: slopes "
        "of earlier steps push on past the goal; set them to zero before each backward()",
    )


EXERCISES = (
    Exercise(
        name="choose_k",
        lesson="01",
        task="K, the numbers that are kept of an image",
        cases=(whole_number, enough, not_too_many),
        hints=(
            "Nobody knows the right one beforehand: it is a trade of error against size, and your group tries several.",
            "Digits are well served by 5 to 20 numbers, small photographs in colour by 50 to 100.",
            "choose_k = 20 is a good first try with MNIST, 64 with CIFAR-10.",
        ),
        wrong=(
            Wrong("a fraction", "whole_number", (("20", "20.0"),)),
            Wrong("a single number", "enough", (("20", "1"),)),
            Wrong("as many as pixels", "not_too_many", (("20", "784"),)),
        ),
    ),
    Exercise(
        name="LinearAutoencoder",
        lesson="01",
        task="one linear layer from pixels to K numbers, one back, and the two methods that use them",
        cases=(code_shape, image_shape, rows_of_codes, nothing_but_linear, weights_and_offsets),
        hints=(
            "nn.Linear(inputs, outputs) is a matrix and an offset, both learned. You need one each way.",
            "The encoder takes a row of pixels: x.flatten(1) makes rows of images [b, C, H, W] and keeps them apart.",
            "decode: self.decoder(z) has shape [..., P]; .unflatten(-1, self.image_shape) makes images of it.",
        ),
        wrong=(
            Wrong("images not flattened", "code_shape", (("x.flatten(1)", "x"),)),
            Wrong("K fixed", "code_shape", (("nn.Linear(pixels, latent_dim)", "nn.Linear(pixels, 20)"),)),
            Wrong("images left flat", "image_shape", ((".unflatten(-1, self.image_shape)", ""),)),
            Wrong("only one row of codes", "rows_of_codes", ((".unflatten(-1,", ".flatten(0, -2).unflatten(-1,"),)),
            Wrong(
                "a ReLU on the code",
                "nothing_but_linear",
                (("self.encoder(x.flatten(1))", "self.encoder(x.flatten(1)).relu()"),),
            ),
            Wrong(
                "no offset",
                "weights_and_offsets",
                (("nn.Linear(latent_dim, pixels)", "nn.Linear(latent_dim, pixels, bias=False)"),),
            ),
        ),
    ),
    Exercise(
        name="train_autoencoder",
        lesson="01",
        task="the inside of the training loop: reconstruct, measure, step, note the loss",
        cases=(one_loss_per_step, plain_numbers, per_pixel, short_last_batch, every_image, settles),
        hints=(
            "Reconstruct the batch with model.decode(model.encode(x)); the loss says how far that is from x.",
            "functional.mse_loss(a, b) is the mean of the squared differences. Then: zero_grad, backward, step, in this order.",
            "At the end of each step losses.append(loss.item()) notes a plain number.",
        ),
        wrong=(
            Wrong("no loss noted", "one_loss_per_step", (("losses.append(loss.item())", "pass"),)),
            Wrong("tensors kept", "plain_numbers", (("loss.item()", "loss"),)),
            Wrong(
                "a sum", "per_pixel", (("mse_loss(reconstruction, x)", 'mse_loss(reconstruction, x, reduction="sum")'),)
            ),
            Wrong("absolute differences", "per_pixel", (("mse_loss", "l1_loss"),)),
            Wrong(
                "a fixed batch size",
                "short_last_batch",
                (
                    (
                        "mse_loss(reconstruction, x)",
                        "mse_loss(reconstruction.reshape(batch_size, -1), x.reshape(batch_size, -1))",
                    ),
                ),
            ),
            Wrong("scaled once more", "every_image", (("model.encode(x)", "model.encode(x / 255)"),)),
            Wrong("no step", "settles", (("optimizer.step()", "pass"),)),
            Wrong("slopes add up", "settles", (("optimizer.zero_grad()", "pass"),)),
        ),
        seconds=30,  # the first optimiser of a process takes a while to be imported
    ),
)
