"""Where numbers are computed, how precisely, and how images get there: the only file that knows kinds of devices."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lowerbound.errors import InputError

__all__ = [
    "check_precision",
    "choose_device",
    "feeder",
    "made_for_bfloat16",
    "quickened",
    "random_numbers_of",
    "seeded",
    "shared_by_threads",
]

RESIDENT = 0.5  # of a card's free memory that images may take
WORTH_SHARING = (
    15e6  # weights times images of a step: below, a second thread was found to save a tenth of the time at most
)
MADE_FOR = {"avx512_bf16", "amx_bf16", "bf16", "svebf16"}  # what Linux calls it on x86 and on Arm


def choose_device() -> torch.device:
    """The fastest device here: CUDA, then Apple's MPS, then the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def random_numbers_of(device: torch.device) -> AbstractContextManager[None]:
    """Within, random numbers may be seeded and drawn; afterwards they are as they were."""
    return torch.random.fork_rng([device] if device.type == "cuda" else [])


def seeded(device: torch.device, seed: int) -> None:
    """Seed what a model draws on a device: at every step, so of no other device.

    ``torch.manual_seed`` asks every kind of device, and writes down the stack for each that is not there: a tenth of a
    millisecond, which small models notice.

    Example:
        >>> seeded(torch.device("cpu"), 3)
        >>> torch.equal(torch.rand(2), torch.rand(2, generator=torch.Generator().manual_seed(3)))
        True
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)
    elif device.type != "cpu":
        torch.manual_seed(seed)


@contextlib.contextmanager
def shared_by_threads(device: torch.device, weights: int, images: int) -> Iterator[None]:
    """Within, steps of so many weights and images are computed by one thread on a CPU, where more would not be worth it.

    Threads wait for each other several times in every step. Beside other programs that wait is longer than the work: a
    step of the linear autoencoder of 8 x 8 images took 1.3 ms by one thread or two on idle cores, and beside another
    program 2.7 ms by one thread and 57 ms by two.

    Example:
        >>> with shared_by_threads(torch.device("cpu"), weights=1160, images=250):
        ...     torch.get_num_threads()
        1
    """
    threads = torch.get_num_threads()
    if device.type == "cpu" and weights * images < WORTH_SHARING:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def made_for_bfloat16(device: torch.device) -> bool:
    """Whether a device multiplies matrices of bfloat16 in hardware.

    Example:
        >>> made_for_bfloat16(torch.device("meta"))
        False
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu" or not Path("/proc/cpuinfo").is_file():
        return False
    words = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split()
    return not MADE_FOR.isdisjoint(words)


def check_precision(precision: str, device: torch.device) -> None:
    """Refuse bfloat16 where it would be emulated.

    Raises:
        InputError: The device is not made for it.
    """
    if precision == "bfloat16" and not made_for_bfloat16(device):
        raise InputError(
            f"precision is bfloat16, which this {device.type} only emulates: on a CPU without AVX512-BF16 or AMX a matrix "
            "product in it took 53 times as long as in float32; leave --precision out"
        )


def feeder(pixels: np.ndarray, device: torch.device) -> Callable[[np.ndarray], Tensor]:
    """A function from positions ``[batch]`` to these images, float32 in [0, 1], ``[batch, C, H, W]`` on the device.

    A card holds all images as they are, 8 bits a pixel, where they take at most half of its free memory.

    Example:
        >>> feeder(np.full((3, 1, 2, 2), 255, np.uint8), torch.device("cpu"))(np.array([0, 2])).shape
        torch.Size([2, 1, 2, 2])
    """
    if device.type == "cuda" and pixels.nbytes <= RESIDENT * torch.cuda.mem_get_info(device)[0]:
        there = torch.from_numpy(np.ascontiguousarray(pixels)).to(device)
        return lambda places: there[torch.from_numpy(places).to(device, non_blocking=True)].float().div_(255)
    return lambda places: torch.from_numpy(np.take(pixels, places, axis=0)).to(device).float().div_(255)


@contextlib.contextmanager
def quickened(
    model: Any, device: torch.device, precision: str = "float32", *, compiled: bool = False
) -> Iterator[None]:
    """Within, a model's backbones compute in bfloat16 and compiled, where asked; heads, likelihood and KL stay as they are.

    Backbones draw nothing, so that noise is passed to what is compiled.

    Raises:
        InputError: The device is not made for bfloat16; or, at the first images, torch cannot compile.
    """
    check_precision(precision, device)
    backbones = model.backbones() if hasattr(model, "backbones") else []
    for backbone in backbones if precision == "bfloat16" or compiled else []:
        backbone.forward = _quick(backbone, device, precision, compiled)
    try:
        yield
    finally:
        for backbone in backbones:
            vars(backbone).pop("forward", None)


def _quick(backbone: nn.Module, device: torch.device, precision: str, compiled: bool) -> Callable[[Tensor], Tensor]:  # noqa: FBT001
    """A backbone's forward pass, compiled or in bfloat16; what comes out is float32."""
    forward = torch.compile(backbone.forward) if compiled else backbone.forward

    def quick(x: Tensor) -> Tensor:
        try:
            with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
                return forward(x).float()
        except Exception as error:
            if not type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
                raise
            reason = " ".join(str(error).split())[:200]
            raise InputError(f"torch cannot compile here ({reason}); leave --compile out") from error

    return quick
