"""Processes that ``torchrun`` or a cluster started, as one training: how they meet, agree, notice a missing one, and leave.

They are joined by Hugging Face Accelerate over ``torch.distributed``: each holds the model and takes its rows of every batch, and
the gradients are averaged. Beside that they share a store of keys and values, in which they say that they live.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lowerbound.draws import SharedDraws
from lowerbound.errors import InputError, LostProcessError
from lowerbound.order import share
from lowerbound.pulse import GRACE, Pulse

__all__ = ["TIMEOUT", "Together", "whole_number"]

TIMEOUT = 60.0  # seconds without an answer after which a process is given up
POLL = 0.02  # seconds between two looks at the store
NETWORK = ("gloo", "nccl", "connection closed by peer", "connection reset by peer", "broken pipe")  # in torch's errors


class Together:
    """The processes that a launcher started, one of which this is.

    Args:
        rank: Which one this is, counted from 0.
        size: How many there are to be.
        timeout: Seconds without an answer after which a process is given up.
        cpu: Whether to compute on the CPU where there is a card, too.

    Raises:
        InputError: The processes do not find one another, or are not as many as promised.
    """

    def __init__(self, rank: int, size: int, timeout: float = TIMEOUT, *, cpu: bool = False) -> None:
        from accelerate import Accelerator
        from torch import distributed
        from torch.distributed import PrefixStore  # type: ignore[attr-defined]

        self.rank, self.size, self.main, self.timeout, self._told = rank, size, rank == 0, timeout, 0
        cpu = cpu or not torch.cuda.is_available()
        self.attempt = int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))
        self._kept = _store(rank, size, timeout)
        # A restarted attempt finds the addresses of the one before in the launcher's store: it gets a corner of its own.
        self._store = PrefixStore(f"attempt{self.attempt}", self._kept)
        self._meet()
        if not cpu:
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        distributed.init_process_group(
            "gloo" if cpu else "cpu:gloo,cuda:nccl",
            store=self._store,
            rank=rank,
            world_size=size,
            timeout=timedelta(seconds=timeout),
        )
        os.environ.setdefault("OMP_NUM_THREADS", "1")  # as torchrun does; Accelerate warns otherwise
        self._accelerator = Accelerator(cpu=cpu)
        self.device = self._accelerator.device
        if self._accelerator.num_processes != size:
            raise InputError(
                f"{self._accelerator.num_processes} processes work together, and {size} were promised; "
                "start all of them with one launcher"
            )
        own: Any = self._store
        self._pulse = Pulse(own.clone(), rank, min(1.0, timeout / 10))

    def rows(self, batch: int) -> tuple[slice, float]:
        """The rows of a batch that this process takes, and the weight of each in the mean over the processes' losses.

        Where a batch has fewer rows than there are processes, some take its first row with no weight.
        """
        mine = share(batch, self.rank, self.size)
        return (mine, self.size / batch) if mine.stop > mine.start else (slice(0, 1), 0.0)

    def prepare(self, module: nn.Module) -> nn.Module:
        """A module whose gradients are averaged over the processes."""
        return self._accelerator.prepare_model(module)

    def backward(self, loss: Tensor) -> None:
        """Send the loss's gradient back, and average it over the processes."""
        self._accelerator.backward(loss)

    def draws(self, whole: int, rows: slice) -> AbstractContextManager[Any]:
        """Within, noise is that of these rows in the whole batch."""
        return SharedDraws(whole, rows)

    @contextlib.contextmanager
    def watched(self, step: int | None = None) -> Iterator[None]:
        """Within, a process that does not answer is named.

        Args:
            step: Of the training, to be named, too.

        Raises:
            LostProcessError: One does not.
            InputError: One has met a mistake of the user's.
            KeyboardInterrupt: One was interrupted.
        """
        from torch.distributed import DistError  # type: ignore[attr-defined]

        try:
            yield
        except RuntimeError as error:
            about = str(error).lower()
            lost = isinstance(error, LostProcessError)
            if lost or not (isinstance(error, DistError) or any(word in about for word in NETWORK)):
                raise
            raise self._lost(self._silent(), step) from error

    def _silent(self) -> list[int]:
        """Processes that do not notice within some seconds that one is missing, because they are what is missing.

        Raises:
            InputError: One has met a mistake of the user's.
            KeyboardInterrupt: One was interrupted.
        """
        silent = set(range(self.size)) - {self.rank}
        with contextlib.suppress(RuntimeError):
            self._store.set(f"waiting-{self.rank}", "1")
            until = time.monotonic() + GRACE
            while silent and time.monotonic() < until:
                for rank in silent:
                    self._heed(rank)
                silent = {rank for rank in silent if not self._store.check([f"waiting-{rank}"])}
                time.sleep(POLL)
            return sorted(silent)
        return [0]  # whose store is gone

    def _lost(self, ranks: list[int], step: int | None = None) -> LostProcessError:
        """What to say of processes that do not answer."""
        who = f"process {' and '.join(map(str, ranks))} of {self.size}" if ranks else f"one of {self.size} processes"
        when = "" if step is None else f" at step {step}"
        return LostProcessError(
            f"{who} (counted from 0) did not answer{when}; what was saved before is kept, go on with --resume"
        )

    def _heed(self, rank: int) -> bool:
        """Whether another process has failed; where it left for a reason that is ours, too, end as it did."""
        if not self._store.check([f"left-{rank}"]):
            return False
        code = int(self._store.get(f"left-{rank}"))
        if code == 130:
            raise KeyboardInterrupt
        if code == 2:
            raise InputError(f"process {rank} of {self.size} met a mistake; what it was is said above")
        return True

    def total(self, numbers: np.ndarray) -> np.ndarray:
        """The sum of an array over all processes; exact for integers."""
        from torch import distributed

        summed = torch.from_numpy(np.array(numbers))
        distributed.all_reduce(summed)
        return summed.numpy()

    def any(self, flags: Sequence[bool]) -> list[bool]:
        """Which flags any process has raised."""
        return [bool(raised) for raised in self.total(np.array(flags, np.int64))]

    def tell(self, words: Any) -> Any:
        """What the main process says, JSON, once all others are there to hear it, however long that takes.

        Raises:
            LostProcessError: One that is waited for does not live any more.
        """
        self._told += 1
        here, said = f"here-{self._told}", f"said-{self._told}"
        if self.main:
            self._wait({rank: f"{here}-{rank}" for rank in range(1, self.size)})
            self._store.set(said, json.dumps(words))
            return words
        self._store.set(f"{here}-{self.rank}", "1")
        self._wait({0: said})
        return json.loads(self._store.get(said))

    def _wait(self, keys: Mapping[int, str]) -> None:
        """Wait until these processes have set these keys, as long as they live; not in the store, where no signal is heard."""
        beats: dict[int, tuple[bytes, float]] = {}
        looked = time.monotonic()
        while not self._store.check(list(keys.values())):
            time.sleep(POLL)
            now = time.monotonic()
            if now - looked < self._pulse.every:
                continue
            looked = now
            missing = [rank for rank, key in keys.items() if not self._store.check([key])]
            for rank in missing:
                if self._heed(rank):
                    raise self._lost([rank])
                beat = self._store.get(Pulse.key(rank))
                beats[rank] = (beat, beats[rank][1] if rank in beats and beats[rank][0] == beat else now)
            if lost := [rank for rank in missing if now - beats[rank][1] > self.timeout]:
                raise self._lost(lost)

    def remember(self, name: str, words: str) -> None:
        """Keep a word for the attempt after a restart."""
        self._kept.set(f"lowerbound-{name}", words)

    def recall(self, name: str) -> str | None:
        """What an attempt before has kept; None where there was none."""
        key = f"lowerbound-{name}"
        return self._kept.get(key).decode() if self._kept.check([key]) else None

    def speaks(self, code: int) -> bool:
        """Whether this process is the one to say what ends the training, with that exit code; the others are told it.

        The first that fails speaks for all. What to do after an interruption only the main process knows.
        """
        with contextlib.suppress(RuntimeError):
            self._store.set(f"left-{self.rank}", str(code))
            if code == 130:
                return self.main and not self._store.check([Pulse.FAILED])
            self._store.set(Pulse.FAILED, "1")
            return self._store.add("speaks", 1) == 1
        return True

    def close(self) -> None:
        """Leave the group; last of all the process that holds what the others still read."""
        from torch import distributed

        self._pulse.stop()
        with contextlib.suppress(RuntimeError):
            self._store.set(f"closed-{self.rank}", "1")
            until = time.monotonic() + GRACE
            closed = [f"closed-{rank}" for rank in range(self.size)]
            while _holds_store(self.rank) and not self._store.check(closed) and time.monotonic() < until:
                time.sleep(POLL)
        if distributed.is_initialized():
            distributed.destroy_process_group()

    def _meet(self) -> None:
        """Wait for all that were promised."""
        self._store.set(f"came-{self.rank}", "1")
        until = time.monotonic() + self.timeout
        missing = range(self.size)
        while missing := [rank for rank in missing if not self._store.check([f"came-{rank}"])]:
            if time.monotonic() > until:
                if self._store.add("speaks", 1) > 1:
                    raise SystemExit(2)
                raise InputError(
                    f"process {' and '.join(map(str, missing))} of {self.size} (counted from 0) did not come within "
                    f"{self.timeout:g} s; start as many as WORLD_SIZE says, or one alone without it"
                )
            time.sleep(POLL)


def whole_number(name: str, otherwise: str | None = None) -> int:
    """A whole number that the launcher has put into the environment."""
    word = os.environ.get(name, otherwise)
    if word is None or not word.isdecimal():
        size = os.environ.get("WORLD_SIZE")
        found = f"WORLD_SIZE is {size}, but {name} is not set" if word is None else f"{name} is {word}"
        raise InputError(f"{found}; start with torchrun, or set it as torchrun does")
    return int(word)


def _holds_store(rank: int) -> bool:
    """Whether the store of keys and values lives in this process, and not in the launcher."""
    return rank == 0 and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True"


def _store(rank: int, size: int, timeout: float) -> Any:
    """The launcher's store of keys and values, or one that the first process opens where the launcher has none."""
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

    if "MASTER_ADDR" not in os.environ:
        raise InputError(f"WORLD_SIZE is {size}, but MASTER_ADDR is not set; start with torchrun, or set it as it does")
    address, port = os.environ["MASTER_ADDR"], whole_number("MASTER_PORT")
    mine, wait = _holds_store(rank), timedelta(seconds=timeout)
    try:
        return TCPStore(address, port, size, is_master=mine, wait_for_workers=False, timeout=wait)
    except RuntimeError as error:
        reason = " ".join(str(error).splitlines()[0].split())
        raise InputError(f"process {rank} of {size} finds nobody at {address}:{port} ({reason})") from error
