"""p(x|z), one contract over every head: total probability, gradients, no NaN; closed forms; a sigma that never falls below
the rounding of pixels."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.func import functional_call

from lowerbound.errors import InputError
from lowerbound.images import ROUNDING_SCALE
from lowerbound.likelihood import (
    Bernoulli,
    ContinuousBernoulli,
    DecodedNormal,
    DiscretizedLogistic,
    Laplace,
    Normal,
    OptimalNormal,
    PixelNormal,
)

SHAPE = (3, 2, 4)
NOISY = {  # heads with a sigma, which they take at the start
    "normal": Normal,
    "fixed normal": lambda scale=0.5: Normal(scale, learned=False),
    "pixel normal": lambda scale=0.5: PixelNormal(SHAPE, scale),
    "decoded normal": DecodedNormal,
    "optimal normal": OptimalNormal,
    "laplace": Laplace,
    "fixed laplace": lambda scale=0.5: Laplace(scale, learned=False),
    "discretized logistic": DiscretizedLogistic,
}
HEADS = {**NOISY, "bernoulli": Bernoulli, "continuous bernoulli": ContinuousBernoulli}

each_head = pytest.mark.parametrize("make", HEADS.values(), ids=HEADS)
each_noisy_head = pytest.mark.parametrize("make", NOISY.values(), ids=NOISY)


def outputs_for(head, *leading, shape=SHAPE, dtype=torch.float32):
    return torch.randn(*leading, head.numbers * shape[0], *shape[1:], dtype=dtype)


def images_for(head, *leading, shape=SHAPE, dtype=torch.float32):
    images = torch.rand(*leading, *shape, dtype=dtype)
    return images.round() if head.binary else (images * 255).round() / 255


# One contract over all heads


@each_head
@pytest.mark.parametrize("leading", [(), (5,), (2, 5), (3, 2, 5)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("training", [True, False])
def test_any_leading_axes_and_both_precisions(make, leading, dtype, training):
    head = make().to(dtype).train(training)
    p = head(outputs_for(head, *leading, dtype=dtype))
    batch = leading[-1:]
    assert p.event_shape == SHAPE
    assert p.batch_shape == leading
    assert p.mean.shape == (*leading, *SHAPE)
    assert p.sample().shape == (*leading, *SHAPE)
    assert p.sample(torch.Size([4])).shape == (4, *leading, *SHAPE)
    log_prob = p.log_prob(images_for(head, *batch, dtype=dtype))
    assert log_prob.shape == leading
    assert {p.mean.dtype, p.sample().dtype, log_prob.dtype} == {dtype}


@each_head
def test_images_are_independent_given_their_codes(make):
    head = make().eval()
    outputs, images = outputs_for(head, 3, 5), images_for(head, 5)
    together = head(outputs).log_prob(images)
    alone = torch.stack(
        [torch.stack([head(o).log_prob(x) for o, x in zip(row, images, strict=True)]) for row in outputs]
    )
    torch.testing.assert_close(together, alone)


@each_head
def test_what_is_stored_comes_back(make):
    head, other = make(), make()
    head.set_scale(0.123)
    head(outputs_for(head, 5)).log_prob(images_for(head, 5))  # an optimal sigma is remembered
    other.load_state_dict(head.state_dict())
    head.eval(), other.eval()
    outputs, images = outputs_for(head, 5), images_for(head, 5)
    assert torch.equal(head(outputs).log_prob(images), other(outputs).log_prob(images))


@each_head
@pytest.mark.parametrize("training", [True, False])
def test_gradients_equal_finite_differences(make, training):
    head = make().double().train(training)
    names = [name for name, _ in head.named_parameters()]
    images = images_for(head, 2, dtype=torch.float64)

    def log_prob(outputs, *parameters):
        return functional_call(head, dict(zip(names, parameters, strict=True)), (outputs,)).log_prob(images)

    outputs = outputs_for(head, 3, 2, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(log_prob, (outputs, *head.parameters()))


@each_head
def test_the_mean_has_the_gradient_of_finite_differences(make):
    head = make().double()
    outputs = (0.1 * outputs_for(head, 2, dtype=torch.float64)).requires_grad_()
    assert torch.autograd.gradcheck(lambda o: head(o).mean, (outputs,))


@each_head
@pytest.mark.parametrize("scale", [1e-9, 1e-3, 1.0, 1e4])
@pytest.mark.parametrize("training", [True, False])
def test_nothing_a_network_puts_out_makes_nan(make, scale, training):
    head = make().train(training)
    head.set_scale(scale)
    extremes = torch.tensor([-1e4, -100.0, -1.0, -1e-3, 0.0, 1e-3, 0.5, 1.0, 100.0, 1e4])
    pixels = torch.tensor([0.0, 1.0] if head.binary else [0.0, 1 / 255, 0.4, 1.0])
    grid = torch.cartesian_prod(*[extremes] * head.numbers, pixels).reshape(-1, head.numbers + 1)
    outputs = grid[:, :-1].reshape(-1, head.numbers, 1, 1).repeat_interleave(3, 1).expand(-1, -1, 2, 4)
    outputs = outputs.clone().requires_grad_()
    images = grid[:, -1].reshape(-1, 1, 1, 1).expand(-1, *SHAPE)
    p = head(outputs)
    log_prob = p.log_prob(images)
    gradients = torch.autograd.grad(log_prob.sum() + p.mean.sum(), [outputs, *head.parameters()])
    for value in (log_prob, p.mean, p.sample(), *gradients):
        assert torch.isfinite(value).all()


@each_head
def test_draws_have_the_mean(make):
    head = make().double()
    head.set_scale(0.1)
    p = head(outputs_for(head, dtype=torch.float64).detach())
    draws = p.sample(torch.Size([20_000]))
    error = draws.std(0) / math.sqrt(len(draws))
    assert ((draws.mean(0) - p.mean).abs() < 5 * error + 1e-4).all()  # the logistic's mean is the one before rounding


@each_head
def test_unlink_finds_the_output_with_a_mean(make):
    head = make()
    head.set_scale(0.005)  # the logistic variable is then hardly cut off at 0.02
    means = torch.linspace(0.02, 0.98, 24).view(SHAPE)
    outputs = head.unlink(means)
    assert outputs.shape == (head.numbers * SHAPE[0], *SHAPE[1:])
    torch.testing.assert_close(head(outputs).mean, means, rtol=0, atol=1e-3)


@each_head
def test_constant_pixels_have_an_output_too(make):
    head = make()
    ends = torch.tensor([0.0, 1.0]).repeat(12).view(SHAPE)
    assert (head(head.unlink(ends)).mean - ends).abs().max() < 0.04  # the logistic variable is cut off


@each_head
def test_what_a_head_says_of_itself(make):
    head = make()
    assert head.numbers in {1, 2}
    assert isinstance(head.discrete, bool)
    assert head.discrete >= head.binary
    for name, value in head.gauges().items():
        assert name == "sigma"
        assert value.shape == ()
    assert not any(name.startswith("sigma") for name in head.state_dict())


# Heads with pixel noise


@each_noisy_head
@pytest.mark.parametrize("scale", [0.02, 0.3, 0.7])
def test_sigma_is_the_standard_deviation_of_draws(make, scale):
    head = make(scale=scale).double()
    location = head.unlink(torch.full(SHAPE, 0.5, dtype=torch.float64))
    if head.discrete:  # by how far it was cut off: its logistic variable is looked at instead
        spread = head(location).width.item() * math.pi / math.sqrt(3)
    else:
        spread = head(location).sample(torch.Size([4000])).std().item()
    assert spread == pytest.approx(scale, rel=0.02)


@each_noisy_head
def test_set_scale_sets_sigma_unless_it_is_fixed(make):
    head = make(scale=0.5)
    head.set_scale(0.07)
    fixed = not list(head.parameters()) and not isinstance(head, DecodedNormal | OptimalNormal)
    scale = head(head.unlink(torch.zeros(SHAPE))).scale if isinstance(head, DecodedNormal) else head.scale
    torch.testing.assert_close(scale, torch.full_like(scale, 0.5 if fixed else 0.07), rtol=1e-4, atol=0)


@each_noisy_head
@pytest.mark.parametrize("scale", [0, -1.0, math.nan, math.inf])
def test_a_scale_that_is_none_is_refused(make, scale):
    with pytest.raises(InputError, match="standard deviation"):
        make(scale=scale)


DENSITIES = {name: NOISY[name] for name in NOISY if name != "discretized logistic"}


@pytest.mark.parametrize("make", DENSITIES.values(), ids=DENSITIES)
@pytest.mark.parametrize("scale", [1e-9, 0.05, 0.5, 0.99])
def test_a_density_integrates_to_one(make, scale):
    head = make(scale=scale).double().eval()
    mean = torch.full(SHAPE, 0.4, dtype=torch.float64)
    p = head(head.unlink(mean))
    sigma = (p.variance.sqrt() if hasattr(p, "location") and hasattr(p, "scale") else head.scale).flatten()[0].item()
    steps = sigma * torch.linspace(
        -28, 28, 40_001, dtype=torch.float64
    )  # of one pixel; a Laplace density has long tails
    images = mean.repeat(len(steps), 1, 1, 1)
    at_the_mean = p.log_prob(mean) / mean.numel()  # the density of each other pixel
    images[:, 0, 0, 0] += steps
    density = (p.log_prob(images) - (mean.numel() - 1) * at_the_mean).exp()
    assert torch.trapezoid(density, steps).item() == pytest.approx(1, abs=1e-5)


@each_noisy_head
def test_no_sigma_is_below_the_rounding_to_8_bits(make):
    head = make(scale=1e-9).eval()
    p = head(head.unlink(torch.zeros(SHAPE)))
    scale = p.scale if isinstance(head, DecodedNormal) else head.scale
    assert (scale / ROUNDING_SCALE).min().item() == pytest.approx(1, abs=2e-3)


# Normal, against the closed form


@settings(max_examples=50, deadline=None)
@given(
    st.tuples(st.sampled_from([1, 3]), st.integers(1, 9), st.integers(1, 9)),
    st.sampled_from([(), (1,), (4,), (2, 3)]),
    st.floats(0.01, 10),
    st.integers(0, 1000),
)
def test_the_density_is_the_closed_form(shape, leading, scale, seed):
    random = torch.Generator().manual_seed(seed)
    means, images = torch.rand(*leading, *shape, generator=random), torch.rand(*shape, generator=random)
    log_prob = Normal(scale)(means).log_prob(images)
    pixels = math.prod(shape)
    squares = (images.double() - means.double()).square().sum((-3, -2, -1))
    expected = -pixels / 2 * math.log(2 * math.pi) - pixels * math.log(scale) - squares / (2 * scale**2)
    assert log_prob.shape == leading
    torch.testing.assert_close(log_prob.double(), expected, rtol=2e-5, atol=1e-4)


@pytest.mark.parametrize("scale", [1e-9, 0.05, 1.0, 3.0])
def test_total_probability_is_one(scale):
    head = Normal(scale).double()
    sigma = head.scale.item()
    grid = 0.4 + sigma * torch.linspace(-9, 9, 2001, dtype=torch.float64)
    density = head(torch.full((1, 1, 1), 0.4, dtype=torch.float64)).log_prob(grid.view(-1, 1, 1, 1)).exp()
    assert torch.trapezoid(density, grid).item() == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("scale", [1e-9, ROUNDING_SCALE / 2, ROUNDING_SCALE, 0.3])
def test_sigma_stays_above_the_rounding_to_8_bits(scale):
    assert Normal(scale).scale.item() == pytest.approx(max(scale, ROUNDING_SCALE), rel=1e-5)


def test_images_that_are_met_exactly_have_a_finite_density_at_any_sigma():
    head = Normal()
    head.log_scale.data.fill_(-1e6)
    perfect = head(torch.zeros(1, 1, 4, 4)).log_prob(torch.zeros(1, 1, 4, 4))
    assert perfect.item() == pytest.approx(-16 * math.log(ROUNDING_SCALE * math.sqrt(2 * math.pi)), rel=1e-5)


def test_sigma_learns_to_be_the_root_mean_squared_error():
    torch.manual_seed(0)
    images, means, head = torch.rand(20, 1, 4, 4), torch.rand(20, 1, 4, 4), Normal()
    head.log_scale.data.fill_((images - means).square().mean().sqrt().log())
    (slope,) = torch.autograd.grad(head(means).log_prob(images).mean(), head.log_scale)
    assert slope.item() == pytest.approx(0, abs=1e-4)  # the likelihood's maximum
    assert torch.equal(head(means).mean, means)


def test_a_draw_has_the_scale():
    torch.manual_seed(0)
    draws = Normal(0.2)(torch.zeros(1, 100, 200)).sample().double()
    assert draws.std().item() == pytest.approx(0.2, rel=5 / math.sqrt(2 * 20_000))


def test_a_fixed_sigma_is_no_parameter_but_is_stored():
    head = Normal(0.3, learned=False)
    assert not list(head.parameters())
    assert list(head.state_dict()) == ["log_scale"]
    assert list(Normal().state_dict()) == ["log_scale"]


# Normals with other sigmas


def test_a_pixel_normal_has_the_density_of_its_sigmas():
    head = PixelNormal(SHAPE).double()
    head.log_scale.data = torch.randn(SHAPE, dtype=torch.float64)
    means, images = torch.rand(2, 5, *SHAPE).double(), torch.rand(5, *SHAPE).double()
    variance = (2 * head.log_scale).exp() + ROUNDING_SCALE**2
    expected = torch.distributions.Normal(means, variance.sqrt()).log_prob(images).sum((-3, -2, -1))
    torch.testing.assert_close(head(means).log_prob(images), expected)


def test_a_pixel_that_was_constant_can_leave_the_floor():
    head = PixelNormal((1, 1, 1))
    head.log_scale.data.fill_(-9)
    assert head.scale.item() == pytest.approx(ROUNDING_SCALE, rel=0.01)
    (slope,) = torch.autograd.grad(head(torch.zeros(1, 1, 1)).log_prob(torch.ones(1, 1, 1)), head.log_scale)
    assert slope.item() > 1


def test_a_decoded_normal_has_the_density_of_its_sigmas():
    head = DecodedNormal(scale=0.2).double()
    outputs, images = torch.randn(2, 5, 6, 2, 4).double(), torch.rand(5, *SHAPE).double()
    p = head(outputs)
    expected = torch.distributions.Normal(outputs[..., :3, :, :], p.scale).log_prob(images).sum((-3, -2, -1))
    torch.testing.assert_close(p.log_prob(images), expected)
    assert (p.scale > ROUNDING_SCALE).all()
    assert (p.scale < 1).all()
    assert torch.equal(p.scale.argsort(-1), outputs[..., 3:, :, :].argsort(-1))  # a larger number, a larger sigma


def test_the_optimal_sigma_is_better_than_any_other():
    head = OptimalNormal().double()
    means, images = torch.rand(2, 5, *SHAPE).double(), torch.rand(5, *SHAPE).double()
    best = head(means).log_prob(images).sum()
    error = (means - images).square().mean()
    expected = -means.numel() / 2 * ((2 * math.pi * error).log() + 1)
    torch.testing.assert_close(best, expected)
    for factor in (0.9, 0.99, 1.01, 1.1):
        other = Normal((factor * error.sqrt()).item()).double()
        assert other(means).log_prob(images).sum() < best


def test_the_gradient_of_the_optimal_normal_is_that_of_a_normal_at_its_optimum():
    means, images = torch.rand(5, *SHAPE).double().requires_grad_(), torch.rand(5, *SHAPE).double()
    (through,) = torch.autograd.grad(OptimalNormal().double()(means).log_prob(images).sum(), means)
    fixed = Normal((means - images).square().mean().sqrt().item(), learned=False)
    fixed.log_scale = fixed.log_scale.double()
    (detached,) = torch.autograd.grad(fixed(means).log_prob(images).sum(), means)
    torch.testing.assert_close(through, detached, rtol=1e-6, atol=1e-6)


def test_an_optimal_sigma_is_remembered_and_then_stays():
    head, images = OptimalNormal(), torch.zeros(5, *SHAPE)
    for error in (0.1, 0.3):
        head(images).log_prob(images + error)
    assert head.scale.item() == pytest.approx(math.sqrt((0.1**2 + 0.3**2) / 2), rel=1e-5)
    for _ in range(200):
        head(images).log_prob(images + 0.2)
    remembered = head.scale.clone()
    assert remembered.item() == pytest.approx(0.2, rel=1e-3)  # the first batches are forgotten
    with torch.no_grad():
        head(images).log_prob(images + 0.9)
    alone = head.eval()(images[:1]).log_prob(images[:1] + 0.9)
    assert torch.equal(head.scale, remembered)
    torch.testing.assert_close(alone, Normal(remembered.item())(images[:1]).log_prob(images[:1] + 0.9))


def test_an_optimal_sigma_of_perfect_images_is_the_rounding():
    head, images = OptimalNormal(), torch.zeros(5, *SHAPE)
    assert torch.isfinite(head(images).log_prob(images)).all()
    assert head.scale.item() == pytest.approx(ROUNDING_SCALE, rel=1e-5)


# Laplace


def test_a_laplace_has_the_closed_form_of_its_sigma():
    means, images = torch.rand(2, 5, *SHAPE).double(), torch.rand(5, *SHAPE).double()
    expected = torch.distributions.Laplace(means, 0.3 / math.sqrt(2)).log_prob(images).sum((-3, -2, -1))
    torch.testing.assert_close(Laplace(0.3).double()(means).log_prob(images), expected, rtol=1e-6, atol=1e-6)
