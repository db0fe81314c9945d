"""Memory that is freed stays with the process for a while, so that the next step need not ask for it again.

Every step of training takes and frees the same activations. The C library gives freed memory back to the system early, and the
system fills every page that it hands out with zeros: with the tutorial's network that is 14,000 pages and a sixth of the time
of every step.
"""

from __future__ import annotations

import contextlib
import ctypes
import sys
from collections.abc import Iterator

__all__ = ["kept"]

TRIM, MAPPED = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of glibc's mallopt(3)
NEVER, LARGE = 2**31 - 1, 2**28
USUAL = 2**25  # the highest that glibc itself goes to for mapping; for trimming it is twice that


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Within, freed blocks of up to 256 MiB are kept for what comes next; afterwards all of it is given back.

    It does nothing where the C library is not glibc (https://man7.org/linux/man-pages/man3/mallopt.3.html). The most memory that
    is held does not grow by it, but for gaps between blocks.

    Example:
        >>> with kept():
        ...     sum(len(bytearray(10**6)) for _ in range(10))
        10000000
    """
    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    if not hasattr(library, "mallopt") or not hasattr(library, "malloc_trim"):
        yield
        return
    library.mallopt(MAPPED, LARGE)
    library.mallopt(TRIM, NEVER)
    try:
        yield
    finally:
        library.mallopt(MAPPED, USUAL)
        library.mallopt(TRIM, 2 * USUAL)
        library.malloc_trim(0)
