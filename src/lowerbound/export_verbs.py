"""The verb that gives models away. What takes long to import is imported by the verb."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lowerbound.options import DataDir, OneK, Own, RunFolder, images_for, models_beside
from lowerbound.outcome import tell, wrote

__all__ = ["VERBS"]


def export(
    run: RunFolder,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FOLDER", help="Folder to make; else RUN-export")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", metavar="MODEL", help="pca, linear, conv or vae; else all of one K"),
    ] = None,
    k: OneK = None,
    data_dir: DataDir = None,
    own: Own = None,
) -> None:
    """Give models away: each as ONNX encoder and decoder, checked against torch, and as safetensors, with a card for all.

    The card, README.md, tells the data and their hash, training, the numbers measured on test images, and how to load.

    Example: lowerbound export runs/mnist-k20-2026-11-22 --out model

    Example: lowerbound export runs/mnist-k20-2026-11-22 --model vae
    """
    from lowerbound.card import card
    from lowerbound.exporting import export_model, write_folder
    from lowerbound.progress import terminal
    from lowerbound.whole import refuse_existing

    out = Path(f"{run.name}-export") if out is None else out.expanduser()
    refuse_existing(out)
    folder, latent_dim, models = models_beside(run, model, k, own)
    pixels = images_for(folder, None, data_dir).pixels
    stored = [folder.choose(name, latent_dim) for name in models]
    made = {}
    with terminal("exporting", len(stored)) as advance:
        for each in stored:
            made[each.name] = export_model(models[each.recipe], each, pixels)
            advance(1, each.name)
    files = {f"{name}/{file}": content for name, found in made.items() for file, content in found.files.items()}
    write_folder(out, {"README.md": card(folder, stored, made).encode(), **files})
    wrote(out)
    tell(
        models={
            name: {
                "largest_difference_of_pixels": one.decoder_difference,
                "largest_difference_of_codes": one.encoder_difference,
                "no_encoder": one.missing,
                "checked_by": one.checked_by,
            }
            for name, one in made.items()
        }
    )
    for name, found in made.items():
        codes = (
            f"codes within {found.encoder_difference:.1e}"
            if found.encoder_difference is not None
            else f"no encoder ({found.missing})"
        )
        print(
            f"{name}: pixels within {found.decoder_difference:.1e} of torch's, {codes}; checked by {found.checked_by}"
        )
    print(f"{out}: {', '.join(made)}; {sum(map(len, files.values())) / 1e6:.1f} MB, and a card, README.md")


VERBS = (("export", export),)
