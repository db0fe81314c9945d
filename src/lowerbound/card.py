"""The card of exported models: what they learned from, how, how good they are, and how to load them. Markdown, as README.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lowerbound.exporting import Exported
from lowerbound.look import one_line
from lowerbound.recipes import RECIPES
from lowerbound.report import footnote, rows
from lowerbound.storage import Run
from lowerbound.stored import StoredModel

__all__ = ["card"]


def card(run: Run, models: Sequence[StoredModel], made: Mapping[str, Exported]) -> str:
    """The card of some models of a run.

    Args:
        run: Complete.
        models: Those that are exported.
        made: The files of each, by its name.

    Returns:
        Markdown. No path of this machine is in it.
    """
    source, shown = run.about["source"], models[-1]
    names = ", ".join(model.name for model in models)
    channels, height, width = shown.image_shape
    colour = "grey" if channels == 1 else "colour"
    title = _plain(source["name"])
    lines = [
        "---",
        "library_name: lowerbound",
        "license: unknown",
        "tags: [latent-variable model, images, onnx]",
        "---",
        "",
        f"# {title}: {names}",
        "",
        f"Models that keep K numbers of a {colour} image of {width} x {height} pixels, made by lowerbound "
        f"{_plain(run.about['machine']['lowerbound'])}.",
        "",
        "## Licence",
        "",
        "TO BE FILLED IN. No licence is stated yet. The licence of the images may bind these models, too.",
        "",
        "## Data",
        "",
        f"- name: {title}",
        f"- training images: {source['train']:,}; test images: {source['test']:,}, which no model learned from",
        f"- image shape (channels, height, width): {channels}, {height}, {width}",
        f"- sha256 of all pixels, train then test: `{source['sha256']}`",
    ]
    if source["class_names"]:
        lines.append(
            f"- classes: {len(source['class_names'])}; the models were trained on the images alone, without them"
        )
    lines += [f"- {_plain(choice, 300)}" for choice in source["choices"]]
    if source.get("binarise"):
        lines.append(f"- made 0 and 1: {source['binarise']['kind']}, seed {source['binarise']['seed']}")
    lines += ["", "## Models", ""]
    for stored in models:
        lines += _model(stored, made[stored.name])
    lines += _measured(run, models)
    return "\n".join([*lines, *_loading(models, made), ""])


def _model(stored: StoredModel, made: Exported) -> list[str]:
    """What one model is, and how it was trained."""
    settings, parts = stored.settings, stored.parts
    words = RECIPES[stored.recipe].words if stored.recipe in RECIPES else "a model of the user's own"
    lines = [f"### {stored.name}", "", f"- {words}; K = {stored.latent_dim}"]
    if stored.recipe != "pca":
        if stored.recipe != "linear":
            lines.append(f"- network: {stored.network}")
        if parts is not None and stored.recipe == "vae":
            lines.append("- parts: " + ", ".join(f"{kind} {name}" for kind, name in parts.to_json().items()))
        schedule = settings.to_json()["schedule"]
        lines.append(
            f"- training: {settings.epochs} epochs of Adam on {stored.images:,} images, batches of {settings.batch_size}, "
            f"highest rate {settings.learning_rate:g}, schedule {schedule}, seed {settings.seed}"
        )
    check = f"- graphs checked by {made.checked_by}: pixels within {made.decoder_difference:.1e} of torch's"
    if made.encoder_difference is not None:
        check += f", codes within {made.encoder_difference:.1e}"
    lines.append(check)
    if made.missing:
        lines.append(f"- no encoder.onnx: {_plain(made.missing, 300)}")
    return [*lines, ""]


def _measured(run: Run, models: Sequence[StoredModel]) -> list[str]:
    """The table of test numbers, and how it is to be read."""
    names = {model.name for model in models}
    measured = [row for row in run.metrics if row["name"] in names]
    head = ("model", "K", "test MSE per pixel", "PSNR, dB", "SSIM", "test ELBO, nats per image", "training, s")
    return [
        "## Measured on the test images",
        "",
        f"| {' | '.join(head)} |",
        "|" + "---|" * len(head),
        *("| " + " | ".join(row).replace(" *", " \\*") + " |" for row in rows(measured)),
        "",
        footnote(run).replace("*", "\\*"),
        "",
    ]


def _loading(models: Sequence[StoredModel], made: Mapping[str, Exported]) -> list[str]:
    """How to use them, in code that runs in this folder."""
    stored = models[-1]
    name, k, shape = stored.name, stored.latent_dim, ", ".join(map(str, stored.image_shape))
    lines = [
        "## How to load",
        "",
        "With onnxruntime and NumPy alone (`pip install onnxruntime`), in this folder:",
        "",
        "```python",
        "import numpy as np, onnxruntime",
        f'decoder = onnxruntime.InferenceSession("{name}/decoder.onnx")',
        f"z = np.random.default_rng(0).standard_normal((4, {k})).astype(np.float32)",
        f'images = decoder.run(["x"], {{"z": z}})[0]  # [4, {shape}], pixels in [0, 1], not clipped',
        "```",
        "",
    ]
    if made[name].encoder_difference is not None:
        lines += [
            "```python",
            "import numpy as np, onnxruntime",
            f'encoder = onnxruntime.InferenceSession("{name}/encoder.onnx")',
            f"images = np.zeros((4, {shape}), np.float32)  # yours, pixels in [0, 1]",
            f'codes = encoder.run(["mean"], {{"x": images}})[0]  # [4, {k}]',
            "```",
            "",
        ]
    if stored.recipe in RECIPES:
        lines += [
            "With lowerbound, which has all of the model:",
            "",
            "```python",
            "from lowerbound.exporting import load_exported",
            f'model = load_exported("{name}")',
            "```",
            "",
        ]
    return lines


def _plain(text: object, longest: int = 100) -> str:
    """A name or sentence of the user's on one line, with nothing that Markdown or HTML would take for its own."""
    words = one_line(text, longest)
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>|#" else c for c in words)
