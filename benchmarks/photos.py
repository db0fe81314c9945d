"""The pictures of docs/photos.md: a small folder of images, and what the verbs find in it.

    lowerbound compare mnist -k 20 --out runs/readme
    python -m benchmarks.photos runs/readme

The clusters and the neighbours are of the run's own images.

The folder has 400 test digits of MNIST as PNG files. Eight more are pieces of scikit-learn's two photographs, and six are
copies of others: two the same file, two stored anew as JPEG, two moved by a pixel or two.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.planted import COPIES
from lowerbound import load

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"


def main() -> None:
    """Make the folder, run the verbs, keep their sheets."""
    run = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as made:
        photos = Path(made, "photos")
        fill(photos)
        for words in (
            ["outliers", run, photos, "-n", "9"],
            ["neighbours", run, photos / "digit 000.png"],
            ["duplicates", photos],
            ["cluster", run, "-n", "6"],
        ):
            stem = Path(made, str(words[0]))
            subprocess.run([sys.executable, "-m", "lowerbound", *map(str, words), "--out", stem], check=True)
            sheet = (
                Image.open(stem.with_suffix(".png")).convert("RGB").quantize(128)
            )  # a third of the bytes, as good to the eye
            sheet.save(PICTURES / f"{words[0]}.png", optimize=True)


def fill(folder: Path) -> None:
    """Write the images."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    digits = load("mnist").test.pixels[:400]
    for number, image in enumerate(digits):
        Image.fromarray(image[0]).save(folder / f"digit {number:03}.png")
    patches = load("patches").test.pixels
    for number, place in enumerate(rng.permutation(len(patches))[:8]):
        Image.fromarray(patches[place].transpose(1, 2, 0)).convert("L").save(folder / f"photograph {number}.png")
    for number in (11, 12):
        shutil.copy(folder / f"digit {number:03}.png", folder / f"copy of {number}.png")
    for number in (21, 22):
        Image.fromarray(digits[number][0]).save(folder / f"digit {number} again.jpg", quality=50)
    for number in (31, 32):
        Image.fromarray(COPIES["moved"](digits[number], rng)[0]).save(folder / f"digit {number} moved.png")


if __name__ == "__main__":
    main()
