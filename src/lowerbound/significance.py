"""Whether an effect is real, how sure that is, and how it is said."""

from __future__ import annotations

import numpy as np

from lowerbound.evaluation import Estimate
from lowerbound.findings import Certainty

__all__ = ["beside", "beyond", "certainty", "minus", "moved", "nats", "percent", "relative"]

SIGNIFICANT = 3.0  # standard errors: 1 in 700 by chance, and a dozen checks are made


def certainty(found: Estimate, threshold: float) -> Certainty:
    """How sure it is that the truth lies beyond the threshold."""
    errors = (found.mean - threshold) / max(found.standard_error, 1e-12)
    return "certain" if errors > SIGNIFICANT else "likely" if errors > 1.64 else "possible"


def beyond(found: Estimate, threshold: float) -> bool:
    """Whether a number is real, and larger than what matters."""
    return found.mean > SIGNIFICANT * found.standard_error and found.mean > threshold


def relative(more: np.ndarray, less: np.ndarray) -> Estimate:
    """By what share of the second the first exceeds it, images paired."""
    difference, base = Estimate.of(more - less), max(float(less.mean()), 1e-12)
    return Estimate(difference.mean / base, difference.standard_error / base)


def minus(found: Estimate) -> Estimate:
    """The negative of an estimate."""
    return Estimate(-found.mean, found.standard_error)


def percent(found: Estimate) -> str:
    """An estimate in per cent, with its standard error."""
    return f"{found.mean:.1%} ± {found.standard_error:.1%}"


def beside(found: Estimate) -> str:
    """A relative difference in words that a noun can follow.

    Example:
        >>> beside(Estimate(-0.02, 0.001)), beside(Estimate(1.5, 0.1))
        ('2.0% ± 0.1% below', '2.5 ± 0.1 times')
    """
    if found.mean >= 1:
        return f"{1 + found.mean:.1f} ± {found.standard_error:.1f} times"
    return f"{abs(found.mean):.1%} ± {found.standard_error:.1%} {'above' if found.mean >= 0 else 'below'}"


def nats(found: Estimate) -> str:
    """An estimate in nats, with its standard error."""
    return f"{found.mean:.2f} ± {found.standard_error:.2f} nats"


def moved(found: Estimate, by: float) -> Estimate:
    """An estimate moved by a number that is known."""
    return Estimate(found.mean + by, found.standard_error)
