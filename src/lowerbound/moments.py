"""Sums of pixels and of their products over any number of images, exact to the last bit.

Pixels are integers: less 128, they and all sums of products of up to 1,024 of them fit a float32 without rounding
(128^2 * 1,024 = 2^24), so a float32 matrix product over such blocks is exact, and float64 adds the blocks exactly up to 2^53.
Nothing is rounded before the covariance is formed at the end. So it is the same to the last bit for any order and chunking of
the images, any number of threads, and any number of processes that each sum their share.

Real numbers cannot be summed so; of them ``RealMoments`` keeps what is stable to rounding.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from lowerbound.errors import InputError
from lowerbound.progress import Progress, quiet

__all__ = [
    "BLOCK",
    "MOST_EXACT",
    "ImageShape",
    "PixelMoments",
    "PixelSums",
    "RealMoments",
    "Reduce",
    "shifted_blocks",
]

BLOCK = 1024  # images whose products a float32 still adds without rounding
MOST_EXACT = 5_000  # pixels up to which a covariance is formed: 200 MB; beyond, it is only ever multiplied with
MOST_FLOATS = 2**24  # in one block: 64 MB
PANEL = 256  # rows of the covariance that are added at a time

ImageShape = tuple[int, int, int]
Reduce = Callable[[np.ndarray], np.ndarray]
"""The sum over all processes of each one's int64 array, the same on every process; None stands for a single process."""


def shifted_blocks(images: np.ndarray) -> Iterator[np.ndarray]:
    """Pixels less 128 as rows of float32 ``[B, P]``, block by block, in one buffer that every block overwrites.

    Args:
        images: uint8 ``[N, C, H, W]``; memory-mapped or a slice with steps, of which one block is read at a time.

    Example:
        >>> [block.tolist() for block in shifted_blocks(np.array([[[[0, 255]]]], np.uint8))]
        [[[-128.0, 127.0]]]
    """
    pixels = math.prod(images.shape[1:])
    size = max(1, min(BLOCK, len(images), MOST_FLOATS // max(1, pixels)))
    buffer = np.empty((size, pixels), np.float32)
    for start in range(0, len(images), size):
        raw = images[start : start + size].reshape(-1, pixels)
        yield np.subtract(raw, np.float32(128), out=buffer[: len(raw)], dtype=np.float32)


def check_images(images: np.ndarray, image_shape: ImageShape) -> None:
    """Refuse images that are not uint8 of that shape.

    Raises:
        InputError: They are not.
    """
    if images.dtype != np.uint8 or images.shape[1:] != image_shape:
        raise InputError(f"images are {images.dtype} {list(images.shape)}; expected uint8 {['N', *image_shape]}")


@dataclass
class PixelSums:
    """Exact sums of pixels and of their squares: the mean image and the total variance, with no covariance.

    Args:
        image_shape: Channels, height, width; P = C * H * W values.

    Example:
        >>> sums = PixelSums((1, 1, 2)).add(np.array([[[[0, 255]]], [[[0, 0]]]], np.uint8))
        >>> sums.count, sums.mean, sums.total_variance
        (2, array([0. , 0.5]), 0.25)
    """

    image_shape: ImageShape
    count: int = 0

    def __post_init__(self) -> None:
        """Start from no images."""
        pixels = math.prod(self.image_shape)
        self.sums, self.squares = np.zeros(pixels), np.zeros(pixels)

    def add(self, images: np.ndarray, progress: Progress = quiet) -> PixelSums:
        """Take in images uint8 ``[N, C, H, W]``; memory does not grow with N. Gives itself back."""
        check_images(images, self.image_shape)
        with progress("PCA: mean image", len(images)) as advance:
            for shifted in shifted_blocks(images):
                self.sums += shifted.sum(0)  # of integers below 2^24: exact in float32
                self.squares += np.einsum("np,np->p", shifted, shifted)
                self.count += len(shifted)
                advance(len(shifted), "")
        return self

    def reduced(self, reduce: Reduce) -> PixelSums:
        """The sums over all processes, each of which has taken in its share of the images."""
        whole = PixelSums(self.image_shape, int(reduce(np.array([self.count]))[0]))
        whole.sums, whole.squares = (reduce(each.astype(np.int64)).astype(float) for each in (self.sums, self.squares))
        return whole

    @property
    def mean(self) -> np.ndarray:
        """The mean image, float64 ``[P]``, pixels in [0, 1]."""
        return (self.sums / self.count + 128) / 255

    @property
    def total_variance(self) -> float:
        """The sum of all pixels' variances, pixels in [0, 1], from integers alone and rounded once."""
        return total_variance(self.count, self.sums, self.squares)


class PixelMoments:
    """Exact sums of pixels and of their products over any number of images.

    Args:
        image_shape: Channels, height, width; P = C * H * W values.

    Raises:
        InputError: Images so large that their covariance should not be formed.

    Example:
        >>> moments = PixelMoments((1, 1, 2)).add(np.array([[[[0, 255]]], [[[0, 0]]]], np.uint8))
        >>> moments.count, moments.mean
        (2, array([0. , 0.5]))
    """

    def __init__(self, image_shape: ImageShape) -> None:
        pixels = math.prod(image_shape)
        if pixels > MOST_EXACT:
            raise InputError(
                f"images have {pixels:,} values each; a covariance is formed of at most {MOST_EXACT:,}; "
                "take eigen.principal, which needs none, or give --size 40 or smaller"
            )
        self.image_shape = image_shape
        self.count = 0
        self.sums = np.zeros(pixels)
        self._upper = np.zeros((pixels, pixels))  # of a symmetric matrix one half is enough; below, zeros

    def add(self, images: np.ndarray, progress: Progress = quiet) -> PixelMoments:
        """Take in images uint8 ``[N, C, H, W]``; memory does not grow with N. Gives itself back.

        One process's share of them is ``images[rank::world]``, of which blocks are copied and never the whole.
        """
        from scipy.linalg import get_blas_funcs

        check_images(images, self.image_shape)
        pixels, (ssyrk,) = len(self.sums), get_blas_funcs(("syrk",), dtype=np.float32)
        product = np.zeros((pixels, pixels), np.float32, order="F")
        with progress("PCA: pixel moments", len(images)) as advance:
            for shifted in shifted_blocks(images):
                product = ssyrk(1.0, shifted.T, c=product, lower=1, overwrite_c=1)  # X'X, half of it: half the work
                for row in range(0, pixels, PANEL):
                    panel = slice(row, row + PANEL)
                    self._upper[panel, row:] += product.T[panel, row:]
                self.sums += shifted.sum(0)  # of integers below 2^24: exact in float32
                self.count += len(shifted)
                advance(len(shifted), "")
        return self

    def merge(self, other: PixelMoments) -> PixelMoments:
        """Add the sums over other images of the same shape. Gives itself back."""
        if other.image_shape != self.image_shape:
            raise InputError(
                f"moments of images {list(other.image_shape)} came; expected {list(self.image_shape)}, as those here"
            )
        self.count += other.count
        self.sums += other.sums
        self._upper += other._upper
        return self

    def reduced(self, reduce: Reduce) -> PixelMoments:
        """The sums over all processes, each of which has taken in its share of the images.

        Args:
            reduce: Gives the sum over all processes of an int64 array; integers, so that no order of them matters.

        Example:
            >>> half = PixelMoments((1, 1, 2)).add(np.array([[[[0, 255]]]], np.uint8))
            >>> half.reduced(lambda array: 2 * array).count
            2
        """
        whole = PixelMoments(self.image_shape)
        whole.count = int(reduce(np.array([self.count]))[0])
        whole.sums = reduce(self.sums.astype(np.int64)).astype(float)
        whole._upper = reduce(self._upper.astype(np.int64)).astype(float)
        return whole

    @property
    def products(self) -> np.ndarray:
        """Sums of products of pixels less 128, float64 ``[P, P]``, all integers."""
        return _mirrored(self._upper.copy())

    @property
    def mean(self) -> np.ndarray:
        """The mean image, float64 ``[P]``, pixels in [0, 1]."""
        return (self.sums / self.count + 128) / 255

    @property
    def total_variance(self) -> float:
        """The sum of all pixels' variances, pixels in [0, 1], from integers alone and rounded once."""
        return total_variance(self.count, self.sums, self._upper.diagonal())

    @property
    def covariance(self) -> np.ndarray:
        """The covariance of pixels in [0, 1], float64 ``[P, P]``, divided by N (maximum likelihood)."""
        mean = self.sums / self.count
        covariance = self._upper / self.count
        covariance -= np.outer(mean, mean)
        covariance /= 255**2
        return _mirrored(covariance)


class RealMoments:
    """Mean and covariance of rows of real numbers in float64, from blocks as they come; memory does not grow with N.

    Every block is freed of its own mean before anything is multiplied, and blocks are joined as Chan, Golub & LeVeque do (1983,
    https://doi.org/10.1080/00031305.1983.10483115): with d between the means of n and m rows, the products of deviations add up
    to A + B + n m / (n + m) d d'. A mean far from zero costs no digits. Unlike sums of integers these are rounded: other blocks
    give other last bits.

    Args:
        values: P, numbers in a row.

    Raises:
        InputError: So many that their covariance should not be formed.

    Example:
        >>> moments = RealMoments(2).add(np.array([[1e9, 0.0]])).add(np.array([[1e9 + 2, 1.0]]))
        >>> moments.mean - [1e9, 0], moments.covariance.tolist()
        (array([1. , 0.5]), [[1.0, 0.5], [0.5, 0.25]])
    """

    def __init__(self, values: int) -> None:
        if values > MOST_EXACT:
            raise InputError(f"rows have {values:,} values each; a covariance is formed of at most {MOST_EXACT:,}")
        self.count = 0
        self.mean = np.zeros(values)
        self._products = np.zeros((values, values))  # of deviations from the mean

    def add(self, rows: np.ndarray) -> RealMoments:
        """Take in rows of floats ``[N, P]``. Gives itself back.

        Raises:
            InputError: Rows of another length.
        """
        if rows.ndim != 2 or rows.shape[1] != len(self.mean):
            raise InputError(f"rows have shape {list(rows.shape)}; expected [N, {len(self.mean)}]")
        for start in range(0, len(rows), BLOCK):
            block = rows[start : start + BLOCK].astype(np.float64)
            mean = block.mean(0)
            block -= mean
            self._join(len(block), mean, block.T @ block)
        return self

    def merge(self, other: RealMoments) -> RealMoments:
        """Add what was found of other rows of the same length. Gives itself back."""
        self._join(other.count, other.mean, other._products)
        return self

    def _join(self, count: int, mean: np.ndarray, products: np.ndarray) -> None:
        whole, between = self.count + count, mean - self.mean
        if not count:
            return
        self._products += products
        self._products += np.outer(between * (self.count * count / whole), between)
        self.mean = self.mean + between * (count / whole)
        self.count = whole

    @property
    def covariance(self) -> np.ndarray:
        """Float64 ``[P, P]``, divided by N (maximum likelihood)."""
        return self._products / self.count

    @property
    def total_variance(self) -> float:
        """The sum of the variances of all P numbers."""
        return float(self._products.trace() / self.count)


def total_variance(count: int, sums: np.ndarray, squares: np.ndarray) -> float:
    """sum_p (squares_p / N - (sums_p / N)^2) / 255^2 of whole numbers, as (N sum squares - sum sums^2) / (255 N)^2.

    Example:
        >>> total_variance(2, np.array([255.0]), np.array([255.0**2]))
        0.25
    """
    spread = count * sum(map(int, squares)) - sum(int(each) ** 2 for each in sums)
    return spread / (255 * count) ** 2


def _mirrored(matrix: np.ndarray) -> np.ndarray:
    """A square matrix with its upper half mirrored to the lower, in place, panel by panel."""
    for row in range(0, len(matrix), PANEL):
        panel = slice(row, row + PANEL)
        corner = matrix[panel, panel]
        corner[:] = np.triu(corner) + np.triu(corner, 1).T
        matrix[row + PANEL :, panel] = matrix[panel, row + PANEL :].T
    return matrix
