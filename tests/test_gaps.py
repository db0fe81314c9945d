"""Where the nats go: known exactly on probabilistic PCA with a spoilt encoder, and consistent on networks."""

import json
import math

import numpy as np
import pytest
import torch

from lowerbound import recipes
from lowerbound.errors import InputError
from lowerbound.evidence import evidence
from lowerbound.gaps import Gap, where_the_nats_go
from lowerbound.linear import linear_vae
from lowerbound.pca import PCA
from lowerbound.posterior import IsotropicNormal
from lowerbound.sources import load

K = 3


@pytest.fixture(scope="module")
def digits():
    return load("digits").train.pixels


class Isotropic(torch.nn.Module):
    """An isotropic head on the exact posterior means: off by a shift, and with one scale for all directions."""

    from_phi = staticmethod(IsotropicNormal.from_phi)
    phi_size = staticmethod(IsotropicNormal.phi_size)

    def __init__(self, exact, shift):
        super().__init__()
        self.exact, self.shift = exact, shift
        self.scale = exact.log_scales.exp().square().reciprocal().mean().rsqrt()  # of all isotropic q the best

    def phi(self, features):
        mean = (features - self.exact.mean) @ self.exact.inward.T + self.shift * self.scale
        return torch.cat([mean, self.scale.log().expand(len(mean), 1)], dim=-1)

    def forward(self, features):
        return self.from_phi(self.phi(features))


def test_gaps_of_probabilistic_pca_are_those_of_the_closed_form(digits):
    pca = PCA(8).fit(digits)
    model = linear_vae(pca, torch.float64)
    exact_scales = model.encoder[-1].log_scales.exp().detach()
    with torch.no_grad():
        model.encoder[-1] = Isotropic(model.encoder[-1], shift=0.5)
    gaps = where_the_nats_go(model, digits, number=12, samples=1_000, steps=300)
    scale = model.encoder[-1].scale.detach()
    # KL between the best isotropic q and the exact posterior; the shift adds half its squared length in the posterior's units
    approximation = float((exact_scales.log() - scale.log()).sum())
    amortisation = float(0.5 * (0.5 * scale / exact_scales).square().sum())
    assert approximation > 0.1
    assert amortisation > 0.2
    for gap, true in ((gaps.approximation, approximation), (gaps.amortisation, amortisation)):
        assert np.abs(gap.nats - true).max() < 5 * gap.error.max() + 0.05  # the ascent stops within 0.02 nat
        assert abs(gap.nats.mean() - true) < 4 * gap.monte_carlo_error + 0.03
    assert (np.abs(gaps.log_p.nats - pca.score_samples(digits[:12])) < 5 * gaps.log_p.error + 0.01).all()
    assert np.abs(gaps.richer["diagonal"].nats - gaps.log_p.nats).max() < 0.1  # the true family
    np.testing.assert_allclose(gaps.total.nats, gaps.amortisation.nats + gaps.approximation.nats, atol=1e-9)
    assert gaps.family == "isotropic"


def test_an_exact_encoder_leaves_no_gap(digits):
    gaps = where_the_nats_go(linear_vae(PCA(K).fit(digits), torch.float64), digits, number=5, samples=50, steps=20)
    assert np.abs(gaps.total.nats).max() < 0.01
    assert np.abs(gaps.amortisation.nats).max() < 0.05
    assert not gaps.annealed.any()
    assert list(gaps.richer) == ["full"]  # its own family is the diagonal


@pytest.mark.slow
def test_a_network_never_falls_short_of_its_own_encoder(digits):
    model = recipes.vae((1, 8, 8), K, start=PCA(K).fit(digits))
    gaps = where_the_nats_go(model, digits, number=6, samples=200, steps=100, temperatures=5)
    noise = 4 * gaps.amortisation.error + 0.05
    assert (gaps.amortisation.nats > -noise).all()
    assert (gaps.approximation.nats > -4 * gaps.approximation.error - 0.05).all()
    np.testing.assert_allclose(gaps.reconstruction.nats - gaps.rate.nats, gaps.encoder.nats, atol=1e-9)
    stored = json.loads(json.dumps(gaps.to_json(), allow_nan=False))
    assert stored["images"] == 6
    assert stored["table"]["log p(x)"]["mean"] == pytest.approx(gaps.log_p.nats.mean())
    assert len(gaps.rows()) == len(stored["table"]) == 12


def test_images_with_few_effective_draws_are_annealed(digits, monkeypatch):
    model = recipes.vae((1, 8, 8), K)
    monkeypatch.setattr("lowerbound.weights.RELIABLE", 1e9)
    found = where_the_nats_go(model, digits, number=3, samples=40, steps=5, temperatures=3)
    weighed = found.evidence
    expected = weighed.effective_samples < 20  # half of the draws
    assert (found.annealed == expected).all()
    assert ((found.log_p.nats == weighed.log_p) == ~expected).all()


def test_differences_are_paired_by_image():
    one, other = Gap(np.array([5.0, 100.0]), np.array([0.3, 0.0])), Gap(np.array([4.0, 99.0]), np.array([0.4, 0.0]))
    gap = one - other
    assert gap.estimate.mean == 1
    assert gap.estimate.standard_error == 0
    assert gap.error[0] == pytest.approx(0.5)
    assert gap.monte_carlo_error == pytest.approx(0.25)
    assert math.isnan(Gap(np.ones(1), np.ones(1)).estimate.standard_error)


def test_what_cannot_be_split_is_refused(digits):
    model = recipes.vae((1, 8, 8), K)
    with pytest.raises(InputError, match="number is 0"):
        where_the_nats_go(model, digits, number=0)
    with pytest.raises(InputError, match="has no p\\(z\\)"):
        where_the_nats_go(recipes.linear((1, 8, 8), K), digits)


@pytest.mark.slow
def test_evidence_from_a_better_q_is_surer_not_different(digits):
    model = recipes.vae((1, 8, 8), K, start=PCA(K).fit(digits))
    gaps = where_the_nats_go(model, digits, number=8, samples=1_000, steps=300)
    plain = evidence(model, digits[:8], samples=20_000)
    assert np.median(gaps.evidence.effective_samples / 1_000) >= np.median(plain.effective_samples / 20_000)
    error = math.hypot(plain.monte_carlo_error, gaps.log_p.monte_carlo_error)
    assert abs(plain.log_p.mean() - gaps.log_p.nats.mean()) < 4 * error + 0.02
