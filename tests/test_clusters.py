"""Clusters that were planted are found again, and none where there are none."""

import numpy as np
import pytest

from lowerbound.clusters import Choice, choose_number, clusters
from lowerbound.errors import InputError


def planted(sizes, width=3, apart=9.0, seed=0):
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((len(sizes), width))
    centres = apart * np.eye(max(width, len(sizes)))[: len(sizes), :width] + centres * 0.1
    truth = np.repeat(np.arange(len(sizes)), sizes)
    mixed = rng.permutation(len(truth))
    codes = centres[truth] + rng.standard_normal((len(truth), width)) @ (
        np.eye(width) + 0.3 * rng.standard_normal((width, width))
    )
    return codes[mixed], truth[mixed]


@pytest.mark.parametrize("seed", [0, 1])
def test_a_planted_mixture_is_recovered(seed):
    codes, truth = planted((300, 200, 100), seed=seed)
    found = clusters(codes, most=6)
    assert found.choice.chosen == 3
    assert np.bincount(found.labels).tolist() == [300, 200, 100], "the largest is first"
    assert (found.labels == truth).mean() > 0.99
    assert "3 clusters" in found.choice.words
    assert found.choice.clear > 0.95
    assert found.choice.numbers[int(np.argmin(found.choice.bic))] == 3, "another criterion agrees"


def test_probabilities_sum_to_one_and_the_most_typical_comes_first():
    codes, _ = planted((150, 150))
    found = clusters(codes, 2)
    assert np.allclose(found.probabilities.sum(1), 1)
    assert np.array_equal(found.labels, found.probabilities.argmax(1))
    for cluster in range(2):
        mine = found.members(cluster)
        centre = codes[mine].mean(0)
        far = np.linalg.norm(codes[mine] - centre, axis=1)
        assert far[:20].mean() < far[-20:].mean()
    assert found.choice.given
    assert "as you asked" in found.choice.words


def test_one_heap_is_called_one_heap():
    found = clusters(np.random.default_rng(0).standard_normal((600, 4)), most=5)
    assert found.choice.chosen == 1
    assert "no groups" in found.choice.words
    assert found.probabilities.shape == (600, 1)


def test_a_bent_heap_is_no_natural_number_of_groups():
    """A ring of codes: more normals always describe it better."""
    rng = np.random.default_rng(0)
    angle = rng.random(2000) * 2 * np.pi
    ring = np.stack([np.cos(angle), np.sin(angle)], 1) + 0.01 * rng.standard_normal((2000, 2))
    assert "no natural number" in clusters(ring, most=6).choice.words


def test_the_choice_is_the_smallest_within_one_standard_error():
    codes, _ = planted((200, 200), apart=5.0)
    choice = choose_number(codes, most=5)
    gap = choice.held_out.max() - choice.held_out
    place = choice.numbers.index(choice.chosen)
    assert gap[place] <= choice.errors[place] or gap[place] == 0
    assert all(gap[n] > choice.errors[n] for n in range(place))
    again = choose_number(codes, most=5)
    assert np.array_equal(again.held_out, choice.held_out)


def test_soft_borders_are_said():
    choice = Choice((1, 2, 3, 4), np.array([0.0, 1, 1, 1]), np.zeros(4), np.zeros(4), 2, clear=0.5)
    assert "50%" in choice.words


def test_few_codes():
    assert clusters(np.zeros((1, 2))).choice.chosen == 1
    assert clusters(np.ones((30, 2))).choice.chosen == 1
    assert clusters(np.random.default_rng(0).standard_normal((5, 3))).choice.chosen == 1
    for wrong in (np.zeros((0, 2)), np.full((3, 2), np.nan), np.zeros(3)):
        with pytest.raises(InputError, match="finite"):
            clusters(wrong)
    with pytest.raises(InputError, match="expected 1 to 4"):
        clusters(np.zeros((4, 2)), 5)
