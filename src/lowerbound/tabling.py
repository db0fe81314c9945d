"""What a search has found, as CSV and as JSON: any names come back as they were, and a file is whole or not there."""

from __future__ import annotations

import csv
import io
import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from lowerbound.errors import InputError
from lowerbound.outcome import tell, wrote
from lowerbound.whole import make_folder, write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["ENDINGS", "as_csv", "as_json", "png", "save_table", "stem_of"]

ENDINGS = (".csv", ".json", ".png", ".svg")


def stem_of(out: Path) -> Path:
    """The name that all files of a verb share: what was given, without an ending of theirs.

    Raises:
        InputError: Another ending, or a folder.

    Example:
        >>> from pathlib import Path
        >>> stem_of(Path("found.csv")).name, stem_of(Path("found")).name
        ('found', 'found')
    """
    out = out.expanduser()
    if out.suffix.lower() in ENDINGS:
        return out.with_suffix("")
    if out.suffix and out.suffix[1:].isalpha():
        raise InputError(
            f'{out} ends in "{out.suffix}"; expected a name without ending: .csv, .json, .png and .svg are made'
        )
    if out.is_dir():
        raise InputError(f"{out} is a folder; expected the name that the files share, such as {out / 'found'}")
    return out


def png(stem: Path, more: str = "") -> Path:
    """The file of a figure, for a stem that may have dots in it.

    Example:
        >>> from pathlib import Path
        >>> png(Path("mnist-2026.11"), "-curve").name
        'mnist-2026.11-curve.png'
    """
    return stem.with_name(f"{stem.name}{more}.png")


def as_csv(columns: Mapping[str, Sequence[Any] | np.ndarray]) -> bytes:
    r"""A table with a line of names; texts are always quoted, so that no name of a file can break a line in two.

    Bytes of names that are no text are written as escapes; what is no number stays empty.

    Example:
        >>> as_csv({"name": ['a "b",\nc'], "p": [0.25], "found": [True]}).decode()
        '"name","p","found"\n"a ""b"",\nc",0.25,1\n'
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow(columns)
    for row in zip(*columns.values(), strict=True):
        writer.writerow([_plain(value, absent="") for value in row])
    return text.getvalue().encode(errors="backslashreplace")


def as_json(about: Mapping[str, Any], rows: str, columns: Mapping[str, Sequence[Any] | np.ndarray]) -> bytes:
    """What is known of the whole, and the table as one object a row under the name ``rows``.

    Example:
        >>> json.loads(as_json({"run": "a"}, "images", {"name": ["b"], "p": [float("nan")]}))
        {'run': 'a', 'images': [{'name': 'b', 'p': None}]}
    """
    table = [
        {name: _plain(value, absent=None) for name, value in zip(columns, row, strict=True)}
        for row in zip(*columns.values(), strict=True)
    ]
    content = json.dumps({**about, rows: table}, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    return content.encode(errors="backslashreplace")


def save_table(
    stem: Path, about: Mapping[str, Any], rows: str, columns: Mapping[str, Sequence[Any] | np.ndarray]
) -> None:
    """Write ``stem.csv`` and ``stem.json``, and say so.

    Raises:
        InputError: No room, or no right to write there.
    """
    make_folder(stem.parent)
    table, everything = stem.with_name(stem.name + ".csv"), stem.with_name(stem.name + ".json")
    write_whole(table, as_csv(columns))
    write_whole(everything, as_json(about, rows, columns))
    tell(**about)
    wrote(table, everything)
    print(f"{table} and {everything}")


def _plain(value: Any, absent: str | None) -> Any:
    """A value as both formats hold it."""
    if isinstance(value, bool | np.bool_):
        return int(value) if absent is not None else bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(f"{value:.6g}") if math.isfinite(value) else absent
    return absent if value is None else value
