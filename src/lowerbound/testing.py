"""Is a part of one's own a part? ``check_part`` holds it to the contract that all parts here keep.

    posterior    make(in_features, latent_dim)    head(features) -> distribution over codes
    prior        make(latent_dim)                 prior() -> distribution over one code
    likelihood   make() or make(image_shape)      head(decoder's output) -> distribution over images
    objective    an instance                      objective(model, images, fraction) -> Terms(loss, distortion, rate)
    encoder      make(image_shape)                backbone(images) -> features, as many as its out_features
    decoder      make(image_shape, latent_dim)    backbone(codes) -> images

``make`` is the class itself, or any function that makes the part. The clauses are mathematics as much as shapes: a density
integrates to 1, draws come from it, gradients through draws are those it implies.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from lowerbound.code_clauses import POSTERIOR, PRIOR
from lowerbound.contract import ContractError, expect
from lowerbound.errors import InputError, nearest
from lowerbound.image_clauses import LIKELIHOOD
from lowerbound.network_clauses import DECODER, ENCODER, OBJECTIVE
from lowerbound.trials import FEATURES, SHAPE, Clause, tiny_autoencoder, tiny_vae

__all__ = ["CLAUSES", "ContractError", "check_part"]

CLAUSES: dict[str, dict[str, Clause]] = {
    "posterior": POSTERIOR,
    "prior": PRIOR,
    "likelihood": LIKELIHOOD,
    "objective": OBJECTIVE,
    "encoder": ENCODER,
    "decoder": DECODER,
}
"""Of each kind of part, its clauses by name, in the order in which they are checked."""


def check_part(part: Any, kind: str | None = None, *, seed: int = 0) -> list[str]:
    """Hold a part to the contract of its kind.

    Args:
        part: The class, or a function that makes the part, called as above; of an objective an instance.
        kind: "posterior", "prior", "likelihood", "objective", "encoder" or "decoder"; without it, the first whose calls the
            part answers.
        seed: Fixes all draws; torch's random state is afterwards what it was.

    Returns:
        The clauses that were checked, by name. What does not apply is left out: a posterior without ``phi`` is not asked
        for it, and one without a density is a plain autoencoder's point.

    Raises:
        ContractError: A clause is broken; the message names it, what came, and what was expected.
        InputError: No such kind, or a part that answers the calls of none.

    Example:
        >>> from lowerbound.prior import StandardNormal
        >>> check_part(StandardNormal)[:3]
        ['shapes', 'float64', 'finite at far codes']
    """
    if kind is not None and kind not in CLAUSES:
        raise InputError(f'there is no kind of part "{kind}"{nearest(kind, CLAUSES)}; known are {", ".join(CLAUSES)}')
    if isinstance(part, nn.Module) and kind != "objective":
        raise InputError(
            f"a {type(part).__name__} came that is made already; expected the class, or a function that makes it anew"
        )
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        kind = kind or _kind_of(part)
        make = _with_image_shape(part) if kind == "likelihood" else part
        checked = []
        for place, (name, clause) in enumerate(CLAUSES[kind].items()):
            torch.manual_seed(seed + place)
            try:
                with _settings_kept():
                    applies = clause(make)
            except Exception as error:
                said = str(error) if isinstance(error, ContractError) else f"{type(error).__name__}: {error} came"
                raise ContractError(f'{kind} {_name(part)} breaks "{name}": {said}') from error
            if applies is not False:
                checked.append(name)
    return checked


@contextlib.contextmanager
def _settings_kept() -> Iterator[None]:
    """Torch's global settings are what they were, or else a part has meddled with them; they are put back in any case."""

    def settings() -> tuple[torch.dtype, bool, bool]:
        return torch.get_default_dtype(), torch.is_grad_enabled(), Distribution._validate_args

    before = settings()
    try:
        yield
        expect(settings() == before, f"torch's global settings {settings()}", f"{before}, as they were")
    finally:
        torch.set_default_dtype(before[0])
        torch.set_grad_enabled(before[1])
        Distribution.set_default_validate_args(before[2])


def _name(part: Any) -> str:
    return getattr(part, "__name__", type(part).__name__)


def _with_image_shape(make: Callable[..., Any]) -> Callable[..., Any]:
    """A maker of likelihoods that is called with an image shape, of one that may take none."""

    def made(shape: tuple[int, int, int]) -> Any:
        try:
            return make()
        except TypeError:
            return make(shape)

    return made


def _kind_of(part: Any) -> str:
    """The first kind whose calls the part answers with something of the right type.

    Raises:
        InputError: It answers none.
    """
    said = []
    for kind, answers in _ANSWERS.items():
        try:
            if answers(part):
                return kind
            said.append(f"{kind}: something else came")
        except Exception as error:  # noqa: BLE001  # being no part of this kind shows in any way
            said.append(f"{kind}: {type(error).__name__}: {str(error)[:90]}")
    tried = "; ".join(said)
    raise InputError(f'cannot tell what kind of part {_name(part)} is; name it, as in kind="posterior" (tried {tried})')


def _is_likelihood(part: Any) -> bool:
    head = _with_image_shape(part)(SHAPE)
    values = torch.rand(2, getattr(head, "numbers", 1) * SHAPE[0], *SHAPE[1:])
    return not hasattr(head, "out_features") and isinstance(head(values), Distribution)


def _is_objective(part: Any) -> bool:
    images = torch.zeros(2, *SHAPE)
    try:
        return hasattr(part(tiny_vae(), images), "loss")
    except Exception:  # noqa: BLE001  # it may be one of plain autoencoders
        return hasattr(part(tiny_autoencoder(), images), "loss")


_ANSWERS: dict[str, Callable[[Any], bool]] = {
    "likelihood": _is_likelihood,
    "prior": lambda part: isinstance(part(3)(), Distribution),
    "posterior": lambda part: isinstance(part(FEATURES, 3)(torch.zeros(2, FEATURES)), Distribution),
    "encoder": lambda part: hasattr(part(SHAPE), "out_features"),
    "decoder": lambda part: isinstance(part(SHAPE, 3)(torch.zeros(2, 3)), Tensor),
    "objective": _is_objective,
}
