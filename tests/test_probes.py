"""Probes of codes: what they must find, what they must not, and what they do not depend on."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowerbound.errors import InputError
from lowerbound.evaluation import Estimate
from lowerbound.probes import drawn, linear_probe, nearest_neighbours

BOTH = pytest.mark.parametrize("probe", [nearest_neighbours, linear_probe])


def clouds(count, apart, seed=0):
    """Codes of three classes around corners, and their labels."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 3, count)
    return (apart * np.eye(3)[labels] + random.standard_normal((count, 3))).astype(np.float32), labels


@BOTH
def test_clouds_far_apart_are_told_and_equal_ones_are_not(probe):
    assert probe(*clouds(300, 20), *clouds(200, 20, seed=1)).mean == 1
    found = probe(*clouds(900, 0), *clouds(900, 0, seed=1))
    assert abs(found.mean - 1 / 3) < 4 * found.standard_error


@BOTH
def test_the_names_of_classes_do_not_matter(probe):
    (codes, labels), (tests, truth) = clouds(300, 2), clouds(100, 2, seed=1)
    names = np.array([17, -4, 250])
    assert probe(codes, names[labels], tests, names[truth]) == probe(codes, labels, tests, truth)


def test_the_line_does_not_see_scales_and_neighbours_do():
    (codes, labels), (tests, truth) = clouds(300, 2), clouds(300, 2, seed=1)
    scales = np.array([1.0, 1e3, 1e-3])
    line = linear_probe(codes, labels, tests, truth)
    assert linear_probe(codes * scales, labels, tests * scales, truth).mean == pytest.approx(line.mean, abs=0.01)
    assert nearest_neighbours(codes * scales, labels, tests * scales, truth).mean < line.mean - 0.1


def test_rings_are_for_neighbours_and_not_for_lines():
    angles, labels = np.linspace(0, 60, 600), np.arange(600) % 2
    codes = (1 + 2 * labels[:, None]) * np.stack([np.cos(angles), np.sin(angles)], 1)
    assert nearest_neighbours(codes[:400], labels[:400], codes[400:], labels[400:]).mean > 0.95
    assert linear_probe(codes[:400], labels[:400], codes[400:], labels[400:]).mean < 0.7


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 9), st.integers(0, 99))
def test_neighbours_are_counted_as_by_hand(count, tested, neighbours, seed):
    random = np.random.default_rng(seed)
    codes, tests = random.standard_normal((count, 3)), random.standard_normal((tested, 3))
    labels, truth = random.integers(0, 3, count), random.integers(0, 3, tested)
    nearest = np.linalg.norm(tests[:, None] - codes, axis=2).argsort(1)[:, :neighbours]
    votes = [np.bincount(labels[row], minlength=3).argmax() for row in nearest]  # the smaller class where votes tie
    found = nearest_neighbours(codes, labels, tests, truth, neighbours=neighbours)
    assert found.mean == pytest.approx(np.mean(votes == truth))
    assert found.standard_error == pytest.approx(math.sqrt(found.mean * (1 - found.mean) / tested))


@BOTH
def test_one_class_alone_and_codes_that_do_not_vary(probe):
    codes, labels = np.zeros((6, 2)), np.zeros(6, int)
    assert probe(codes, labels, codes, np.array([0, 0, 0, 1, 1, 1])) == Estimate.of_share(np.arange(6) < 3)
    assert 0 <= probe(codes, np.arange(6) % 2, codes, labels).mean <= 1


@BOTH
@pytest.mark.parametrize("broken", ["labels", "width", "none"])
def test_what_does_not_go_together_is_refused(probe, broken):
    codes, labels = clouds(20, 1)
    rows = {
        "labels": (codes, labels[:5], codes, labels),
        "width": (codes, labels, codes[:, :2], labels),
        "none": (codes[:0], labels[:0], codes, labels),
    }[broken]
    with pytest.raises(InputError, match="expected"):
        probe(*rows)
    with pytest.raises(InputError, match="at least 1"):
        nearest_neighbours(codes, labels, codes, labels, neighbours=0)


def test_a_draw_is_fixed_by_its_seed_and_has_no_image_twice():
    chosen = drawn(100, 30, seed=1)
    assert len(np.unique(chosen)) == 30
    np.testing.assert_array_equal(chosen, drawn(100, 30, seed=1))
    assert (chosen != drawn(100, 30, seed=2)).any()
