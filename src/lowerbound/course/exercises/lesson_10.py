"""Lesson 10: the share of variance in the leading components, and how many of them a share asks for."""

from __future__ import annotations

import math
import operator
from typing import Any

import torch

from lowerbound.course.exercise import Exercise, Wrong, expect

__all__ = ["EXERCISES"]

TOY = (3.0, 2.0, 1.0)


def _toy(*values: float) -> torch.Tensor:
    return torch.tensor(values or TOY, dtype=torch.float64)


# explained_variance(eigenvalues)


def _shares(explained: Any, eigenvalues: torch.Tensor) -> list[float]:
    """The answer as a list of one number more than there are eigenvalues."""
    answer = explained(eigenvalues.clone())
    expect(answer is not None, "yours returns nothing; is a return missing?")
    shares = torch.as_tensor(answer).detach().double()
    number = len(eigenvalues)
    expect(
        shares.shape == (number + 1,),
        f"of {number} eigenvalues yours gives shape {list(shares.shape)}; expected [{number + 1}]: the shares in the first "
        f"0, 1, ... {number} components, so that entry K belongs to K",
    )
    return shares.tolist()


def _words(shares: list[float]) -> str:
    return "[" + ", ".join(f"{share:.4g}" for share in shares) + "]"


def from_none_to_all(explained: Any) -> None:
    """P + 1 entries, the first of them 0."""
    shares = _shares(explained, _toy(5.0, 5.0, 5.0, 5.0))
    expect(shares[0] == 0, f"entry 0 of yours is {shares[0]:.3g}; expected 0: no components explain no variance")


def the_toy_spectrum(explained: Any) -> None:
    """[3, 2, 1]: 50 %, 83.3 %, 100 %."""
    shares, right = _shares(explained, _toy()), [0, 1 / 2, 5 / 6, 1]
    total = math.sqrt(3) + math.sqrt(2) + 1
    told = (
        ([0, 3, 5, 6], "divide by the total variance"),
        ([0, 1 / 2, 1 / 3, 1 / 6], "those are the shares of each component by itself; add them up as K grows"),
        ([0, 1, 5 / 3, 2], "divide by the sum of all eigenvalues, not by the largest"),
        (
            [0, math.sqrt(3) / total, (math.sqrt(3) + math.sqrt(2)) / total, 1],
            "eigenvalues are variances already: no roots",
        ),
    )
    words = next((text for wrong, text in told if max(map(abs, map(operator.sub, shares, wrong))) < 1e-3), "")
    expect(
        max(map(abs, map(operator.sub, shares, right))) < 1e-5,
        f"of the eigenvalues 3, 2, 1 yours gives {_words(shares)}; expected {_words(right)}{': ' if words else ''}{words}",
    )


def the_largest_first(explained: Any) -> None:
    """Eigenvalues in any order: the leading components are those with the largest."""
    shares = _shares(explained, _toy(1.0, 2.0, 3.0))
    expect(
        abs(shares[1] - 0.5) < 1e-5,
        f"of 1, 2, 3, as torch.linalg.eigh sorts them, yours says that one component explains {shares[1]:.1%}; expected 50 %: "
        "the leading component is the one with the largest eigenvalue",
    )


EXPLAINED = Exercise(
    name="explained_variance",
    lesson="10",
    task="give the share of the total variance in the first 0, 1, 2 ... P components.",
    cases=(from_none_to_all, the_toy_spectrum, the_largest_first),
    hints=(
        "Each eigenvalue is the variance along its direction, and the total variance is their sum. Begin at 0: no component, no "
        "variance.",
        "Sort the eigenvalues, the largest first; add them up one after another (cumsum); divide by the sum of all.",
        "largest_first = eigenvalues.sort(descending=True).values; shares = largest_first.cumsum(dim=0) / eigenvalues.sum(); "
        "then torch.cat a zero before it.",
    ),
    wrong=(
        Wrong("the zero forgotten", "from_none_to_all", (("torch.cat([nothing, shares])", "shares"),)),
        Wrong("a one before it", "from_none_to_all", (("torch.zeros", "torch.ones"),)),
        Wrong("variance, not a share", "the_toy_spectrum", ((" / eigenvalues.sum()", ""),)),
        Wrong("each by itself", "the_toy_spectrum", ((".cumsum(dim=0)", ""),)),
        Wrong("divided by the largest", "the_toy_spectrum", (("eigenvalues.sum()", "eigenvalues.max()"),)),
        Wrong(
            "standard deviations",
            "the_toy_spectrum",
            (("largest_first = eigenvalues", "eigenvalues = eigenvalues.sqrt()\n    largest_first = eigenvalues"),),
        ),
        Wrong("as they come", "the_largest_first", (("eigenvalues.sort(descending=True).values", "eigenvalues"),)),
    ),
)


# numbers_for(fraction, eigenvalues)


def _number(numbers: Any, fraction: float, eigenvalues: torch.Tensor) -> int:
    """The answer as a whole number."""
    answer = numbers(fraction, eigenvalues.clone())
    expect(answer is not None, "yours returns nothing; is a return missing?")
    try:
        return operator.index(answer)
    except TypeError:
        kind = type(answer).__name__
        expect(
            condition=False, words=f"yours is {answer!r}, a {kind}; expected a whole number of components, such as 2"
        )
        raise


def a_whole_number(numbers: Any) -> None:
    """K, not a share."""
    _number(numbers, 0.8, _toy())


def the_smallest_that_will_do(numbers: Any) -> None:
    """Of [3, 2, 1]: one component has 50 %, two 83.3 %."""
    for fraction, right in ((0.4, 1), (0.8, 2), (0.9, 3)):
        got = _number(numbers, fraction, _toy())
        shares = {0: "0", 1: "50", 2: "83.3", 3: "100"}
        does = f" ({got} have {shares[got]} %)" if got in shares else ""
        expect(
            got == right,
            f"of the eigenvalues 3, 2, 1 yours takes K = {got}{does} for {fraction:.0%}; expected "
            f"{right}: the smallest K whose share is at least that (1 has 50 %, 2 have 83.3 %, 3 have 100 %)",
        )


def exactly_reached_is_enough(numbers: Any) -> None:
    """50 % of [3, 2, 1] is what one component has."""
    got = _number(numbers, 0.5, _toy())
    expect(
        got == 1,
        f"one component of 3, 2, 1 has 50 % exactly; for 50 % yours takes K = {got}; expected 1: at least, not more than",
    )


def nothing_needs_nothing(numbers: Any) -> None:
    """0 % needs no component."""
    got = _number(numbers, 0.0, _toy())
    expect(
        got == 0, f"for 0 % of the variance yours takes K = {got}; expected 0: entry 0 of the shares belongs to K = 0"
    )


def all_of_it_despite_rounding(numbers: Any) -> None:
    """The last share is 1, but for rounding; directions without variance are not needed."""
    for seed in range(30):
        random = torch.Generator().manual_seed(seed)
        kept = 0.1 + torch.rand(60, generator=random, dtype=torch.float64)
        spectrum = torch.cat([kept, torch.zeros(4, dtype=torch.float64)])
        try:
            got = _number(numbers, 1.0, spectrum)
        except (IndexError, RuntimeError, ValueError, StopIteration):
            got = -1
        found = "finds no K at all" if got < 0 else f"takes K = {got}"
        expect(
            got == 60,
            f"for 100 % of a spectrum of 60 eigenvalues and 4 zeros yours {found}; expected 60: sums of many numbers are "
            "rounded, so a share may stop at 0.9999999999999998; ask for the fraction less a hair, such as 1e-9",
        )


NUMBERS = Exercise(
    name="numbers_for",
    lesson="10",
    task="find the smallest K whose components have at least a fraction of the variance.",
    cases=(
        a_whole_number,
        the_smallest_that_will_do,
        exactly_reached_is_enough,
        nothing_needs_nothing,
        all_of_it_despite_rounding,
    ),
    hints=(
        "explained_variance gives the share for every K, rising from 0. You need the first place where it is enough.",
        "explained >= fraction is False, False, ... True, True: the place of the first True is K. Allow for rounding: "
        "fraction - 1e-9.",
        "enough = explained_variance(eigenvalues) >= fraction - 1e-9; return int(enough.nonzero()[0])",
    ),
    wrong=(
        Wrong(
            "the share, not K",
            "a_whole_number",
            (("int(enough.nonzero()[0])", "float(explained_variance(eigenvalues)[enough][0])"),),
        ),
        Wrong(
            "one too many", "the_smallest_that_will_do", (("int(enough.nonzero()[0])", "int(enough.nonzero()[0]) + 1"),)
        ),
        Wrong(
            "the last that is not enough",
            "the_smallest_that_will_do",
            (("int(enough.nonzero()[0])", "int(enough.nonzero()[0]) - 1"),),
        ),
        Wrong("how many are enough", "the_smallest_that_will_do", (("int(enough.nonzero()[0])", "int(enough.sum())"),)),
        Wrong("more than, not at least", "exactly_reached_is_enough", ((">= fraction - 1e-9", "> fraction + 1e-12"),)),
        Wrong(
            "from 1 on", "nothing_needs_nothing", (("int(enough.nonzero()[0])", "int(enough[1:].nonzero()[0]) + 1"),)
        ),
        Wrong("rounding forgotten", "all_of_it_despite_rounding", ((" - 1e-9", ""),)),
    ),
)

EXERCISES = (EXPLAINED, NUMBERS)
