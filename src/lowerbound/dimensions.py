"""How many numbers to keep of an image: what PCA's spectrum says, what held-out images say, what can be recognised.

All of it comes from one spectrum of the training images. Four answers, to four questions:

- the share of variance: how little is lost in squared error;
- parallel analysis (Horn, 1965, https://doi.org/10.1007/BF02289447): which components are more than chance, if pixels had
  nothing to do with each other;
- probabilistic PCA, judged by the likelihood of held-out images, or of the training images with the components integrated out
  (Minka, 2000, https://tminka.github.io/papers/pca/): which K describes the images best *if they were Gaussian*; with many
  images that is nearly all K, for even the faintest directions are real;
- recognition (see ``legibility``): from which K on a reconstruction still shows what the image showed.

The last need not follow the first. Variance counts contrast and area: sky above ground, light from the left. In images of
digits that is the stroke itself; in photographs the object's outline lies in many directions of little variance each.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from lowerbound.eigen import principal
from lowerbound.errors import InputError
from lowerbound.evaluation import Estimate
from lowerbound.images import ROUNDING_SCALE, ImageSet, as_floats
from lowerbound.legibility import Legibility, legibility, unreadable
from lowerbound.pca import PCA
from lowerbound.progress import Progress, quiet

__all__ = ["SHARES", "Dimensions", "HeldOut", "choose", "held_out", "log_evidence", "parallel_analysis", "shares"]

SHARES = (0.5, 0.8, 0.95, 0.99)  # of the variance, at which recognition is tested
PERMUTED, PERMUTATIONS = 2_000, 10  # images at most, and how often: matrices of at most 2,000 x 2,000 are decomposed
TRIED = tuple(n * 10**d for d in range(5) for n in (1, 1.5, 2, 3, 4, 5, 6, 8))
MOST_WHOLE = 3_500  # pixels of images of which every component is found; of others the leading 200
BLOCK = 256  # images whose scores at every K are held at a time


@dataclass(frozen=True)
class HeldOut:
    """log p(x) of held-out images by probabilistic PCA with K = 1, 2, 3 ... components, nats per image.

    Attributes:
        mean: At each K ``[M]``; ``mean[0]`` is at K = 1.
        standard_error: At each K ``[M]``.
    """

    mean: np.ndarray
    standard_error: np.ndarray

    @property
    def best(self) -> int:
        """The K of the highest mean."""
        return int(self.mean.argmax()) + 1

    def at(self, k: int) -> Estimate:
        """The mean at one K and its standard error."""
        return Estimate(float(self.mean[k - 1]), float(self.standard_error[k - 1]))


@dataclass(frozen=True)
class Dimensions:
    """What is known of how many numbers a set of images needs.

    Attributes:
        name: Of the images.
        pca: All components that were found.
        explained: The share of variance in the first 0, 1, 2 ... components ``[M + 1]``.
        share_ks: Each of ``SHARES`` -> the smallest K that explains it; None where too few components are known.
        minka: The K of the greatest evidence, after Minka.
        parallel: K by parallel analysis.
        parallel_images: On how many training images that was found; more of them find more components.
        held_out: log p of the test images at each K.
        legibility: At several K, or None where images have no classes.
        unread: Why there is none, in a clause.
    """

    name: str
    pca: PCA
    explained: np.ndarray
    share_ks: dict[float, int | None]
    minka: int
    parallel: int
    parallel_images: int
    held_out: HeldOut
    legibility: Legibility | None
    unread: str

    def to_json(self) -> dict[str, Any]:
        """The numbers as JSON holds them, the curves at some K."""
        ks = tried(len(self.held_out.mean))
        k, why = self.recommendation()
        return {
            "name": self.name,
            "recommended": {"k": k, "why": why},
            "explained": {str(each): float(self.explained[each]) for each in ks},
            "k_of_share": {str(share): each for share, each in self.share_ks.items()},
            "minka": self.minka,
            "parallel_analysis": {"k": self.parallel, "images": self.parallel_images},
            "held_out": {
                "best": self.held_out.best,
                "nats_per_image": {str(each): _finite(self.held_out.at(each)) for each in ks},
            },
            "legibility": self.legibility and self.legibility.to_json(),
            "unread": self.unread,
        }

    def recommendation(self) -> tuple[int, str]:
        """A K to begin with, and why, in a sentence: from recognition where there are classes, else parallel analysis."""
        if self.legibility is None:
            k = max(1, self.parallel)
            stand = "that many components stand" if self.parallel else "no component stands"
            return k, (
                f"K = {k}: {stand} above those of images with shuffled pixels; {k} explain {self.explained[k]:.0%} of the "
                f"variance (recognition was not tested: {self.unread})"
            )
        last = self.legibility.ks[-1]
        enough = {reader.name: self.legibility.enough(reader) for reader in self.legibility.readers}
        k = enough["pixels"] or last
        of_variance = f"({self.explained[k]:.0%} of the variance)"
        if enough["pixels"]:
            why = f"from there on a classifier of pixels names 4 in 5 reconstructions as it names their originals {of_variance}"
        else:
            why = f"the largest tried {of_variance}, where a classifier of pixels names fewer than 4 in 5 as their originals"
        if "outlines" in enough:
            sharp = enough["outlines"]
            why += "; one of outlines needs " + (f"K = {sharp}" if sharp else f"more than K = {last}")
        return k, f"K = {k}: {why}"


def choose(images: ImageSet, *, seed: int = 0, progress: Progress = quiet) -> Dimensions:
    """Ask every criterion how many numbers per image to keep; see the module's words for what each of them asks.

    Args:
        images: Components from its training images, scores and recognition from its test images.
        seed: Of the permutations, and of the images classifiers learn from.
        progress: Shown on the way.

    Raises:
        InputError: No test images, a single training image, or images that do not vary.

    Example:
        >>> from lowerbound import sources
        >>> found = choose(sources.load("digits"))
        >>> found.share_ks[0.5], found.parallel, found.recommendation()[0]
        (5, 9, 5)
    """
    if len(images.train) < 2 or not len(images.test):
        raise InputError(
            f"{len(images.train)} training and {len(images.test)} test images came; expected at least 2 and 1"
        )
    pixels = math.prod(images.image_shape)
    wanted = min(pixels, len(images.train)) if pixels <= MOST_WHOLE else 1
    spectrum = principal(images.train.pixels, wanted, progress)
    pca = PCA(min(len(spectrum.values), spectrum.count)).fit_spectrum(spectrum)
    if pca.total_variance <= 0:
        raise InputError(f"all training images of {images.name} are the same; expected images that vary")
    explained = pca.explained[: pca.latent_dim + 1]
    share_ks = {share: shares(explained, share) for share in SHARES}
    evidence = log_evidence(pca.variances, spectrum.count, pixels=pixels, total=pca.total_variance)
    parallel = parallel_analysis(images.train.pixels, seed=seed, progress=progress)
    scores = held_out(pca, images.test.pixels, progress)
    unread = unreadable(images.train, images.test)
    ks = sorted({*tried(share_ks[0.99] or pca.latent_dim), *(k for k in share_ks.values() if k)})
    read = None if unread else legibility(images.train, images.test, pca, ks, seed=seed, progress=progress)
    used = min(PERMUTED, len(images.train))
    minka = int(evidence.argmax()) + 1
    return Dimensions(images.name, pca, explained, share_ks, minka, parallel, used, scores, read, unread)


def shares(explained: np.ndarray, share: float) -> int | None:
    """The smallest K with at least a share of the variance, of shares in the first 0, 1, 2 ... components.

    Example:
        >>> shares(np.array([0, 0.5, 0.8, 1]), 0.8)
        2
    """
    enough = np.flatnonzero(explained >= share - 1e-12)
    return int(enough[0]) if len(enough) else None


def tried(most: int) -> list[int]:
    """K from 1 to ``most``, about eight to each tenfold.

    Example:
        >>> tried(20)
        [1, 2, 3, 4, 5, 6, 8, 10, 15, 20]
    """
    return sorted({int(k) for k in TRIED if k <= most} | {most})


def log_evidence(variances: np.ndarray, number: int, *, pixels: int, total: float) -> np.ndarray:
    """log p(images | K) for K = 1, 2 ... of probabilistic PCA with its parameters integrated out (Laplace): ``[d - 1]``.

    Minka (2000), "Automatic choice of dimensionality for PCA", up to what does not depend on K. Only the d directions that
    vary at all count: a pixel that is always black says nothing of K. Beyond the eigenvalues known, all are taken as equal.

    Args:
        variances: Eigenvalues of the covariance, largest first ``[M]``.
        number: Images they come from.
        pixels: Values per image.
        total: The sum of all eigenvalues.

    Example:
        >>> evidence = log_evidence(np.array([9, 4, 1.01, 1.0, 0.99]), 500, pixels=5, total=16.0)
        >>> evidence.argmax() + 1
        np.int64(2)
    """
    seen = variances[variances > 1e-10 * variances[0]]
    unseen = min(pixels, number - 1) - len(seen) if len(variances) < pixels else 0
    if unseen > 0:
        seen = np.concatenate([seen, np.full(unseen, max((total - seen.sum()) / unseen, 1e-10 * seen[0]))])
    d = len(seen)
    if d < 2:
        return np.zeros(1)
    known = min(d - 1, len(variances))
    k = np.arange(1, known + 1)
    leading = seen[:known]
    left = np.cumsum(seen[::-1])[::-1][k] / (d - k)  # the noise variance at each K
    free = d * k - k * (k + 1) / 2  # directions of a K-dimensional subspace
    angles = _log_gamma((d - k + 1) / 2) - (d - k + 1) / 2 * math.log(math.pi)
    prior = np.cumsum(angles) - k * math.log(2)
    fit = -number / 2 * (np.cumsum(np.log(leading)) + (d - k) * np.log(left))
    gaps, kept = _log_gaps(seen, known)
    noise = np.array([(d - j) * _log(1 / left[j - 1] - 1 / leading[:j]).sum() for j in k])
    curvature = np.cumsum(gaps) + np.cumsum(kept) + noise + free * math.log(number)
    return prior + fit + (free + k) / 2 * math.log(2 * math.pi) - curvature / 2 - k / 2 * math.log(number)


def _log_gaps(variances: np.ndarray, known: int) -> tuple[np.ndarray, np.ndarray]:
    """Of each leading eigenvalue, sums of log(own - smaller) over all smaller, and of log(1/own - 1/larger) over all larger."""
    gaps, kept = np.zeros(known), np.zeros(known)
    for i in range(known):
        gaps[i] = _log(variances[i] - variances[i + 1 :]).sum()
        kept[i] = _log(1 / variances[i] - 1 / variances[:i]).sum()
    return gaps, kept


def _log(values: np.ndarray) -> np.ndarray:
    """Logarithms; of equal eigenvalues, whose gap is 0 or rounding, a finite one."""
    return np.log(np.maximum(values, 1e-15))


def _log_gamma(values: np.ndarray) -> np.ndarray:
    from scipy.special import gammaln

    return gammaln(values)


def parallel_analysis(images: np.ndarray, *, seed: int = 0, progress: Progress = quiet) -> int:
    """K by Horn's parallel analysis: leading eigenvalues above those of images whose pixels are shuffled.

    Every pixel is permuted over the images by itself, so that it keeps its values and loses its company. An eigenvalue counts
    while it and all before it are above the 95th percentile of ten such spectra. Both sides use the same images, at most
    2,000, so that the largest matrix decomposed is 2,000 x 2,000 and memory a few copies of these images.

    Args:
        images: uint8 ``[N, C, H, W]``.
        seed: Draws the images and permutes the pixels.
        progress: Shown on the way.

    Example:
        >>> noise = np.random.default_rng(0).integers(0, 256, (300, 1, 4, 4)).astype(np.uint8)
        >>> noise[:, :, :2] = noise[:, :, 2:3]   # rows 0, 1 and 2 are the same: 4 components, each in 3 rows
        >>> parallel_analysis(noise)
        4
    """
    random = np.random.default_rng(seed)
    chosen = np.sort(random.permutation(len(images))[:PERMUTED])
    pixels = np.ascontiguousarray(as_floats(images[chosen]).reshape(len(chosen), -1).T)
    pixels -= pixels.mean(1, keepdims=True)
    observed = _eigenvalues(pixels)
    chance = []
    with progress("parallel analysis", PERMUTATIONS) as advance:
        for _ in range(PERMUTATIONS):
            random.permuted(pixels, axis=1, out=pixels)
            chance.append(_eigenvalues(pixels))
            advance(1, "")
    above = observed > np.quantile(chance, 0.95, axis=0) + 1e-6 * observed[0]
    return int(above.argmin()) if not above.all() else len(above)


def _eigenvalues(pixels: np.ndarray) -> np.ndarray:
    """Eigenvalues of the covariance of centred pixels ``[P, N]``, largest first, from the smaller of its two products."""
    product = pixels @ pixels.T if len(pixels) <= len(pixels.T) else pixels.T @ pixels
    return np.linalg.eigvalsh(product)[::-1] / len(pixels.T)


def held_out(pca: PCA, images: np.ndarray, progress: Progress = quiet) -> HeldOut:
    """log p(x) of images by probabilistic PCA at every K at once, nats per image, as ``PCA(K).score`` gives it.

    Every image is projected once. Along the first K components its squares count by their own variances, and all that is left
    of it by the noise variance of that K: cumulative sums.

    Args:
        pca: All components there are ``[M, P]``.
        images: uint8 ``[N, C, H, W]``, not those that the components come from.
        progress: Shown on the way.
    """
    pixels, components = len(pca.mean), pca.latent_dim
    k = np.arange(1, components + 1)
    kept = np.cumsum(pca.variances[:components])
    left = pixels - k
    noise = np.maximum(np.where(left > 0, pca.total_variance - kept, 0) / np.maximum(left, 1), ROUNDING_SCALE**2)
    variances = np.maximum(pca.variances[:components], ROUNDING_SCALE**2)
    constant = pixels * math.log(2 * math.pi) + np.cumsum(np.log(variances)) + left * np.log(noise)
    total, squares, shift = np.zeros(components), np.zeros(components), np.zeros(components)
    with progress("held-out likelihood", len(images)) as advance:
        for start in range(0, len(images), BLOCK):
            block = as_floats(images[start : start + BLOCK], pca.image_shape)
            centred = block.reshape(len(block), -1).astype(np.float64) - pca.mean
            along = np.square(centred @ pca.components.T)
            beside = np.maximum(np.square(centred).sum(1, keepdims=True) - np.cumsum(along, 1), 0)
            scores = -0.5 * (constant + np.cumsum(along / variances, 1) + beside / noise)
            if start == 0:
                shift = scores.mean(0)  # or squares of large scores would swallow their differences
            total += (scores - shift).sum(0)
            squares += np.square(scores - shift).sum(0)
            advance(len(block), "")
    n = len(images)
    mean = total / n
    spread = np.maximum(squares / n - mean**2, 0) / (n - 1) if n > 1 else np.full(components, math.nan)
    return HeldOut(mean + shift, np.sqrt(spread))


def _finite(estimate: Estimate) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in vars(estimate).items()}
