"""Noise of the rows of a batch is the noise that these rows have in the whole batch."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lowerbound import recipes
from lowerbound.binarise import Binarised
from lowerbound.draws import SharedDraws
from lowerbound.importance import ImportanceWeighted
from lowerbound.objective import Denoising, Elbo
from lowerbound.order import share
from lowerbound.parts import Parts

DRAWS = {
    "randn": torch.randn,
    "randn with axes": lambda shape: torch.randn(*shape),
    "randn with size": lambda shape: torch.randn(size=shape),
    "rand": torch.rand,
    "randn_like": lambda shape: torch.randn_like(torch.zeros(shape)),
    "rand_like": lambda shape: torch.rand_like(torch.zeros(shape), dtype=torch.float64),
    "normal_": lambda shape: torch.empty(shape).normal_(2, 3),
    "uniform_": lambda shape: torch.empty(shape).uniform_(-1, 1),
    "exponential_": lambda shape: torch.empty(shape).exponential_(),
    "normal": lambda shape: torch.normal(torch.zeros(shape), torch.ones(shape)),
    "rsample": lambda shape: torch.distributions.Normal(torch.zeros(shape[-1]), 1.0).rsample(shape[:-1]),
    "sample": lambda shape: torch.distributions.Normal(torch.zeros(shape[-1]), torch.ones(1)).sample(shape[:-1]),
    "laplace": lambda shape: torch.distributions.Laplace(torch.zeros(shape[-1]), 1.0).rsample(shape[:-1]),
}


@pytest.mark.parametrize("name", DRAWS)
@settings(max_examples=20, deadline=None)
@given(st.data())
def test_shares_of_draws_are_the_draws_of_the_whole(name, data):
    whole, size = data.draw(st.integers(6, 12)), data.draw(st.integers(1, 5))
    event = data.draw(st.sampled_from([(5,), (3, 2, 2)]))
    samples = data.draw(st.sampled_from([(), (1,), (2,)]))
    torch.manual_seed(1)
    together = DRAWS[name]((*samples, whole, *event))
    parts = []
    for rank in range(size):
        rows = share(whole, rank, size)
        torch.manual_seed(1)
        with SharedDraws(whole, rows):
            parts.append(DRAWS[name]((*samples, rows.stop - rows.start, *event)))
    assert torch.equal(torch.cat(parts, len(samples)), together)


def test_draws_that_are_of_no_batch_are_the_same_everywhere():
    torch.manual_seed(1)
    alone = torch.randn(3)
    torch.manual_seed(1)
    with SharedDraws(8, slice(0, 4)):
        assert torch.equal(torch.randn(3), alone)


OBJECTIVES = {
    "elbo": Elbo(),
    "three samples": Elbo(samples=3),
    "not analytic": Elbo(analytic=False),
    "importance": ImportanceWeighted(5),
    "doubly": ImportanceWeighted(5, doubly=True),
    "binarised": Binarised(Elbo()),
}


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("posterior", ["isotropic", "diagonal", "full", "flow"])
def test_losses_of_shares_are_the_losses_of_the_whole(objective, posterior):
    parts = Parts(posterior=posterior, likelihood="bernoulli" if objective == "binarised" else "normal")
    torch.manual_seed(0)
    model = recipes.RECIPES["vae"].build((1, 6, 6), 3, recipes.NETWORKS["strided"], None, parts, 100)
    model.objective = OBJECTIVES[objective]
    images = torch.rand(7, 1, 6, 6)
    torch.manual_seed(2)
    together = model.loss(images).loss
    found = []
    for rank in range(3):
        rows = share(7, rank, 3)
        torch.manual_seed(2)
        with SharedDraws(7, rows):
            found.append(model.loss(images[rows]).loss)
    torch.testing.assert_close(torch.cat(found), together, rtol=1e-5, atol=1e-5)


def test_denoising_spoils_shares_as_it_would_the_whole():
    images = torch.rand(6, 1, 4, 4)
    torch.manual_seed(3)
    together = Denoising(0.3, 0.2).spoilt(images)
    torch.manual_seed(3)
    with SharedDraws(6, slice(2, 5)):
        assert torch.equal(Denoising(0.3, 0.2).spoilt(images[2:5]), together[2:5])
