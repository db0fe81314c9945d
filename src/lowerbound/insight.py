"""What a run knows of its VAE beyond numbers of quality: what is wrong with it, and how q finds the codes of a few images.

Kept beside the models as ``diagnosis.json`` and ``posterior.json``, for the run's page; a training that goes on makes them anew.
"""

from __future__ import annotations

import numpy as np

from lowerbound.diagnosis import Commands, check, findings
from lowerbound.errors import InputError
from lowerbound.examination import examine
from lowerbound.formats import to_json
from lowerbound.images import ImageSet
from lowerbound.parts import Parts
from lowerbound.progress import Progress, quiet
from lowerbound.replay import ascents
from lowerbound.storage import Run
from lowerbound.whole import write_whole

__all__ = ["write_insight"]

REPLAYED = 6  # images


def write_insight(run: Run, images: ImageSet, progress: Progress = quiet) -> None:
    """Examine the VAE of the K that figures show, and replay a few ascents; a run without one has neither file.

    Args:
        run: Its models are trained.
        images: Of the run.
        progress: Shown on the way.
    """
    stored = next((one for one in run.shown if one.recipe == "vae" and one.latent_dim == run.about["shown_k"]), None)
    if stored is None:
        return
    model = run.load(stored)
    source = run.about["source"]["source"]
    commands = Commands(str(source), str(run.path), stored.recipe, stored.parts or Parts(), stored.network)
    try:
        symptoms = examine(
            model, images.train.pixels, images.test.pixels, history=run.history(stored), gaps=0, progress=progress
        )
    except InputError:  # too few images to tell anything by
        return
    found = [each.to_json() for each in findings(check(symptoms, commands))]
    write_whole(run.path / "diagnosis.json", to_json({"model": stored.name, "findings": found}))
    which = np.sort(np.random.default_rng(1).permutation(len(images.test))[:REPLAYED])
    with progress("ascents of a few images", 1) as advance:
        replayed = ascents(model, images.test.pixels, which, stored.recipe)
        advance(1, "")
    write_whole(run.path / "posterior.json", to_json({"posterior": replayed}))
