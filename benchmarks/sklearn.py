"""The estimators of lowerbound.sklearn beside scikit-learn's own: error, held-out log-likelihood, processor time.

    python -m benchmarks.sklearn                      digits and MNIST, three rounds
    python -m benchmarks.sklearn --only digits        one of them
    python -m benchmarks.sklearn --rounds 5           more rounds

Run it as a module, as written here: the file bears scikit-learn's name.

All are fitted in turn in every round, on one thread, and the time is processor time, of which other programs take none. Round n
has seed n; what draws nothing gives the same numbers in every round. Grey levels have uniform noise of one level added, and are
then divided by the number of levels, for all models alike: a density of pixels that are constant in the training images would
otherwise be infinite, and so it bounds the log-likelihood of the grey levels themselves from below but for a constant (Theis et
al., 2016, https://arxiv.org/abs/1511.01844). KernelPCA's gamma and alpha are chosen on training images. What was measured is
kept in benchmarks/sklearn.json, and shown in docs/sklearn.md.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
import threadpoolctl
import torch
from sklearn import decomposition

from benchmarks.quality import _processor
from lowerbound import sources
from lowerbound.evaluation import Estimate
from lowerbound.progress import terminal
from lowerbound.sklearn import PCA, VAE, ConvAutoencoder, LinearAutoencoder

RESULTS = Path(__file__).with_suffix(".json")
PAGE = Path(__file__).parents[1] / "docs" / "sklearn.md"
MARKS = ("<!-- numbers -->\n", "<!-- /numbers -->")
DATA = {"digits": (8, 16, None), "mnist": (20, 255, 5_000)}  # K, the highest grey level, training images taken


@dataclass
class Split:
    """Rows of pixels in [0, 1), to learn from and to test."""

    train: np.ndarray
    test: np.ndarray


def load(name: str) -> Split:
    """Images as rows, with noise within their grey level."""
    _, highest, number = DATA[name]
    images, random = sources.load(name, progress=terminal), np.random.default_rng(0)

    def rows(pixels: np.ndarray) -> np.ndarray:
        levels = np.rint(pixels.reshape(len(pixels), -1) * (highest / 255))
        return (levels + random.random(levels.shape)) / (highest + 1)

    return Split(rows(images.train.pixels[:number]), rows(images.test.pixels))


def kernel(train: np.ndarray, k: int) -> dict[str, float]:
    """Gamma and alpha of KernelPCA with the least error on 250 of 1,000 training images."""
    some, held_out = train[:750], train[750:1000]

    def error(gamma: float, alpha: float) -> float:
        model = decomposition.KernelPCA(k, kernel="rbf", gamma=gamma, alpha=alpha, fit_inverse_transform=True).fit(some)
        return float(np.square(model.inverse_transform(model.transform(held_out)) - held_out).mean())

    pairs = [(times / train.shape[1], alpha) for times, alpha in product((0.3, 1, 3, 10), (1e-3, 1e-2, 1e-1))]
    gamma, alpha = min(pairs, key=lambda pair: error(*pair))
    return {"gamma": gamma, "alpha": alpha}


def models(k: int, chosen: dict[str, Any]) -> dict[str, Callable[[int], Any]]:
    """Every estimator, unfitted, from a seed."""
    return {
        "PCA (scikit-learn)": lambda seed: decomposition.PCA(k, random_state=seed),
        "PCA": lambda seed: PCA(k, random_state=seed),
        "FactorAnalysis (scikit-learn)": lambda seed: decomposition.FactorAnalysis(k, random_state=seed),
        "KernelPCA (scikit-learn)": lambda seed: decomposition.KernelPCA(
            k, kernel="rbf", fit_inverse_transform=True, eigen_solver="randomized", random_state=seed, **chosen
        ),
        "LinearAutoencoder": lambda seed: LinearAutoencoder(k, random_state=seed),
        "ConvAutoencoder": lambda seed: ConvAutoencoder(k, random_state=seed),
        "VAE": lambda seed: VAE(k, random_state=seed),
    }


def reconstructed(model: Any, test: np.ndarray) -> np.ndarray:
    """What K numbers keep of each row."""
    codes = model.transform(test)
    if isinstance(model, decomposition.FactorAnalysis):  # which has no inverse_transform: the mean of p(x|z)
        return codes @ model.components_ + model.mean_
    return model.inverse_transform(codes)


def measure(name: str, rounds: int) -> Iterator[dict[str, Any]]:
    """All models in turn, round by round; after each what is known so far."""
    split, (k, _, _) = load(name), DATA[name]
    ways = models(k, chosen := kernel(split.train, k))
    seconds: dict[str, list[float]] = {what: [] for what in ways}
    errors: dict[str, list[np.ndarray]] = {what: [] for what in ways}
    scores: dict[str, list[np.ndarray]] = {what: [] for what in ways}
    for seed in range(rounds):
        for what, make in ways.items():
            start = time.process_time()
            model = make(seed).fit(split.train)
            seconds[what].append(time.process_time() - start)
            errors[what].append(np.square(reconstructed(model, split.test) - split.test).mean(1))
            if hasattr(model, "score_samples"):
                scores[what].append(model.score_samples(split.test))
            print(f"{name}, round {seed + 1}: {what} {seconds[what][-1]:.2f} s", flush=True)
        yield {
            "k": k,
            "rounds": seed + 1,
            "train": len(split.train),
            "test": len(split.test),
            "values": split.train.shape[1],
            "kernel": chosen,
            "rows": [_row(what, errors[what], scores[what], seconds[what]) for what in ways],
        }


def _row(what: str, errors: list[np.ndarray], scores: list[np.ndarray], seconds: list[float]) -> dict[str, Any]:
    return {
        "what": what,
        "error": _of(errors),
        "score": _of(scores) if scores else None,
        "seconds": [min(seconds), float(np.median(seconds)), max(seconds)],
    }


def _of(values: list[np.ndarray]) -> dict[str, float]:
    """Mean over rounds, its standard error over test images, and the standard deviation of the rounds' means."""
    found = Estimate.of(np.mean(values, axis=0))
    means = [float(each.mean()) for each in values]
    spread = float(np.std(means, ddof=1)) if len(means) > 1 else 0.0
    return {"mean": found.mean, "standard_error": found.standard_error, "spread": spread}


def table(kept: dict[str, Any]) -> str:
    """What was measured, as the page shows it."""
    lines = []
    for name in DATA:
        if name not in kept:
            continue
        found = kept[name]
        lines += [
            f"**{name}**: K = {found['k']}, {found['train']:,} images to learn from, {found['test']:,} to test, "
            f"{found['values']} pixels, {found['rounds']} rounds",
            "",
            "| model | test error per pixel | seeds | held-out log-likelihood, nats per image | seeds | seconds to fit |",
            "|---|---|---|---|---|---|",
            *map(_line, found["rows"]),
            "",
        ]
    return "\n".join(lines) + f"\nMachine: {kept['machine']}.\n"


def _line(row: dict[str, Any]) -> str:
    error, score, (least, median, most) = row["error"], row["score"], row["seconds"]
    likelihood = "- | -" if score is None else _with_spread(score, 1)
    return f"| {row['what']} | {_with_spread(error, 6)} | {likelihood} | {median:.2g} ({least:.2g} to {most:.2g}) |"


def _with_spread(found: dict[str, float], digits: int) -> str:
    spread = f"{found['spread']:.{digits}f}" if found["spread"] > 0.5 * math.pow(10, -digits) else "-"
    return f"{found['mean']:.{digits}f} ± {found['standard_error']:.{digits}f} | {spread}"


def write_page(kept: dict[str, Any]) -> None:
    """Put the table between its marks in docs/sklearn.md."""
    before, rest = PAGE.read_text(encoding="utf-8").split(MARKS[0])
    PAGE.write_text(before + MARKS[0] + table(kept) + MARKS[1] + rest.split(MARKS[1])[1], encoding="utf-8")


def main() -> None:
    """Measure what was asked for, and keep it beside what was measured before."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=DATA, default=list(DATA), help="measure only these")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is fitted")
    asked = parser.parse_args()
    threadpoolctl.threadpool_limits(1)
    torch.set_num_threads(1)
    versions = f"scikit-learn {sklearn.__version__}, torch {torch.__version__}, numpy {np.__version__}"
    for name, found in ((each, found) for each in asked.only for found in measure(each, asked.rounds)):
        kept = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else {}
        kept |= {"machine": f"{_processor()}, one thread, processor time, {versions}", name: found}
        RESULTS.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
        if PAGE.is_file():
            write_page(kept)


if __name__ == "__main__":
    main()
