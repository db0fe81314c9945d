"""Options of the verbs that train, and what they say about how."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from lowerbound.errors import InputError

__all__ = [
    "Average",
    "Batch",
    "Clip",
    "Compiled",
    "Epochs",
    "Ks",
    "Minutes",
    "NetworkName",
    "NewRun",
    "PartName",
    "Patience",
    "Precision",
    "Rate",
    "TensorBoard",
    "list_parts",
    "settings_of",
]

Ks = Annotated[
    str | None,
    typer.Option(
        "-k",
        metavar="K",
        help="Numbers kept of each image; several as 5,10,20,50. Without it: 8 for digits, 20 for images like MNIST's, "
        "64 in colour, else by the explained variance",
    ),
]
NewRun = Annotated[
    Path | None, typer.Option("--out", "-o", metavar="FOLDER", help="Run folder; else runs/NAME-kK-DATE")
]
NetworkName = Annotated[
    str,
    typer.Option(
        metavar="NETWORK",
        help="patched (starts at PCA), strided (as well, and slower), dense (two layers of 200 units), or tutorial (with the "
        "tutorial's training)",
    ),
]
PartName = Annotated[
    str | None, typer.Option(metavar="NAME[:NUMBER]", help="Of the VAE; `lowerbound train --parts` lists them")
]
Epochs = Annotated[
    str | None, typer.Option(metavar="N", help="In place of the recipe's own; +5 with --resume for 5 more")
]
Minutes = Annotated[
    float | None, typer.Option(metavar="M", help="Train for so many minutes, in place of a number of epochs")
]
Rate = Annotated[float | None, typer.Option(metavar="RATE", help="Highest learning rate, in place of the recipe's")]
Batch = Annotated[int | None, typer.Option("--batch-size", metavar="N", help="Images in a step, over all processes")]
Clip = Annotated[float | None, typer.Option(metavar="LENGTH", help="Longest gradient; a longer one is scaled to it")]
Average = Annotated[
    float | None, typer.Option(metavar="DECAY", help="End with an exponential average of the weights, such as 0.999")
]
Patience = Annotated[
    int | None,
    typer.Option(
        metavar="EPOCHS",
        help="Stop when images held out of the training ones have not improved for so long; keep the best",
    ),
]
Precision = Annotated[
    str | None,
    typer.Option(metavar="TYPE", help="Of the backbones: float32, or bfloat16 where the device is made for it"),
]
Compiled = Annotated[bool, typer.Option("--compile", help="Compile the backbones first, which takes a minute")]
TensorBoard = Annotated[
    bool, typer.Option("--tensorboard", help="Write event files for TensorBoard beside the weights")
]


def settings_of(**given: Any) -> dict[str, Any]:
    """What was given of the settings of training, refused where nothing could be trained with it.

    Raises:
        InputError: A number that is out of its range, or a precision that this device only emulates.

    Example:
        >>> settings_of(minutes=3.0, clip=None, compiled=False)
        {'minutes': 3.0}
    """
    from lowerbound.devices import check_precision, choose_device
    from lowerbound.settings import Settings

    said = {name: value for name, value in given.items() if value is not None and value is not False}
    for name in ("minutes", "learning_rate", "batch_size", "clip", "patience"):
        if name in said and not said[name] > 0:
            option = name.replace("learning_", "").replace("_", "-")
            raise InputError(f"--{option} is {said[name]:g}; expected a number above 0")
    try:
        Settings(**said)
    except ValueError as error:
        raise InputError(f"{', '.join(f'{name} {value}' for name, value in said.items())}: {_last(error)}") from None
    if "precision" in said:
        check_precision(said["precision"], choose_device())
    return said


def _last(error: ValueError) -> str:
    return str(error).rpartition("cannot train; ")[2]


def list_parts(asked: bool) -> None:  # noqa: FBT001  (typer's own signature)
    """Print the parts and exit, where asked to."""
    if asked:
        from rich.console import Console
        from rich.table import Table

        from lowerbound import parts

        table = Table("option", "name", "what it is", box=None, pad_edge=False, header_style="bold")
        for kind, known in parts.KNOWN.items():
            for name, part in known.items():
                shown = name if part.number is None else f"{name}:{part.number:g}"
                table.add_row(f"--{kind}", shown, part.words)
        Console(highlight=False, markup=False).print(table)
        raise typer.Exit
