"""What is measured while a model trains, as files that TensorBoard shows."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from lowerbound.errors import InputError

__all__ = ["check_tensorboard", "events"]


def check_tensorboard() -> None:
    """Refuse to log where there is nothing to log with.

    Raises:
        InputError: TensorBoard is not installed.
    """
    try:
        import tensorboard  # noqa: F401
    except ImportError:
        raise InputError("TensorBoard is not installed; install it: pip install 'lowerbound[tensorboard]'") from None


@contextlib.contextmanager
def events(folder: Path) -> Iterator[Callable[[int, Mapping[str, float]], None]]:
    """A function that writes numbers of a step into event files in a folder, which ``tensorboard --logdir`` shows.

    Raises:
        InputError: TensorBoard is not installed.

    Example:
        >>> import tempfile
        >>> folder = tempfile.mkdtemp()
        >>> with events(Path(folder)) as log:
        ...     log(10, {"loss": 2.5})
        >>> len(list(Path(folder).glob("events.*")))
        1
    """
    check_tensorboard()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own dependencies
        from torch.utils.tensorboard import SummaryWriter

        writer = SummaryWriter(str(folder))

    def log(step: int, means: Mapping[str, float]) -> None:
        for name, value in means.items():
            writer.add_scalar(name, value, step)

    try:
        yield log
    finally:
        writer.close()
