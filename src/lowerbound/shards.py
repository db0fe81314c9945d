"""Parquet and Arrow files with images in them: which columns hold what, and the rows, a few at a time.

An image is the bytes of an image file, in a column of structs ``{bytes, path}``; the names of classes stand in the schema
(https://huggingface.co/docs/datasets/about_dataset_features). Files are never read whole.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lowerbound.errors import InputError
from lowerbound.streams import DECODED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["TABLE_FILES", "Columns", "columns_of", "count_rows", "files_in", "rows_of", "shards"]

TABLE_FILES = (".parquet", ".arrow")
IMAGE_NAMES, LABEL_NAMES = ("image", "img", "images", "pixels"), ("label", "labels", "fine_label", "class", "target")
BUFFER = 2**20  # bytes of a column read at a time: a row group of a million images is not held
ELSEWHERE = "its row has a path and no bytes; `save_to_disk` of the `datasets` library puts them in"


@dataclass(frozen=True)
class Columns:
    """Where the images and the classes stand in a table.

    Args:
        image: Name of the column of images.
        label: Name of the column of classes, or None.
        class_names: What class 0, 1, ... means, where the schema says so.
        choices: What was decided about them.
    """

    image: str
    label: str | None
    class_names: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()


def shards(path: Path) -> list[Path]:
    """The parquet and Arrow files of a source, sorted by path: itself, or those in a folder and up to two folders below.

    Example:
        >>> from pathlib import Path
        >>> shards(Path(__file__).parent / "fonts")
        []
    """
    if path.is_file():
        return [path] if path.suffix.lower() in TABLE_FILES else []
    return sorted(
        file
        for depth in ("*", "*/*", "*/*/*")
        for ending in TABLE_FILES
        for file in path.glob(depth + ending)
        if not any(part.startswith((".", "cache-")) for part in file.relative_to(path).parts)
    )


def columns_of(file: Path) -> Columns:
    """Which columns of a file hold images and classes.

    Raises:
        InputError: None holds images, or the file is no table.

    Example:
        >>> import tempfile
        >>> import pyarrow, pyarrow.parquet
        >>> from pathlib import Path
        >>> file = Path(tempfile.mkdtemp()) / "two.parquet"
        >>> pyarrow.parquet.write_table(pyarrow.table({"img": [{"bytes": b"", "path": None}], "label": [3]}), file)
        >>> columns = columns_of(file)
        >>> columns.image, columns.label
        ('img', 'label')
    """
    import pyarrow

    schema = _schema(file)
    features = _features(schema.metadata or {})
    images = [name for name in schema.names if features.get(name, {}).get("_type") == "Image"]
    images = images or [name for name in schema.names if _holds_bytes(schema.field(name).type)]
    if not images:
        raise InputError(
            f"{file} has no column of images; expected a column of structs with bytes, as the `datasets` library writes "
            f"them; its columns are {', '.join(schema.names)}"
        )
    image = next((name for name in IMAGE_NAMES if name in images), images[0])
    labels = [name for name in schema.names if features.get(name, {}).get("_type") == "ClassLabel"]
    kinds = (pyarrow.types.is_integer, pyarrow.types.is_string, pyarrow.types.is_boolean)
    labels = labels or [
        name for name in LABEL_NAMES if name in schema.names and any(kind(schema.field(name).type) for kind in kinds)
    ]
    label = next((name for name in LABEL_NAMES if name in labels), labels[0] if labels else None)
    choices = (f"the images are those of the column {image}", f"the classes are those of the column {label}")
    class_names = tuple(features.get(label, {}).get("names") or ()) if label else ()
    return Columns(image, label, class_names, choices[: 2 if label else 1])


def _features(metadata: dict[bytes, bytes]) -> dict[str, Any]:
    """The kinds of the columns as the ``datasets`` library notes them in a schema; none where it wrote none."""
    try:
        return json.loads(metadata[b"huggingface"])["info"]["features"]
    except (KeyError, ValueError, TypeError):
        return {}


def _holds_bytes(kind: Any) -> bool:
    """Whether a column of this type may hold the bytes of image files."""
    from pyarrow import types

    if types.is_struct(kind):
        return kind.get_field_index("bytes") >= 0 and _holds_bytes(kind.field("bytes").type)
    return types.is_binary(kind) or types.is_large_binary(kind)


def files_in(batches: Iterator[Any]) -> Iterator[list[bytes | str]]:
    """The bytes of each image file of a column, some at a time; or the reason why a row has none.

    Example:
        >>> import pyarrow
        >>> list(files_in(iter([pyarrow.array([{"bytes": b"x"}, None])])))
        [[b'x', 'its row is empty']]
    """
    for batch in batches:
        for first in range(0, len(batch), DECODED):
            rows = batch.slice(first, DECODED).to_pylist()
            yield [_bytes_of(row) for row in rows]


def _bytes_of(row: Any) -> bytes | str:
    """What a row holds of an image."""
    content = row.get("bytes") if isinstance(row, dict) else row
    if content is None:
        return ELSEWHERE if isinstance(row, dict) and row.get("path") else "its row is empty"
    return content


def rows_of(file: Path, column: str, start: int = 0) -> Iterator[Any]:
    """One column of a table from a row on, as arrays of a few rows.

    Example:
        >>> import tempfile
        >>> import pyarrow, pyarrow.parquet
        >>> from pathlib import Path
        >>> file = Path(tempfile.mkdtemp()) / "rows.parquet"
        >>> pyarrow.parquet.write_table(pyarrow.table({"label": [5, 6, 7]}), file)
        >>> [batch.to_pylist() for batch in rows_of(file, "label", 1)], count_rows(file)
        ([[6, 7]], 3)
    """
    import pyarrow.parquet

    try:
        if file.suffix.lower() == ".parquet":
            with pyarrow.parquet.ParquetFile(file, buffer_size=BUFFER, pre_buffer=False) as table:
                groups = range(table.num_row_groups)
                while groups and start >= (rows := table.metadata.row_group(groups[0]).num_rows):
                    groups, start = groups[1:], start - rows
                for batch in table.iter_batches(DECODED, row_groups=list(groups), columns=[column], use_threads=False):
                    batch.column(0).validate(full=True)
                    if start < len(batch):
                        yield batch.column(0).slice(start)
                    start = max(0, start - len(batch))
            return
        for batch in _recordrows_of(file):
            if start < len(batch):
                found = batch.column(batch.schema.get_field_index(column))
                found.validate(full=True)  # an offset that leads out of the file would be followed
                yield found.slice(start)
            start = max(0, start - len(batch))
    except (pyarrow.ArrowException, OSError) as wrong:
        raise _unreadable(file, wrong) from wrong


def _recordrows_of(file: Path) -> Iterator[Any]:
    """The batches of an Arrow file in the format of files or of streams; they stay on disk."""
    import pyarrow.ipc

    source = pyarrow.memory_map(str(file))
    try:
        reader = pyarrow.ipc.open_file(source)
    except pyarrow.ArrowInvalid:
        source.seek(0)
        yield from pyarrow.ipc.open_stream(source)
        return
    yield from (reader.get_batch(number) for number in range(reader.num_record_batches))


def _schema(file: Path) -> Any:
    """The columns of a table with what is noted beside them."""
    import pyarrow.ipc
    import pyarrow.parquet

    try:
        if file.suffix.lower() == ".parquet":
            schema = pyarrow.parquet.read_schema(file)
        else:
            source = pyarrow.memory_map(str(file))
            try:
                schema = pyarrow.ipc.open_file(source).schema
            except pyarrow.ArrowInvalid:
                source.seek(0)
                schema = pyarrow.ipc.open_stream(source).schema
        inner = [field.name for column in schema if pyarrow.types.is_struct(column.type) for field in column.type]
        if len(set(schema.names)) < len(schema.names) or None in inner:  # read here: what is no text is no name
            raise pyarrow.ArrowInvalid("two columns of one name")
        return schema
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as wrong:
        raise _unreadable(file, wrong) from wrong


def count_rows(file: Path) -> int:
    """Rows of a table.

    Example:
        >>> from pathlib import Path
        >>> count_rows(Path("nowhere.parquet"))
        Traceback (most recent call last):
        lowerbound.errors.InputError: nowhere.parquet cannot be read as a parquet file (...); write it again
    """
    import pyarrow.parquet

    try:
        if file.suffix.lower() == ".parquet":
            return pyarrow.parquet.read_metadata(file).num_rows
        return sum(len(batch) for batch in _recordrows_of(file))
    except (pyarrow.ArrowException, OSError) as wrong:
        raise _unreadable(file, wrong) from wrong


def _unreadable(file: Path, wrong: Exception) -> InputError:
    why = " ".join(str(wrong).split())
    return InputError(f"{file} cannot be read as a {file.suffix[1:]} file ({why}); write it again")
