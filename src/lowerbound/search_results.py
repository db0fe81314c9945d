"""What the searches have found, as a table and as a contact sheet: for people to look at, and for programs to read."""

from __future__ import annotations

import filecmp
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lowerbound.clusters import Clusters
from lowerbound.contact import MOST, Row, sheet
from lowerbound.duplicates import Duplicates, Group
from lowerbound.gallery import Gallery, Pixels
from lowerbound.images import as_floats
from lowerbound.look import one_line
from lowerbound.neighbours import Neighbours
from lowerbound.outliers import Outliers

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "cluster_sheet",
    "cluster_table",
    "duplicate_sheet",
    "duplicate_table",
    "neighbour_sheet",
    "neighbour_table",
    "outlier_sheet",
    "outlier_table",
    "told_apart",
]

Table = dict[str, Any]
SHORT = {"error": "error", "likelihood": "log_p"}


# Outliers


def outlier_table(there: Gallery, found: Outliers) -> Table:
    """A row for each image, the strangest first: ranks, p-values and scores."""
    order = found.order
    table: Table = {
        "rank": np.arange(1, len(order) + 1),
        "position": order,
        "name": there.names(order),
        "found": found.found[order],
        "p": found.p_values[found.by][order],
    }
    for name, values in found.scores.items():
        table[f"p_{name}"] = found.p_values[name][order]
        table[SHORT[name]] = (values if name == "error" else -values)[order]
    return table


def outlier_sheet(model: Any, there: Gallery, found: Outliers, number: int) -> Figure:
    """The strangest images: each beside its reconstruction, and where the two differ."""
    first = found.order[:number]
    images = as_floats(there[first])
    kept = np.clip(model.inverse_transform(model.transform(there[first])), 0, 1)
    error = np.abs(images - kept).mean(1, keepdims=True)
    error = np.broadcast_to(error / max(float(error.max()), 1e-9), images.shape)
    triples = np.stack([images, kept, error], axis=1).reshape(-1, *images.shape[1:])
    captions = [""] * len(triples)
    for place, position in enumerate(first):
        p = found.p_values[found.by][position]
        score = "error" if "error" in found.scores else "likelihood"
        value = found.scores[score][position] * (1 if score == "error" else -1)
        captions[3 * place] = f"{_short(there, position)}\np = {p:.2g}, {SHORT[score].replace('_', ' ')} {value:.3g}"
    marked = [3 * place for place, position in enumerate(first) if found.found[position]]
    look = "in a blue frame: to look at" if marked else "none is so strange that it has a blue frame"
    heading = f"image, reconstruction, where they differ (error: mean squared, per pixel); {look}"
    row = Row(triples, captions, heading, marked, 3, signed=True)
    return sheet([row], f"The {len(first)} strangest of {len(there):,} images", columns=9)


# Neighbours


def neighbour_table(there: Gallery, names: list[str], found: Neighbours) -> Table:
    """A row for each query and neighbour, the nearest first."""
    asked, number = found.positions.shape
    positions = found.positions.ravel()
    return {
        "query": np.repeat(np.array(names, object), number).tolist(),
        "rank": np.tile(np.arange(1, number + 1), asked),
        "position": positions,
        "name": there.names(positions),
        "distance": found.distances.ravel(),
    }


def neighbour_sheet(queries: Pixels, there: Gallery, names: list[str], found: Neighbours) -> Figure:
    """Each query in a blue frame, then its nearest."""
    number = min(found.positions.shape[1], 11)
    rows = []
    for place in range(min(len(queries), MOST // (number + 1), 12)):
        near, far = found.positions[place, :number], found.distances[place, :number]
        images = np.concatenate([queries[np.array([place])], there[near]])
        captions = [
            one_line(names[place]),
            *(f"{_short(there, each)}\n{gap:.3g}" for each, gap in zip(near, far, strict=True)),
        ]
        rows.append(Row(images, captions, marked=[0]))
    shown = f"{len(rows)} of {len(names):,} images" if len(rows) < len(names) else "Images"
    return sheet(
        rows, f"{shown} (blue frames) and those most like them, with their distances", columns=max(number + 1, 8)
    )


# Duplicates


def told_apart(group: Group, there: Gallery, home: Path | None) -> Group:
    """The group with "same file" in place of "exact" where two files have the same bytes.

    Args:
        group: Of copies.
        there: The images it is of.
        home: The folder that holds their files; None where there are no files.
    """
    if home is None or "exact" not in group.kinds:
        return group
    files = [home / there.name(position) for position in group.members]
    kinds = list(group.kinds)
    for place, kind in enumerate(kinds):
        if kind == "exact" and any(_same(file, files[place]) for file in files[:place]):
            kinds[place] = "same file"
    return replace(group, kinds=tuple(kinds))


def _same(first: Path, other: Path) -> bool:
    """Whether two files are there and have the same bytes."""
    try:
        return filecmp.cmp(first, other, shallow=False)
    except (OSError, ValueError):
        return False


def duplicate_table(there: Gallery, groups: list[Group]) -> Table:
    """A row for each image that has copies, group by group."""
    members = np.concatenate([np.empty(0, np.int64), *(group.members for group in groups)]).astype(np.int64)
    return {
        "group": [number for number, group in enumerate(groups, 1) for _ in group.members],
        "position": members,
        "name": there.names(members),
        "kind": [kind for group in groups for kind in group.kinds],
        "correlation": [float(each) for group in groups for each in group.correlations],
    }


def duplicate_sheet(there: Gallery, groups: list[Group], found: Duplicates) -> Figure:
    """The largest groups, up to 8 images of each, as many beside each other as fit."""
    lines: list[tuple[list[int], list[str], list[int]]] = []
    shown, left, column = 0, MOST, 9
    for number, group in enumerate(groups, 1):
        some = group.members[: min(8, left)]
        if len(some) < 2:
            break
        if column + len(some) > 8:
            lines.append(([], [], []))
            column = 0
        positions, captions, places = lines[-1]
        for position, kind, alike in zip(some, group.kinds, group.correlations, strict=False):
            words = {"first": f"group {number}: {len(group.members):,} images", "near": f"near {alike:.3f}"}.get(
                kind, kind
            )
            positions.append(int(position))
            captions.append(f"{_short(there, position)}\n{words}")
            places.append(column)
            column += 1
        shown, left, column = number, left - len(some), column + 1
    rows = [Row(there[np.array(at)], words, places=places) for at, words, places in lines]
    title = f"{shown:,} of {len(groups):,} groups of copies among {len(there):,} images ({found.surplus:,} could go)"
    return sheet(rows, title)


# Clusters


def cluster_table(there: Gallery, found: Clusters) -> Table:
    """A row for each image: its cluster, from 1, and the probability of each cluster."""
    return {
        "position": np.arange(len(there)),
        "name": there.names(),
        "cluster": found.labels + 1,
        "probability": found.probabilities.max(1),
        **{f"p_{number}": column for number, column in enumerate(found.probabilities.T, 1)},
    }


def cluster_sheet(there: Gallery, found: Clusters, seed: int) -> Figure:
    """Of each cluster its most typical images, then some at random, the same number of either."""
    count = found.probabilities.shape[1]
    shown = min(count, MOST // 4)
    each = max(4, min(8, MOST // shown // 2 * 2))
    rng, rows = np.random.default_rng(seed), []
    for cluster in range(shown):
        members = found.members(cluster)
        if not len(members):
            continue
        typical, others = members[: each // 2], members[each // 2 :]
        drawn = rng.permutation(others)[: each - len(typical)]
        some = np.concatenate([typical, drawn])
        words = [f"{_short(there, position)}\np = {found.probabilities[position, cluster]:.2f}" for position in some]
        share = f"{len(members):,} images ({len(members) / len(there):.0%})"
        heading = f"cluster {cluster + 1}: {share}; {len(typical)} typical ones in blue frames, then some at random"
        rows.append(Row(there[some], words, heading, marked=range(len(typical))))
    more = f"; {count - shown} smaller ones are in the table alone" if count > shown else ""
    return sheet(rows, f"{count} {'cluster' if count == 1 else 'clusters'} of {len(there):,} images{more}")


def _short(there: Gallery, position: int) -> str:
    """The name of an image, whatever is in it, on one line."""
    return one_line(there.name(position), longest=200)
