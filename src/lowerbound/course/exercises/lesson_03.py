"""Exercise of lesson 03: points on the straight line between two vectors."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lowerbound.course.exercise import Exercise, Wrong, expect
from lowerbound.course.tensors import expect_tensor, listed

__all__ = ["EXERCISES"]

START, END = torch.tensor([1.0, -2.0, 0.5]), torch.tensor([3.0, 4.0, 0.5])


def _ends() -> tuple[Tensor, Tensor]:
    """The two vectors, for a function that may change them."""
    return START.clone(), END.clone()


def interpolate_shape(interpolate: Any) -> None:
    """Eleven points of K numbers, by default."""
    points = interpolate(*_ends())
    expect_tensor(points, "interpolate")
    expect(
        list(points.shape) == [11, 3],
        f"for K = 3 and the usual 11 steps your points have shape {list(points.shape)}; expected [11, 3]: t as a column "
        "[steps, 1] stretches over the K numbers",
    )


def interpolate_steps(interpolate: Any) -> None:
    """As many points as were asked for."""
    points = interpolate(*_ends(), 5)
    expect(len(points) == 5, f"5 steps were asked for; yours gives {len(points)} points: is `steps` used?")


def interpolate_starts(interpolate: Any) -> None:
    """The way begins at the start."""
    first = interpolate(*_ends(), 5)[0]
    word = ": that is the end; t = 0 is the first image" if torch.allclose(first, END) else ""
    expect(
        torch.allclose(first, START, atol=1e-5),
        f"at t = 0 yours is ({listed(first)}) where start is ({listed(START)}){word}",
    )


def interpolate_arrives(interpolate: Any) -> None:
    """The way ends at the end."""
    last = interpolate(*_ends(), 5)[-1]
    word = ""
    if torch.allclose(last, START + 0.8 * (END - START), atol=1e-5):
        word = ": the last step is missing; of 5 points the last has t = 1, not 4/5"
    elif torch.allclose(last, START + END, atol=1e-5):
        word = ": that is start + end; the share of start falls while that of end rises"
    expect(
        torch.allclose(last, END, atol=1e-5),
        f"at t = 1 yours is ({listed(last)}) where end is ({listed(END)}){word}",
    )


def interpolate_evenly(interpolate: Any) -> None:
    """In equal steps on a straight line."""
    steps = interpolate(*_ends(), 9).diff(dim=0)
    expected = (END - START) / 8
    expect(
        (steps - expected).abs().max() < 1e-5,
        f"your steps are not all the same: the first is ({listed(steps[0])}), the fourth ({listed(steps[3])}), where "
        f"each should be ({listed(expected)})",
    )


def interpolate_leaves_alone(interpolate: Any) -> None:
    """What was handed in is as it was."""
    start, end = START.clone(), END.clone()
    interpolate(start, end, 4)
    expect(
        torch.equal(start, START) and torch.equal(end, END),
        f"start was ({listed(START)}) and is ({listed(start)}) after your function: in-place operations such as += or "
        "mul_ change what the caller still needs",
    )


INTERPOLATE = Exercise(
    "interpolate",
    "03",
    "give points in equal steps on the straight line from one vector to another.",
    (
        interpolate_shape,
        interpolate_steps,
        interpolate_starts,
        interpolate_arrives,
        interpolate_evenly,
        interpolate_leaves_alone,
    ),
    (
        "For one t the point is (1 - t) * start + t * end. How do you do it for all t at once?",
        "torch.linspace(0, 1, steps) has both ends in it; [:, None] makes a column [steps, 1] of it.",
        "t = torch.linspace(0, 1, steps, device=start.device)[:, None]; return (1 - t) * start + t * end.",
    ),
    (
        Wrong(
            "codes as columns", "interpolate_shape", (("(1 - t) * start + t * end", "((1 - t) * start + t * end).T"),)
        ),
        Wrong("t is no column", "interpolate_shape", (("[:, None]", ""),)),
        Wrong("always eleven", "interpolate_steps", (("(0, 1, steps", "(0, 1, 11"),)),
        Wrong(
            "from the end to the start",
            "interpolate_starts",
            (("(1 - t) * start + t * end", "t * start + (1 - t) * end"),),
        ),
        Wrong(
            "never arrives",
            "interpolate_arrives",
            (("torch.linspace(0, 1, steps, device=start.device)", "(torch.arange(steps) / steps)"),),
        ),
        Wrong("start keeps its share", "interpolate_arrives", (("(1 - t) * start", "start"),)),
        Wrong("slow at first", "interpolate_evenly", (("[:, None]", "[:, None] ** 2"),)),
        Wrong(
            "changed in place",
            "interpolate_leaves_alone",
            (("(1 - t) * start + t * end", "t * end.sub_(start) + start"),),
        ),
    ),
)

EXERCISES = (INTERPOLATE,)
