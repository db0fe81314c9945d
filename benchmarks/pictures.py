"""The pictures in the README, made by the program itself.

lowerbound compare mnist -k 20 --out runs/readme
python -m benchmarks.pictures runs/readme
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
FROM_RUN = {
    "reconstructions-k20": "reconstructions",
    "codes": "codes",
    "elbo": "elbo",
    "interpolation": "interpolation",
    "samples": "samples",
}


def main() -> None:
    """Copy a run's figures, and draw one more by hand."""
    run = Path(sys.argv[1])
    PICTURES.mkdir(parents=True, exist_ok=True)
    for figure, picture in FROM_RUN.items():
        shutil.copy(run / "figures" / f"{figure}.png", PICTURES / f"{picture}.png")
    drawn = PICTURES / "eigenspectrum-xkcd.png"
    subprocess.run([sys.executable, "-m", "lowerbound", "spectrum", run, "--style", "xkcd", "--out", drawn], check=True)
    drawn.with_suffix(".svg").unlink()


if __name__ == "__main__":
    main()
