"""Parts of one's own beside the built-in ones: what docs/own-part.md shows. Results go to own_parts.json.

    python -m benchmarks.own_parts digits             five seeds, the recipe's own epochs
    python -m benchmarks.own_parts mnist              one seed, one epoch
    python -m benchmarks.own_parts --table            what was measured, as docs/own-part.md has it

The code of the parts is taken from the page itself: what is printed there is what ran. Every model is trained as the command line
does it with the options of its row, without the report; each row differs from the built-in one of its kind in one part alone.
Bounds are of test images that no model has seen, in nats per image with all constants. Training is on one thread; seconds
are of the processor, of which other programs take none.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.quality import _processor
from lowerbound import sources
from lowerbound.eigen import principal
from lowerbound.evaluation import evaluate
from lowerbound.evidence import evidence
from lowerbound.images import ImageSet
from lowerbound.outside import Outside, load_function
from lowerbound.pairing import Difference, paired
from lowerbound.pca import PCA
from lowerbound.plan import Plan
from lowerbound.progress import terminal
from lowerbound.stored import StoredModel
from lowerbound.training import run

RESULTS = Path(__file__).with_suffix(".json")
PAGE = Path(__file__).parents[1] / "docs" / "own-part.md"
MARKS = ("<!-- {} -->\n", "<!-- /{} -->")
DRAWS, JUDGED = 100, 1000  # of the importance-weighted bound: draws for each image, test images at most

Row = dict[str, Any]


@dataclass(frozen=True)
class Data:
    """What is trained on: K, seeds, epochs in place of the recipe's."""

    k: int
    seeds: int
    epochs: int | None


DATA = {"digits": Data(8, 5, None), "mnist": Data(20, 1, 1)}
ROWS: dict[str, tuple[str, ...]] = {
    "posterior": ("--posterior diagonal", "--recipe my_posterior.py:make"),
    "prior": ("--posterior diagonal", "--posterior diagonal --prior mixture:10", "--recipe my_prior.py:make"),
    "likelihood": (
        "--posterior diagonal",
        "--posterior diagonal --likelihood laplace",
        "--recipe my_likelihood.py:make",
    ),
    "objective": ("--posterior diagonal", "--posterior diagonal --objective iw:5", "--recipe my_objective.py:make"),
    "backbone": (
        "--posterior diagonal --network dense",
        "--recipe my_backbone.py:make --rate 0.003",
        "--posterior diagonal",
    ),
}
"""Of each kind of part the options of its models; the first is what the others are held against."""
KINDS = {"digits": tuple(ROWS), "mnist": ("posterior", "prior", "likelihood")}
"""Which kinds are measured on which images."""


def files_of(page: str) -> Iterator[tuple[str, str]]:
    """Name and code of every file that a page prints, in order."""
    yield from re.findall(r"`(my_\w+\.py)`:?\n\n```python\n(.*?)```", page, re.DOTALL)


def main() -> None:
    """Measure the parts on some images, and keep what came out; what is not measured stays as it was."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", nargs="*", choices=[*DATA, []], help="images to measure on")
    parser.add_argument("--table", action="store_true", help="print what was measured, as docs/own-part.md has it")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else {}
    for name in asked.data:
        for found in measured(name):
            results[name] = found
            RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    if asked.table:
        print("\n".join(table(results, name) for name in results))


def measured(name: str) -> Iterator[dict[str, Any]]:
    """What is known so far on some images, after every model; one of the same options is trained once."""
    images, about = sources.load(name, progress=terminal), DATA[name]
    pca = PCA(about.k).fit_spectrum(principal(images.train.pixels, about.k))
    found: dict[str, dict[str, np.ndarray]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for file, code in files_of(PAGE.read_text(encoding="utf-8")):
            (Path(folder) / file).write_text(code, encoding="utf-8")
        for words in dict.fromkeys(words for kind in KINDS[name] for words in ROWS[kind]):
            plan = plan_of(words, about, Path(folder))
            models = [_one(stored, images, pca, plan.outside) for stored in plan.stored(images)]
            found[words] = {column: np.stack([model[column] for model in models]) for column in models[0]}
            print(f"{name} {words}: ELBO {found[words]['elbo'].mean():.2f}", flush=True)
            pairs = [(kind, each, ROWS[kind][0]) for kind in KINDS[name] for each in ROWS[kind]]
            rows = [(kind, each, first) for kind, each, first in pairs if {each, first} <= set(found)]
            yield {
                **vars(about),
                "train": len(images.train),
                "test": len(images.test),
                "judged": min(JUDGED, len(images.test)),
                "draws": DRAWS,
                "rows": [_row(kind, each, found[each], found[first]) for kind, each, first in rows],
                "machine": f"{_processor()}, 1 thread, {os.cpu_count()} cores, torch {torch.__version__}",
            }


def plan_of(words: str, about: Data, folder: Path) -> Plan:
    """What the command line would train with these options."""
    typed = shlex.split(words)
    given = {option.removeprefix("--"): value for option, value in zip(typed[::2], typed[1::2], strict=True)}
    own, network = given.pop("recipe", None), given.pop("network", "patched")
    settings = {"learning_rate": float(given.pop("rate"))} if "rate" in given else {}
    outside = None if own is None else load_function(str(folder / own))
    return Plan(
        (about.k,),
        ("vae",) if outside is None else ("own",),
        network,
        about.epochs,
        seeds=about.seeds,
        parts=given,
        outside=outside,
        settings=settings,
    )


def _one(stored: StoredModel, images: ImageSet, pca: PCA, outside: Outside | None) -> dict[str, np.ndarray]:
    """One model, trained: numbers of each test image, and the seconds of its training."""
    model: Any = stored.build(pca, outside)  # a VAE, all of them
    began = time.process_time()
    run(model, images.train.pixels, stored.settings)
    seconds = np.array(time.process_time() - began)
    seen = evaluate(model, images.test.pixels)
    weighted = evidence(model, images.test.pixels[:JUDGED], samples=DRAWS).log_p
    return {
        "elbo": np.asarray(seen.scores),
        "weighted": weighted,
        "mse": seen.errors,
        "seconds": seconds,
    }


def _row(kind: str, words: str, one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> Row:
    """What was measured of one model; a mean has a standard error over images and seeds."""
    row: Row = {"kind": kind, "options": words, "seconds": float(one["seconds"].mean())}
    for column in ("elbo", "weighted", "mse"):
        alone = _difference(one[column], np.zeros_like(one[column]))
        row[column] = {"mean": alone.mean, "standard_error": alone.standard_error}
        row[f"{column}_over"] = None if one is other else _difference(one[column], other[column]).to_json()
    return row


def _difference(first: np.ndarray, second: np.ndarray) -> Difference:
    """Of two arrays ``[S, N]``, or with one seed of their only rows."""
    return paired(first, second) if len(first) > 1 else paired(first[0], second[0])


def table(results: dict[str, dict[str, Any]], name: str) -> str:
    """What was measured on some images, as docs/own-part.md shows it."""
    over = "over the first"
    lines = [
        [
            "part",
            f"`lowerbound train {name}` ...",
            "test ELBO",
            over,
            "bound, 100 draws",
            over,
            "test MSE x 1000",
            "CPU s",
        ],
        ["---"] * 8,
    ]
    kind = ""
    for row in (row for row in results[name]["rows"] if row["kind"] in KINDS[name]):
        more = [_shown(row[f"{column}_over"]) for column in ("elbo", "weighted")]
        elbo, weighted = (f"{row[c]['mean']:.1f} ± {row[c]['standard_error']:.1f}" for c in ("elbo", "weighted"))
        mse = f"{1000 * row['mse']['mean']:.2f} ± {1000 * row['mse']['standard_error']:.2f}"
        shown = "" if row["kind"] == kind else row["kind"]
        kind = row["kind"]
        lines.append([shown, f"`{row['options']}`", elbo, more[0], weighted, more[1], mse, f"{row['seconds']:.1f}"])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _shown(over: dict[str, Any] | None) -> str:
    """A difference, in bold where its 95 % interval leaves zero out."""
    if over is None:
        return ""
    words = f"{over['mean']:+.1f} ± {over['standard_error']:.1f}"
    return f"**{words}**" if over["low"] > 0 or over["high"] < 0 else words


if __name__ == "__main__":
    main()
