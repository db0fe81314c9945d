"""All that the live page of a run holds, as named bytes, and the JSON that tells of them.

Of a run the page has the first test images, what every model makes of them, the models themselves as graphs, and the numbers of
the report. What cannot be there is left out with the reason, never the page. The same run gives the same bytes, and in them is
no path of this machine and no date but the run's own.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np

from lowerbound import look, page_numbers, report
from lowerbound.errors import InputError
from lowerbound.images import Images, ImageSet
from lowerbound.page_models import Shown, shown_model
from lowerbound.page_numbers import without_paths
from lowerbound.progress import Progress, quiet
from lowerbound.replicates import averaged
from lowerbound.sheets import columns_of, sheets
from lowerbound.storage import Run
from lowerbound.stored import StoredModel

__all__ = ["MOST_SHOWN", "NO_LABEL", "SCHEMA", "Payload", "payload"]

SCHEMA = 2
MOST_SHOWN = 10_000  # images
VALUES = 64_000_000  # pixels that a page unpacks: of large images fewer are shown
RAW = 2000 * 3 * 32 * 32  # values that are stored as they are; beyond, colour images and large ones come as sheets
LARGE = 64 * 64  # values of an image from which on a grey one is a photograph rather than a drawing
NO_LABEL = 65535
LIVE = ("map", "dimensions", "interpolate", "generate", "reconstruct")  # panels that need a model


@dataclass(frozen=True)
class Payload:
    """What the page holds.

    Attributes:
        meta: As JSON holds it.
        assets: Bytes by name, unpacked; without the JSON and the WebAssembly.
    """

    meta: dict[str, Any]
    assets: dict[str, bytes]

    @property
    def json(self) -> bytes:
        """The JSON."""
        words = json.dumps(self.meta, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return words.encode(errors="backslashreplace")


def payload(
    run: Run,
    images: ImageSet,
    *,
    shown: int = MOST_SHOWN,
    encoders: bool = True,
    full: bool = False,
    without: str = "",
    progress: Progress = quiet,
) -> Payload:
    """What the live page of a run holds.

    Args:
        run: Complete, or trained and measured.
        images: Its images.
        shown: How many test images at most.
        encoders: Whether the page can encode new images.
        full: Whether weights are stored as float32, not float16.
        without: Why findings and ascents are left out, in words; empty where the page has what the run knows of its VAE.
        progress: Shown on the way.
    """
    missing: dict[str, list[str]] = {}
    number = _number(images.test, shown, missing)
    pixels = np.ascontiguousarray(images.test.pixels[:number])
    k, stored = run.about["shown_k"], [each for each in run.shown if each.latent_dim == run.about["shown_k"]]
    with progress("live page", len(stored) + 2) as advance:
        about_images, assets = _images(pixels)
        advance(1, "images")
        models = []
        for each in stored:
            models += _model(run, each, pixels, missing, encoders=encoders, full=full)
            advance(1, each.name)
        found = _spectrum(run, images.train, missing)
        advance(1, "spectrum")
    for model in models:
        assets |= model.assets
    if not models:
        for panel in LIVE:
            missing.setdefault(panel, []).append("No model of this run can be decoded here.")
    if not encoders:
        missing["drawing"] = ["This page was made without encoders, so new images cannot be encoded."]
    classes = _classes(images)
    if classes is None:
        missing["classes"] = ["The images have no classes, so the map has one colour."]
    else:
        assets["labels"] = _labels(images.test, number, len(classes))
    names = [model.about["name"] for model in models]
    if found is not None:
        assets["spectrum"] = found[1]
    films = _films(run, [each for each in stored if each.recipe in names], number, assets, missing)
    ascents = [] if without else page_numbers.posterior(run, number, names)
    examined = None if without else page_numbers.findings(run)
    missing |= page_numbers.unknown(run, examined, ascents, without)
    metrics = averaged(run.metrics)
    meta = {
        "schema": SCHEMA,
        "program": f"lowerbound {version('lowerbound')}",
        "title": report.title(run),
        "verdict": report.verdict(metrics, k) + report.judgement(run),
        "footnote": report.footnote(run),
        "source": {"name": run.about["source"]["name"], "train": len(images.train), "test": len(images.test)},
        "shape": list(images.image_shape),
        "shown": number,
        "k": k,
        "classes": classes,
        "images": about_images,
        "models": [model.about for model in models],
        "table": {"header": list(report.HEADER), "rows": [list(row) for row in report.rows(metrics)]},
        "facts": [[name, without_paths(value, run)] for name, value in _facts(run, k)],
        "histories": page_numbers.histories(run, [each for each in stored if each.recipe in names]),
        "spectrum": None if found is None else found[0],
        "sweep": page_numbers.sweep(run),
        "findings": examined,
        "film": films,
        "posterior": ascents,
        "left_out": [{"panel": panel, "reason": " ".join(reasons)} for panel, reasons in missing.items()],
    }
    return Payload(plain(meta), assets)


def _number(test: Images, shown: int, missing: dict[str, list[str]]) -> int:
    """How many images are shown; where these are fewer than there could be, because they are large, it is said."""
    wanted = min(shown, len(test))
    number = max(1, min(wanted, VALUES // math.prod(test.image_shape)))
    if number < wanted:
        size = " × ".join(map(str, test.image_shape[1:]))
        missing["images"] = [f"The first {number:,} of {len(test):,} test images are shown: they are large, {size}."]
    elif number < len(test):
        missing["images"] = [f"The first {number:,} of {len(test):,} test images are shown."]
    return number


def _images(pixels: np.ndarray) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Images as they are, or as sheets; how they are stored, and the assets."""
    number, *shape = pixels.shape
    packs_badly = shape[0] == 3 or math.prod(shape) > LARGE
    if pixels.size <= RAW or not packs_badly:
        return {"encoding": "raw", "sheets": 0, "columns": 0}, {"images": pixels.tobytes()}
    columns = columns_of((shape[0], shape[1], shape[2]), number)
    files = sheets(pixels, columns)
    about = {"encoding": "webp", "sheets": len(files), "columns": columns}
    return about, {f"images:{place}": file for place, file in enumerate(files)}


def _classes(images: ImageSet) -> list[str] | None:
    """What each label means, one line each; None without labels."""
    if images.test.labels is None or not len(images.class_names):
        return None
    return [look.one_line(name) for name in images.class_names]


def _labels(test: Images, number: int, classes: int) -> bytes:
    """Labels as the page has them; one that means nothing is none."""
    labels = np.asarray(test.labels)[:number].astype(np.int64)
    return np.where((labels >= 0) & (labels < min(classes, NO_LABEL)), labels, NO_LABEL).astype("<u2").tobytes()


def _model(
    run: Run, stored: StoredModel, pixels: np.ndarray, missing: dict[str, list[str]], *, encoders: bool, full: bool
) -> list[Shown]:
    """A model as the page has it; none where it failed, and why."""
    try:
        model = shown_model(run, stored, pixels, encoders=encoders, full=full)
    except InputError as error:
        label = look.model_style(stored.recipe).label
        missing.setdefault(label, []).append(f"{without_paths(str(error), run)}.")
        return []
    for name, reason in model.missing.items():
        missing.setdefault(name, []).append(reason)
    return [model]


def _spectrum(run: Run, train: Images, missing: dict[str, list[str]]) -> tuple[dict[str, Any], bytes] | None:
    """The spectrum of the run's PCA, where that can be read."""
    try:
        return page_numbers.spectrum(run, train)
    except InputError as error:
        missing["spectrum"] = [f"{without_paths(str(error), run)}."]
        return None


def _films(
    run: Run, stored: list[StoredModel], number: int, assets: dict[str, bytes], missing: dict[str, list[str]]
) -> dict[str, Any] | None:
    """The films of the models that were filmed."""
    films = {}
    for each in stored:
        film = page_numbers.film(run, each, number)
        if film is not None:
            films[each.recipe] = film[0]
            assets |= film[1]
    if not films:
        missing["film"] = ["No moments of this run's training were kept."]
    return films or None


def _facts(run: Run, k: int) -> list[tuple[str, str]]:
    """What was run, on what; every two models held against each other; where the figures are."""
    facts = report.facts(run)
    if len(run.measured("squared_error", k)) > 1:
        table = report.compared(run, k)
        facts += [
            (f"{models}, {of}", f"{mean} (95 % interval {between}; seeds: {seeds})")
            for models, of, mean, between, seeds in table.rows
        ]
    if (run.path / "figures.html").is_file():
        facts.append(("figures", "figures.html beside this page shows them all; figures/ has each as PNG and SVG"))
    return facts


def plain(value: Any) -> Any:
    """Values as JSON holds them: arrays as lists, numbers with six digits, null for what is no number.

    Example:
        >>> plain({"a": np.array([1 / 3, np.nan]), "b": [True, np.int64(2)]})
        {'a': [0.333333, None], 'b': [True, 2]}
    """
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value
