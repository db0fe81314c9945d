"""Many damaged inputs through one reader, in a process of its own: each gives a result or one line, in bounded time and memory.

    python -m tests.fuzzing idx 100000

It prints one JSON object for each reader (`all` goes through them all). Of a failure it has the number of the input, which makes
the same input again:
`python -m tests.fuzzing idx 1 --first NUMBER`.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

from lowerbound.errors import InputError
from tests.fuzz_targets import TARGETS

SECONDS = 20  # of processor time for one input
MOST = 12 * 2**30  # bytes of addresses: a claim of terabytes fails here on any machine
FAILURES = 5  # after which it is enough


class Endless(BaseException):
    """An input took too long."""


def _ended(number, frame):
    raise Endless


def memory():
    """The most that this process has held, in bytes."""
    return 1024 * int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text(encoding="ascii"))[1])


def fuzz(name, count, first=0):
    """Put inputs through a target; counts, the slowest, what it held in memory, and what went wrong."""
    signal.signal(signal.SIGVTALRM, _ended)
    warnings.filterwarnings("ignore")
    told = {"target": name, "inputs": 0, "read": 0, "refused": 0, "slowest": 0.0, "largest": 0, "failures": []}
    with tempfile.TemporaryDirectory() as folder:
        make, read = TARGETS[name](Path(folder))
        before, began = 0, time.process_time()
        for number in range(first, first + count):
            made = make(random.Random(f"{name} {number}"))  # noqa: S311
            start = time.process_time()
            signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
            try:
                read(made)
                told["read"] += 1
            except InputError as error:
                told["refused"] += 1
                if "\n" in str(error).strip() or len(str(error)) > 12_000 or not str(error):
                    told["failures"].append({"number": number, "said": f"not one line: {str(error)[:300]!r}"})
            except (Exception, Endless) as error:  # noqa: BLE001  (whatever it is, it is what is looked for)
                where = traceback.extract_tb(error.__traceback__)[-6:]
                place = " < ".join(f"{Path(each.filename).name}:{each.lineno}" for each in reversed(where))
                told["failures"].append(
                    {"number": number, "said": f"{type(error).__name__}: {str(error)[:200]} at {place}"}
                )
            finally:
                signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            told["inputs"] += 1
            told["slowest"] = max(told["slowest"], time.process_time() - start)
            before = before or memory()  # what is loaded only once is loaded
            if len(told["failures"]) >= FAILURES:
                break
        told["largest"] = memory() - before
        told["seconds"] = time.process_time() - began
    return told


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("target", choices=(*TARGETS, "all"))
    parser.add_argument("count", type=int)
    parser.add_argument("--first", type=int, default=0)
    given = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (MOST, MOST))
    failed = False
    for name in TARGETS if given.target == "all" else [given.target]:
        told = fuzz(name, given.count, given.first)
        print(json.dumps(told), flush=True)
        failed |= bool(told["failures"])
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
