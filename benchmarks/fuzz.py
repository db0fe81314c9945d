"""Damaged files through every reader, many of them: what came of it, in fuzz.json and in docs/reliability.md.

    python -m benchmarks.fuzz --count 100000
    python -m benchmarks.fuzz --count 20000 --only arrow parquet

Each reader runs in a process of its own, which a crash would end; what was measured of the others stays.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "fuzz.json"
PAGE = ROOT / "docs" / "reliability.md"
MARKS = ("<!-- fuzz -->\n", "<!-- fuzz end -->")
WORDS = """Measured by `python -m benchmarks.fuzz` on one core of an Intel Xeon that others used as well. Inputs per second and
the slowest are of processor time; *grew by* is what the process held at most beyond what it held after the first input.

"""


def table(results: list[dict[str, Any]]) -> str:
    """What came of each reader as a table of the page."""
    rows = [
        f"| {each['target'].replace('_', ' ')} | {each['inputs']:,} | {each['read']:,} | {each['refused']:,} | "
        f"{each['inputs'] / each['seconds']:,.0f} | {1000 * each['slowest']:,.0f} | {each['largest'] / 1e6:,.0f} |"
        for each in results
    ]
    head = (
        "| Reader | inputs | read | refused | inputs/s | slowest, ms | grew by, MB |\n|---|---|---|---|---|---|---|\n"
    )
    return head + "\n".join(rows) + "\n"


def write(measured: list[dict[str, Any]], order: list[str]) -> None:
    """Put what was measured beside what is known of the other readers."""
    known = (
        {each["target"]: each for each in json.loads(RESULTS.read_text(encoding="utf-8"))} if RESULTS.exists() else {}
    )
    for each in measured:
        known[each["target"]] = each | {"seconds": round(each["seconds"], 1), "slowest": round(each["slowest"], 4)}
    results = [known[name] for name in order if name in known]
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(MARKS[0])
    PAGE.write_text(
        before + MARKS[0] + WORDS + table(results) + MARKS[1] + rest.partition(MARKS[1])[2], encoding="utf-8"
    )


def main() -> int:
    """Measure, and write what came of it."""
    from tests.fuzz_targets import TARGETS

    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--only", nargs="+", choices=TARGETS, default=list(TARGETS))
    given = parser.parse_args()
    failed = 0
    for name in given.only:
        words = [sys.executable, "-m", "tests.fuzzing", name, str(given.count)]
        done = subprocess.run(words, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
        print(done.stdout.strip() or f"{name} ended with {done.returncode}", flush=True)
        failed += done.returncode != 0
        if done.returncode == 0:
            write([json.loads(done.stdout.splitlines()[-1])], list(TARGETS))
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
