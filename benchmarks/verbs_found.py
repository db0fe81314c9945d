"""The verbs that look through images: outliers, neighbours and their metrics, duplicates, clusters."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.ensemble import IsolationForest
from sklearn.metrics import adjusted_rand_score, roc_auc_score

from benchmarks.planted import COPIES
from benchmarks.verbs_measure import Measured, Rows, labels_of, share, some, told
from lowerbound import PCA, VAE, Images, recipes
from lowerbound.clusters import clusters
from lowerbound.duplicates import duplicates
from lowerbound.neighbours import METRICS, neighbours
from lowerbound.outliers import strangeness
from lowerbound.settings import Settings, one_cycle

TRAINED, SEEN, EPOCHS, SEEDS = 10_000, 2_000, 3, (0, 1)  # of the models that never see one class
ASKED, AMONG = 2_000, 20_000  # training images that the metrics are compared with
DUPLICATES, PLANTED = 5_000, 800
PARTS = 8  # of the test images, for the error of a number that is of many images together


def outliers_found(run: Measured) -> Rows:
    """Area under the ROC of telling a class that was kept from training from all others, in test images.

    Each class in turn (of colour images, which take longer, every third), with two seeds; the mean over classes, and its
    standard error over them.
    """
    train, test = some(run.images.train, TRAINED, 1), some(run.images.test, SEEN, 2)
    found: dict[str, list[float]] = {}
    every = 1 if run.vae.image_shape[0] == 1 else 3
    for left_out in np.unique(labels_of(train))[::every]:
        kept = train.pixels[labels_of(train) != left_out]
        strange, areas = labels_of(test) == left_out, {}
        pca = PCA(run.pca.latent_dim).fit(kept)
        forest = IsolationForest(random_state=0).fit(_rows(kept))
        simple = strangeness(pca, test.pixels)
        for seed in SEEDS:
            rich = strangeness(_trained(run, pca, kept, seed), test.pixels)
            scores = {
                "PCA error": simple["error"],
                "PCA likelihood": simple["likelihood"],
                "VAE error": rich["error"],
                "VAE likelihood": rich["likelihood"],
                "VAE both": np.maximum(*(np.argsort(np.argsort(each)) for each in rich.values())),
                "isolation forest": -forest.score_samples(_rows(test.pixels)),
            }
            for name, values in scores.items():
                areas.setdefault(name, []).append(float(roc_auc_score(strange, values)))
        for name, values in areas.items():
            found.setdefault(name, []).append(float(np.mean(values)))
        print(
            f"  class {left_out}: {', '.join(f'{name} {values[-1]:.3f}' for name, values in found.items())}", flush=True
        )
    return {name: {"": told(np.array(values))} for name, values in found.items()}


def _trained(run: Measured, pca: PCA, pixels: np.ndarray, seed: int) -> VAE:
    """The run's network, started at PCA and trained as it was, for fewer epochs."""
    torch.manual_seed(seed)
    model = recipes.vae(pixels.shape[1:], pca.latent_dim, start=pca)
    rate = run.stored.settings.learning_rate
    return model.fit(pixels, Settings(EPOCHS, learning_rate=rate, schedule=one_cycle, seed=seed))


def _rows(pixels: np.ndarray) -> np.ndarray:
    return pixels.reshape(len(pixels), -1) / np.float32(255)


def neighbours_found(run: Measured) -> Rows:
    """How many of the 10 nearest training images are of the class of a test image; standard error over test images."""
    ask, among = some(run.images.test, SEEN, 2), run.images.train
    return {
        "pixels": {"": _agreement(None, ask, among, by="pixels")},
        "PCA codes": {"": _agreement(run.pca, ask, among)},
        "VAE codes": {"": _agreement(run.vae, ask, among)},
    }


def metrics_compared(run: Measured) -> Rows:
    """The same among training images alone, for every metric: what the default was chosen by."""
    drawn = some(run.images.train, ASKED + AMONG, 3)
    ask, among = drawn[:ASKED], drawn[ASKED:]
    return {
        f"{name} {metric}": {"": _agreement(model, ask, among, metric=metric)}
        for name, model in (("PCA", run.pca), ("VAE", run.vae))
        for metric in METRICS
    }


def _agreement(model: Any, ask: Images, among: Images, **how: Any) -> list[float | None]:
    near = neighbours(model, ask.pixels, among.pixels, 10, **how).positions
    return told((labels_of(among)[near] == labels_of(ask)[:, None]).mean(1))


def duplicates_found(run: Measured) -> Rows:
    """Recall of each kind of planted copy among training images, and the precision of pairs.

    A pair within a group counts as wrong unless both come from one original, also where two training images are copies.
    """
    rng, pixels = np.random.default_rng(0), some(run.images.train, DUPLICATES, 1).pixels
    origins, kinds, copies = list(range(len(pixels))), [""] * len(pixels), []
    for position, kind in zip(rng.permutation(len(pixels))[:PLANTED], list(COPIES) * PLANTED, strict=False):
        copies.append(COPIES[kind](pixels[position], rng))
        origins.append(int(position))
        kinds.append(kind)
    found = duplicates(run.pca, np.concatenate([pixels, np.stack(copies)]))
    of, kind_of = np.array(origins), np.array(kinds)
    group, right, pairs = -1 - np.arange(len(of)), 0, 0
    for name, each in enumerate(found.groups):
        group[each.members] = name
        mine = of[each.members]
        right += int((mine[:, None] == mine).sum() - len(mine)) // 2
        pairs += math.comb(len(mine), 2)
    recall = {f"found: {kind}": {"": share((group == group[of])[kind_of == kind])} for kind in COPIES}
    return {**recall, "right, of the pairs named": {"": share(np.arange(max(pairs, 1)) < right)}}


def _means(number: int) -> KMeans:
    return KMeans(number, n_init=3, random_state=0)  # type: ignore[arg-type]


def clusters_found(run: Measured) -> Rows:
    """Agreement of as many clusters as there are classes with the classes (adjusted Rand index), in test images.

    The error is over eight parts of the test images, each of them clustered by itself.
    """
    test, number = run.images.test, len(np.unique(labels_of(run.images.test)))
    found: dict[str, list[float]] = {}
    for part in np.array_split(np.random.default_rng(0).permutation(len(test)), PARTS):
        images, truth = test[part], labels_of(test)[part]
        rows = _rows(images.pixels)
        labels = {
            "k-means of pixels": _means(number).fit_predict(rows),
            "k-means of PCA codes": _means(number).fit_predict(run.pca.transform(images.pixels)),
            "mixture of PCA codes": clusters(run.pca.transform(images.pixels), number).labels,
            "mixture of VAE codes": clusters(run.vae.transform(images.pixels), number).labels,
        }
        for name, values in labels.items():
            found.setdefault(name, []).append(float(adjusted_rand_score(truth, values)))
    return {name: {"": told(np.array(values))} for name, values in found.items()}
