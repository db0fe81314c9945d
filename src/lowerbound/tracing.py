"""A module as an ONNX file: traced by torch, made free in the number of images, stripped of all that is not computed.

The same module gives the same bytes, which name no file, no machine and no version of torch.
"""

from __future__ import annotations

import inspect
import io
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from torch import Tensor, nn
from torch.distributions import Distribution

from lowerbound.errors import InputError

__all__ = ["OPSET", "SMALL", "traced", "unchecked"]

OPSET = 18  # onnxruntime-web 1.30 runs it; what torch writes by default is younger than some readers
SMALL = 256  # numbers, 1 kB: of fewer, halves save nothing
IMAGES = (2, 3)  # a graph is traced with; 1 would be taken for an axis to stretch


def traced(module: nn.Module, example: Tensor, name: str, outputs: list[str], *, full: bool) -> bytes:
    """A module as an ONNX file.

    Args:
        module: Of one tensor, whose first axis is free; gives as many tensors as there are names of outputs.
        example: One row of what it takes, ``[1, ...]``.
        name: Of its input.
        outputs: Names of what comes out.
        full: Whether every weight is stored as float32, also where float16 would hold it exactly.

    Raises:
        InputError: An operation that ONNX does not know, or sizes that are no line in the number of rows.

    Example:
        >>> file = traced(nn.Linear(2, 3).eval(), torch.zeros(1, 2), "z", ["x"], full=True)
        >>> [node.op_type for node in onnx.load_from_string(file).graph.node]
        ['Gemm']
    """
    try:
        with unchecked(), _plain_couplings():
            made = [_exported(module, example.repeat(n, *[1] * (example.ndim - 1)), name, outputs) for n in IMAGES]
        model = _free(made[0], made[1], name)
        onnx.checker.check_model(model, full_check=True)
    except InputError:
        raise
    except Exception as error:  # whatever an exporter may meet in a module, the user's own among them
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise InputError(f"it has no ONNX graph ({reason})") from error
    for node in _nodes(model.graph):
        node.ClearField("doc_string")
        node.ClearField("name")
        del node.metadata_props[:]
    for field in ("producer_name", "producer_version", "domain", "doc_string"):
        model.ClearField(field)  # type: ignore[arg-type]
    model.graph.name = "lowerbound"
    model.graph.ClearField("doc_string")
    for proto in (model, model.graph, *model.graph.input, *model.graph.output, *model.graph.value_info):
        del proto.metadata_props[:]
    del model.graph.value_info[:], model.functions[:]
    if not full:
        _store_halves(model.graph)
    return model.SerializeToString(deterministic=True)


@contextmanager
def unchecked() -> Iterator[None]:
    """No checks of distributions meanwhile: they look into the numbers, and a graph would do so for ever."""
    before = Distribution._validate_args
    Distribution.set_default_validate_args(False)
    try:
        yield
    finally:
        Distribution.set_default_validate_args(before)


@contextmanager
def _plain_couplings() -> Iterator[None]:
    """A flow's couplings order their halves meanwhile; what writes them into a blank is traced wrongly."""
    zuko: Any = sys.modules.get("zuko.transforms")
    if zuko is None:
        yield
        return

    def merge(self: Any, one: Tensor, other: Tensor, shape: Any) -> Tensor:  # noqa: ARG001  (as zuko calls it)
        return torch.cat([one, other], dim=-1)[..., torch.cat([self.idx_a, self.idx_b]).argsort()]

    before = zuko.CouplingTransform.merge
    zuko.CouplingTransform.merge = merge
    try:
        yield
    finally:
        zuko.CouplingTransform.merge = before


def _exported(module: nn.Module, example: Tensor, name: str, outputs: list[str]) -> onnx.ModelProto:
    """What torch writes of a module, traced with some images."""
    content = io.BytesIO()
    if "dynamo" not in inspect.signature(torch.onnx.export).parameters:  # the old exporter is gone
        batch = torch.export.Dim("n", min=1)
        program: Any = torch.onnx.export(
            module,
            (example,),
            input_names=[name],
            output_names=outputs,
            opset_version=OPSET,
            dynamic_shapes=({0: batch},),
            external_data=False,
        )
        program.save(content)
        return onnx.load_from_string(content.getvalue())
    # It always switches its log on, and prints the whole graph when it meets what it cannot write; it is let not.
    silent = mock.patch.object(torch._C, "_jit_set_onnx_log_enabled", create=True)
    with warnings.catch_warnings(), silent:
        # The exporter that torch recommends takes seconds for a graph and two libraries more; this one a tenth of a second.
        warnings.filterwarnings("ignore", "You are using the legacy TorchScript-based ONNX export", DeprecationWarning)
        warnings.filterwarnings("ignore", "The feature will be removed", DeprecationWarning)
        # What it says of a trace that might not be general, or of sizes it cannot fold, two traces and a check will tell.
        warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)  # type: ignore[attr-defined]
        warnings.filterwarnings("ignore", "Constant folding", UserWarning)
        torch.onnx.export(
            module,
            (example,),
            content,  # type: ignore[arg-type]
            input_names=[name],
            output_names=outputs,
            opset_version=OPSET,
            dynamic_axes={each: {0: "n"} for each in (name, *outputs)},
            dynamo=False,
            do_constant_folding=False,  # weights stay as they are named, and halves that are exact stay so
        )
    return onnx.load_from_string(content.getvalue())


def _nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """All nodes of a graph, and of graphs within them."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _nodes(inner)


def _free(one: onnx.ModelProto, other: onnx.ModelProto, name: str) -> onnx.ModelProto:
    """A model traced with two numbers of images, with every whole number that differs computed from the number at hand.

    The old exporter writes sizes it thinks it knows as constants. They are a + b n, and two traces tell a and b.
    """
    if [node.op_type for node in one.graph.node] != [node.op_type for node in other.graph.node]:
        raise InputError("it has no ONNX graph (what it computes depends on how many images there are)")
    nodes: list[onnx.NodeProto] = []
    for node, twin in zip(one.graph.node, other.graph.node, strict=True):
        if node.op_type != "Constant" or node.attribute[0].t == twin.attribute[0].t:
            nodes.append(node)
            continue
        first, last = (numpy_helper.to_array(each.attribute[0].t) for each in (node, twin))
        if first.dtype != np.int64 or first.shape != last.shape:
            raise InputError("it has no ONNX graph (what it computes depends on how many images there are)")
        slope = (last - first) // (IMAGES[1] - IMAGES[0])
        nodes += _computed(node.output[0], first - IMAGES[0] * slope, slope, name)
    del one.graph.node[:]
    one.graph.node.extend(nodes)
    return one


def _computed(output: str, start: np.ndarray, slope: np.ndarray, name: str) -> list[onnx.NodeProto]:
    """Nodes that give start + slope n, n the length of an input's first axis."""

    def constant(word: str, value: np.ndarray) -> onnx.NodeProto:
        tensor = numpy_helper.from_array(np.asarray(value, np.int64))
        return helper.make_node("Constant", [], [f"{output}.{word}"], value=tensor)

    return [
        helper.make_node("Shape", [name], [f"{output}.shape"]),
        constant("zero", np.array(0)),
        helper.make_node("Gather", [f"{output}.shape", f"{output}.zero"], [f"{output}.n"]),
        constant("slope", slope),
        constant("start", start),
        helper.make_node("Mul", [f"{output}.n", f"{output}.slope"], [f"{output}.times"]),
        helper.make_node("Add", [f"{output}.times", f"{output}.start"], [output]),
    ]


def _store_halves(graph: onnx.GraphProto) -> None:
    """Store as float16 every large weight that float16 holds exactly, with a cast in front of whoever reads it."""
    casts = []
    for weights in graph.initializer:
        if weights.data_type != onnx.TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(weights)
        with np.errstate(over="ignore"):
            half = values.astype(np.float16)
        if values.size < SMALL or not np.array_equal(half.astype(np.float32), values):
            continue
        whole = weights.name
        weights.CopyFrom(numpy_helper.from_array(half, f"{whole}.half"))
        casts.append(helper.make_node("Cast", [f"{whole}.half"], [whole], to=onnx.TensorProto.FLOAT))
    after = list(graph.node)
    del graph.node[:]
    graph.node.extend([*casts, *after])
