"""Damaged files through every reader: a result or one line, never a crash, a hang, or memory that the input does not account for.

`make test` puts 300 inputs through each, `make soak` 100,000, or as many as `LOWERBOUND_FUZZ` says. The readers are in
fuzz_targets.py, the damage is in mutations.py, and fuzzing.py runs them in a process of its own, which a crash would end.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutations import damaged, damaged_json, damaged_tensors

ROOT = Path(__file__).parents[1]
SHORT, LONG = 300, int(os.environ.get("LOWERBOUND_FUZZ", "100000"))
TARGETS = (
    *("image", "image_folder", "idx", "gzipped", "cifar", "npy", "npz", "parquet", "arrow", "packed"),
    *(
        "run_folder",
        "examined",
        "prior",
        "parts_of_codes",
        "checkpoint",
        "exported",
        "handin",
        "journal",
        "course_settings",
        "notebook",
    ),
)
PIXELS = (
    "image",
    "image_folder",
    "parquet",
    "arrow",
)  # one file may have 64 million pixels, of 4 bytes, a few times over
LARGEST = {name: 1_200e6 if name in PIXELS else 100e6 for name in TARGETS}
LARGEST["handin"] = 3_200e6  # JSON of nothing but brackets takes fifty times its size, and a hand-in may have 64 MB
LARGEST["parquet"] = 2_600e6  # a page of it may claim 2**31 bytes, and its library makes room for them

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="reads /proc and sets limits as Linux has them"
)


def fuzzed(target, count):
    """What came of so many inputs of a target, or of each of them, by its name."""
    words = [sys.executable, "-m", "tests.fuzzing", target, str(count)]
    threads = {"OMP_NUM_THREADS": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"}
    done = subprocess.run(
        words, cwd=ROOT, env={**os.environ, **threads}, capture_output=True, text=True, check=False, timeout=7_200
    )
    told = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert done.returncode in (0, 1), (
        f"ended with {done.returncode} after {[each['target'] for each in told]}: {done.stderr[-2000:]}"
    )
    return {each["target"]: each for each in told}


def held(told, count):
    """Hold what came of a target to what is promised."""
    assert not told["failures"], told["failures"]
    assert told["inputs"] == told["read"] + told["refused"] == count
    assert told["largest"] < LARGEST[told["target"]]
    assert told["refused"] or told["target"] in (
        "journal",
        "image_folder",
        "parts_of_codes",
    )  # where odd parts are left out


@pytest.fixture(scope="module")
def short():
    """The short form of all, in one process."""
    return fuzzed("all", SHORT)


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_a_damaged_file_is_read_or_refused(target, short):
    assert sorted(short) == sorted(TARGETS)
    held(short[target], SHORT)


@pytest.mark.soak
@pytest.mark.parametrize("target", TARGETS)
def test_very_many_damaged_files_are_read_or_refused(target):
    told = fuzzed(target, LONG)[target]
    print(json.dumps(told))
    held(told, LONG)


def seeded(number):
    return random.Random(number)  # noqa: S311


def test_the_same_number_makes_the_same_damage_and_most_numbers_another():
    good = json.dumps({"a": [1, 2.5, {"b": "text"}], "c": None}).encode()
    for make in (lambda rnd: damaged(rnd, good), lambda rnd: damaged_json(rnd, good)):
        made = [make(seeded(number)) for number in range(200)]
        assert made == [make(seeded(number)) for number in range(200)]
        assert len(set(made)) > 120


def test_damaged_tensors_differ_from_the_file():
    import safetensors.torch
    import torch

    good = safetensors.torch.save({"a": torch.ones(3), "b": torch.zeros(2, 2)}, {"sha256": "0"})
    made = [damaged_tensors(seeded(number), good) for number in range(200)]
    assert sum(each != good for each in made) > 150
