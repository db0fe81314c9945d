"""Models to give away: ONNX graphs checked against torch, weights, and a card that says what they are.

out/README.md                       the card: data, training, measured numbers, how to load
out/vae-k20/encoder.onnx            images to codes, float32
out/vae-k20/decoder.onnx            codes to images, float32
out/vae-k20/model.safetensors       the same weights, for this program, with model.json
out/vae-k20/check.json              how far the graphs are from torch
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch

from lowerbound.errors import InputError
from lowerbound.formats import read_json, to_bytes, to_json
from lowerbound.graphs import decoder_of, encoder_of, graphs
from lowerbound.images import as_floats
from lowerbound.pca import PCA
from lowerbound.stored import Model, StoredModel
from lowerbound.tracing import unchecked
from lowerbound.whole import make_folder, name_folder, refuse_existing, write_whole

__all__ = ["Exported", "export_model", "load_exported", "write_folder"]

CHECKED = 32  # images, and as many random codes


@dataclass(frozen=True)
class Exported:
    """A model as files, and how far its graphs are from torch.

    Attributes:
        files: Content by file name: ``decoder.onnx``, ``encoder.onnx`` where there is one, ``model.safetensors``, ``model.json``,
            ``check.json``.
        decoder_difference: Largest absolute difference of a pixel, in pixel units of [0, 1].
        encoder_difference: Largest absolute difference of a number of a code; None without an encoder.
        checked_by: The program that ran the graphs.
        missing: Why there is no encoder, or nothing.
    """

    files: dict[str, bytes]
    decoder_difference: float
    encoder_difference: float | None
    checked_by: str
    missing: str


def export_model(model: Model, stored: StoredModel, pixels: np.ndarray) -> Exported:
    """A model's graphs, run and held against torch, and its weights.

    The graphs are run by onnxruntime where it is installed, else by onnx's own reference implementation, which is slow.

    Args:
        model: With its weights.
        stored: What it is.
        pixels: Some images uint8 ``[N, C, H, W]`` to check it with; at most 32 are used, and as many random codes.

    Raises:
        InputError: A decoder that has no graph.

    Example:
        >>> images = np.random.default_rng(0).integers(0, 256, (50, 1, 4, 4)).astype(np.uint8)
        >>> made = export_model(PCA(3).fit(images), StoredModel("pca", 3, (1, 4, 4)), images)
        >>> sorted(made.files), made.decoder_difference < 1e-5
        (['check.json', 'decoder.onnx', 'encoder.onnx', 'model.json', 'model.safetensors'], True)
    """
    pixels = pixels[:CHECKED]
    made = graphs(model, pixels, full=True)
    x = as_floats(pixels)
    inward = None
    with unchecked(), torch.no_grad():
        codes = encoder_of(model)(torch.from_numpy(x))
        mean = codes[0] if isinstance(codes, tuple) else codes
        z = torch.cat([mean, torch.randn(mean.shape, generator=torch.Generator().manual_seed(0))])
        images = decoder_of(model)(z)
    (found,), checker = _run(made.decoder, z.numpy())
    outward = float(np.abs(found - images.numpy()).max())
    files = {"decoder.onnx": made.decoder}
    if made.encoder is not None:
        outputs, _ = _run(made.encoder, x)
        expected = codes if isinstance(codes, tuple) else (codes,)
        inward = max(float(np.abs(a - b.numpy()).max()) for a, b in zip(outputs, expected, strict=True))
        files["encoder.onnx"] = made.encoder
    tensors = (
        {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in model.tensors().items()}
        if isinstance(model, PCA)
        else model.state_dict()
    )
    files |= {"model.safetensors": to_bytes(tensors), "model.json": to_json(stored.to_json())}
    files["check.json"] = to_json(
        {
            "checked_by": checker,
            "images": len(x),
            "codes": len(z),
            "largest_difference_of_a_pixel": outward,
            "largest_difference_of_a_code": inward,
            "why_no_encoder": made.missing or None,
        }
    )
    return Exported(files, outward, inward, checker, made.missing)


def _run(graph: bytes, values: np.ndarray) -> tuple[list[np.ndarray], str]:
    """What comes out of a graph of one input, and what ran it."""
    try:
        import onnxruntime
    except ImportError:
        import onnx
        from onnx.reference import ReferenceEvaluator

        model = onnx.load_from_string(graph)
        with np.errstate(over="ignore"):  # its sigmoid of a large negative number: 1 / (1 + infinity)
            found: Any = ReferenceEvaluator(model).run(None, {model.graph.input[0].name: values})
        return list(found), f"onnx {onnx.__version__}, reference implementation"
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    found = session.run(None, {session.get_inputs()[0].name: values})
    return [np.asarray(each) for each in found], f"onnxruntime {onnxruntime.__version__}"


def load_exported(folder: str | Path) -> Model:
    """A model from its exported folder, as this program has it: ``transform``, ``inverse_transform`` and all.

    Raises:
        InputError: No model there, or a damaged one; a model that a function of somebody's own has made.

    Example:
        >>> load_exported("nowhere")
        Traceback (most recent call last):
        lowerbound.errors.InputError: ...
    """
    folder = Path(folder)
    about, file = read_json(folder / "model.json"), folder / "model.safetensors"
    try:
        stored = StoredModel.from_json(about)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{folder / 'model.json'} does not describe a model; export it again") from error
    return stored.load(file)


def write_folder(out: Path, files: Mapping[str, bytes]) -> None:
    """Files in a folder that is not there yet; it appears with all of them or not at all.

    Args:
        out: The folder.
        files: Content by path within it, with "/".

    Raises:
        InputError: The folder exists, or cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as place:
        ...     write_folder(Path(place, "new"), {"a/b.txt": b"one"})
        ...     Path(place, "new", "a", "b.txt").read_bytes()
        b'one'
    """
    refuse_existing(out)
    partial = out.with_name(f".{out.name}.{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    make_folder(partial, new=True)
    try:
        for name, content in files.items():
            file = partial / PurePosixPath(name)
            make_folder(file.parent)
            write_whole(file, content)
        name_folder(partial, out)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
