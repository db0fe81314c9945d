"""Nothing is lost: whatever kills a training, going on with it ends at the weights of one that was never interrupted.

As a program, ``python tests/test_durability.py FOLDER --kills 200`` kills and counts; it imports torch once and forks.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import hashlib
import importlib
import json
import os
import random
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import safetensors.numpy

FAULTS = Path(__file__).with_name("test_whole.py")
BEGIN = ("train", "digits", "-k", "2", "--epochs", "10")
COMPARE = ("compare", "digits", "-k", "2", "--epochs", "3")


def fork(words, folder, prepare=lambda: None):
    """The command line in a child of this process, which has imported everything and computed nothing yet."""
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        os.chdir(folder)
        with open("said", "a") as said:  # noqa: PTH123
            os.dup2(said.fileno(), 1)
            os.dup2(said.fileno(), 2)
        prepare()
        from lowerbound.__main__ import main

        sys.argv = ["lowerbound", *words]
        code = main()
        Path("modules").write_text("\n".join(sys.modules))
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def ended(child):
    """The exit code of a child, or the signal that killed it, below zero."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def hash_of(run, *, swept=True):
    """Of all weight tensors of a complete run, and of all that was measured but seconds."""
    assert json.loads((run / "run.json").read_text())["status"] == "complete", run
    digest = hashlib.sha256()
    for file in sorted(run.glob("models/*/model.safetensors")):
        for name, array in sorted(safetensors.numpy.load_file(file).items()):
            digest.update(repr((file.parent.name, name, array.dtype, array.shape)).encode())
            digest.update(array.tobytes())
    rows = [{**row, "seconds": 0} for row in json.loads((run / "metrics.json").read_text())]
    digest.update(json.dumps(rows).encode())
    digest.update(b"".join(file.read_bytes() for file in sorted(run.glob("models/*/history.csv"))))
    left = [file for file in run.rglob(".*") if swept or file.name != ".lock"]  # a lock that nobody holds binds nobody
    assert not left, left
    return digest.hexdigest()


def stage(run):
    """How far a run was when it was killed."""
    if not (run / "run.json").exists():
        return "before it began"
    if json.loads((run / "run.json").read_text())["status"] == "complete":
        return "when it was complete"
    if list(run.rglob(".*.[0-9]*")) or list(run.rglob(".tmp*")):
        return "within a file"
    if (run / "report.html").exists() or list(run.glob("figures/*")):
        return "while figures were drawn"
    return "while it trained" if list(run.glob("models/*/checkpoint*")) else "before a checkpoint"


def words_for(words, run):
    """What a user would type: to begin, or to go on."""
    return ("train", "--resume", run.name) if (run / "run.json").exists() else (*words, "--out", run.name)


def finish(words, run):
    """Go on until it is complete."""
    code = ended(fork(words_for(words, run), run.parent))
    assert code == 0, (run.parent / "said").read_text()


def unbroken(words, folder):
    """The hash of a run that nothing happened to, and the seconds it took."""
    finish(words, folder / "first")
    for module in (folder / "modules").read_text().split():  # that the next children need not import
        with contextlib.suppress(Exception):
            importlib.import_module(module)
    began = time.monotonic()
    finish(words, folder / "unbroken")
    return hash_of(folder / "unbroken"), time.monotonic() - began


def killed_at_random(words, folder, kills, seed):
    """Kill runs at random moments, each again and again until it is complete; all must end at the same hash."""
    right, seconds = unbroken(words, folder)
    draw = random.Random(seed)  # noqa: S311
    struck, runs = collections.Counter(), 0
    while sum(struck.values()) < kills:
        run = folder / f"killed-{runs}"
        runs += 1
        while sum(struck.values()) < kills:
            child = fork(words_for(words, run), folder)
            time.sleep(draw.uniform(0, seconds))
            os.kill(child, signal.SIGKILL)  # of one that has ended and was not waited for: does nothing
            code = ended(child)
            assert code in (0, -signal.SIGKILL), (folder / "said").read_text()
            if code == 0:
                break
            struck[stage(run)] += 1
            if stage(run) in ("while figures were drawn", "when it was complete"):
                break  # once is enough: most of the kills are for the training; and what is complete has no more to do
        killed_last = stage(run) == "when it was complete" and code != 0
        if stage(run) != "when it was complete":
            finish(words, run)
        assert hash_of(run, swept=not killed_last) == right, run
    print(f"{sum(struck.values())} kills of {runs} runs of {seconds:.1f} s, all ended at {right[:12]}: {dict(struck)}")


def killed_at_each_stage(words, folder):
    """Kill at every call of the system that a checkpoint's writing takes: of the first, the second, and the third."""
    from lowerbound import checkpoints, comparison, loop

    comparison.write_report = lambda *_: None  # figures have tests of their own
    loop.SAVE_EVERY = -1.0
    Failing, write_whole, kills = runpy.run_path(str(FAULTS))["Failing"], checkpoints.write_whole, 0
    words = (*words[:-1], "1")  # an epoch of 15 steps and as many checkpoints
    right, _ = unbroken(words, folder)
    for number in (1, 2, 3):
        for at in range(1, 8 if number == 1 else 9):  # nothing is there to be moved aside by the first
            left = [number]

            def write(path, content, left=left, at=at, **how):
                left[0] -= path.name == "checkpoint.safetensors"
                if not left[0]:
                    Failing(pytest.MonkeyPatch(), at, lambda: os.kill(os.getpid(), signal.SIGKILL))
                write_whole(path, content, **how)

            run = folder / f"killed-{number}-{at}"
            child = fork(words_for(words, run), folder, lambda write=write: setattr(checkpoints, "write_whole", write))
            assert ended(child) == -signal.SIGKILL, (folder / "said").read_text()
            finish(words, run)
            assert hash_of(run) == right, run
            kills += 1
    print(f"{kills} kills, one at each stage, all ended at {right[:12]}")


def main():
    """Kill, go on, compare."""
    asked = argparse.ArgumentParser(description=main.__doc__)
    asked.add_argument("folder", type=Path)
    asked.add_argument("--kills", type=int, default=200, help="at random moments; 0: at each stage of a checkpoint")
    asked.add_argument("--seed", type=int, default=0)
    asked.add_argument("--compare", action="store_true", help="four models in a run in place of one")
    asked = asked.parse_args()
    import lowerbound.comparison  # what takes long, once and for all children
    import lowerbound.loop
    import lowerbound.training_verbs

    lowerbound.loop.SAVE_EVERY = 0.03
    words = COMPARE if asked.compare else BEGIN
    if asked.kills:
        killed_at_random(words, asked.folder.absolute(), asked.kills, asked.seed)
    else:
        killed_at_each_stage(words, asked.folder.absolute())


def ran(folder, *words):
    """This file as a program, in a process that has computed nothing; what it printed."""
    done = subprocess.run(
        [sys.executable, __file__, folder, *words],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    print(done.stdout)
    return done.stdout


@pytest.mark.slow
def test_killed_a_few_times_at_random_it_ends_at_the_same_weights(tmp_path):
    assert "4 kills" in ran(tmp_path, "--kills", "4")


@pytest.mark.soak
def test_killed_at_each_stage_of_a_checkpoint_it_ends_at_the_same_weights(tmp_path):
    assert "23 kills" in ran(tmp_path, "--kills", "0")


@pytest.mark.soak
@pytest.mark.parametrize("more", [[], ["--compare"]], ids=["train", "compare"])
def test_killed_200_times_at_random_it_ends_at_the_same_weights(more, tmp_path):
    assert "200 kills" in ran(tmp_path, "--kills", "200", *more)


if __name__ == "__main__":
    main()
