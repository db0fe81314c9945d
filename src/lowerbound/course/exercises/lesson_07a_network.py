"""Lesson 7, the convolutional VAE: its parts, its draws and its bound."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from lowerbound.course.exercise import Exercise, Wrong, expect
from lowerbound.course.tensors import expect_tensor

__all__ = ["EXERCISES"]

K, PLANES, SIDE = 3, 4, 3


GREY, COLOUR = (1, 7, 7), (3, 8, 6)


def _made(conv_vae: Any, shape: tuple[int, int, int] = GREY) -> Any:
    """A small model of the learner's class."""
    model = conv_vae(shape, K, planes=PLANES, filter_size=SIDE)
    expect(isinstance(model, nn.Module), f"ConvVAE(...) is a {type(model).__name__}; expected a class of nn.Module")
    return model


def infer_gives_phi(conv_vae: Any) -> None:
    """Phi is K means and a log sigma."""
    for shape in (GREY, COLOUR):
        x = torch.rand(4, *shape)
        expect_tensor(_made(conv_vae, shape).infer(x), f"infer, for images {list(x.shape)} and K = {K},", (4, K + 1))


def generate_gives_images(conv_vae: Any) -> None:
    """An image for every draw."""
    for shape in (GREY, COLOUR):
        made = _made(conv_vae, shape).generate(torch.randn(4, 5, K))
        expect_tensor(made, f"generate, for codes [4, 5, {K}],", (4, 5, *shape))


def each_draw_its_image(conv_vae: Any) -> None:
    """Image [i, j] is that of code [i, j]."""
    model, codes = _made(conv_vae), torch.randn(2, 3, K)
    with torch.no_grad():
        together, alone = model.generate(codes), model.generate(codes[:1, 1:2])[0, 0]
    expect(
        torch.allclose(together[0, 1], alone, atol=1e-5),
        f"generate(codes)[0, 1] differs by {float((together[0, 1] - alone).abs().max()):.2f} from what codes[0, 1] alone gives: "
        "put [b, n] together by flatten(0, 1) and apart by unflatten(0, (b, n)), or the draws change places",
    )


def bent(conv_vae: Any) -> None:
    """Neither half is a linear map."""
    model = _made(conv_vae)
    for name, layer, shape in (("infer", model.infer, (1, *GREY)), ("generate", model.generate, (1, 1, K))):
        one, two = 5 * torch.randn(shape), 5 * torch.randn(shape)
        with torch.no_grad():
            left = layer(one + two) - layer(one) - layer(two) + layer(torch.zeros(shape))
        expect(
            left.abs().max() > 1e-4,
            f"{name} is a linear map, for {name}(a + b) is {name}(a) + {name}(b) - {name}(0): "
            "is there a ReLU after every layer but the last?",
        )


def offsets_at_both_ends(conv_vae: Any) -> None:
    """Two parameters of an image's shape."""
    for shape in (GREY, COLOUR):
        found = sum(tuple(p.shape) == shape for p in _made(conv_vae, shape).parameters())
        expect(
            found == 2,
            f"{found} parameters have an image's shape {list(shape)}; expected two: a PixelBias before the "
            "first convolution, and one after the last",
        )


def sigma_is_learned(conv_vae: Any) -> None:
    """log_sigma is a parameter, a single number that begins at zero, and its exponential is the noise."""
    model = _made(conv_vae)
    expect(hasattr(model, "log_sigma"), "the model has no log_sigma; expected a parameter of that name")
    kind = type(model.log_sigma).__name__
    expect(
        isinstance(model.log_sigma, nn.Parameter),
        f"log_sigma is a {kind}, which Adam would never see; wrap it: nn.Parameter(torch.zeros(()))",
    )
    expect(
        model.log_sigma.numel() == 1, f"log_sigma holds {model.log_sigma.numel()} numbers; expected one for all pixels"
    )
    expect(
        abs(float(model.log_sigma.detach())) < 1e-6,
        f"log_sigma begins at {float(model.log_sigma.detach()):.2f}; expected 0, so that sigma is 1",
    )


def one_bound_per_image(conv_vae: Any) -> None:
    """The ELBO of each image."""
    x = torch.rand(4, *GREY)
    found = _made(conv_vae).elbo(x, 2)
    expect_tensor(found, "elbo, for 4 images,", (4,))
    expect(
        bool(torch.isfinite(found).all()),
        f"the ELBO of an untrained model is {float(found[0].detach())}; expected a finite number",
    )


def draws_are_used(conv_vae: Any) -> None:
    """As many codes as were asked for are decoded."""
    model = _made(conv_vae)
    shapes: list[tuple[int, ...]] = []
    decode = model.generate

    def counting(codes: Tensor) -> Tensor:
        shapes.append(tuple(codes.shape))
        return decode(codes)

    model.generate = counting
    model.elbo(torch.rand(4, *GREY), 6)
    drawn = sum(math.prod(shape[:-1]) for shape in shapes)
    expect(
        drawn == 24,
        f"elbo(x, 6) of 4 images decoded {drawn} codes; expected 6 for each, 24: is number handed on to "
        "rsample, and does generate get its draws?",
    )


def value_of_the_bound(conv_vae: Any) -> None:
    """The ELBO is reconstruction minus KL, with all constants, at the noise exp(log_sigma)."""
    model = _made(conv_vae)
    x = torch.rand(2, *GREY)
    phi = torch.tensor([[2.0, -1.0, 0.5, -1.0], [0.0, 1.0, -2.0, -1.5]])
    model.infer = lambda x: phi[: len(x)]
    with torch.no_grad():
        model.log_sigma.fill_(-0.7)
        mean, log_sigma = phi[:, :-1], phi[:, -1:]
        codes = mean[:, None] + log_sigma.exp()[:, None] * torch.randn(2, 3000, K)
        error = ((x[:, None] - model.generate(codes)) ** 2).flatten(2).sum(2).mean(1)
        pixels = math.prod(GREY)
        reconstruction = -0.5 * error / math.exp(-1.4) - pixels * (0.5 * math.log(2 * math.pi) - 0.7)
        rate = 0.5 * (mean**2 + (2 * log_sigma).exp() - 1 - 2 * log_sigma).sum(1)
        expected = reconstruction - rate
        found = model.elbo(x, 3000)
    gap = float((found - expected).abs().max())
    expect(
        gap < 0.6,
        f"your ELBO is {float(found[0]):.1f} nats where reconstruction {float(reconstruction[0]):.1f} minus KL "
        f"{float(rate[0]):.1f} is {float(expected[0]):.1f}; the noise is exp(log_sigma), draws are "
        "averaged, the KL is subtracted",
    )


def everything_learns(conv_vae: Any) -> None:
    """The gradient of the ELBO reaches every parameter."""
    model = _made(conv_vae)
    model.elbo(torch.rand(8, *GREY), 4).sum().backward()
    still = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    expect(
        not still, f"the ELBO has no gradient for {', '.join(still[:4])}: is there a detach() or no_grad() on the way?"
    )


CONV_VAE = Exercise(
    name="ConvVAE",
    lesson="07",
    task="Write a VAE with the convolutional autoencoder's layers: infer, generate, elbo, and a learned log_sigma.",
    cases=(
        infer_gives_phi,
        generate_gives_images,
        each_draw_its_image,
        bent,
        offsets_at_both_ends,
        sigma_is_learned,
        one_bound_per_image,
        draws_are_used,
        value_of_the_bound,
        everything_learns,
    ),
    hints=(
        "Begin with the layers of your ConvAutoencoder. Only one of them changes its size: "
        "the last of the encoder has latent_dim + 1 outputs.",
        "generate: self.density(codes.flatten(0, 1)).unflatten(0, codes.shape[:2]). elbo: phi, then codes, then "
        "log_p_x(...).mean(1) minus kl_closed_form(phi).",
        "self.log_sigma = nn.Parameter(torch.zeros(())), and in elbo: log_p_x(x, self.generate(rsample(phi, number)), "
        "self.log_sigma.exp()).mean(1) - kl_closed_form(phi).",
    ),
    wrong=(
        Wrong(
            "K outputs in place of K + 1",
            "infer_gives_phi",
            (("nn.Linear(flat, latent_dim + 1)", "nn.Linear(flat, latent_dim)"),),
        ),
        Wrong(
            "draws and images change places",
            "each_draw_its_image",
            (("codes.flatten(0, 1)", "codes.transpose(0, 1).flatten(0, 1)"),),
        ),
        Wrong("forgets to take the axes apart", "generate_gives_images", ((".unflatten(0, codes.shape[:2])", ""),)),
        Wrong("no ReLU", "bent", (("nn.ReLU()", "nn.Identity()"),)),
        Wrong(
            "no offset at the end",
            "offsets_at_both_ends",
            (("filter_size),\n            PixelBias(image_shape),", "filter_size),"),),
        ),
        Wrong(
            "a noise that is not learned", "sigma_is_learned", (("nn.Parameter(torch.zeros(()))", "torch.zeros(())"),)
        ),
        Wrong(
            "the mean over the batch",
            "one_bound_per_image",
            ((".mean(1)\n", ".mean()\n"), ("kl_closed_form(phi)", "kl_closed_form(phi).mean()")),
        ),
        Wrong("one draw, whatever was asked", "draws_are_used", (("rsample(phi, number)", "rsample(phi, 1)"),)),
        Wrong("log sigma taken for sigma", "one_bound_per_image", (("self.log_sigma.exp()", "self.log_sigma"),)),
        Wrong(
            "the KL is added",
            "value_of_the_bound",
            (("reconstruction - kl_closed_form", "reconstruction + kl_closed_form"),),
        ),
        Wrong("sums over draws", "value_of_the_bound", ((".mean(1)\n", ".sum(1)\n"),)),
        Wrong(
            "draws without a gradient",
            "everything_learns",
            (
                ("rsample(phi, number)", "rsample(phi, number).detach()"),
                ("kl_closed_form(phi)", "kl_closed_form(phi.detach())"),
            ),
        ),
    ),
)


EXERCISES = (CONV_VAE,)
