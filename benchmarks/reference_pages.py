"""The live pages of two reference runs, docs/live/digits.html and docs/live/patches.html: `make pages`.

python -m benchmarks.reference_pages                    trains in runs/reference what is not there yet, and makes the pages
python -m benchmarks.reference_pages --runs FOLDER      with runs in another folder

Seeds are fixed. On the same machine with as many threads training comes to the same bits; a page tells the day and the seconds
of its run besides, so that pages of two trainings differ by these, and pages of one run in nothing.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

LIVE = Path(__file__).parents[1] / "docs" / "live"
RUNS = Path("runs") / "reference"
REFERENCES = {"digits": 8, "patches": 16}
"""Sources that need no download, and the numbers kept of an image: grey drawings with ten classes; colour photographs."""


def lowerbound(folder: Path, *words: str) -> None:
    """A command, as it is typed in a folder: so the page shows it, and it holds no path of this machine."""
    subprocess.run([sys.executable, "-m", "lowerbound", *words], cwd=folder, check=True)


def trained(source: str, k: int, runs: Path) -> Path:
    """The reference run of a source, made or gone on with where it is not complete."""
    run = runs / f"{source}-k{k}"
    about = run / "run.json"
    if not about.is_file():
        lowerbound(runs, "compare", source, "-k", str(k), "--seed", "0", "--out", run.name)
    elif json.loads(about.read_text(encoding="utf-8"))["status"] != "complete":
        lowerbound(runs, "train", "--resume", run.name)
    return run


def main() -> None:
    """Make what is missing of the runs, and both pages."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--runs", type=Path, default=RUNS, help="where the runs are or come to be")
    runs = asked.parse_args().runs.absolute()
    runs.mkdir(parents=True, exist_ok=True)
    LIVE.mkdir(exist_ok=True)
    for source, k in REFERENCES.items():
        run = trained(source, k, runs)
        (run / "figures.html").unlink(missing_ok=True)  # a page tells of the figures beside it, and here none are
        lowerbound(runs, "page", run.name, "--out", str(LIVE / f"{source}.html"))


if __name__ == "__main__":
    main()
