"""What the live page holds of a run besides images and models: histories, spectrum, sweep, findings, films, ascents, facts."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lowerbound.errors import InputError
from lowerbound.formats import read_json
from lowerbound.images import Images
from lowerbound.moments import shifted_blocks
from lowerbound.pca import PCA
from lowerbound.replicates import averaged
from lowerbound.sheets import columns_of, sheets
from lowerbound.storage import Run
from lowerbound.stored import OWN, StoredModel

__all__ = ["coarse", "film", "findings", "histories", "posterior", "spectrum", "sweep", "unknown", "without_paths"]

POINTS = 400  # of a curve
COMPONENTS, NUMBERS = 200, 1_000_000  # of the spectrum at most, and numbers in all of them
WORK = 5_000_000_000  # multiplications that looking for further components may take
FILMED, SAMPLED = 24, 16  # images and samples of a film that are shown
RAW = 256  # values of an image: of larger ones a film is made of sheets, a third of the size
FILM_COLUMNS = 8
PANELS = {
    "codes": "dimensions",
    "errors": "reconstruct",
    "gaps": "posterior",
    "loss": "numbers",
    "pictures": "reconstruct",
    "pixels": "reconstruct",
    "spectrum": "numbers",
}
"""Where the page shows what a panel of the figure of ``diagnose`` shows."""


def coarse(values: np.ndarray, bits: int = 8) -> np.ndarray:
    """Numbers as float32 with so many binary digits: what is left out packs to nothing.

    Example:
        >>> coarse(np.array([1.001, 3.14159]))
        array([1.     , 3.140625], dtype=float32)
    """
    left = 24 - bits
    raw = np.ascontiguousarray(values, "<f4").view("<u4").astype(np.uint64)
    raw = (raw + (1 << (left - 1))) >> left << left
    return raw.astype("<u4").view("<f4")


def histories(run: Run, shown: Sequence[StoredModel]) -> dict[str, Any]:
    """Of each model that was trained: loss, its two terms and sigma against the step, at most 400 means of batches."""
    found = {}
    for stored in shown:
        history = run.history(stored)
        if not history:
            continue
        parts = np.array_split(np.arange(len(history["loss"])), min(POINTS, len(history["loss"])))

        def means(name: str, history: Mapping[str, np.ndarray] = history, parts: Any = parts) -> Any:
            if name not in history:
                return None
            return [float(history[name][part].mean(dtype=np.float64)) for part in parts]

        bound = "rate" in history
        found[stored.recipe] = {
            "step": [float(part.mean() + 1) for part in parts],
            "loss": means("loss"),
            "reconstruction": means("distortion") if bound else None,
            "kl": means("rate"),
            "sigma": means("sigma"),
        }
    return found


def sweep(run: Run) -> dict[str, Any] | None:
    """Of each model rows of K, squared error per pixel, its standard error; None for a run of one K."""
    rows = averaged(run.metrics)
    if len({row["k"] for row in rows}) < 2:
        return None
    found: dict[str, Any] = {}
    for row in sorted(rows, key=lambda row: row["k"]):
        found.setdefault(row["model"], []).append([row["k"], row["mse"]["mean"], row["mse"]["standard_error"]])
    return found


def spectrum(run: Run, train: Images) -> tuple[dict[str, Any], bytes] | None:
    """The eigenspectrum of the run's PCA and its components, float32 ``[M, P]``; None for a run without PCA.

    The run keeps as many components as its largest K. Those beyond are found among what these leave of some training images;
    how much variance each carries is exact all the same.
    """
    fitted = [stored for stored in run.shown if stored.recipe == "pca"]
    if not fitted:
        return None
    pca = run.load(max(fitted, key=lambda stored: stored.latent_dim))
    assert isinstance(pca, PCA)  # noqa: S101  (its recipe says so)
    pixels = len(pca.mean)
    most = min(COMPONENTS, len(pca.variances), NUMBERS // pixels)
    components = pca.components[:most]
    if len(components) < most:
        components = np.concatenate([components, _further(pca, train, most - len(components))])
    about = {
        "fractions": pca.explained[: len(components) + 1],
        "mean": np.round(pca.mean, 4),
        "total": pca.total_variance,
    }
    return about, coarse(components).tobytes()  # an eye sees no more of a picture's parts


def _further(pca: PCA, train: Images, wanted: int) -> np.ndarray:
    """Directions ``[at most wanted, P]`` in which images vary most, beside the components of a PCA."""
    pixels = len(pca.mean)
    count = min(len(train), max(1000, WORK // pixels**2))
    left = np.concatenate(
        [
            (block + 128) / np.float32(255) - pca.mean.astype(np.float32)
            for block in shifted_blocks(train.pixels[:count])
        ]
    )
    kept = pca.components.astype(np.float32)
    left -= (left @ kept.T) @ kept
    if count >= pixels:
        values, columns = np.linalg.eigh((left.T @ left).astype(np.float64))
        rows = columns.T[::-1][:wanted]
        values = values[::-1][:wanted]
    else:
        values, columns = np.linalg.eigh((left @ left.T).astype(np.float64))
        values, columns = values[::-1][:wanted], columns[:, ::-1][:, :wanted]
        rows = (left.T @ columns.astype(np.float32)).T / np.sqrt(np.maximum(values, 1e-30))[:, None]
    rows = rows[values > 1e-9 * max(float(values[0]), 1e-30)] if len(values) else rows
    largest = np.take_along_axis(rows, np.abs(rows).argmax(1)[:, None], 1)
    return rows * np.where(largest < 0, -1, 1)


def film(run: Run, stored: StoredModel, shown: int) -> tuple[dict[str, Any], dict[str, bytes]] | None:
    """What the page holds of the film of a model's training, and its assets; None where it was not filmed."""
    found = run.film(stored)
    if found is None or not len(found.steps):
        return None
    there = np.flatnonzero(found.images < shown)
    images = found.images[there]
    pictures = there[there < found.reconstructions.shape[1]][:FILMED]
    if not len(pictures):
        return None
    reconstructions, samples = found.reconstructions[:, pictures], found.samples[:, :SAMPLED]
    name = stored.recipe
    most = float(np.finfo(np.float16).max)
    codes = coarse(np.clip(found.codes[:, there].astype(np.float32), -most, most))  # places on a map, never decoded
    assets = {f"film:{name}:codes": codes.astype("<f2").tobytes()}
    raw = math.prod(stored.image_shape) <= RAW
    for kind, pixels in (("reconstructions", reconstructions), ("samples", samples)):
        if raw:
            assets[f"film:{name}:{kind}"] = np.ascontiguousarray(pixels).tobytes()
            continue
        for moment, images_then in enumerate(pixels):
            (sheet,) = sheets(images_then, min(FILM_COLUMNS, columns_of(stored.image_shape, FILM_COLUMNS)))
            assets[f"film:{name}:{kind}:{moment}"] = sheet
    about = {
        "steps": found.steps,
        "epochs": np.round(found.epochs.astype(np.float64), 3),
        "elbo_or_loss": found.loss,
        "images": images,
        "shown_images": len(pictures),
        "samples": samples.shape[1],
        "encoding": "raw" if raw else "webp",
        **({} if raw else {"columns": min(FILM_COLUMNS, columns_of(stored.image_shape, FILM_COLUMNS))}),
    }
    return about, assets


def posterior(run: Run, shown: int, models: Sequence[str]) -> list[dict[str, Any]]:
    """Ascents on phi that are stored with the run, of images and models that the page shows."""
    file = run.path / "posterior.json"
    found = _stored(file)
    entries = found.get("posterior", []) if isinstance(found, dict) else found or []
    with _as_written(file):
        return [each for each in entries if each.get("image", shown) < shown and each.get("model") in models]


def findings(run: Run) -> list[dict[str, str]] | None:
    """What ``diagnose`` found and was kept with the run; each names the panel that shows it. None where nothing was kept."""
    file = run.path / "diagnosis.json"
    found = _stored(file)
    if found is None:
        return None
    entries = found.get("findings", []) if isinstance(found, dict) else found
    of = str(found.get("model", "")) if isinstance(found, dict) else ""
    with _as_written(file):
        return _findings(run, entries, of)


@contextlib.contextmanager
def _as_written(file: Path) -> Iterator[None]:
    """Within, a file is read whose parts may be anything."""
    try:
        yield
    except (TypeError, LookupError, AttributeError, ValueError) as error:
        raise InputError(
            f"{file} is not as lowerbound wrote it; remove it, and `lowerbound page` makes it again"
        ) from error


def _findings(run: Run, entries: Any, of: str) -> list[dict[str, str]]:
    """What the page says of each finding."""
    return [
        {
            "model": str(each.get("model", of)).partition("-k")[0],
            "name": each["name"],
            "certainty": each["certainty"],
            "evidence": each["evidence"],
            "try": without_paths(each.get("try", each.get("advice", "")), run),
            "panel": str(each.get("panel") or PANELS.get(each.get("figure") or "", "numbers")),
        }
        for each in entries
    ]


def unknown(
    run: Run, examined: list[dict[str, str]] | None, ascents: list[dict[str, Any]], without: str = ""
) -> dict[str, list[str]]:
    """Why the page has no findings or no ascents, in words, by the name of what is missing.

    Args:
        run: Its VAE was examined, or not.
        examined: Findings that the page has.
        ascents: Those it has.
        without: Why it leaves out what there may be.
    """
    missing = [name for name, there in (("findings", examined is not None), ("posterior", bool(ascents))) if not there]
    if all(stored.recipe != "vae" for stored in run.shown):
        own = any(stored.recipe == OWN for stored in run.shown)
        reason = (
            "A model of your own is not examined for its page." if own else "This run has no VAE, so no image has a q."
        )
        return {"posterior": [reason]} if "posterior" in missing else {}
    said = _stored(run.path / "insight.json")
    if without or not isinstance(said, dict):
        reason = without or "The VAE of this run was not examined: lowerbound page RUN does it."
        return {name: [reason] for name in missing}
    usual = "What is kept of this with the run is of images or models that are not on this page."
    reasons = said.get("reasons")
    known = reasons if isinstance(reasons, dict) else {}
    return {name: [without_paths(str(known.get(name, usual)), run)] for name in missing}


def _stored(file: Path) -> Any:
    """What lies beside a run, where something does."""
    return read_json(file) if file.is_file() else None


def without_paths(text: str, run: Run) -> str:
    """Words in which a file of this machine keeps its name alone: where it lies is nobody's business.

    Example:
        >>> without_paths("lowerbound compare '/home/jane doe/photos' --out /tmp/a/run", Run(Path("run"), {"source": {}}))
        "lowerbound compare 'photos' --out run"
    """
    source = run.about.get("source", {})
    known = [source.get("path"), source.get("data_dir"), run.path.absolute(), run.path.absolute().parent, Path.cwd()]
    home = str(Path.home())
    text = re.sub(r"""(['"])(~?/|[A-Za-z]:\\)((?:(?!\1).)*)\1""", _named, text)
    for place in sorted({str(place) for place in known if place} | {home}, key=len, reverse=True):
        if len(place) > 1:
            text = text.replace(place, "~" if place == home else Path(place).name)
    return re.sub(r"""(?<![\w./:\\~])(?:~|[A-Za-z]:)?(?:[/\\][^\s/\\'",;()]+){2,}[/\\]?""", _last, text)


def _named(found: re.Match[str]) -> str:
    """A path between quotes by its name alone."""
    return found[1] + _last_part(found[3]) + found[1]


def _last(found: re.Match[str]) -> str:
    """A path by its name alone."""
    return _last_part(found[0])


def _last_part(path: str) -> str:
    return re.split(r"[/\\]", path.rstrip("/\\"))[-1]
