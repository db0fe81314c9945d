"""Which images come at which step, and the seeds of all that is drawn: functions of (seed, stream, step), not of the past.

So a run that goes on from a checkpoint takes the steps of one that was never interrupted, and several processes know without a
word between them which part of a batch is theirs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

__all__ = ["NOISE", "ORDER", "VALIDATION", "Order", "seed_of", "share"]

ORDER, NOISE, VALIDATION = (
    0,
    1,
    2,
)  # streams: which image comes when; what the model draws; what it draws when it is tested
BLOCK = 1024  # consecutive images that stay together until they are shuffled with other blocks
POOL = 2**28  # bytes of pixels that are shuffled together: what a disk must hold ready in memory


def seed_of(*place: int) -> int:
    """A seed for one place (seed, stream, step), unlike that of every other place.

    Example:
        >>> seed_of(0, NOISE, 1) == seed_of(0, NOISE, 1), seed_of(0, NOISE, 1) == seed_of(0, ORDER, 1)
        (True, False)
    """
    return int(np.random.SeedSequence(place).generate_state(1, np.uint64)[0])


def share(count: int, rank: int, size: int) -> slice:
    """The rows of ``count`` that fall to one of ``size`` processes: contiguous, as even as can be.

    Example:
        >>> [share(7, rank, 3) for rank in range(3)]
        [slice(0, 2, None), slice(2, 4, None), slice(4, 7, None)]
    """
    return slice(count * rank // size, count * (rank + 1) // size)


@dataclass(frozen=True)
class Order:
    """Every image once in an epoch, a batch at a time, in an order that is random anew in every epoch.

    Up to 256 MB of pixels are one permutation. More are shuffled in two steps, so that what lies on a disk is read in blocks:
    blocks of 1,024 consecutive images change places, then the images of as many neighbouring blocks as fit 256 MB are mixed.

    Args:
        images: N.
        batch_size: Images in a batch; the last one of an epoch takes what is left.
        seed: Fixes the order.
        image_bytes: Size of one image.

    Example:
        >>> order = Order(images=5, batch_size=2, seed=0, image_bytes=1)
        >>> [len(order.batch(step)) for step in range(3)], sorted(np.concatenate([order.batch(n) for n in range(3)]).tolist())
        ([2, 2, 1], [0, 1, 2, 3, 4])
    """

    images: int
    batch_size: int
    seed: int
    image_bytes: int
    _cache: dict[tuple[int, int], np.ndarray] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        return math.ceil(self.images / self.batch_size)

    def batch(self, step: int) -> np.ndarray:
        """Positions of the images ``[batch]`` of a step, counted from the beginning of the training."""
        epoch, place = divmod(step, self.steps)
        start, stop = place * self.batch_size, min((place + 1) * self.batch_size, self.images)
        if self.images * self.image_bytes <= POOL:
            return self._mixed(epoch, 0, np.array([0]), np.array([self.images]))[start:stop]
        return self._from_pools(epoch, start, stop)

    def _from_pools(self, epoch: int, start: int, stop: int) -> np.ndarray:
        """Positions ``start`` to ``stop`` of an epoch whose images are more than one pool."""
        blocks, ends = self._blocks(epoch)
        together = max(1, POOL // (BLOCK * self.image_bytes))  # blocks of a pool
        found = []
        while start < stop:
            pool = int(np.searchsorted(ends, start, side="right")) // together
            mine = slice(pool * together, (pool + 1) * together)
            first = blocks[mine] * BLOCK
            begin = int(ends[mine.start - 1]) if pool else 0
            here = self._mixed(epoch, pool, first, np.minimum(first + BLOCK, self.images))
            found.append(here[start - begin : stop - begin])
            start += len(found[-1])
        return np.concatenate(found)

    def _blocks(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """The blocks in the order of an epoch, and the number of images up to the end of each."""
        blocks = np.random.default_rng(seed_of(self.seed, ORDER, epoch)).permutation(math.ceil(self.images / BLOCK))
        return blocks, np.cumsum(np.minimum(BLOCK, self.images - blocks * BLOCK))

    def _mixed(self, epoch: int, pool: int, starts: np.ndarray, stops: np.ndarray) -> np.ndarray:
        """The images of some blocks, shuffled; the last pool asked for is remembered."""
        if (epoch, pool) not in self._cache:
            self._cache.clear()
            together = np.concatenate([np.arange(*ends) for ends in zip(starts, stops, strict=True)])
            random = np.random.default_rng(seed_of(self.seed, ORDER, epoch, pool))
            self._cache[epoch, pool] = random.permutation(together)
        return self._cache[epoch, pool]
