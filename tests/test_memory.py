"""What training holds: the images, eight times the parameters at most, and the activations of one batch."""

import subprocess
import sys

import pytest

SCRIPT = """
import re, sys, threading, time
import numpy as np, torch
from pathlib import Path
from lowerbound import loop, recipes, training
from lowerbound.settings import Settings
from lowerbound.state import Keep
from lowerbound.storage import Run
from lowerbound.stored import StoredModel

def anonymous():
    return int(re.search(r"RssAnon:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024

side, k, extra = 64, 400, eval(sys.argv[2])
images = np.random.default_rng(0).integers(0, 256, (4, 3, side, side)).astype(np.uint8)
small = recipes.linear((1, 8, 8), 2)
training.run(small, images[:, :1, :8, :8], Settings(1), device=torch.device("cpu"))  # what is loaded only once
model = recipes.linear((3, side, side), k)
parameters = 4e-6 * sum(weights.numel() for weights in model.parameters())
before, peak, done = anonymous() - parameters, [0.0], []

def watch():
    while not done:
        peak[0] = max(peak[0], anonymous())
        time.sleep(0.002)

loop.SAVE_EVERY = -1.0  # before every step
run, stored = Run(Path(sys.argv[1]), {}), StoredModel("linear", k, (3, side, side))
keep = Keep(lambda state: run.save_checkpoint(stored, model, state), lambda: run.load_checkpoint(stored, model))
watcher = threading.Thread(target=watch)
watcher.start()
training.run(model, images, Settings(4, 2, **extra), keep=keep, validation=images[:1], device=torch.device("cpu"))
done.append(1)
watcher.join()
print((peak[0] - before) / parameters)
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("extra", ["{}", "{'average': 0.9, 'patience': 9}"], ids=["plain", "averaged, with patience"])
def test_training_holds_at_most_eight_times_the_parameters(extra, tmp_path):
    """With a batch of two images and 9.8 million parameters, activations are nothing; a checkpoint is written at every step."""
    done = subprocess.run([sys.executable, "-c", SCRIPT, tmp_path, extra], check=True, capture_output=True, text=True)
    assert 3.5 < float(done.stdout) < 8.5  # and some megabytes for all else
