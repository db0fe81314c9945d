"""The contract of objectives and backbones, clause by clause. A clause is a function of what makes the part.

It raises where the part breaks it, and returns False where there is nothing to hold the part to. Weights are shaken first,
since a part may well begin at zero.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lowerbound.contract import (
    batch_independent,
    draws_are_the_callers,
    every_parameter_learns,
    expect,
    finite,
    same_after_state_dict,
)
from lowerbound.trials import (
    SHAPE,
    Clause,
    K,
    Make,
    blobs,
    doubled,
    of_shape,
    shaken,
    tiny_autoencoder,
    tiny_vae,
    trains,
)

__all__ = ["DECODER", "ENCODER", "OBJECTIVE"]


# objective(model, images, fraction) -> Terms: an instance, that is not made anew


def _model(objective: Any) -> Any:
    """A model that the objective can be of: a VAE, or else a plain autoencoder."""
    vae = tiny_vae(objective=objective)
    try:
        objective(vae, blobs(4))
    except Exception:  # noqa: BLE001  # whatever it says of a VAE, a plain autoencoder may suit it
        return tiny_autoencoder(objective=objective)
    return vae


def objective_shapes(objective: Any) -> None:
    for batch in (8, 2):
        terms = _model(objective).loss(blobs(batch))
        for name in ("loss", "distortion", "rate"):
            expect(hasattr(terms, name), f"a {type(terms).__name__} without {name}", "Terms(loss, distortion, rate)")
            of_shape(getattr(terms, name), (batch,), name)


def objective_finite(objective: Any) -> None:
    model = shaken(_model(objective))
    for images in (torch.zeros(5, *SHAPE), torch.ones(5, *SHAPE), blobs(5)):
        terms = model.loss(images)
        for name in ("loss", "distortion", "rate"):
            finite(getattr(terms, name), f"{name} of black, of white or of random images")


def objective_learns(objective: Any) -> None:
    model = shaken(_model(objective))

    def loss() -> Tensor:
        return model.loss(blobs(16)).loss.mean()

    every_parameter_learns(model, loss)


def objective_schedule(objective: Any) -> None:
    expect(
        "fraction" in inspect.signature(objective).parameters,
        "no fraction among its arguments",
        "objective(model, images, fraction=1.0), as training calls it",
    )
    model = _model(objective)
    for fraction in (0.0, 0.3, 1.0):
        finite(objective(model, blobs(5), fraction).loss, f"loss at a fraction of {fraction:g}")


def objective_chance(objective: Any) -> None:
    model, images = shaken(_model(objective)), blobs(5)
    before = images.clone()
    torch.manual_seed(3)
    one = model.loss(images).loss
    torch.manual_seed(3)
    other = model.loss(images).loss
    expect(torch.equal(one, other), "another loss from the same seed", "the same: draw with torch's own generator only")
    expect(torch.equal(images, before), "other images afterwards", "images as they were")
    following = []
    for seed in (3, 4):
        torch.manual_seed(seed)
        model.loss(images)
        following.append(torch.randn(5))
    expect(
        not torch.equal(*following), "the same draws afterwards from two seeds", "others: leave the generator unseeded"
    )


def objective_double(objective: Any) -> None:
    terms = _model(objective).double().loss(blobs(4).double())
    doubled({name: getattr(terms, name) for name in ("loss", "distortion")})


def objective_trains(objective: Any) -> None:
    trains(_model(objective))


# backbones: encoder(image_shape) with out_features, decoder(image_shape, latent_dim)

SHAPES = ((1, 8, 8), (3, 16, 12), (1, 28, 28))


def encoder_shapes(make: Make) -> None:
    for shape in SHAPES:
        for batch in (1, 4):
            backbone = make(shape)
            of_shape(backbone(torch.rand(batch, *shape)), (batch, backbone.out_features), "features")


def decoder_shapes(make: Make) -> None:
    for shape in SHAPES:
        for batch in ((4,), (2, 3)):
            of_shape(make(shape, K)(torch.randn(*batch, K)), (*batch, *shape), "images")


def _network(make: Make, *, decoder: bool) -> tuple[Any, Callable[[int], Tensor]]:
    """A backbone, and what makes its inputs."""
    if decoder:
        return make(SHAPE, K), lambda batch: torch.randn(batch, K)
    return make(SHAPE), lambda batch: torch.rand(batch, *SHAPE)


def network_finite(make: Make, *, decoder: bool) -> None:
    backbone, inputs = _network(make, decoder=decoder)
    for size in (0.0, 1.0, 1e3):
        finite(shaken(backbone)(size * inputs(5)), f"what comes of inputs of size {size:g}")


def network_learns(make: Make, *, decoder: bool) -> None:
    backbone, inputs = _network(make, decoder=decoder)
    every_parameter_learns(shaken(backbone), lambda: (backbone(3 * inputs(64)) - 1).square().sum())


def network_stored(make: Make, *, decoder: bool) -> None:
    rows = _network(make, decoder=decoder)[1](4)

    def made() -> Any:
        backbone, _ = _network(make, decoder=decoder)
        return backbone.eval()

    same_after_state_dict(made, lambda backbone: backbone(rows))


def network_chance(make: Make, *, decoder: bool) -> None:
    backbone, inputs = _network(make, decoder=decoder)
    rows = inputs(4)
    shaken(backbone).eval()
    draws_are_the_callers(lambda: backbone(rows), lambda: backbone(rows), chance=False)


def network_double(make: Make, *, decoder: bool) -> None:
    backbone, inputs = _network(make, decoder=decoder)
    doubled({"its output": backbone.double()(inputs(2).double())})


def network_alone(make: Make, *, decoder: bool) -> None:
    backbone, inputs = _network(make, decoder=decoder)
    batch_independent(shaken(backbone).eval(), inputs(6), "what comes")


def network_trains(make: Make, *, decoder: bool) -> None:
    trains(tiny_vae(decoder=make) if decoder else tiny_vae(encoder=make))


def _backbone(shapes: Clause, *, decoder: bool) -> dict[str, Clause]:
    clauses: dict[str, Callable[..., bool | None]] = {
        "finite at large inputs": network_finite,
        "every parameter learns": network_learns,
        "draws nothing": network_chance,
        "state_dict holds all": network_stored,
        "float64": network_double,
        "an image alone": network_alone,
        "trains": network_trains,
    }
    return {"shapes": shapes} | {name: functools.partial(clause, decoder=decoder) for name, clause in clauses.items()}


OBJECTIVE: dict[str, Clause] = {
    "takes a fraction": objective_schedule,
    "shapes": objective_shapes,
    "finite": objective_finite,
    "every parameter learns": objective_learns,
    "draws are the caller's": objective_chance,
    "float64": objective_double,
    "trains": objective_trains,
}
ENCODER = _backbone(encoder_shapes, decoder=False)
DECODER = _backbone(decoder_shapes, decoder=True)
