"""Freed memory stays with the process while it is asked to, and goes back afterwards."""

import platform
import sys
from pathlib import Path

import pytest
import torch

from lowerbound.heap import kept

GLIBC = sys.platform == "linux" and platform.libc_ver()[0] == "glibc"
BLOCKS, SIZE = 12, 2**23  # bytes; together more than the most that glibc keeps by itself


def touched() -> None:
    """Blocks taken, written and freed, as the activations of one step."""
    blocks = [torch.ones(SIZE // 4) for _ in range(BLOCKS)]
    del blocks


def resident() -> int:
    """Bytes of memory that the process holds."""
    return 4096 * int(Path("/proc/self/statm").read_text().split()[1])


@pytest.mark.skipif(not GLIBC, reason="the C library is not glibc")
def test_what_is_freed_is_held_and_used_again():
    before = resident()
    with kept():
        touched()
        held = resident()
        for _ in range(5):
            touched()
        assert held > before + BLOCKS * SIZE / 2
        assert resident() < held + BLOCKS * SIZE / 2  # five times as much, were new memory asked for


@pytest.mark.skipif(not GLIBC, reason="the C library is not glibc")
def test_afterwards_memory_is_given_back():
    before = resident()
    with kept():
        touched()
        assert resident() > before + BLOCKS * SIZE / 2
    assert resident() < before + BLOCKS * SIZE / 2


def test_a_mistake_within_passes_through():
    with pytest.raises(ZeroDivisionError), kept():
        1 / 0  # noqa: B018
