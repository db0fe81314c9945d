"""Fitted priors from the tensors they were stored as: sizes are read from the tensors, and what is no prior is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from lowerbound.errors import InputError, nearest
from lowerbound.gaussian import GaussianMixture, MultivariateGaussian, Whitened
from lowerbound.prior import Flow, Mixture, VampPrior

__all__ = ["rebuild"]


def rebuild(name: str, tensors: Mapping[str, Tensor], *, encoder: nn.Module | None = None) -> nn.Module:
    """The fitted prior of that name from the tensors of its ``state_dict``.

    Args:
        name: One of ``FITTED``.
        tensors: As stored; sizes are read from them.
        encoder: The model's, which "vamp" needs.

    Raises:
        InputError: An unknown name, or tensors that no such prior has.

    Example:
        >>> prior = MultivariateGaussian(torch.ones(2), torch.eye(2))
        >>> rebuild("normal", prior.state_dict())().mean
        tensor([1., 1.])
    """
    if name not in _BUILDERS:
        known = ", ".join(_BUILDERS)
        raise InputError(f'no prior is called "{name}"; expected one of {known}{nearest(name, _BUILDERS)}')
    build = _BUILDERS[name]
    if name == "vamp" and encoder is None:
        raise InputError('a fitted prior "vamp" needs the encoder of its model; give it')
    try:
        with torch.random.fork_rng([]):  # whatever the weights start with is overwritten
            prior = build(tensors, encoder)
        prior.to(next(tensor.dtype for tensor in tensors.values() if tensor.is_floating_point()))
        prior.load_state_dict(dict(tensors))
        with torch.no_grad():
            one = prior().log_prob(torch.zeros_like(prior().mean))
    except (LookupError, RuntimeError, TypeError, ValueError, AttributeError, StopIteration) as error:
        reason = str(error).strip().split("\n")[-1].strip()
        raise InputError(f'the tensors are not of a fitted prior "{name}" ({reason}); fit it again') from error
    if one.shape or not one.isfinite():
        raise InputError(f'the tensors give no density of a code under a fitted prior "{name}"; fit it again')
    return prior.eval()


def _build_flow(tensors: Mapping[str, Tensor], _: nn.Module | None) -> Whitened:
    couplings = {key.split(".")[3]: key for key in tensors if key.startswith("prior.transform.transforms.")}
    layers = sorted(key for key in tensors if ".transforms.0.hyper." in key and key.endswith("weight"))
    hidden = [len(tensors[key]) for key in layers[:-1]]
    latent_dim = len(tensors["loc"])
    prior = Flow(latent_dim, transforms=len(couplings), hidden=hidden)
    return Whitened(prior, tensors["loc"].clone(), tensors["scale_tril"].clone())


def _build_mixture(tensors: Mapping[str, Tensor], _: nn.Module | None) -> Whitened:
    components, latent_dim = tensors["prior.means"].shape
    return Whitened(Mixture(latent_dim, components), tensors["loc"].clone(), tensors["scale_tril"].clone())


def _build_vamp(tensors: Mapping[str, Tensor], encoder: nn.Module) -> VampPrior:
    components, *image_shape = tensors["logits"].shape
    return VampPrior(encoder, tuple(image_shape), components)  # type: ignore[arg-type]


def _build_normal(tensors: Mapping[str, Tensor], _: nn.Module | None) -> MultivariateGaussian:
    return MultivariateGaussian(tensors["loc"].clone(), tensors["scale_tril"].clone())


def _build_gaussian_mixture(tensors: Mapping[str, Tensor], _: nn.Module | None) -> GaussianMixture:
    return GaussianMixture(*(tensors[key].clone() for key in ("weights", "means", "scale_trils")))


_BUILDERS: dict[str, Callable[..., nn.Module]] = {
    "normal": _build_normal,
    "gmm": _build_gaussian_mixture,
    "mixture": _build_mixture,
    "vamp": _build_vamp,
    "flow": _build_flow,
}
