"""Two processes under ``torchrun``: killed, hanging, interrupted and mistaken; whatever happens, the run ends well or says why.

As a program, ``python tests/test_elastic.py FOLDER --kills 20`` kills one of two processes again and again, and counts.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import csv
import hashlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

pytestmark = pytest.mark.slow

BEGIN = ("train", "digits", "-k", "2", "--epochs", "8")
LIMIT = 300  # seconds for all of a run, on a machine that has much else to do

HANGING = """
import os, time
from lowerbound import recipes

def make(shape, k):
    model = recipes.vae(shape, k)
    loss, steps = model.loss, []

    def hanging(images, fraction):
        steps.append(fraction)
        if os.environ["RANK"] == "1" and len(steps) == 5:
            while True:
                time.sleep(1)
        return loss(images, fraction)

    model.loss = hanging
    return model
"""
MISTAKEN = """
import os
from lowerbound import InputError, recipes

def make(shape, k):
    model = recipes.vae(shape, k)
    loss, steps = model.loss, []

    def mistaken(images, fraction):
        steps.append(fraction)
        if os.environ["RANK"] == "1" and len(steps) == 5:
            raise InputError("only the second process sees this; mend it")
        return loss(images, fraction)

    model.loss = mistaken
    return model
"""


class Launched:
    """A ``torchrun`` of two processes, and what they say."""

    def __init__(self, words, folder, *, restarts=0, standalone=True, processes=2, **environment):
        self.folder = Path(folder)
        self.file = self.folder / "said.txt"
        how = ["--standalone"] if standalone else ["--master-port", str(free_port())]
        command = [sys.executable, "-m", "torch.distributed.run", *how, "--nproc-per-node", str(processes)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "LOWERBOUND_TIMEOUT": "30", **environment}
        with self.file.open("w") as said:
            self.process = subprocess.Popen(
                [*command, "--max-restarts", str(restarts), "-m", "lowerbound", *words],
                cwd=folder,
                env=environment,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
        self.began = time.monotonic()

    @property
    def said(self):
        return self.file.read_text()

    @property
    def lines(self):
        """What lowerbound said on standard error for people to read."""
        return [line.removeprefix("lowerbound: ") for line in self.said.splitlines() if line.startswith("lowerbound: ")]

    @property
    def codes(self):
        """Exit codes as ``torchrun`` reports them."""
        return [int(line.split()[2]) for line in self.said.splitlines() if line.split()[:2] == ["exitcode", ":"]]

    def ranks(self):
        """The numbers of its processes, of each that has begun, by rank."""
        found = {}
        with contextlib.suppress(OSError):
            for child in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split():
                with contextlib.suppress(OSError):
                    for word in Path(f"/proc/{child}/environ").read_bytes().split(b"\0"):
                        if word.startswith(b"RANK="):
                            found[int(word[5:])] = int(child)
        return found

    def until(self, there):
        """Wait until something is there; or the end."""
        while not there() and self.process.poll() is None:
            assert time.monotonic() - self.began < LIMIT, self.said
            time.sleep(0.002)
        return self

    def kill(self, rank, number=signal.SIGKILL):
        """Send one of its processes a signal; whether it was still there."""
        child = self.ranks().get(rank)
        if child is None:
            return False
        os.kill(child, number)
        return True

    def end(self):
        """Wait for the end; its exit code."""
        try:
            return self.process.wait(max(1.0, LIMIT - time.monotonic() + self.began))
        finally:
            if self.process.poll() is None:
                self.process.terminate()


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def weights_of(run):
    """All weights of a complete run."""
    assert json.loads((run / "run.json").read_text())["status"] == "complete", run
    files = sorted(run.glob("models/*/model.safetensors"))
    assert files
    return {
        f"{file.parent.name} {name}": array
        for file in files
        for name, array in safetensors.numpy.load_file(file).items()
    }


def hash_of(run):
    """Of all weights of a complete run, of its history, and of what was measured but seconds."""
    digest = hashlib.sha256()
    for name, array in sorted(weights_of(run).items()):
        digest.update(name.encode() + array.tobytes())
    rows = [{**row, "seconds": 0} for row in json.loads((run / "metrics.json").read_text())]
    digest.update(json.dumps(rows).encode())
    digest.update(b"".join(file.read_bytes() for file in sorted(run.glob("models/*/history.csv"))))
    assert not list(run.rglob(".*")), list(run.rglob(".*"))
    return digest.hexdigest()


def alone(words, folder):
    """The same command without a launcher."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "lowerbound", *words]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=LIMIT)
    assert done.returncode == 0, done.stderr
    return done


def steps_of(run):
    """Steps that the history tells of."""
    with next(run.glob("models/*/history.csv")).open() as file:
        return len(list(csv.reader(file))) - 1


STAGES = {  # when a process is killed: what has to be there
    "start": lambda run: True,
    "begun": lambda run: (run / "run.json").exists(),
    "training": lambda run: list(run.glob("models/*/checkpoint.safetensors")),
    "writing": lambda run: list(run.glob("models/*/.checkpoint*")),
    "trained": lambda run: list(run.glob("models/*/model.safetensors")),
    "report": lambda run: (run / "figures").exists() or (run / "metrics.json").exists(),
}


def killed(words, folder, run, rank, stage, wait=0.0, **how):
    """A training of which one process is killed at a stage, some seconds after; how it ended, and whether it was killed."""
    launched = Launched(words, folder, restarts=3, **how)
    launched.until(lambda: len(launched.ranks()) == 2)
    launched.until(lambda: STAGES[stage](run))
    time.sleep(wait)
    struck = launched.kill(rank)
    assert launched.end() == 0, launched.said
    return launched, struck


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """A folder with a run of two processes to which nothing happened."""
    folder = tmp_path_factory.mktemp("unbroken")
    launched = Launched((*BEGIN, "--out", "run"), folder)
    assert launched.end() == 0, launched.said
    return folder / "run"


def main():
    """Kill one of two processes so many times, each in a run of its own."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    print(killed_at_random(given.folder, given.kills, given.seed))


def killed_at_random(folder, kills, seed):
    """Kill either process at every stage; all runs must end at the weights of the unbroken one."""
    folder.mkdir(parents=True, exist_ok=True)
    first = Launched((*BEGIN, "--out", "unbroken"), folder)
    assert first.end() == 0, first.said
    right, draw = hash_of(folder / "unbroken"), random.Random(seed)  # noqa: S311
    counts = collections.Counter()
    while counts.total() < kills:
        number = counts.total()
        place = folder / f"{number}"
        place.mkdir()
        rank, stage, wait = number % 2, list(STAGES)[number // 2 % len(STAGES)], draw.uniform(0, 2)
        _, struck = killed(
            (*BEGIN, "--out", "run"),
            place,
            place / "run",
            rank,
            stage,
            0.0 if stage == "writing" else wait,
            standalone=number % 4 < 2,
        )
        assert struck, f"process {rank} had ended at stage {stage}"
        assert hash_of(place / "run") == right, (number, rank, stage)
        counts[f"process {rank}, {stage}"] += 1
        print(f"{counts.total()} of {kills}: process {rank} killed, {stage}", flush=True)
    return dict(counts)


if __name__ == "__main__":
    main()
