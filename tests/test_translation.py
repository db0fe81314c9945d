"""The translator: a loss written with torch has the gradients of the bound it is said to be, times the stated factor."""

import json
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributions import Bernoulli, Laplace, Normal, kl_divergence
from torch.nn import functional

from lowerbound.errors import InputError
from lowerbound.translation import ERRORS, REDUCTIONS, Loss, translate

REDUCED = st.sampled_from(sorted(REDUCTIONS))
WEIGHT = st.floats(1e-4, 1e3)


def reduced(values, how):
    """One number of values ``[batch, ...]``, as programs do it."""
    if how == "mean":
        return values.mean()
    return values.sum() if how == "sum-all" else values.flatten(1).sum(1).mean()


def written(loss, x, guess, q):
    """The loss as it is written, with torch's own functions."""
    error = {
        "squared": lambda: functional.mse_loss(guess, x, reduction="none"),
        "half-squared": lambda: 0.5 * (x - guess) ** 2,
        "bce": lambda: functional.binary_cross_entropy(guess, x, reduction="none"),
        "l1": lambda: functional.l1_loss(guess, x, reduction="none"),
    }[loss.error]()
    divergence = kl_divergence(q, Normal(torch.zeros(()).double(), torch.ones(()).double()))
    reconstruction, kl = reduced(error, loss.reconstruction), reduced(divergence, loss.kl)
    return loss.reconstruction_weight * reconstruction + loss.kl_weight * kl


def ours(said, x, guess, q):
    """-log p(x|z) + beta KL(q || N(0, I)), nats per image, the mean over the batch."""
    p = {
        "Normal": lambda: Normal(guess, said.scale),
        "Laplace": lambda: Laplace(guess, said.scale),
        "Bernoulli": lambda: Bernoulli(guess, validate_args=False),
    }[said.likelihood]()
    divergence = kl_divergence(q, Normal(torch.zeros(()).double(), torch.ones(()).double())).sum(1)
    return (-p.log_prob(x).flatten(1).sum(1) + said.beta * divergence).mean()


@settings(max_examples=80, deadline=None)
@given(
    st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 5)),
    st.integers(1, 6),
    st.integers(1, 5),
    st.sampled_from(sorted(ERRORS)),
    REDUCED,
    REDUCED,
    WEIGHT,
    WEIGHT,
    st.one_of(st.none(), st.floats(0.05, 3)),
    st.integers(0, 2**16),
)
def test_gradients_are_those_of_the_bound(shape, k, batch, error, reconstruction, kl, weight, kl_weight, scale, seed):
    loss = Loss(shape, k, error, reconstruction, kl, weight, kl_weight, batch)
    said = translate(loss, scale=None if error == "bce" else scale)
    draw = torch.Generator().manual_seed(seed)
    x = torch.rand(batch, *shape, generator=draw, dtype=torch.float64)
    guess = (0.1 + 0.8 * torch.rand(batch, *shape, generator=draw, dtype=torch.float64)).requires_grad_()
    mean = torch.randn(batch, k, generator=draw, dtype=torch.float64).requires_grad_()
    log_scale = torch.randn(batch, k, generator=draw, dtype=torch.float64).requires_grad_()
    q = Normal(mean, log_scale.exp())
    parts = (guess, mean, log_scale)
    for theirs, own in zip(
        torch.autograd.grad(written(loss, x, guess, q), parts, retain_graph=True),
        torch.autograd.grad(ours(said, x, guess, q), parts),
        strict=True,
    ):
        torch.testing.assert_close(theirs, said.factor * own, rtol=1e-8, atol=1e-12 * float(theirs.abs().max()))


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(["squared", "half-squared", "l1"]), REDUCED, REDUCED, WEIGHT)
def test_the_scale_at_beta_one_has_beta_one(error, reconstruction, kl, weight):
    loss = Loss((3, 8, 8), 7, error, reconstruction, kl, kl_weight=weight, batch=16)
    assert translate(loss, scale=translate(loss).scale_at_beta_one).beta == pytest.approx(1)


def test_well_known_losses():
    assert translate(Loss((3, 64, 64), 128, kl_weight=0.00025)).beta == pytest.approx(1.536)
    assert translate(Loss((3, 32, 32), 256, kl="mean", kl_weight=0.1)).beta == pytest.approx(0.6)
    assert translate(Loss((1, 28, 28), 20, "half-squared", "sum")).scale_at_beta_one == 1
    plain = translate(Loss((1, 28, 28), 20, "bce", "sum-all", "sum-all"))
    assert plain.beta == 1
    assert "binarise" in plain.warning
    assert "negative ELBO itself" in plain.meaning


def test_no_weight_on_the_kl_is_no_vae():
    for error in ERRORS:
        said = translate(Loss((1, 2, 2), 2, error, kl_weight=0))
        assert said.beta == 0
        assert "no VAE" in said.meaning


def test_meanings_follow_the_scale():
    said = [translate(Loss((1, 1, 1), 1, kl_weight=2 * s**2)) for s in (1e-4, 0.01, 0.05, 0.2, 0.5)]
    for one, words in zip(
        said, ("rounding", "sharp", "learned sigma finds", "expect blur;", "nothing is known"), strict=True
    ):
        assert words in one.meaning
    assert json.loads(json.dumps(said[0].to_json()))["likelihood"] == "Normal"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"error": "squred"}, 'did you mean "squared"'),
        ({"kl": "avg"}, "expected one of mean, sum, sum-all"),
        ({"reconstruction": "sum-all"}, "give the batch"),
        ({"reconstruction_weight": 0.0}, "above 0"),
        ({"kl_weight": -1.0}, "0 or more"),
        ({"kl_weight": math.nan}, "0 or more"),
        ({"batch": 0}, "at least 1"),
    ],
)
def test_what_has_no_meaning_is_refused(settings, words):
    with pytest.raises(InputError, match=words):
        Loss((3, 8, 8), 4, **settings)


def test_scales_that_have_no_meaning_are_refused():
    with pytest.raises(InputError, match="above 0"):
        translate(Loss((1, 2, 2), 2), scale=0.0)
    with pytest.raises(InputError, match="no scale"):
        translate(Loss((1, 2, 2), 2, "bce"), scale=0.5)
    with pytest.raises(InputError, match="at least 1"):
        Loss((1, 0, 2), 2)
