"""The verb that looks for q(z|x) by gradient ascent: parse, call, print, draw."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lowerbound.errors import InputError, nearest
from lowerbound.exports import FIGURE, place, save_figure
from lowerbound.options import (
    DataDir,
    ModelName,
    NewImages,
    OneK,
    Out,
    Own,
    RunFolder,
    Seed,
    Style,
    images_for,
    open_model,
    whole,
)
from lowerbound.outcome import tell, wrote

if TYPE_CHECKING:
    import numpy as np

    from lowerbound.amortisation import Amortisation

__all__ = ["VERBS", "infer"]

SIGMAS = (0.1, 0.5, 1.0)  # strict, medium, lax; where a model has no noise of its own
SHOWN = 5  # draws from q that are decoded
DOTS = 200  # draws from q on the plane


def infer(
    run: RunFolder,
    new_images: NewImages = None,
    image: Annotated[
        str | None,
        typer.Option(
            metavar="N,...", help="Positions among the images, from 0; else all new ones, or a test image drawn"
        ),
    ] = None,
    model: ModelName = None,
    k: OneK = None,
    sigma: Annotated[
        str | None,
        typer.Option(
            metavar="S,...",
            help="Noise of the pixels, low is strict; else the model's own, and 0.1,0.5,1 for an autoencoder",
        ),
    ] = None,
    samples: Annotated[int, typer.Option(metavar="N", help="Draws from q in each step", min=1, max=10_000)] = 16,
    steps: Annotated[int, typer.Option(metavar="N", help="At most so many; it ends when converged", min=1)] = 1000,
    start: Annotated[str, typer.Option("--from", metavar="WHERE", help="encoder, or zero: q = N(0, I)")] = "encoder",
    seed: Seed = 0,
    out: Out = None,
    json_file: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Numbers of each image")] = None,
    data_dir: DataDir = None,
    own: Own = None,
    style: Style = "plain",
) -> None:
    """Find q(z|x) by gradient ascent through a model's decoder, and hold the encoder's answer against it.

    Three figures of the first image beside --out: the ELBO on its way up, q beside the encoder's code, and what its draws
    decode to.

    Example: lowerbound infer runs/mnist-k20-2026-11-22 --image 3 --model conv --sigma 0.1,0.5,1
    """
    import numpy as np

    from lowerbound import look
    from lowerbound.amortisation import infer_for
    from lowerbound.progress import terminal
    from lowerbound.whole import make_folder, write_whole

    if start not in ("encoder", "zero"):
        raise InputError(f'--from is "{start}"{nearest(start, ("encoder", "zero"))}; expected encoder or zero')
    sigmas = None if sigma is None else tuple(dict.fromkeys(_positive(part) for part in sigma.split(",")))
    with look.style(style):
        out = place(out, f"{run.name}-infer.png", FIGURE)
        json_file = None if json_file is None else place(json_file, "", (".json",))
        folder, stored, fitted = open_model(run, model, k, own)
        images = images_for(folder, new_images, data_dir)
        chosen = _chosen(image, len(images), seed, everything=new_images is not None)
        pixels = images.pixels[chosen]
        print(f"{stored.name}, {_many(len(chosen), 'image')}, {samples} draws a step, nats per image")
        print(f"{'sigma':>8}  {'encoder':>16}  {'optimum':>16}  {'gap':>14}  {'steps':>6}  {'seconds':>8}")
        rows = {}
        for one in _sigmas(sigmas, fitted):
            found = infer_for(
                fitted, pixels, sigma=one, from_encoder=start == "encoder", samples=samples, steps=steps, seed=seed,
                progress=terminal,
            )  # fmt: skip
            rows[one] = found
            print(_line(one, found), flush=True)
        if not np.isfinite([found.found.bound for found in rows.values()]).all():
            raise InputError("the bound is no number for some image: this model cannot decode; train it anew")
        content = _content(stored.name, chosen, rows)
        tell(**content)
        if json_file is not None:
            make_folder(json_file.parent)
            write_whole(json_file, (json.dumps(content, indent=2) + "\n").encode())
            wrote(json_file)
            print(f"{json_file}: {_many(len(chosen), 'image')}, {_many(len(rows), 'noise level')}")
        _draw(out, pixels[0], fitted, rows, seed)


def _line(sigma: float | None, found: Amortisation) -> str:
    """A row of the table: means over images, with their standard errors."""
    ends = _mean(found.found.bound, found.found.standard_error)
    encoder = gap = "-"
    if found.encoder_bound is not None and found.encoder_error is not None and found.gap is not None:
        encoder, gap = _mean(found.encoder_bound, found.encoder_error), f"{found.gap.mean():.2f}"
    noise = "own" if sigma is None else f"{sigma:g}"
    took = found.found
    return f"{noise:>8}  {encoder:>16}  {ends:>16}  {gap:>14}  {took.steps.mean():>6.0f}  {took.seconds:>8.1f}"


def _mean(values: np.ndarray, errors: np.ndarray) -> str:
    """A mean over these images, with what the draws leave uncertain of it."""
    return f"{values.mean():.2f} ± {math.sqrt((errors**2).sum()) / len(errors):.2f}"


def _sigmas(asked: tuple[float, ...] | None, model: Any) -> tuple[float | None, ...]:
    """What was asked for, else the model's own noise (None), else three."""
    from lowerbound.autoencoder import Autoencoder

    if asked is not None:
        return asked
    return SIGMAS if isinstance(model, Autoencoder) else (None,)


def _positive(text: str) -> float:
    """A noise that was typed.

    Example:
        >>> _positive("0.5")
        0.5
        >>> _positive("-1")
        Traceback (most recent call last):
        lowerbound.errors.InputError: sigma is "-1"; expected a number above 0, in pixel units of [0, 1]
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise InputError(f'sigma is "{text.strip()}"; expected a number above 0, in pixel units of [0, 1]')
    return value


def _chosen(image: str | None, number: int, seed: int, *, everything: bool) -> np.ndarray:
    """Positions of the images that were asked for; else all, or one that is drawn."""
    import numpy as np

    if image is not None:
        asked = np.array([whole(part, "image", least=0) for part in image.split(",")])
        if asked.max() >= number:
            raise InputError(f"there is no image {asked.max()}; expected 0 to {number - 1}")
        return asked
    return np.arange(number) if everything else np.random.default_rng(seed).integers(number, size=1)


def _content(name: str, chosen: np.ndarray, rows: dict[float | None, Amortisation]) -> dict[str, Any]:
    """The numbers of each image and noise, as JSON has them."""

    def listed(values: np.ndarray | None) -> list | None:
        return None if values is None else [float(value) for value in values]

    each = [
        {
            "sigma": sigma,
            "seconds": found.found.seconds,
            "steps": [int(steps) for steps in found.found.steps],
            "bound": listed(found.found.bound),
            "standard_error": listed(found.found.standard_error),
            "encoder_bound": listed(found.encoder_bound),
            "encoder_standard_error": listed(found.encoder_error),
            "gap": listed(found.gap),
            "distance_of_means": listed(found.distance),
            "ratio_of_scales": listed(found.scale_ratio),
        }
        for sigma, found in rows.items()
    ]
    return {"model": name, "unit": "nats per image", "images": chosen.tolist(), "found": each}


def _draw(out: Path, image: np.ndarray, model: Any, rows: dict[float | None, Amortisation], seed: int) -> None:
    """Three figures of the first image; curve and codes under the noise in the middle."""
    import numpy as np
    import torch

    from lowerbound import ascent

    pictures, draws = {}, {}
    for place_, (sigma, found) in enumerate(sorted(rows.items(), key=lambda row: row[0] or 0)):
        with torch.random.fork_rng([]):
            torch.manual_seed(seed)
            codes = found.found.q().sample(torch.Size([DOTS]))[:, 0].numpy()
        draws[sigma] = codes
        decoded = model.inverse_transform(np.concatenate([found.mean[:1], codes[:SHOWN]]).astype(np.float32))
        pictures[_words(sigma, place_, len(rows))] = (decoded[0], decoded[1:])
    middle = sorted(rows, key=lambda sigma: sigma or 0)[len(rows) // 2]
    shown = rows[middle]
    taken = int(shown.found.steps[0])
    encoder = None if shown.encoder_bound is None else float(shown.encoder_bound[0])
    figures = {
        "elbo": ascent.elbo_ascent(
            shown.found.reconstruction[:taken, 0], shown.found.kl[:taken, 0],
            encoder=encoder, bound=float(shown.found.bound[0]),
        ),
        "codes": ascent.codes(
            shown.h[0], shown.mean[0], shown.covariance(0), draws=draws[middle],
            encoder_scale=None if shown.encoder_scale is None else shown.encoder_scale[0],
        ),
        "images": ascent.reconstructions(image, model.inverse_transform(shown.h[:1].astype(np.float32))[0], pictures),
    }  # fmt: skip
    for name, figure in figures.items():
        save_figure(figure, out.with_stem(f"{out.stem}-{name}"))


def _words(sigma: float | None, place_: int, number: int) -> str:
    """A noise and how it judges, among others."""
    if sigma is None:
        return "own sigma"
    judges = {2: ("strict", "lax"), 3: ("strict", "medium", "lax")}.get(number)
    return f"sigma {sigma:g}" + (f", {judges[place_]}" if judges else "")


def _many(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"


VERBS = (("infer", infer),)
