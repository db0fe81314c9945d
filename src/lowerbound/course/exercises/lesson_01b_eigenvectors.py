"""Lesson 1, PCA by eigenvectors: what the linear autoencoder finds by steps, found at once."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lowerbound.course.exercise import Exercise, Wrong, expect

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["EXERCISES"]

Answer = Callable[..., Any]


def _ellipsoid() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Points in five dimensions, their mean, covariance and eigenvalues, largest first."""
    import torch

    turn = torch.linalg.qr(torch.randn(5, 5, dtype=torch.float64)).Q
    x = torch.randn(300, 5, dtype=torch.float64) * torch.tensor([3.0, 2.0, 1.0, 0.5, 0.2], dtype=torch.float64)
    x = x @ turn.T + torch.tensor([4.0, -2.0, 1.0, 3.0, -5.0], dtype=torch.float64)
    mean = x.mean(0)
    covariance = (x - mean).T @ (x - mean) / len(x)
    return x, mean, covariance, torch.linalg.eigvalsh(covariance).flip(0)


def shapes(pca_by_eigenvectors: Answer) -> None:
    """P numbers become K and these P again."""
    x, mean, covariance, _ = _ellipsoid()
    given = pca_by_eigenvectors(mean, covariance, 2)
    expect(
        isinstance(given, (tuple, list)) and len(given) == 2,
        f"expected two functions, encode and decode; yours gives {type(given).__name__}",
    )
    encode, decode = given
    codes = encode(x)
    expect(
        tuple(codes.shape) == (300, 2),
        f"300 points and K = 2 should give codes of shape (300, 2); yours have shape {tuple(codes.shape)}: the eigenvectors are "
        "the columns, and K of them are kept",
    )
    back = tuple(decode(codes).shape)
    expect(back == (300, 5), f"decoding them should give shape (300, 5) again; yours gives {back}")


def mean_has_code_zero(pca_by_eigenvectors: Answer) -> None:
    """Codes are measured from the mean."""
    _, mean, covariance, _ = _ellipsoid()
    encode, _ = pca_by_eigenvectors(mean, covariance, 2)
    code = [round(float(c), 2) for c in encode(mean[None])[0]]
    expect(
        max(map(abs, code)) < 1e-8,
        f"the mean itself should have the code 0; yours is {code}: take the mean off before you project",
    )


def code_zero_is_the_mean(pca_by_eigenvectors: Answer) -> None:
    """The mean comes back at the end."""
    _, mean, covariance, _ = _ellipsoid()
    encode, decode = pca_by_eigenvectors(mean, covariance, 2)
    off = float((decode(encode(mean[None]) * 0) - mean).abs().max())
    expect(
        off < 1e-8, f"the code 0 should decode to the mean; yours is off by {off:.3g}: add the mean again at the end"
    )


def there_and_back(pca_by_eigenvectors: Answer) -> None:
    """What decode makes of a code has that code."""
    x, mean, covariance, _ = _ellipsoid()
    encode, decode = pca_by_eigenvectors(mean, covariance, 2)
    codes = encode(x)
    ratio = float((encode(decode(codes)) / codes).median())
    off = float((encode(decode(codes)) - codes).abs().max())
    expect(
        off < 1e-6,
        f"encoding a decoded code should give the same code; yours comes back {ratio:.3g} times as large: if one of the two maps "
        "scales, the other must scale back, and both must use the same directions",
    )


def least_error(pca_by_eigenvectors: Answer) -> None:
    """The directions of largest variance: what is lost is the sum of the other eigenvalues."""
    x, mean, covariance, values = _ellipsoid()
    encode, decode = pca_by_eigenvectors(mean, covariance, 2)
    lost = float(((decode(encode(x)) - x) ** 2).sum(1).mean())
    least, smallest = float(values[2:].sum()), float(values[:3].sum())
    nudge = (
        "these are the two of least variance" if math.isclose(lost, smallest, rel_tol=1e-6) else "columns, not rows?"
    )
    expect(
        math.isclose(lost, least, rel_tol=1e-6),
        f"with the two leading eigenvectors the squared error per point is {least:.3f}, the sum of the three eigenvalues left "
        f"out; yours is {lost:.3f}: {nudge} (eigh sorts the smallest eigenvalue first)",
    )


EXERCISES = (
    Exercise(
        name="pca_by_eigenvectors",
        lesson="01",
        task="encode and decode with the K eigenvectors of the covariance that have the largest eigenvalues",
        cases=(shapes, mean_has_code_zero, code_zero_is_the_mean, there_and_back, least_error),
        hints=(
            "torch.linalg.eigh(covariance) gives eigenvalues and eigenvectors; the vectors are the columns.",
            "eigh begins with the smallest eigenvalue, so the leading K are the last K columns: vectors[:, -latent_dim:].",
            "encode: (x - mean) @ components; decode: codes @ components.T + mean.",
        ),
        wrong=(
            Wrong("one too many", "shapes", (("-latent_dim:", "-latent_dim - 1:"),)),
            Wrong("the mean left in", "mean_has_code_zero", (("(x - mean) @", "x @"),)),
            Wrong("the mean not given back", "code_zero_is_the_mean", (("components.T + mean", "components.T"),)),
            Wrong(
                "scaled on one side",
                "there_and_back",
                (("(x - mean) @ components", "(x - mean) @ components / variances[-latent_dim:].flip(0) ** 0.5"),),
            ),
            Wrong("the smallest", "least_error", (("vectors[:, -latent_dim:]", "vectors[:, :latent_dim]"),)),
            Wrong("rows", "least_error", (("vectors[:, -latent_dim:]", "vectors[-latent_dim:].T"),)),
        ),
    ),
)
