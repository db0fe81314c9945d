"""What can still be recognised of images that PCA has brought to K numbers: two classifiers read the reconstructions.

Both learn from original training images and never see a reconstruction before they are asked about one. They differ in what
they look at. One reads all pixels, so that large areas of brightness and colour decide; the other reads outlines, the
directions of edges in small cells of the image whatever their contrast (Dalal & Triggs, 2005,
https://doi.org/10.1109/CVPR.2005.177), as people do who tell a cat from a dog. Both then go through 1,000 radial basis
functions at training images (Nystroem: Williams & Seeger, 2001) and a ridge classifier: seconds, not minutes.

Two numbers for each K: the accuracy, and the agreement, which is the fraction of images that are named as the same
classifier names their original. Where a classifier errs on the originals already, the agreement still says what K takes away.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lowerbound.errors import InputError
from lowerbound.evaluation import Estimate
from lowerbound.images import Images, as_floats
from lowerbound.progress import Progress, quiet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lowerbound.pca import PCA

__all__ = ["Legibility", "Reader", "legibility", "outlines", "truncated", "unreadable"]

TRAINED, TESTED, FUNCTIONS = 10_000, 2_000, 1_000  # images and basis functions at most: bounds on time and memory
MOST_NUMBERS = 60_000_000  # pixels learned from at most, in all: large images are read fewer of
MOST_CLASSES = 200
DIRECTIONS = 8
BLOCK = 500
NAMED_ALIKE = 0.8  # agreement from which on we call images recognisable


@dataclass(frozen=True)
class Reader:
    """What one classifier makes of reconstructions.

    Attributes:
        name: What it looks at.
        original: Its accuracy on the original test images.
        accuracy: Its accuracy on the reconstructions at each K.
        agreement: The fraction of reconstructions it names as it names their originals, at each K.
    """

    name: str
    original: Estimate
    accuracy: tuple[Estimate, ...]
    agreement: tuple[Estimate, ...]


@dataclass(frozen=True)
class Legibility:
    """What both classifiers make of reconstructions from the leading K components, for several K; errors are binomial.

    Attributes:
        ks: K, rising.
        readers: By pixels, and by outlines where images are large enough to have some.
        trained: Training images learned from.
        tested: Test images read at each K.
        classes: How many there are; a guess is right once in so many.
    """

    ks: tuple[int, ...]
    readers: tuple[Reader, ...]
    trained: int
    tested: int
    classes: int

    def enough(self, reader: Reader, least: float = NAMED_ALIKE) -> int | None:
        """The smallest K tried at which, and beyond which, so many images are named as their originals are."""
        below = [i for i, each in enumerate(reader.agreement) if each.mean < least]
        first = below[-1] + 1 if below else 0
        return self.ks[first] if first < len(self.ks) else None

    def to_json(self) -> dict[str, Any]:
        """The numbers as JSON holds them."""
        readers = [
            {
                "name": each.name,
                "original": vars(each.original),
                "accuracy": [vars(one) for one in each.accuracy],
                "agreement": [vars(one) for one in each.agreement],
            }
            for each in self.readers
        ]
        return {**vars(self), "ks": list(self.ks), "readers": readers}


def unreadable(train: Images, test: Images) -> str:
    """Why no classifier can be asked about these images, in a clause; empty where one can."""
    if train.labels is None or test.labels is None:
        return "the images have no classes"
    classes = len(np.unique(train.labels))
    if classes < 2:
        return "all images are of one class"
    return "" if classes <= MOST_CLASSES else f"{classes:,} classes are more than {MOST_CLASSES}"


def legibility(
    train: Images, test: Images, pca: PCA, ks: Sequence[int], *, seed: int = 0, progress: Progress = quiet
) -> Legibility:
    """Teach both classifiers original images, and ask them about reconstructions at each K.

    At most 10,000 training and 2,000 test images are drawn; reconstructions are clipped to [0, 1], as a screen shows them.

    Args:
        train: Images with labels.
        test: Images with labels.
        pca: With at least as many components as the largest K.
        ks: K to try, rising.
        seed: Draws images and basis functions.
        progress: Shown on the way.

    Raises:
        InputError: Images without classes, of one class, or of more than 200.

    Example:
        >>> from lowerbound import sources
        >>> from lowerbound.pca import PCA
        >>> digits = sources.digits()
        >>> found = legibility(digits.train, digits.test, PCA(64).fit(digits.train.pixels), [2, 32])
        >>> [each.name for each in found.readers], found.tested
        (['pixels', 'outlines'], 360)
        >>> found.readers[0].agreement[1].mean > 0.9
        True
    """
    if reason := unreadable(train, test):
        raise InputError(f"recognition cannot be tested: {reason}; expected images of two classes or more")
    random = np.random.default_rng(seed)
    most_trained = min(TRAINED, MOST_NUMBERS // math.prod(train.image_shape))
    train, test = (
        each[np.sort(random.permutation(len(each))[:most])] for each, most in ((train, most_trained), (test, TESTED))
    )
    known, truth = np.asarray(train.labels), np.asarray(test.labels)
    looks: dict[str, Callable[[np.ndarray], np.ndarray]] = {"pixels": lambda images: images.reshape(len(images), -1)}
    if min(train.image_shape[1:]) >= 4:
        looks["outlines"] = outlines
    start = int(random.integers(2**31))
    with progress("recognising reconstructions", len(looks) + len(ks)) as advance:
        learned: dict[str, Callable[[np.ndarray], np.ndarray]] = {}
        for name, look in looks.items():
            learned[name] = _learn(_features(train.pixels, look), known, start)
            advance(1, name)
        named = {name: learned[name](_features(test.pixels, look)) for name, look in looks.items()}
        said: dict[str, list[np.ndarray]] = {name: [] for name in looks}
        for k, images in zip(ks, truncated(pca, test.pixels, ks), strict=True):
            for name, look in looks.items():
                said[name].append(learned[name](_features(images, look)))
            advance(1, f"K = {k}")
    readers = tuple(
        Reader(
            name,
            _fraction(named[name] == truth),
            tuple(_fraction(each == truth) for each in said[name]),
            tuple(_fraction(each == named[name]) for each in said[name]),
        )
        for name in looks
    )
    return Legibility(tuple(ks), readers, len(train), len(test), len(np.unique(known)))


def truncated(pca: PCA, images: np.ndarray, ks: Sequence[int]) -> Iterator[np.ndarray]:
    """Images float32 ``[N, C, H, W]`` from their leading K components, clipped to [0, 1], for each K of a rising row.

    Each K goes on from the one before, so that all of them cost what the largest costs.
    """
    flat = as_floats(images, pca.image_shape).reshape(len(images), -1) - pca.mean.astype(np.float32)
    components = pca.components.astype(np.float32)
    codes = flat @ components[: max(ks)].T
    built = np.broadcast_to(pca.mean.astype(np.float32), flat.shape).copy()
    before = 0
    for k in ks:
        built += codes[:, before:k] @ components[before:k]
        before = k
        yield np.clip(built, 0, 1).reshape(images.shape)


def outlines(images: np.ndarray) -> np.ndarray:
    """Where edges run in which direction, float32 ``[N, F]``, of images in [0, 1] ``[N, C, H, W]`` of 4 x 4 pixels or more.

    Of each pixel the gradient of its strongest channel, its length shared between the two nearest of 8 directions; summed
    in about 8 x 8 cells; each 2 x 2 cells brought to one length, so that contrast hardly counts; the root of that.

    Example:
        >>> upright, lying = np.zeros((2, 1, 1, 16, 16), np.float32)
        >>> upright[..., 8:], lying[..., 8:, :] = 1, 1
        >>> float(outlines(upright)[0] @ outlines(lying)[0])  # no direction in common
        0.0
    """
    height, width = images.shape[2:]
    down, across = np.zeros_like(images), np.zeros_like(images)
    down[:, :, 1:-1] = images[:, :, 2:] - images[:, :, :-2]
    across[..., 1:-1] = images[..., 2:] - images[..., :-2]
    strongest = np.hypot(down, across).argmax(1)[:, None]
    down, across = (np.take_along_axis(each, strongest, 1) for each in (down, across))
    turned = np.arctan2(down, across) * (DIRECTIONS / np.pi)  # an edge has no sign: half a circle is a whole one
    off = (
        turned - np.arange(DIRECTIONS, dtype=np.float32)[:, None, None] + DIRECTIONS / 2
    ) % DIRECTIONS - DIRECTIONS / 2
    lengths = np.hypot(down, across) * np.maximum(0, 1 - np.abs(off))  # [N, directions, H, W]
    size = max(2, round(min(height, width) / 8))
    rows, columns = height // size, width // size
    cells = lengths[:, :, : rows * size, : columns * size].reshape(len(images), DIRECTIONS, rows, size, columns, size)
    cells = cells.sum((3, 5))
    four = [cells[:, :, i : rows - 1 + i, j : columns - 1 + j] for i in (0, 1) for j in (0, 1)]
    blocks = np.concatenate(four, 1)
    blocks = blocks / np.sqrt(np.square(blocks).sum(1, keepdims=True) + (size / 4) ** 2)  # faint ripples stay faint
    return np.sqrt(blocks).reshape(len(images), -1).astype(np.float32)


def _features(images: np.ndarray, look: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """What a classifier looks at, ``[N, F]``, some images at a time."""
    return np.concatenate([look(as_floats(images[i : i + BLOCK])) for i in range(0, len(images), BLOCK)])


def _learn(features: np.ndarray, labels: np.ndarray, seed: int) -> Callable[[np.ndarray], np.ndarray]:
    """A classifier of features ``[N, F]``: labels of features."""
    from sklearn.kernel_approximation import Nystroem
    from sklearn.linear_model import RidgeClassifier

    width = 1 / max(features.shape[1] * float(features.var(dtype=np.float64)), 1e-12)
    functions = Nystroem(gamma=width, n_components=min(FUNCTIONS, len(features)), random_state=seed).fit(features)
    # In float64: images that repeat make basis functions alike, and the ridge alone would not part them in float32.
    classifier = RidgeClassifier(alpha=0.1).fit(functions.transform(features).astype(np.float64), labels)
    return lambda others: np.asarray(classifier.predict(functions.transform(others).astype(np.float64)))


def _fraction(right: np.ndarray) -> Estimate:
    """A fraction, with its binomial standard error."""
    fraction = float(right.mean())
    return Estimate(fraction, math.sqrt(fraction * (1 - fraction) / len(right)))
