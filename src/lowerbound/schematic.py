"""A schematic of a network: the planes an image passes through, with their sizes, from the image to its code and back.

Planes of an image are sheets, one behind the other for more channels; flat layers are bars. What is drawn grows more
slowly than the true size, so that 1 x 1 and 256 x 256, one channel and 512, fit one picture: the numbers under each
plane are exact, the areas are not.
"""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from lowerbound.errors import InputError
from lowerbound.look import QUIET, WIDTH, canvas, drawn, one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Plane", "schematic"]

MARGIN = 0.12
TALLEST_BAR = 1.15
MOST_IN_A_ROW = 9
SMALL = 8  # points
LETTER = 0.064  # inches, of a letter of that size
LINE = 0.135
STEP = 0.034  # inches from one sheet to the next, up and to the right
FILLS = {"encoder": "#7fb3d9", "code": "#E69F00", "decoder": "#8fc4a8"}


@dataclass(frozen=True)
class Plane:
    """What one layer of a network gives.

    Args:
        shape: ``(C, H, W)`` of a stack of image planes, or ``(features,)`` of a flat layer.
        operation: What led to this plane, as "5x5 convolution, stride 2, ReLU"; empty for the first.
        part: The half of the network it belongs to, or the code between them.

    Raises:
        InputError: A shape of another length, or with a size below 1.

    Example:
        >>> Plane((32, 24, 24), "5x5 convolution, ReLU", "encoder").size
        '32 @ 24 × 24'
        >>> Plane((20,), "linear", "code").size
        'K = 20'
    """

    shape: tuple[int, ...]
    operation: str
    part: Literal["encoder", "code", "decoder"]

    def __post_init__(self) -> None:
        """Refuse what could not be drawn."""
        if len(self.shape) not in (1, 3) or min(self.shape) < 1:
            raise InputError(f"a plane has shape {self.shape}; expected (C, H, W) or (features,), each 1 or more")

    @property
    def size(self) -> str:
        """Its size in words: channels @ height × width, the number of features, or the K of a code."""
        if len(self.shape) == 1:
            return f"K = {self.shape[0]:,}" if self.part == "code" else f"{self.shape[0]:,}"
        channels, height, width = self.shape
        return f"{channels} @ {height} \N{MULTIPLICATION SIGN} {width}"


@drawn
def schematic(planes: Sequence[Plane]) -> Figure:
    """The planes of a network from left to right, sizes under each, what happens between them over the arrows.

    Args:
        planes: In the order that an image passes through them; more than nine go on in further rows.

    Raises:
        InputError: No planes.

    Example:
        >>> figure = schematic([Plane((1, 8, 8), "", "encoder"), Plane((2,), "linear", "code")])
    """
    if not planes:
        raise InputError("no planes came; expected one or more, from the image on")
    plan = _Plan(planes)
    axes = canvas(WIDTH, plan.height, layout=None).add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, WIDTH), ylim=(plan.height, 0))  # places are inches from the top left corner
    axes.set_axis_off()
    axes.set_autoscale_on(False)
    edge = MARGIN  # where the arrow to the next plane starts
    for place, plane in enumerate(planes):
        x, y = plan.middle(place)
        width = _draw_plane(axes, plane, x, y, plan)
        if place:
            start, end = edge if place % plan.columns else x - 0.8 * plan.cell, x - width / 2
            _draw_arrow(axes, start, end, y)
            _draw_operation(axes, plan.operations[place], (start + end) / 2, y - plan.tallest / 2, y)
        axes.text(x, y + plan.tallest / 2 + 0.08, plan.sizes[place], ha="center", va="top", fontsize=SMALL)
        edge = x + width / 2
    for first, last in _stretches(planes, plan.columns):
        _draw_part(axes, planes[first].part, plan.middle(first), plan.middle(last), plan)
    return axes.get_figure(root=True)  # type: ignore[return-value]


class _Plan:
    """Where everything goes: how many planes fit a row, and how much room words need above and below them."""

    def __init__(self, planes: Sequence[Plane]) -> None:
        self.rows = math.ceil(len(planes) / MOST_IN_A_ROW)
        self.columns = math.ceil(len(planes) / self.rows)
        self.lead = 0.5 if self.rows > 1 else 0.0  # a row that goes on begins with an arrow
        self.cell = min((WIDTH - 2 * MARGIN) / (self.columns + self.lead), 1.6)
        self.left = (WIDTH - self.cell * (self.columns + self.lead)) / 2 + self.lead * self.cell
        self.largest = max((max(plane.shape[1:]) for plane in planes if len(plane.shape) == 3), default=1)
        letters = max(8, int(self.cell / LETTER))
        self.operations = [
            "\n".join(textwrap.wrap(one_line(plane.operation), letters, max_lines=5, placeholder="…"))
            for plane in planes
        ]
        broken = any(len(plane.size) >= letters for plane in planes)
        self.sizes = [plane.size.replace("@ ", "@\n") if broken else plane.size for plane in planes]
        self.tallest = max(_extent(plane, self)[1] for plane in planes)
        self.above = 0.1 + LINE * max(words.count("\n") + bool(words) for words in self.operations)
        self.below = 0.55 + LINE * broken
        self.pitch = self.above + self.tallest + self.below
        self.height = MARGIN + self.rows * self.pitch

    def middle(self, place: int) -> tuple[float, float]:
        """Middle of a plane."""
        row, column = divmod(place, self.columns)
        return self.left + (column + 0.5) * self.cell, MARGIN + row * self.pitch + self.above + self.tallest / 2

    def side(self, pixels: int) -> float:
        """Inches drawn for pixels: three in four of a doubling is kept, and one pixel can still be seen."""
        return max(0.45 * min(self.cell, 1.2) * (pixels / self.largest) ** 0.75, 0.06)


def _extent(plane: Plane, plan: _Plan) -> tuple[float, float, int]:
    """Inches across and down that a plane's drawing takes, and of how many sheets it is."""
    if len(plane.shape) == 1:
        height = min(0.12 + 0.075 * math.log2(plane.shape[0]), TALLEST_BAR)
        return 0.2 if plane.part == "code" else 0.1, height, 1
    channels, height, width = plane.shape
    sheets = 1 + round(math.log2(channels))
    depth = (sheets - 1) * STEP
    return plan.side(width) + depth, plan.side(height) + depth, sheets


def _draw_plane(axes: Axes, plane: Plane, x: float, y: float, plan: _Plan) -> float:
    """Sheets or a bar, its middle at (x, y); the width of the whole."""
    from matplotlib.patches import Rectangle

    across, down, sheets = _extent(plane, plan)
    depth = (sheets - 1) * STEP
    for back in reversed(range(sheets)):
        corner = (x - across / 2 + back * STEP, y - down / 2 + depth - back * STEP)
        sheet = Rectangle(corner, across - depth, down - depth, facecolor=FILLS[plane.part], edgecolor="white")
        sheet.set(linewidth=0.8, sketch_params=None, path_effects=[])  # a wavering edge hides how many sheets there are
        axes.add_patch(sheet)
    return across


def _draw_arrow(axes: Axes, start: float, end: float, y: float) -> None:
    """An arrow from the edge of one plane towards the edge of the next."""
    arrow = {"arrowstyle": "-|>", "color": "#404040", "linewidth": 1, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 8}
    gap = 0.05
    axes.annotate("", (end - gap, y), (start + gap, y), arrowprops=arrow)


def _draw_operation(axes: Axes, words: str, x: float, top: float, y: float) -> None:
    """What happens at an arrow, above all planes, joined to it by a thin line."""
    if words:
        axes.plot([x, x], [top - 0.02, y - 0.05], color="#b5b5b5", linewidth=0.6, path_effects=[])
        axes.text(x, top - 0.05, words, ha="center", va="bottom", fontsize=SMALL, color=QUIET, linespacing=1.15)


def _draw_part(axes: Axes, part: str, first: tuple[float, float], last: tuple[float, float], plan: _Plan) -> None:
    """A line under the planes of one part, and its name."""
    y = first[1] + plan.tallest / 2 + plan.below - 0.26
    reach = 0.42 * plan.cell
    axes.plot([first[0] - reach, last[0] + reach], [y, y], color=FILLS[part], linewidth=2.5, path_effects=[])
    axes.text((first[0] + last[0]) / 2, y + 0.04, part, ha="center", va="top", fontsize=9, weight="bold")


def _stretches(planes: Sequence[Plane], columns: int) -> list[tuple[int, int]]:
    """First and last place of each run of planes of one part within one row."""
    starts = [
        place for place, plane in enumerate(planes) if place % columns == 0 or plane.part != planes[place - 1].part
    ]
    return list(zip(starts, [*(start - 1 for start in starts[1:]), len(planes) - 1], strict=True))
