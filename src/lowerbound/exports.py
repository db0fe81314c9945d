"""What a verb leaves behind: a figure or an array, whole or not at all, and one line that names it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from lowerbound.errors import InputError
from lowerbound.outcome import wrote
from lowerbound.whole import make_folder, write_whole

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

__all__ = ["ARRAY", "FIGURE", "TABLE", "place", "save_array", "save_figure"]

FIGURE, ARRAY, TABLE = (".png", ".svg"), (".npy",), (".parquet",)


def place(out: Path | None, otherwise: str, endings: tuple[str, ...]) -> Path:
    """The file to write, refused before any work is done if its name is not one.

    Example:
        >>> place(None, "codes.npy", ARRAY).name
        'codes.npy'
    """
    out = Path(otherwise) if out is None else out.expanduser()
    if out.suffix.lower() not in endings:
        *most, last = endings
        expected = f"{', '.join(most)} or {last}" if most else last
        raise InputError(f'{out} ends in "{out.suffix}"; expected {expected}')
    if out.is_dir():
        raise InputError(f"{out} is a folder; expected the name of a file to write")
    return out


def save_figure(figure: Figure, out: Path) -> None:
    """A figure as PNG and SVG beside each other, whichever of the two was named."""
    from lowerbound.look import save

    make_folder(out.parent)
    png, svg = save(figure, out.parent, out.stem)
    wrote(png, svg)
    print(f"{png} and {svg}")


def save_array(array: np.ndarray, out: Path, words: str) -> None:
    """An array as .npy."""
    import numpy as np

    content = io.BytesIO()
    np.save(content, array, allow_pickle=False)
    make_folder(out.parent)
    write_whole(out, content.getvalue())
    wrote(out)
    print(f"{out}: {words}, {array.dtype} {list(array.shape)}")
