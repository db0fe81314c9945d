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
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

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
            raise InputError("only the second process sees this")
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
    done = subprocess.run(
        command, check=False, cwd=folder, env=environment, capture_output=True, text=True, timeout=LIMIT
    )
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


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rank", "stage", "standalone"),
    [
        pytest.param(0, "training", True, id="main"),
        pytest.param(1, "begun", False, id="other", marks=pytest.mark.soak),
    ],
)
def test_a_killed_process_costs_nothing(rank, stage, standalone, unbroken, tmp_path):
    launched, struck = killed((*BEGIN, "--out", "run"), tmp_path, tmp_path / "run", rank, stage, standalone=standalone)
    assert struck
    assert hash_of(tmp_path / "run") == hash_of(unbroken), launched.said


@pytest.mark.soak
def test_the_run_is_found_again_without_a_name(unbroken, tmp_path):
    launched = Launched(BEGIN, tmp_path, restarts=3)
    launched.until(lambda: list(tmp_path.glob("runs/*/models/*/checkpoint.safetensors")))
    assert launched.kill(1)
    assert launched.end() == 0, launched.said
    (run,) = tmp_path.glob("runs/*")
    assert hash_of(run) == hash_of(unbroken)


@pytest.mark.soak
def test_more_epochs_are_asked_for_once(unbroken, tmp_path):
    shutil.copytree(unbroken, tmp_path / "run")
    before = steps_of(unbroken)
    words = ("train", "--resume", "run", "--epochs", "+8")
    launched = Launched(words, tmp_path, restarts=3)
    checkpoint = next(tmp_path.glob("run/models/*/checkpoint.safetensors"))
    then = checkpoint.stat().st_mtime_ns
    launched.until(lambda: checkpoint.stat().st_mtime_ns != then if checkpoint.exists() else False)
    assert launched.kill(0)
    assert launched.end() == 0, launched.said
    assert steps_of(tmp_path / "run") == 2 * before
    assert json.loads((tmp_path / "run/run.json").read_text())["models"][0]["settings"]["epochs"] == 16


@pytest.mark.slow
def test_an_interrupted_run_of_two_is_finished_by_two_and_by_one(unbroken, tmp_path):
    launched = Launched((*BEGIN, "--out", "run"), tmp_path)
    launched.until(lambda: list(tmp_path.glob("run/models/*/checkpoint.safetensors")))
    os.kill(launched.process.pid, signal.SIGINT)
    sent = time.monotonic()
    assert launched.end() != 0
    assert time.monotonic() - sent < 25  # and not the 30 s after which torchrun kills
    assert launched.lines == ["interrupted; go on with `lowerbound train --resume run`"]
    assert json.loads((tmp_path / "run/run.json").read_text())["status"] == "training"
    assert not list(tmp_path.glob("run/.lock"))
    shutil.copytree(tmp_path / "run", tmp_path / "alone")
    launched = Launched(("train", "--resume", "run"), tmp_path)
    assert launched.end() == 0, launched.said
    assert hash_of(tmp_path / "run") == hash_of(unbroken)
    alone(("train", "--resume", "alone"), tmp_path)
    assert steps_of(tmp_path / "alone") == steps_of(unbroken)
    one = weights_of(tmp_path / "alone")
    for name, value in weights_of(unbroken).items():
        assert np.allclose(one[name], value, rtol=0, atol=1e-3 * max(1.0, np.abs(value).max())), name


@pytest.mark.soak
def test_a_termination_of_one_process_stops_both_after_the_step(tmp_path):
    launched = Launched(("train", "digits", "-k", "2", "--epochs", "200", "--out", "run"), tmp_path)
    launched.until(lambda: list(tmp_path.glob("run/models/*/checkpoint.safetensors")))
    assert launched.kill(1, signal.SIGTERM)
    assert launched.end() != 0
    assert launched.lines == ["interrupted; go on with `lowerbound train --resume run`"]
    assert not list(tmp_path.glob("run/models/*/model.safetensors"))


@pytest.mark.soak
def test_compare_by_two_processes_is_that_by_one(tmp_path):
    words = ("compare", "digits", "-k", "2,3", "--epochs", "1", "--out")
    launched = Launched((*words, "two"), tmp_path)
    assert launched.end() == 0, launched.said
    alone((*words, "one"), tmp_path)
    one, two = weights_of(tmp_path / "one"), weights_of(tmp_path / "two")
    assert one.keys() == two.keys()
    for name, value in one.items():
        scale = max(1.0, float(np.abs(value).max(initial=0)))
        assert np.allclose(two[name], value, rtol=0, atol=1e-4 * scale), name
        if name.startswith("pca"):
            assert two[name].tobytes() == value.tobytes()


@pytest.mark.slow
@pytest.mark.parametrize("rank", [pytest.param(0, marks=pytest.mark.soak), 1])
def test_a_hanging_process_is_named(rank, tmp_path):
    (tmp_path / "own.py").write_text(HANGING.replace('"1"', f'"{rank}"'))
    words = ("train", "digits", "-k", "2", "--recipe", "own.py:make", "--out", "run")
    launched = Launched(words, tmp_path, LOWERBOUND_TIMEOUT="6")
    assert launched.end() == 1
    (line,) = launched.lines
    assert line.startswith(
        f"process {rank} of 2 (counted from 0) did not answer at step 4; what was saved before is kept"
    )
    assert 1 in launched.codes


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("train", "digits", "--objective", "free-bits:0.5"), "the loss of vae-k2 is a statistic of the whole batch"),
        *(
            pytest.param(*each, marks=pytest.mark.soak)
            for each in (
                (("train", "digtis"), 'there is no source "digtis"'),
                (("train", "digits", "--objective", "total-corelation"), 'there is no objective "total-corelation"'),
                (("train", "--resume", "nothing"), "nothing does not exist"),
            )
        ),
        (
            ("train", "digits", "--recipe", "own.py:make"),
            "own.py, line 12, fails while it is trained: only the second process sees this",
        ),
    ],
    ids=["whole batch", "source", "part", "no run", "of one process"],
)
def test_a_mistake_is_said_once_and_ends_everything(words, line, tmp_path):
    (tmp_path / "own.py").write_text(MISTAKEN)
    if "--resume" not in words:
        words = (*words, "-k", "2", "--out", "run")
    launched = Launched(words, tmp_path, restarts=1 if "--resume" in words else 0)
    assert launched.end() == 1
    (said,) = launched.lines
    assert said.startswith(line)
    assert 2 in launched.codes
    assert (tmp_path / "run").exists() == ("own.py:make" in words)


@pytest.mark.soak
def test_twenty_of_twenty_killed_at_random_end_well(tmp_path):
    counts = killed_at_random(tmp_path, kills=20, seed=0)
    assert sum(counts.values()) == 20


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
    counts, tries = collections.Counter(), 0
    while counts.total() < kills:
        stage, rank = list(STAGES)[tries // 2 % len(STAGES)], tries % 2
        rank *= stage != "report"  # which the main process draws when the other has ended
        place, wait = folder / f"{tries}", 0.0 if stage in ("writing", "trained") else draw.uniform(0, 1)
        place.mkdir()
        tries += 1
        words = (*BEGIN, "--out", "run")
        _, struck = killed(words, place, place / "run", rank, stage, wait, standalone=tries % 4 < 2)
        assert hash_of(place / "run") == right, (tries, rank, stage)
        counts[f"process {rank}, {stage}"] += struck
        print(f"{counts.total()} of {kills}: process {rank} killed, {stage}" if struck else "came late", flush=True)
    return dict(counts)


if __name__ == "__main__":
    main()
