"""Files as this version writes them, kept for the tests of every version to come: a folder with the version's number.

    python tests/golden/make.py

Each release adds its folder once; a folder that is there is never written again.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from lowerbound.comparison import begin, go_on
from lowerbound.course.config import CourseConfig
from lowerbound.course.handin import submit
from lowerbound.course.journal import Journal
from lowerbound.encoding import encode
from lowerbound.folder import load_folder
from lowerbound.plan import Plan
from lowerbound.sources import load
from lowerbound.storage import Run
from lowerbound.streams import stream_of

HERE = Path(__file__).parent
SHOWN = 4  # images whose codes and reconstructions are kept


def values(run: Run, stored, images):
    """Codes and reconstructions of some images, and images of some codes, computed in double precision."""
    model = run.load(stored)
    z = np.linspace(-1.5, 1.5, 3 * stored.latent_dim).reshape(3, -1)
    if stored.recipe == "pca":
        codes = model.transform(images)
        return {"codes": codes, "rebuilt": model.inverse_transform(codes), "decoded": model.inverse_transform(z)}
    model = model.double()
    x = torch.from_numpy(images / 255)
    with torch.no_grad():
        codes = model.encoder(x).mean
        rebuilt, decoded = model.decoder(codes), model.decoder(torch.from_numpy(z))
    if stored.recipe == "vae":  # whose decoder gives distributions
        rebuilt, decoded = rebuilt.mean, decoded.mean
    return {"codes": codes.numpy(), "rebuilt": rebuilt.numpy(), "decoded": decoded.numpy()}


def photos(folder: Path) -> None:
    """Sixty images of 4 x 4 pixels in two classes, one brighter above, one brighter below."""
    random = np.random.default_rng(0)
    for number in range(60):
        kind = ("above", "below")[number % 2]
        ramp = np.linspace(200, 50, 4)[:: 1 if kind == "above" else -1, None]
        pixels = (ramp + random.normal(0, 20, (4, 4))).clip(0, 255).astype(np.uint8)
        (folder / kind).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / kind / f"{number:02}.png")


def trained(images, plan: Plan, out: Path) -> Run:
    """A complete run without what is large and read by nothing: figures, films, the second checkpoints."""
    run = go_on(begin(images, plan, out), images)
    for left in ("figures", "report.html", "figures.html"):
        (shutil.rmtree if (out / left).is_dir() else Path.unlink)(out / left)
    for file in out.rglob("*.safetensors"):
        if file.name.startswith(("film", "checkpoint")) and file.parent.name != "linear-k2":
            file.unlink()
    run.about["source"]["path"] = images.source  # and not where it lay on the machine that made it
    run.write_about()
    return run


def main() -> int:
    """Make the folder of this version."""
    out = HERE / version("lowerbound")
    if out.exists():
        print(f"{out} is there already, and a released version writes its files once")
        return 2
    place = Path(tempfile.mkdtemp())
    os.chdir(place)
    photos(Path("photos"))
    load_folder(Path("photos"), size=4, out=Path("images.npy"))
    images = replace(load("images.npy"), source="images.npy")
    run = trained(images, Plan((2,), epochs=2, network="tutorial"), Path("run"))
    default = trained(images, Plan((2,), ("vae",), epochs=2), Path("run-default"))
    (vae,) = [stored for stored in run.models if stored.recipe == "vae"]
    encode(run.load(vae), stream_of(images.test, "test"), Path("codes.parquet"), stamp="vae")
    Path("course").mkdir()
    journal = Journal("course")
    journal.add("05", "opened", "05", {"data": "digits", "full": False})
    journal.add("05", "me", "me", {"name": "Ada", "group": "athena"})
    journal.add("05", "section", "1")
    journal.add("05", "response", "strict_or_lax", "Strict: it keeps the stroke.\nAnd “more”, says Zoë.")
    journal.add("05", "check", "rsample", {"outcome": "passed"})
    journal.add("05", "ran", "conv", {"data": "digits", "k": 8, "model": "conv", "full": False, "test_mse": 0.007})
    submit("course", CourseConfig(), "handed")
    shown = images.test.pixels[:SHOWN]
    expected = {
        name: {
            stored.name: {what: array.tolist() for what, array in values(each, stored, shown).items()}
            for stored in each.models
        }
        for name, each in (("run", run), ("run-default", default))
    }
    Path("expected.json").write_text(json.dumps(expected), encoding="utf-8")
    shutil.rmtree("photos")
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(place, out)
    total = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    print(f"{out.name}: {total / 1000:.0f} kB in {sum(1 for _ in out.rglob('*'))} files")
    return 0


if __name__ == "__main__":
    sys.exit(main())
