"""Backbones: every image size, mirror images of each other, and no sample knows of another."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lowerbound.backbone import (
    ConvDecoder,
    ConvEncoder,
    LinearDecoder,
    PixelBias,
    StridedDecoder,
    StridedEncoder,
    fitting_filter_size,
    transposed_by_rows,
)
from lowerbound.layers import steps

SIDES = st.one_of(st.integers(1, 9), st.integers(1, 40))
SHAPES = st.one_of(
    st.tuples(st.sampled_from([1, 3]), SIDES, SIDES),
    st.sampled_from([(1, 1, 1), (3, 1, 40), (3, 40, 1), (1, 2, 39), (1, 13, 7)]),
)
ENCODERS = {
    "tutorial": lambda shape: ConvEncoder(shape, num_filters=4),
    "strided": lambda shape: StridedEncoder(shape, num_filters=3, hidden=8),
}
DECODERS = {
    "linear": LinearDecoder,
    "tutorial": lambda shape, k: ConvDecoder(shape, k, num_filters=4),
    "strided": lambda shape, k: StridedDecoder(shape, k, num_filters=3, hidden=8),
}


def assert_every_parameter_learns(module, loss):
    loss.backward()
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


@pytest.mark.parametrize("encoder", ENCODERS.values(), ids=ENCODERS)
@settings(max_examples=40, deadline=None)
@given(shape=SHAPES)
def test_encoders_take_any_image_size(encoder, shape):
    backbone = encoder(shape)
    images = torch.rand(3, *shape)
    features = backbone(images)
    assert features.shape == (3, backbone.out_features)
    torch.testing.assert_close(backbone(images[1:2]), features[1:2])  # an image's features know of no other image
    assert_every_parameter_learns(backbone, features.square().sum())


@pytest.mark.parametrize("decoder", DECODERS.values(), ids=DECODERS)
@settings(max_examples=40, deadline=None)
@given(shape=SHAPES, k=st.integers(1, 6), leading=st.sampled_from([(1,), (4,), (2, 3), (2, 1, 3), ()]))
def test_decoders_give_any_image_size_whatever_axes_lead(decoder, shape, k, leading):
    backbone = decoder(shape, k)
    codes = torch.randn(*leading, k)
    images = backbone(codes)
    assert images.shape == (*leading, *shape)
    flat = backbone(codes.reshape(-1, k))
    torch.testing.assert_close(images.reshape(flat.shape), flat)
    torch.testing.assert_close(backbone(codes.reshape(-1, k)[-1:]), flat[-1:])
    assert_every_parameter_learns(backbone, images.square().sum())


def test_one_image_never_changes_another():
    encoder, decoder = StridedEncoder((1, 6, 5)), StridedDecoder((1, 6, 5), 2)
    images = torch.rand(3, 1, 6, 5, requires_grad=True)
    decoder(encoder(images)[:, :2])[1].sum().backward()
    assert images.grad is not None
    assert not images.grad[[0, 2]].any()
    assert images.grad[1].any()


@settings(max_examples=60, deadline=None)
@given(shape=SHAPES, size=st.integers(1, 9))
def test_a_filter_is_the_largest_that_fits_up_to_the_one_asked_for(shape, size):
    fits = fitting_filter_size(shape, size)
    left = min(shape[1:]) - 2 * (fits - 1)
    assert 1 <= fits <= size
    assert left >= 1
    assert fits == size or left - 2 < 1  # one larger would leave nothing


@settings(max_examples=25, deadline=None)
@given(shape=SHAPES, size=st.integers(1, 8), k=st.integers(1, 3))
def test_tutorial_networks_mirror_each_other_for_odd_and_even_filters(shape, size, k):
    encoder = ConvEncoder(shape, num_filters=2, filter_size=size)
    decoder = ConvDecoder(shape, k, num_filters=2, filter_size=size)
    inward = [planes for _, planes in steps(encoder.layers, shape)]
    outward = [planes for _, planes in steps(decoder.layers, (k,))]
    assert [shape, *inward] == outward[::-1]
    assert math.prod(inward[-1]) == encoder.out_features


@settings(max_examples=25, deadline=None)
@given(shape=SHAPES)
def test_strided_networks_mirror_each_other(shape):
    _, height, width = shape
    planes = {
        name: [size for words, size in steps(network.layers, start) if "linear" not in words]
        for name, network, start in [
            ("encoder", StridedEncoder(shape, 3, 8), shape),
            ("decoder", StridedDecoder(shape, 2, 3, 8), (2,)),
        ]
    }
    half = (3, math.ceil(height / 2), math.ceil(width / 2))
    quarter = (6, math.ceil(half[1] / 2), math.ceil(half[2] / 2))
    assert planes["encoder"][:2] == [half, quarter]
    assert planes["decoder"] == [quarter, half, shape]


@pytest.mark.parametrize(
    ("shape", "first", "second"), [((1, 28, 28), 24, 20), ((3, 32, 32), 28, 24)], ids=["MNIST", "CIFAR"]
)
def test_the_tutorial_has_its_own_sizes(shape, first, second):
    encoder = ConvEncoder(shape)
    assert [size for _, size in steps(encoder.layers, shape)] == [
        (32, first, first),
        (32, second, second),
        (32 * second**2,),
    ]
    assert encoder.out_features == 32 * second**2
    weights = shape[0] * 32 * 25 + 32 + 32 * 32 * 25 + 32 + math.prod(shape)
    assert sum(parameter.numel() for parameter in encoder.parameters()) == weights


@settings(max_examples=25, deadline=None)
@given(shape=SHAPES, network=st.sampled_from(["tutorial", "strided"]))
def test_steps_say_what_the_layers_do(shape, network):
    for layers, start in [
        (ENCODERS[network](shape).layers, shape),
        (DECODERS[network](shape, 2).layers, (2,)),
    ]:
        passing, sizes, spoken = torch.rand(1, *start), [], " ; ".join(words for words, _ in steps(layers, start))
        for layer in layers:
            passing = layer(passing)
            sizes.append(tuple(passing.shape[1:]))
        changes = [size for size, before in zip(sizes, [None, *sizes], strict=False) if size != before]
        told = [size for _, size in steps(layers, start)]
        assert told[-1] == sizes[-1]
        assert set(changes) - {start} <= set(told)
        assert spoken.count("ReLU") == sum(isinstance(layer, nn.ReLU) for layer in layers)
        assert spoken.count("per-pixel bias") == sum(isinstance(layer, PixelBias) for layer in layers)
        assert spoken.count("transposed") == sum(isinstance(layer, nn.ConvTranspose2d) for layer in layers)
        assert spoken.count("stride 2") == sum(getattr(layer, "stride", None) == (2, 2) for layer in layers)
        assert spoken.count("linear") == sum(isinstance(layer, nn.Linear) for layer in layers)
        for layer in layers:
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                assert "{}x{}".format(*layer.kernel_size) in spoken


def test_a_pixel_bias_moves_every_pixel_by_its_own_offset():
    bias = PixelBias((2, 3, 4))
    images, offset = torch.rand(5, 2, 3, 4), torch.rand(2, 3, 4)
    assert torch.equal(bias(images), images)
    bias.bias.data = offset
    assert torch.equal(bias(images), torch.stack([image + offset for image in images]))


@settings(max_examples=20, deadline=None)
@given(shape=SHAPES, k=st.integers(1, 4))
def test_the_strided_pair_sees_and_draws_the_pixels_themselves(shape, k):
    encoder, decoder = StridedEncoder(shape, 3, 8), StridedDecoder(shape, k, 3, 8)
    encoder.bias.bias.data.normal_()
    decoder.bias.bias.data.normal_()
    images, codes = torch.rand(2, *shape), torch.randn(2, k)
    pixels = math.prod(shape)
    torch.testing.assert_close(encoder(images)[:, -pixels:], (images + encoder.bias.bias).flatten(1))
    for parameter in decoder.layers[-1].parameters():
        parameter.data.zero_()
    linear = (codes @ decoder.linear.weight.T).view(2, *shape) + decoder.bias.bias
    torch.testing.assert_close(decoder(codes), linear)


def results(function, module, start):
    """What a function of a module gives, and the gradients of a sum of its squares by the input and every parameter."""
    start = start.clone().requires_grad_()
    out = function(start)
    return [out, *torch.autograd.grad(out.square().sum(), [start, *module.parameters()])]


def randomised(module):
    for parameter in module.parameters():
        parameter.data.normal_(0, 0.3)
    return module


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(st.sampled_from([1, 2, 3, 6]), SIDES, SIDES),
    filters=st.integers(1, 5),
    size=st.integers(1, 7),
    seed=st.integers(0, 10**6),
)
def test_the_tutorials_pair_does_what_its_layers_do_one_after_the_other(shape, filters, size, seed):
    torch.manual_seed(seed)
    encoder = randomised(ConvEncoder(shape, filters, size).double())
    decoder = randomised(ConvDecoder(shape, 3, filters, size).double())
    images, codes = torch.rand(2, *shape).double(), torch.randn(2, 3).double()
    for network, start in [(encoder, images), (decoder, codes)]:
        for fast, plain in zip(results(network, network, start), results(network.layers, network, start), strict=True):
            torch.testing.assert_close(fast, plain, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (1, 1, 1), (3, 1, 7)])
def test_the_tutorials_pair_is_its_layers_to_the_rounding_of_float32(shape):
    torch.manual_seed(0)
    encoder, decoder = ConvEncoder(shape), ConvDecoder(shape, 20)
    encoder.layers[0].bias.data.normal_(0, 0.3)
    images, codes = torch.rand(4, *shape), torch.randn(4, 20)
    for network, start in [(encoder, images), (decoder, codes)]:
        exact = results(network.double().layers, network, start.double())
        found = results(network.float(), network, start)
        for each, truth in zip(found, exact, strict=True):
            assert (each - truth).norm() <= 3e-6 * truth.norm()


@settings(max_examples=40, deadline=None)
@given(
    inputs=st.integers(1, 4),
    channels=st.integers(1, 4),
    side=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    size=st.tuples(st.integers(1, 6), st.integers(1, 6)),
)
def test_a_transposed_convolution_by_rows_is_one(inputs, channels, side, size):
    planes = torch.randn(2, inputs, *side, dtype=torch.double)
    weight = torch.randn(inputs, channels, *size, dtype=torch.double)
    torch.testing.assert_close(transposed_by_rows(planes, weight), nn.functional.conv_transpose2d(planes, weight))


def test_the_tutorials_pair_is_stored_as_its_layers():
    assert list(ConvEncoder((1, 8, 8)).state_dict()) == [
        f"layers.{name}" for name in ("0.bias", "1.weight", "1.bias", "3.weight", "3.bias")
    ]
    sizes = {name: tuple(value.shape) for name, value in ConvDecoder((3, 8, 8), 2, num_filters=4).state_dict().items()}
    assert sizes == {
        "layers.0.weight": (4 * 2 * 2, 2),
        "layers.0.bias": (4 * 2 * 2,),
        "layers.3.weight": (4, 4, 4, 4),
        "layers.3.bias": (4,),
        "layers.5.weight": (4, 3, 4, 4),
        "layers.5.bias": (3,),
        "layers.6.bias": (3, 8, 8),
    }
