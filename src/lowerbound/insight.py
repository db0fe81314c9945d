"""What a run knows of its VAE beyond numbers of quality: what is wrong with it, and how q finds the codes of a few images.

Kept beside the models as ``diagnosis.json`` and ``posterior.json``, for the run's page. ``insight.json`` says of which weights
and images they tell, so that none of a model that has been trained on is taken for what it is now; and in words what could
not be found out.
"""

from __future__ import annotations

import hashlib
import shlex
from typing import Any

import numpy as np

from lowerbound.diagnosis import Commands, check, findings
from lowerbound.errors import DivergedError, InputError
from lowerbound.examination import examine
from lowerbound.formats import read_json, to_json
from lowerbound.images import ImageSet
from lowerbound.parts import Parts
from lowerbound.progress import Progress, quiet
from lowerbound.replay import ascents
from lowerbound.storage import Run
from lowerbound.stored import Model, StoredModel
from lowerbound.whole import write_whole

__all__ = ["forget_insight", "lacks_insight", "make_insight", "write_insight"]

REPLAYED, AMONG = 6, 2000  # images, and how many first ones they are drawn from: most pages show those
VALUES = 100_000  # of the pixels of all that are replayed: of large images fewer are, since each takes seconds
FILES = ("insight.json", "diagnosis.json", "posterior.json")  # the first tells of the others


def lacks_insight(run: Run) -> bool:
    """Whether the run has a VAE of which it knows nothing, or only what was so with other weights or images.

    Args:
        run: Its models are trained.
    """
    stored = _vae(run)
    if stored is None:
        return False
    try:
        known = read_json(run.path / FILES[0])
    except InputError:  # not there, or damaged
        return True
    return not isinstance(known, dict) or known.get("of") != _stamp(run, stored)


def make_insight(run: Run, images: ImageSet, progress: Progress = quiet, *, anew: bool = False) -> str:
    """Examine the run's VAE where that was not done yet, by a process that otherwise only reads the run.

    Args:
        run: Complete.
        images: Of the run.
        progress: Shown on the way.
        anew: Whether to do it although it was done.

    Returns:
        Why nothing could be kept, in words, such as a folder that may not be written; empty where all went well.
    """
    if not (anew or lacks_insight(run)):
        return ""
    try:
        with run.writing():
            write_insight(run, images, progress)
    except InputError as error:
        return str(error)
    return ""


def write_insight(run: Run, images: ImageSet, progress: Progress = quiet) -> None:
    """Examine the VAE of the K that figures show, and replay a few ascents; a run without one has none of the files.

    What cannot be found out, as of too few images, is left out, and ``insight.json`` says why.

    Args:
        run: Its models are trained, and this process alone writes in it.
        images: Of the run.
        progress: Shown on the way.
    """
    stored = _vae(run)
    if stored is None:
        return
    if lacks_insight(run):
        forget_insight(run)
    model, reasons = run.load(stored), {}
    try:
        found = _found(run, stored, model, images, progress)
    except (InputError, DivergedError) as error:
        reasons["findings"] = f"The VAE could not be examined: {error}."
    else:
        write_whole(run.path / FILES[1], to_json({"model": stored.name, "findings": found}))
    number = max(1, min(REPLAYED, VALUES // images.test.pixels[0].size))
    which = np.sort(np.random.default_rng(1).permutation(min(AMONG, len(images.test)))[:number])
    replayed = ascents(model, images.test.pixels, which, stored.recipe, progress=progress)
    if replayed:
        write_whole(run.path / FILES[2], to_json({"posterior": replayed}))
    else:
        reasons["posterior"] = "An ascent can be drawn only of a q that is normal with independent dimensions."
    write_whole(run.path / FILES[0], to_json({"of": _stamp(run, stored), "reasons": reasons}))


def forget_insight(run: Run) -> None:
    """Remove what was known, as of weights of before."""
    for name in FILES:
        (run.path / name).unlink(missing_ok=True)


def _vae(run: Run) -> StoredModel | None:
    """The VAE that figures show; None in a run without one."""
    return next((one for one in run.shown if one.recipe == "vae" and one.latent_dim == run.about["shown_k"]), None)


def _stamp(run: Run, stored: StoredModel) -> dict[str, str]:
    """Which weights and images: by their content, for times of files change when a run is copied."""
    weights = (run.folder(stored) / "model.safetensors").read_bytes()
    return {
        "model": stored.name,
        "weights": hashlib.sha256(weights).hexdigest(),
        "images": run.about["source"]["sha256"],
    }


def _found(run: Run, stored: StoredModel, model: Model, images: ImageSet, progress: Progress) -> list[dict[str, Any]]:
    """What is wrong, as JSON holds it. Where the nats go is not asked: only ``lowerbound diagnose`` takes that long."""
    symptoms = examine(
        model, images.train.pixels, images.test.pixels, history=run.history(stored), gaps=0, progress=progress
    )
    source, folder = (shlex.quote(str(each)) for each in (run.about["source"]["source"], run.path))
    commands = Commands(source, folder, stored.recipe, stored.parts or Parts(), stored.network)
    return [each.to_json() for each in findings(check(symptoms, commands))]
