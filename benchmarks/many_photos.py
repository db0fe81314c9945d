"""A folder of 100,000 image files, to see the verbs at that size, and what `duplicates` finds of the copies planted there.

    python -m benchmarks.many_photos cifar/ many/                  cifar/ has train and test folders with JPEG files
    /usr/bin/time -v lowerbound duplicates many/ --out twice       and so for outliers, neighbours, cluster
    python -m benchmarks.many_photos --found twice.csv

CIFAR-10's 60,000 files are linked. 8,000 files are altered copies of them, a quarter of each kind; 32,000 others are corners,
mirrored and enlarged, which are no copies.
"""

from __future__ import annotations

import argparse
import csv
import os
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.planted import COPIES, as_photo, as_pixels

PLANTED, CORNERS, SIDE = 8_000, 32_000, 20


def main() -> None:
    """Make the folder, or tell what was found in it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--found", type=Path, metavar="CSV")
    asked = parser.parse_args()
    if asked.found:
        tell(asked.found)
    else:
        make(*asked.folders)


def make(cifar: Path, out: Path) -> None:
    """Link, alter and write, in 100 sub-folders."""
    files, rng = sorted(cifar.glob("*/*/*.jpg")), np.random.default_rng(0)
    homes = [out / f"{n:02}" for n in range(100)]
    for home in homes:
        home.mkdir(parents=True)
    for n, file in enumerate(files):
        os.link(file, homes[n % 100] / f"{n:06}.jpg")
    order = rng.permutation(len(files))
    for place, n in enumerate(order[:PLANTED]):
        kind = list(COPIES)[place % len(COPIES)]
        copy = COPIES[kind](as_pixels(Image.open(files[n]).convert("RGB")), rng)
        as_photo(copy).save(homes[n % 100] / f"{n:06} {kind}.png", compress_level=1)
    for n in order[PLANTED : PLANTED + CORNERS]:
        photo = Image.open(files[n]).convert("RGB")
        left, top = (int(rng.integers(photo.width - SIDE + 1)) for _ in range(2))
        piece = photo.crop((left, top, left + SIDE, top + SIDE)).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        piece.resize(photo.size, Image.Resampling.LANCZOS).save(homes[n % 100] / f"{n:06} corner.jpg", quality=95)


def tell(table: Path) -> None:
    """How many planted copies stand in a group with their original, and how many pairs are of one original."""
    groups = defaultdict(list)
    with table.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            groups[row["group"]].append(Path(row["name"]).stem)
    found: Counter[str] = Counter()
    pairs = right = 0
    for names in groups.values():
        found.update(name[7:] for name in names if name[7:] in COPIES and name[:6] in names)
        pairs += len(names) * (len(names) - 1) // 2
        right += sum(n * (n - 1) // 2 for n in Counter(name[:6] for name in names).values())
    for kind in COPIES:
        print(f"{kind}: {found[kind]:,} of {PLANTED // len(COPIES):,} found")
    print(f"{right:,} of {pairs:,} pairs are of one original; the others are CIFAR-10's own copies, or wrong")


if __name__ == "__main__":
    main()
