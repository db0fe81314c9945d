"""Models as ONNX graphs: what another program makes of them is what torch makes of the model."""

from __future__ import annotations

import warnings

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn
from torch.distributions import Distribution

from lowerbound import recipes, tracing
from lowerbound.autoencoder import Autoencoder
from lowerbound.backbone import LinearDecoder
from lowerbound.errors import InputError
from lowerbound.graphs import CLOSE, decoder_of, encoder_of, graphs, spreads
from lowerbound.parts import LIKELIHOODS, POSTERIORS, Parts
from lowerbound.pca import PCA
from lowerbound.posterior import Point
from lowerbound.recipes import NETWORKS, RECIPES
from lowerbound.tracing import traced

SHAPE, K = (1, 7, 6), 3
PIXELS = np.random.default_rng(0).integers(0, 256, (40, *SHAPE)).astype(np.uint8)


def run(file, value):
    """What onnxruntime makes of a graph, by the names of what comes out."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_outputs()]
    return dict(zip(names, session.run(names, {session.get_inputs()[0].name: value}), strict=True))


def vae(shape=SHAPE, network="patched", **parts):
    return RECIPES["vae"].build(shape, K, NETWORKS[network], None, Parts(**parts), 10).eval()


def conv(network, shape=SHAPE):
    return recipes.conv(shape, K, NETWORKS[network]).eval()


def farthest(model, made, shape=SHAPE):
    """The largest difference between torch and the graphs: of images, and of codes and their spreads."""
    images, codes = [], []
    random = np.random.default_rng(1)
    for number in (1, 2, 7):
        z = random.standard_normal((number, K)).astype(np.float32)
        x = random.random((number, *shape), np.float32)
        with torch.no_grad():
            images.append(np.abs(run(made.decoder, z)["x"] - decoder_of(model)(torch.from_numpy(z)).numpy()).max())
            expected = encoder_of(model)(torch.from_numpy(x))
        expected = expected if isinstance(expected, tuple) else (expected,)
        found = run(made.encoder, x)
        assert list(found) == ["mean", "spread"][: len(expected)]
        for one, other in zip(found.values(), expected, strict=True):
            assert one.shape == tuple(other.shape)
            codes.append(np.abs(one - other.numpy()).max())
    return max(images), max(codes)


MODELS = {
    "pca": lambda: PCA(K).fit(PIXELS),
    "linear": lambda: recipes.linear(SHAPE, K).eval(),
    "vae": vae,
    **{f"conv, {network}": lambda network=network: conv(network) for network in NETWORKS},
}
SLOW = {
    **{f"q {name}": lambda name=name: vae(posterior=name) for name in POSTERIORS if name != "point"},
    **{
        f"p {name}": lambda name=name: vae(likelihood=name, **({"binarise": "static"} if name == "bernoulli" else {}))
        for name in LIKELIHOODS
        if name != "none"
    },
}


@pytest.mark.parametrize("name", [*MODELS, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
def test_graphs_give_what_torch_gives_for_any_number_of_images(name):
    model = (MODELS | SLOW)[name]()
    made = graphs(model, PIXELS[:5])
    image, code = farthest(model, made)
    assert made.halved
    assert image < CLOSE
    assert code < 5e-3
    image, code = farthest(model, graphs(model, PIXELS[:5], full=True))
    assert image < 1e-5
    assert code < 1e-5


@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 9, 8)])
def test_odd_sizes_and_colour_have_graphs(shape):
    pixels = np.random.default_rng(0).integers(0, 256, (20, *shape)).astype(np.uint8)
    model = vae(shape)
    assert farthest(model, graphs(model, pixels[:4], full=True), shape)[0] < 1e-5


def test_the_same_model_gives_the_same_bytes_and_they_tell_of_no_machine():
    model = conv("patched")
    made = graphs(model, PIXELS[:5])
    assert made == graphs(model, PIXELS[:5])
    for file in (made.decoder, made.encoder):
        for word in (b"/", b".py", b"torch", b"pytorch"):
            assert word not in _words_of(onnx.load_from_string(file))


def _words_of(model):
    """All text of a graph that is not needed to run it, and the names of its nodes."""
    texts = [model.producer_name, model.producer_version, model.domain, model.doc_string, model.graph.doc_string]
    texts += [each.value for each in model.metadata_props]
    for node in model.graph.node:
        texts += [node.name, node.doc_string, *(each.value for each in node.metadata_props)]
    return "\n".join(texts).encode()


def test_weights_are_stored_as_halves_and_a_small_one_is_not():
    made, full = (onnx.load_from_string(graphs(vae(), PIXELS[:5], full=full).decoder) for full in (False, True))
    kinds = {tensor.name: tensor.data_type for tensor in made.graph.initializer}
    sizes = {tensor.name: np.prod(tensor.dims) for tensor in made.graph.initializer}
    halves = {name for name, kind in kinds.items() if kind == onnx.TensorProto.FLOAT16}
    assert halves == {name for name, size in sizes.items() if size >= tracing.SMALL}
    assert {tensor.data_type for tensor in full.graph.initializer} == {onnx.TensorProto.FLOAT}
    assert len(made.SerializeToString()) < 0.6 * len(full.SerializeToString())


def test_halves_are_not_taken_where_they_would_move_images():
    model = recipes.linear((1, 20, 20), K).eval()
    pixels = np.random.default_rng(0).integers(0, 256, (10, 1, 20, 20)).astype(np.uint8)
    assert graphs(model, pixels).halved
    with torch.no_grad():
        model.decoder.layers[0].weight.mul_(100)
    made = graphs(model, pixels)
    assert not made.halved
    z = np.ones((2, K), np.float32)
    with torch.no_grad():
        expected = decoder_of(model)(torch.from_numpy(z)).numpy()
    np.testing.assert_allclose(run(made.decoder, z)["x"], expected, atol=1e-3, rtol=1e-5)


def test_where_few_numbers_move_images_the_many_are_halved_all_the_same(monkeypatch):
    from lowerbound import graphs as module

    model = conv("patched")
    with torch.no_grad():
        model.decoder.bias.bias.add_(100.02)  # a number of each pixel, which float16 takes for 100
    monkeypatch.setattr(module, "SMALL", model.decoder.bias.bias.numel())
    monkeypatch.setattr(module, "LARGE", np.inf)
    assert not graphs(model, PIXELS[:5]).halved
    monkeypatch.setattr(module, "LARGE", 1000)
    made = graphs(model, PIXELS[:5])
    assert made.halved
    kinds = [(np.prod(each.dims), each.data_type) for each in onnx.load_from_string(made.decoder).graph.initializer]
    assert {kind for size, kind in kinds if size >= 1000} == {onnx.TensorProto.FLOAT16}
    assert farthest(model, made)[0] < CLOSE


def test_checks_of_distributions_are_as_they_were():
    before = Distribution._validate_args
    try:
        for checked in (True, False):
            Distribution.set_default_validate_args(checked)
            graphs(vae(), PIXELS[:2])
            assert Distribution._validate_args is checked
    finally:
        Distribution.set_default_validate_args(before)


@pytest.mark.parametrize(("posterior", "expected"), [("isotropic", 1), ("diagonal", K), ("full", 0), ("flow", 0)])
def test_spreads_are_of_single_axes_alone(posterior, expected):
    assert spreads(vae(posterior=posterior)) == expected


class Strange(nn.Module):
    """Codes by an operation that ONNX has no word for."""

    def forward(self, codes):
        return torch.linalg.eigvals(torch.diag_embed(codes)).real.sum(-1, keepdim=True).expand(-1, 42).view(-1, *SHAPE)


class Choosing(nn.Module):
    """What it does depends on how many images there are."""

    def __init__(self):
        super().__init__()
        self.line = LinearDecoder(SHAPE, K)

    def forward(self, codes):
        return self.line(codes) if len(codes) % 2 else self.line(codes).flip(-1).sigmoid()


@pytest.mark.parametrize("decoder", [Strange(), Choosing()], ids=["strange", "choosing"])
def test_a_decoder_without_a_graph_is_refused_in_one_line(decoder, capfd):
    encoder = nn.Sequential(nn.Flatten(), Point(42, K))
    with pytest.raises(InputError, match="no ONNX graph") as refusal:
        graphs(Autoencoder(encoder, decoder, SHAPE).eval(), PIXELS[:3])
    assert "\n" not in str(refusal.value)
    assert not capfd.readouterr().out, "the exporter's own words are nobody's business"


def test_an_encoder_without_a_graph_leaves_the_decoder():
    class Odd(nn.Module):
        def forward(self, images):
            return torch.linalg.eigvals(torch.diag_embed(images.flatten(1))).real

    model = Autoencoder(nn.Sequential(Odd(), Point(42, K)), LinearDecoder(SHAPE, K), SHAPE).eval()
    made = graphs(model, PIXELS[:3])
    assert made.encoder is None
    assert "no ONNX graph" in made.missing
    assert run(made.decoder, np.zeros((2, K), np.float32))["x"].shape == (2, *SHAPE)
    assert graphs(model, PIXELS[:3], encoders=False).missing == ""


def test_sizes_that_the_exporter_took_for_constants_follow_the_number_of_rows():
    class Cut(nn.Module):
        def forward(self, rows):
            planes = nn.functional.pixel_shuffle(rows.view(-1, 4, 1, 1), 2)[..., :1, :]
            return rows[:, :2].reshape(planes.shape) + planes

    raw = tracing._exported(Cut().eval(), torch.zeros(2, 4), "z", ["x"])
    assert any(
        node.op_type == "Constant" and onnx.numpy_helper.to_array(node.attribute[0].t).tolist() == 2
        for node in raw.graph.node
    ), "the exporter is right by itself now, and tracing needs one trace"
    file = traced(Cut().eval(), torch.zeros(1, 4), "z", ["x"], full=True)
    for number in (1, 5):
        rows = np.arange(4.0 * number, dtype=np.float32).reshape(number, 4)
        np.testing.assert_array_equal(run(file, rows)["x"], 2 * rows[:, :2].reshape(number, 1, 1, 2))


@pytest.mark.slow
def test_the_exporter_that_torch_recommends_serves_where_the_old_one_is_gone(monkeypatch):
    pytest.importorskip("onnxscript")
    export = torch.onnx.export

    def without(model, args, **how):  # a torch that has no old exporter to choose
        return export(model, args, dynamo=True, **how)

    monkeypatch.setattr(torch.onnx, "export", without)
    model = vae()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter's own libraries
        made = graphs(model, PIXELS[:3], full=True)
    assert max(farthest(model, made)) < 1e-5
