"""Principal components: eigenpairs of the covariance of pixels, formed where it is small, and only multiplied with elsewhere.

Up to 5,000 pixels the covariance is formed from exact sums. Beyond, C v = X'(X v) / N is computed from the images themselves,
block by block, for a few hundred v at a time: the randomised solver of Halko, Martinsson & Tropp (2011,
https://doi.org/10.1137/090771806) with all powers kept, which is block Krylov (Musco & Musco, 2015,
https://arxiv.org/abs/1504.05477). Its memory is P x K, never P x P. It ends with a pass in float64, from which every
eigenvalue has a bound of its error; the mean image and the total variance are exact in any case.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lowerbound.errors import InputError
from lowerbound.moments import MOST_EXACT, ImageShape, PixelMoments, PixelSums, Reduce, check_images, shifted_blocks
from lowerbound.progress import Advance, Progress, quiet

__all__ = [
    "MOST_NUMBERS",
    "Spectrum",
    "block_krylov",
    "bounds",
    "eigenpairs",
    "exact_spectrum",
    "principal",
    "randomised",
]

WHOLE_SPECTRUM = (
    2_000  # pixels up to which all eigenvalues are found; beyond, the largest LEADING unless more are asked for
)
LEADING = 200
MOST_NUMBERS = 2**27  # pixels times components: 1 GB for each matrix of eigenvectors
EXTRA = 10  # directions sought beyond those wanted, as Halko et al. advise
MOST_PASSES = 12  # over the images, at most
TOLERANCE = 1e-3  # of the eigenvalue: its residual, at which it is left alone; its error is about the square of that
ROUNDING = 1e-6  # of the largest eigenvalue: what products in float32 leave of a residual

Times = Callable[[np.ndarray], np.ndarray]
"""A symmetric matrix ``[P, P]`` as what it does: from columns ``[P, L]`` to its products with them ``[P, L]``."""


@dataclass(frozen=True)
class Spectrum:
    """The leading eigenpairs of the covariance of pixels in [0, 1], and what is known exactly beside them.

    Attributes:
        image_shape: Channels, height, width; P values.
        count: Images it comes from, of all processes.
        mean: The mean image, float64 ``[P]``.
        values: Eigenvalues, largest first ``[M]``.
        vectors: Eigenvectors as rows ``[M, P]``, the largest entry of each positive.
        total_variance: The sum of all P eigenvalues.
        residuals: ||C v - value v|| of each pair ``[M]``: an eigenvalue of C lies within that of ``values``, and all M together
            lie as near to M of its eigenvalues as the root of the sum of squares (Parlett, 1998, section 11.5,
            https://doi.org/10.1137/1.9781611971163). None where the covariance was formed and its pairs are exact to rounding.
        passes: Over the images, that the randomised solver took.
    """

    image_shape: ImageShape
    count: int
    mean: np.ndarray
    values: np.ndarray
    vectors: np.ndarray
    total_variance: float
    residuals: np.ndarray | None = None
    passes: int = 1

    @property
    def words(self) -> str:
        """How it was found and how near it is, in a sentence."""
        pixels, found = len(self.mean), len(self.values)
        number = f"all {found:,}" if found == pixels else f"the {found:,} largest of {pixels:,}"
        if self.residuals is None:
            return f"{number} eigenvalues from the exact covariance"
        how = f"{number} eigenvalues by the randomised solver in {self.passes} passes over the images"
        return f"{how}, {bounds(self.values, self.residuals)}"


def bounds(values: np.ndarray, residuals: np.ndarray) -> str:
    """How near the eigenvalues of the randomised solver are to those of the covariance, in a clause.

    Example:
        >>> bounds(np.array([2.0, 1.0]), residuals=np.array([0.002, 0.003]))
        'each within 0.3 % (the largest within 0.1 %; residual bounds)'
    """
    share = 100 * residuals / np.maximum(values, max(ROUNDING * values[0], 1e-300))
    return f"each within {share.max():.2g} % (the largest within {share[0]:.2g} %; residual bounds)"


def principal(images: np.ndarray, at_least: int, progress: Progress = quiet, reduce: Reduce | None = None) -> Spectrum:
    """The leading eigenpairs of the covariance of images: exact up to 5,000 pixels, by the randomised solver beyond.

    Args:
        images: uint8 ``[N, C, H, W]``, memory-mapped or a slice with steps; of several processes, each one's share.
        at_least: K, the components wanted; those of small images come all, of others the largest 200 at least.
        progress: Shown on the way.
        reduce: Sums an int64 array over all processes; None of a single one. All then have the same spectrum.

    Raises:
        InputError: Images that are not uint8 ``[N, C, H, W]``, or too large for that many components.

    Example:
        >>> images = np.random.default_rng(0).integers(0, 256, (50, 1, 4, 4)).astype(np.uint8)
        >>> principal(images, 3).words
        'all 16 eigenvalues from the exact covariance'
    """
    if images.ndim != 4:
        raise InputError(f"images have shape {list(images.shape)}; expected [N, C, H, W]")
    channels, height, width = images.shape[1:]
    if channels * height * width > MOST_EXACT:
        return randomised(images, at_least, progress, reduce)
    moments = PixelMoments((channels, height, width)).add(images, progress)
    return exact_spectrum(moments if reduce is None else moments.reduced(reduce), at_least, progress)


def exact_spectrum(moments: PixelMoments, at_least: int, progress: Progress = quiet) -> Spectrum:
    """The eigenpairs of a covariance from its exact sums."""
    if not moments.count:
        raise InputError("no images came to find components of; expected at least 1")
    with progress("PCA: components", 1) as advance:
        values, vectors = eigenpairs(moments.covariance, at_least)
        advance(1, "")
    return Spectrum(moments.image_shape, moments.count, moments.mean, values, vectors, moments.total_variance)


def eigenpairs(covariance: np.ndarray, at_least: int) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues, largest first, and eigenvectors as rows: all of them, or of a large matrix the leading ones.

    The sign of each vector makes its largest entry positive, so that the same images give the same codes anywhere.

    Example:
        >>> eigenpairs(np.diag([1.0, 3.0]), at_least=1)[0]
        array([3., 1.])
    """
    pixels = len(covariance)
    number = max(LEADING, at_least)
    if pixels <= WHOLE_SPECTRUM or number > pixels // 4:  # for so many, all of them cost less
        values, vectors = np.linalg.eigh(covariance)
    else:
        values, vectors = _leading_eigenpairs(covariance, number)
    return _in_order(values, vectors)


def _in_order(values: np.ndarray, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues, largest first and not below 0, and vectors from columns to rows, signs settled."""
    order = np.argsort(values)[::-1]
    rows = vectors.T[order]
    largest = np.take_along_axis(rows, np.abs(rows).argmax(1)[:, None], axis=1)
    return np.maximum(values[order], 0), rows * np.where(largest < 0, -1.0, 1.0)


def _leading_eigenpairs(covariance: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Leading eigenvalues of a large matrix, and eigenvectors as columns."""
    from scipy.sparse.linalg import eigsh

    random = np.random.default_rng(0)
    within = np.linalg.qr(covariance @ random.standard_normal((len(covariance), number)))[0]
    inner = within.T @ covariance @ within
    if np.trace(inner) >= (1 - 1e-10) * np.trace(covariance):
        values, vectors = np.linalg.eigh(inner)  # few images or equal ones: among zeros ARPACK searches for minutes
        return values, within @ vectors
    start = random.standard_normal(len(covariance))  # else ARPACK begins at random
    values, vectors = eigsh(covariance, k=number, v0=start, which="LM")
    return values, vectors


def randomised(images: np.ndarray, at_least: int, progress: Progress = quiet, reduce: Reduce | None = None) -> Spectrum:
    """The leading eigenpairs of images of any size, with bounds, by passes over them; arguments as of ``principal``.

    Passes end when the residual of every wanted pair is below 0.1 % of its eigenvalue (and a millionth of the largest), or
    after 12 of them; one more, in float64, measures the residuals that are kept.
    """
    channels, height, width = images.shape[1:]
    check_images(images, (channels, height, width))
    pixels = channels * height * width
    if pixels * (at_least + EXTRA) > MOST_NUMBERS:
        raise InputError(
            f"k is {at_least:,} for images of {pixels:,} values; their components fit {MOST_NUMBERS:,} numbers (1 GB), "
            f"k at most {max(0, MOST_NUMBERS // pixels - EXTRA):,}; give a smaller -k or --size"
        )
    sums = PixelSums((channels, height, width)).add(images, progress)
    sums = sums if reduce is None else sums.reduced(reduce)
    if not sums.count:
        raise InputError("no images came to find components of; expected at least 1")
    number = min(max(at_least, min(LEADING, MOST_NUMBERS // pixels - EXTRA)), pixels, sums.count)
    with progress("PCA: randomised solver", (MOST_PASSES + 1) * len(images)) as advance:
        passed = _Covariance(images, sums, reduce, advance)
        basis = block_krylov(passed.times, pixels, number)
        products = passed.times(basis, np.float64)
        values, inner = np.linalg.eigh(basis.T @ products)
        values, inner = values[::-1][:number], inner[:, ::-1][:, :number]
        residuals = np.linalg.norm(products @ inner - (basis @ inner) * values, axis=0)
        advance((MOST_PASSES + 1 - passed.passes) * len(images), "")
    values, vectors = _in_order(values, basis @ inner)
    return Spectrum(
        sums.image_shape, sums.count, sums.mean, values, vectors, sums.total_variance, residuals, passed.passes
    )


@dataclass
class _Covariance:
    """The covariance of pixels in [0, 1] of all processes' images, as what it does to columns."""

    images: np.ndarray
    sums: PixelSums
    reduce: Reduce | None
    advance: Advance
    passes: int = 0

    def times(self, columns: np.ndarray, dtype: type = np.float32) -> np.ndarray:
        """C V = sum_n (x_n - mean) (x_n - mean)' V / N, of V ``[P, L]``: one pass over the images."""
        self.passes += 1
        mean = (self.sums.sums / self.sums.count).astype(dtype)  # of pixels less 128
        columns = columns.astype(dtype)
        total = np.zeros(columns.shape)
        for shifted in shifted_blocks(self.images):
            centred = shifted.astype(dtype, copy=False)
            centred -= mean
            total += centred.T @ (centred @ columns)
            self.advance(len(shifted), f"pass {self.passes}")
        return self._over_processes(total) / (self.sums.count * 255**2)

    def _over_processes(self, total: np.ndarray) -> np.ndarray:
        """The sum over processes by way of integers, so that all have the same one to the last bit."""
        if self.reduce is None:
            return total
        largest = self.sums.total_variance * self.sums.count * 255**2  # no entry exceeds the trace of X'X
        scale = 2.0 ** (61 - math.ceil(math.log2(max(largest, 1))))
        return self.reduce(np.rint(total * scale).astype(np.int64)) / scale


def block_krylov(times: Times, pixels: int, number: int, *, most_passes: int = MOST_PASSES) -> np.ndarray:
    """An orthonormal basis ``[P, L]`` near the leading eigenvectors of a symmetric matrix, L a little above their number.

    Each pass multiplies one block of directions. Rayleigh and Ritz's procedure finds the best eigenpairs among all directions
    so far, and the residuals C v - value v of the pairs that are not settled yet, freed of all directions so far, are the
    next block: together they span what powers of C make of the first, random one (Musco & Musco, 2015). Where the basis grows
    too large, its best pairs alone go on.

    Args:
        times: The matrix.
        pixels: P, its size.
        number: Eigenpairs wanted.
        most_passes: Calls of ``times`` at most.

    Example:
        >>> matrix = np.diag(np.arange(40.0) ** 2)
        >>> basis = block_krylov(lambda columns: matrix @ columns, 40, number=2)
        >>> np.linalg.eigvalsh(basis.T @ matrix @ basis)[-2:].round(6)
        array([1444., 1521.])
    """
    width = min(number + EXTRA, pixels)
    room = max(3 * width, min(8 * width, MOST_NUMBERS // pixels)) + width
    basis, products = np.empty((2, pixels, room))  # only what is used takes memory
    block = np.linalg.qr(np.random.default_rng(0).standard_normal((pixels, width)))[0]
    vectors, inner, used = block, np.empty((0, 0)), 0
    for left in reversed(range(most_passes)):
        new = slice(used, used + block.shape[1])
        basis[:, new], products[:, new] = block, times(block)
        with_new = basis[:, : new.stop].T @ products[:, new]
        inner = np.block([[inner, with_new[:used]], [with_new[:used].T, (with_new[used:] + with_new[used:].T) / 2]])
        used = new.stop
        values, within = np.linalg.eigh(inner)
        values, within = values[::-1][:width], within[:, ::-1][:, :width]
        vectors, moved = basis[:, :used] @ within, products[:, :used] @ within
        residuals = moved - vectors * values
        norms = np.linalg.norm(residuals, axis=0)
        open_ = norms > np.maximum(TOLERANCE * values, 0) + ROUNDING * values[0]
        if not left or not open_[:number].any() or used == pixels:
            break
        if used + width > room:
            basis[:, :width], products[:, :width], inner, used = vectors, moved, np.diag(values), width
        block = _beside(residuals[:, open_][:, : pixels - used], basis[:, :used])
    return np.linalg.qr(vectors)[0]


def _beside(columns: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Orthonormal columns that span what is left of some beside an orthonormal basis."""
    for _ in range(2):  # once leaves rounding errors as large as what is left
        columns = columns / np.linalg.norm(columns, axis=0)
        columns -= basis @ (basis.T @ columns)
        columns = np.linalg.qr(columns)[0]
    return columns
