"""The pictures of docs/restoring.md, made by the program itself.

lowerbound train mnist -k 20 --out runs/mnist
python -m benchmarks.restored_pictures runs/mnist
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
MADE: dict[str, tuple[str, ...]] = {
    "denoise.png": ("denoise", "--sigma", "0.25"),
    "inpaint.png": ("inpaint", "--mask", "14,14,14,14"),
    "morph.gif": ("morph", "3", "18"),
    "traverse.gif": ("traverse", "--along", "axes", "-n", "6"),
}


def main() -> None:
    """Run the verbs, and keep what they draw; of a traversal its strip."""
    run = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as place:
        for name, (verb, *words) in MADE.items():
            out = Path(place, name)
            command = [sys.executable, "-m", "lowerbound", verb, str(run), *words, "--out", str(out)]
            subprocess.run(command, check=True)
            kept = out.with_suffix(".png") if verb == "traverse" else out
            shutil.copy(kept, PICTURES / kept.name)


if __name__ == "__main__":
    main()
