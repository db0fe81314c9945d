"""How good the verbs of daily work are, beside the simple ways to do the same. Results go to verbs.json.

    lowerbound train mnist -k 20 --out runs/mnist
    lowerbound train cifar/ -k 64 --out runs/cifar
    python -m benchmarks.verbs runs/mnist runs/cifar      everything, half an hour of one thread
    python -m benchmarks.verbs runs/mnist --only denoise  one verb
    python -m benchmarks.verbs --table                    what was measured, as the tables of the docs

Each verb is one function here below: from a run with its images to a row for each method, a mean and its standard error in each
column. Nothing is tuned on test images.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch

from benchmarks.verbs_found import clusters_found, duplicates_found, metrics_compared, neighbours_found, outliers_found
from benchmarks.verbs_made import exported, inpainted, morphed, traversed, without_noise
from benchmarks.verbs_measure import Measured, Rows, opened

RESULTS = Path(__file__).with_name("verbs.json")


class Part(NamedTuple):
    """A verb's measurement.

    Attributes:
        measure: From a run to rows.
        digits: Behind the point.
        best: Whether the highest ("max") or the lowest ("min") number of a column is the best, and bold; None where neither is.
    """

    measure: Callable[[Measured], Rows]
    digits: int = 3
    best: Callable[..., float] | None = max


PARTS = {
    "outliers": Part(outliers_found),
    "neighbours": Part(neighbours_found),
    "metrics": Part(metrics_compared),
    "duplicates": Part(duplicates_found, best=None),
    "cluster": Part(clusters_found),
    "denoise": Part(without_noise, 2),
    "inpaint": Part(inpainted, 2),
    "morph": Part(morphed, 4, None),
    "traverse": Part(traversed),
    "export": Part(exported, 7, None),
}


def main() -> None:
    """Measure what was asked for, and keep it; what is not measured stays as it was."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", type=Path, help="run folders with a VAE")
    parser.add_argument("--only", choices=PARTS, nargs="+", default=list(PARTS), help="these verbs alone")
    parser.add_argument("--table", action="store_true", help="print what was measured")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    for path in asked.runs:
        run = opened(path)
        for name in asked.only:
            begin = time.process_time()
            rows = PARTS[name].measure(run)
            known = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else {}
            spent = round(time.process_time() - begin, 1)
            known.setdefault(name, {})[run.source] = {"cpu_seconds": spent, "k": run.stored.latent_dim, "rows": rows}
            RESULTS.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
            print(f"{name} {run.source}: {spent} s", flush=True)
    if asked.table:
        known = json.loads(RESULTS.read_text(encoding="utf-8"))
        print("\n".join(f"{name}\n\n{table(known[name], PARTS[name])}" for name in PARTS if name in known))


def table(found: dict[str, Any], part: Part) -> str:
    """What was measured of a verb: a row for each method, the best of each column in bold.

    Example:
        >>> print(table({"mnist": {"rows": {"a": {"": [1.0, 0.5]}, "b": {"": [2.0, None]}}}}, Part(max, 1)), end="")
        |  | mnist |
        |---|---|
        | a | 1.0 ± 0.5 |
        | b | **2.0** |
    """
    columns = [(source, column) for source, about in found.items() for column in next(iter(about["rows"].values()), {})]
    methods = dict.fromkeys(method for about in found.values() for method in about["rows"])
    lines = [
        f"|  | {' | '.join(', '.join(filter(None, head)) for head in columns)} |",
        "|---" * (1 + len(columns)) + "|",
    ]
    tops = {}
    for source, column in columns:
        values = [row[column][0] for row in found[source]["rows"].values() if column in row]
        tops[source, column] = part.best(values) if part.best and len(values) > 1 else None
    for method in methods:
        cells = []
        for source, column in columns:
            value, error = found[source]["rows"].get(method, {}).get(column, (None, None))
            words = "" if value is None else f"{value:.{part.digits}f}"
            words += "" if error is None else f" ± {error:.{part.digits}f}"
            cells.append(f"**{words}**" if value is not None and value == tops[source, column] else words)
        lines.append(f"| {method} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
