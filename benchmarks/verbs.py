"""How good the verbs of daily work are, beside the simple ways to do the same.

    python -m benchmarks.verbs                   everything, some minutes of one thread
    python -m benchmarks.verbs --only outliers   one of them: outliers, neighbours, metrics, duplicates
    python -m benchmarks.verbs --table           what was measured, as the tables of docs/photos.md

Images: MNIST, and CIFAR-10 as a folder of JPEG files (``--cifar FOLDER`` with ``train`` and ``test``). To stay within minutes
each part takes some thousand images, and VAEs are trained for a few epochs from PCA's start; ``SIZES`` has the numbers.
"""

from __future__ import annotations

import argparse
import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score

from lowerbound import PCA, VAE, Images, ImageSet, load, recipes
from lowerbound.duplicates import duplicates
from lowerbound.evaluation import Estimate
from lowerbound.neighbours import METRICS, neighbours
from lowerbound.outliers import strangeness
from lowerbound.settings import Settings, one_cycle

RESULTS = Path(__file__).with_name("verbs.json")


class Size(NamedTuple):
    """What a part of the benchmark takes of a set."""

    train: int
    test: int
    epochs: float
    k: int


SIZES = {"mnist": Size(3_000, 1_000, 3, 20), "cifar10-jpeg": Size(2_000, 500, 2, 32)}


def main() -> None:
    """Measure what was asked for, and keep it."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--only", choices=sorted(PARTS))
    asked.add_argument("--cifar", type=Path, metavar="FOLDER")
    asked.add_argument("--table", action="store_true")
    said = asked.parse_args()
    torch.set_num_threads(1)
    known: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    if said.table:
        print(tables(known))
        return
    for name in [said.only] if said.only else PARTS:
        for source, size in SIZES.items():
            if source != "mnist" and said.cifar is None:
                print(f"{name} {source}: left out; --cifar names the folder of its images")
                continue
            images = drawn(source, said.cifar)
            begin = time.process_time()
            found = PARTS[name](images, size)
            about = {**size._asdict(), "cpu_seconds": round(time.process_time() - begin, 1)}
            known.setdefault(name, {})[source] = {**about, **found}
            print(name, source, json.dumps(known[name][source]), flush=True)
            RESULTS.write_text(json.dumps(known, indent=1) + "\n")


def drawn(source: str, cifar: Path | None, seed: int = 0) -> ImageSet:
    """A part of the images of a source, drawn by the seed."""
    size = SIZES[source]
    if source == "mnist" or cifar is None:
        whole = load("mnist")
        train, test = (_some(each, n, seed) for each, n in ((whole.train, size.train), (whole.test, size.test)))
    else:
        train, test = _files(cifar / "train", size.train, seed), _files(cifar / "test", size.test, seed)
    return ImageSet(source, train, test)


def _some(images: Images, number: int, seed: int) -> Images:
    return images[np.sort(np.random.default_rng(seed).permutation(len(images))[:number])]


def _files(folder: Path, number: int, seed: int) -> Images:
    """So many image files below class folders, decoded."""
    files = sorted(folder.glob("*/*.*"))
    chosen = [files[n] for n in np.random.default_rng(seed).permutation(len(files))[:number]]
    names = sorted({file.parent.name for file in files})
    pixels = [np.asarray(Image.open(file).convert("RGB")).transpose(2, 0, 1) for file in chosen]
    return Images(np.stack(pixels), np.array([names.index(file.parent.name) for file in chosen]))


def _labels(images: Images) -> np.ndarray:
    if images.labels is None:
        raise ValueError("these images have no classes")
    return images.labels


def trained(pixels: np.ndarray, size: Size, seed: int = 0) -> tuple[PCA, VAE]:
    """PCA, and the default VAE started there."""
    pca = PCA(size.k).fit(pixels)
    torch.manual_seed(seed)
    model = recipes.vae(pixels.shape[1:], size.k, start=pca)
    return pca, model.fit(pixels, Settings(size.epochs, learning_rate=3e-3, schedule=one_cycle, seed=seed))


# Outliers


def outliers_part(images: ImageSet, size: Size) -> dict[str, Any]:
    """Area under the ROC of telling images of a class that was kept from training from test images of all others.

    Each class in turn on MNIST, two on CIFAR-10; the mean over classes, and its standard error over them.
    """
    labels = _labels(images.train)
    classes = range(10) if images.image_shape[0] == 1 else (0, 8)
    areas: dict[str, list[float]] = {}
    for left_out in classes:
        kept = images.train.pixels[labels != left_out]
        pca, model = trained(kept, size)
        test, strange = images.test.pixels, _labels(images.test) == left_out
        simple, rich = strangeness(pca, test), strangeness(model, test)
        forest = IsolationForest(random_state=0).fit(_rows(kept))
        scores = {
            "PCA error": simple["error"],
            "PCA likelihood": simple["likelihood"],
            "VAE error": rich["error"],
            "VAE likelihood": rich["likelihood"],
            "VAE both": np.maximum(*(_ranks(each) for each in rich.values())),
            "isolation forest": -forest.score_samples(_rows(test)),
        }
        for name, values in scores.items():
            areas.setdefault(name, []).append(float(roc_auc_score(strange, values)))
    return {"classes": list(classes), "area": {name: _told(np.array(values)) for name, values in areas.items()}}


def _ranks(values: np.ndarray) -> np.ndarray:
    return np.argsort(np.argsort(values))


def _rows(pixels: np.ndarray) -> np.ndarray:
    return pixels.reshape(len(pixels), -1) / np.float32(255)


def _told(values: np.ndarray) -> list[float]:
    """Mean and standard error."""
    estimate = Estimate.of(values)
    return [round(estimate.mean, 5), round(estimate.standard_error, 5)]


# Neighbours


def neighbours_part(images: ImageSet, size: Size) -> dict[str, Any]:
    """How many of the 10 nearest training images are of the class of a test image; standard error over test images."""
    pca, model = trained(images.train.pixels, size)
    found = {"pixels": _agreement(None, images.test, images.train, by="pixels")}
    for name, each in (("PCA", pca), ("VAE", model)):
        found[f"{name} codes"] = _agreement(each, images.test, images.train)
    return {"agreement": found}


def metrics_part(images: ImageSet, size: Size) -> dict[str, Any]:
    """The same among training images alone, for every metric: what the default was chosen by."""
    pca, model = trained(images.train.pixels, size)
    part = len(images.train) // 3
    ask, among = images.train[:part], images.train[part:]
    found = {}
    for name, each in (("PCA", pca), ("VAE", model)):
        for metric in METRICS:
            found[f"{name} {metric}"] = _agreement(each, ask, among, metric=metric)
    return {"agreement": found}


def _agreement(model: Any, ask: Images, among: Images, **how: Any) -> list[float]:
    near = neighbours(model, ask.pixels, among.pixels, 10, **how).positions
    return _told((_labels(among)[near] == _labels(ask)[:, None]).mean(1))


# Duplicates


def duplicates_part(images: ImageSet, size: Size, number: int = 1_000, planted: int = 160) -> dict[str, Any]:
    """Recall of each kind of planted copy among so many training images, and the precision of pairs.

    A pair within a group counts as wrong unless both come from one original, also where two training images are copies.
    """
    rng = np.random.default_rng(0)
    pixels = images.train.pixels[:number]
    whole, truth, kinds = [pixels], list(range(len(pixels))), [""] * len(pixels)
    for position, kind in zip(rng.permutation(len(pixels))[:planted], list(COPIES) * planted, strict=False):
        whole.append(COPIES[kind](pixels[position], rng)[None])
        truth.append(int(position))
        kinds.append(kind)
    everything, origins = np.concatenate(whole), np.array(truth)
    found = duplicates(PCA(size.k).fit(pixels), everything)
    group = -1 - np.arange(len(everything))
    right = pairs = 0
    for name, each in enumerate(found.groups):
        group[each.members] = name
        of = origins[each.members]
        right += int((of[:, None] == of).sum() - len(of)) // 2
        pairs += len(of) * (len(of) - 1) // 2
    recall = {}
    for kind in COPIES:
        mine = [n for n, each in enumerate(kinds) if each == kind]
        recall[kind] = _share(group[mine] == group[origins[mine]])
    precision = _share(np.arange(max(pairs, 1)) < right)
    return {"images": len(pixels), "planted": planted, "pairs": pairs, "recall": recall, "precision": precision}


def _share(right: np.ndarray) -> list[float]:
    """How often something holds, and the standard error of that."""
    estimate = Estimate.of_share(right)
    return [round(estimate.mean, 4), round(estimate.standard_error, 4)]


def _stored_anew(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:  # noqa: ARG001
    """As JPEG of quality 50."""
    content = io.BytesIO()
    _photo(image).save(content, "JPEG", quality=50)
    return _pixels(Image.open(content).convert("L" if len(image) == 1 else "RGB"))


def _moved(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """By one or two pixels along either side."""
    moves = zip(image.shape[1:], rng.choice([-2, -1, 1, 2], 2), strict=True)
    rows, columns = (np.clip(np.arange(side) - by, 0, side - 1) for side, by in moves)
    return image[:, rows][:, :, columns]


def _cut(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A piece of 80 to 95 % of either side, anywhere, brought back to size."""
    height, width = image.shape[1:]
    down, right = (round(rng.uniform(0.8, 0.95) * side) for side in (height, width))
    top, left = rng.integers(height - down + 1), rng.integers(width - right + 1)
    piece = _photo(image[:, top : top + down, left : left + right])
    return _pixels(piece.resize((width, height), Image.Resampling.LANCZOS))


def _darker(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:  # noqa: ARG001
    return np.rint(image * 0.8).astype(np.uint8)


COPIES: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "stored anew": _stored_anew,
    "moved": _moved,
    "cut": _cut,
    "darker": _darker,
}


def _photo(image: np.ndarray) -> Image.Image:
    return Image.fromarray(image[0] if len(image) == 1 else np.ascontiguousarray(image.transpose(1, 2, 0)))


def _pixels(photo: Image.Image) -> np.ndarray:
    pixels = np.asarray(photo)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


PARTS: dict[str, Callable[[ImageSet, Size], dict[str, Any]]] = {
    "outliers": outliers_part,
    "neighbours": neighbours_part,
    "metrics": metrics_part,
    "duplicates": duplicates_part,
}


# Tables


def tables(known: dict[str, Any]) -> str:
    """Of each part a table, a column for each set of images."""
    lines = []
    for name, columns in known.items():
        rows: dict[str, dict[str, list[float]]] = {}
        for source, found in columns.items():
            for row, value in _flat(found):
                rows.setdefault(row, {})[source] = value
        lines += [f"| {name} | {' | '.join(columns)} |", "|---" * (1 + len(columns)) + "|"]
        for row, values in rows.items():
            cells = ["{:.3f} ± {:.3f}".format(*values[each]) if each in values else "" for each in columns]
            lines.append(f"| {row} | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def _flat(found: Any, name: str = "") -> list[tuple[str, list[float]]]:
    """Every mean with its standard error in nested results, under its names."""
    if isinstance(found, dict):
        return [pair for key, value in found.items() for pair in _flat(value, f"{name} {key}".strip())]
    return [(name, found)] if isinstance(found, list) and len(found) == 2 and isinstance(found[0], float) else []


if __name__ == "__main__":
    main()
