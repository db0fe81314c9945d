"""How every figure looks and how it is stored: two styles, fixed colours, and the same bytes for the same numbers.

    with style("xkcd"):                       # hand-drawn; "plain" without it
        figure = eigenspectrum(fraction, k=20)
    save(figure, "report", "spectrum")

Colours stay apart for colour-blind readers (a test simulates the three kinds), and no colour works alone: models also
differ by marker, and classes from the eleventh on too.
"""

from __future__ import annotations

import contextlib
import functools
import io
import warnings
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec

from lowerbound.errors import InputError, nearest
from lowerbound.whole import write_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from matplotlib.figure import Figure

__all__ = [
    "CLASS_COLOURS",
    "CLASS_MARKERS",
    "KL",
    "MODEL_STYLE",
    "QUIET",
    "RECONSTRUCTION",
    "WIDTH",
    "ModelStyle",
    "as_svg",
    "canvas",
    "drawn",
    "model_style",
    "one_line",
    "save",
    "style",
]

WIDTH = 8.0  # inches, of every figure: on one page, letters then have one size
QUIET = "#5c5c5c"  # of words that explain others
RECONSTRUCTION = "#0072B2"  # the two terms of the ELBO wear these two colours everywhere
KL = "#D55E00"

# Petroff (2021, arXiv:2107.02270): ten colours chosen to stay apart, also for colour-blind readers.
CLASS_COLOURS = (
    "#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6", "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd",
)  # fmt: skip
CLASS_MARKERS = ("o", "^", "s", "D", "v", "P", "X", "<", ">", "p")


@dataclass(frozen=True)
class ModelStyle:
    """What stands for one model in every figure: its name in words, a colour, and a marker."""

    label: str
    colour: str
    marker: str


# After Okabe and Ito (2008); the markers tell the models apart without any colour.
MODEL_STYLE = {
    "pca": ModelStyle("PCA", "#333333", "o"),
    "linear": ModelStyle("linear AE", "#E69F00", "s"),
    "conv": ModelStyle("conv AE", "#009E73", "^"),
    "vae": ModelStyle("VAE", "#CC79A7", "D"),
    "ppca": ModelStyle("probabilistic PCA", "#56B4E9", "v"),
}

STYLES = ("plain", "xkcd")
_NAMELESS: dict[str, Any] = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}  # no date, no version
_chosen: ContextVar[str] = ContextVar("style", default="plain")
_HERE = Path(__file__).parent
# Tried in this order, where installed, for class names that DejaVu Sans cannot write.
_WIDER_FONTS = ("Noto Sans CJK SC", "Noto Sans CJK JP", "Microsoft YaHei", "Hiragino Sans", "Arial Unicode MS")

Arguments = ParamSpec("Arguments")


def model_style(model: str) -> ModelStyle:
    """The label, colour and marker of a model; one that is not in ``MODEL_STYLE`` keeps its name and is drawn grey.

    Example:
        >>> model_style("vae").label
        'VAE'
        >>> model_style("my model")
        ModelStyle(label='my model', colour='#717581', marker='P')
    """
    return MODEL_STYLE.get(model) or ModelStyle(one_line(model), "#717581", "P")


def one_line(text: object, longest: int = 60) -> str:
    r"""Text fit for a label: one line, nothing that cannot be printed, at most ``longest`` characters.

    Example:
        >>> one_line("two\nlines")
        'two lines'
        >>> one_line("a very long name", longest=8)
        'a very…'
    """
    words = " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
    return words if len(words) <= longest else words[: longest - 1].rstrip() + "…"


@contextlib.contextmanager
def style(name: str) -> Iterator[None]:
    """Draw the figures made within the block in one style: "plain", or "xkcd" (hand-drawn).

    Raises:
        InputError: No style has this name.

    Example:
        >>> with style("xkcd"):
        ...     pass
    """
    if name not in STYLES:
        raise InputError(f'no style is named "{name}"{nearest(name, STYLES)}; expected one of {", ".join(STYLES)}')
    token = _chosen.set(name)
    try:
        yield
    finally:
        _chosen.reset(token)


@functools.cache
def _fonts() -> tuple[str, ...]:
    """Make the bundled hand-written font known; the families to fall back on when a glyph is missing."""
    from matplotlib import font_manager

    font_manager.fontManager.addfont(_HERE / "fonts" / "ComicNeue-Regular.otf")
    installed = set(font_manager.fontManager.get_font_names())
    return ("DejaVu Sans", *(family for family in _WIDER_FONTS if family in installed))


@contextlib.contextmanager
def _look() -> Iterator[None]:
    """The chosen style and nothing of the user's matplotlibrc, for as long as a figure is drawn or stored."""
    import matplotlib.style

    settings: dict[Any, Any] = {
        "font.family": list(_fonts()),
        "svg.hashsalt": "lowerbound",  # else every element is named anew in each file
        "svg.fonttype": "path",  # letters as outlines: a reader's machine needs no font
        "image.composite_image": False,  # small images stay small in SVG, and sharp at any size
    }
    if _chosen.get() == "xkcd":
        from matplotlib import patheffects

        settings |= {
            "font.family": ["Comic Neue", *_fonts()],
            "font.size": 12,
            "axes.titlesize": 13,
            "axes.labelsize": 12.5,
            "legend.fontsize": 11.5,
            "xtick.labelsize": 11,
            "ytick.labelsize": 11,
            "axes.linewidth": 1.4,
            "axes.edgecolor": "#262626",
            "axes.grid": False,
            "lines.linewidth": 2.2,
            "path.sketch": (1, 100, 2),
            "path.effects": [patheffects.withStroke(linewidth=4, foreground="white")],
        }
    with (
        matplotlib.style.context(_HERE / "lowerbound.mplstyle", after_reset=True),
        matplotlib.rc_context(settings),
        warnings.catch_warnings(),
    ):
        # A class named in a script that no font here can write shows boxes: no reason to lose the figure.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support .* natively")
        yield


def drawn(draw: Callable[Arguments, Figure]) -> Callable[Arguments, Figure]:
    """Let a function draw its figure in the chosen style, and settle the figure before the style is left.

    The function may use any matplotlib default: matplotlib's global settings are what they were after it returns.
    """

    @functools.wraps(draw)
    def in_style(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Figure:
        with _look():
            figure = draw(*args, **kwargs)
            figure.draw_without_rendering()  # ticks are made and the layout is found now, not under later settings
            figure.set_layout_engine("none")
        return figure

    return in_style


def canvas(width: float, height: float, *, layout: str | None = "constrained") -> Figure:
    """A blank figure, ``width`` by ``height`` inches, that no pyplot window owns."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout=layout)  # type: ignore[arg-type]
    FigureCanvasAgg(figure)
    if engine := figure.get_layout_engine():
        engine.set(w_pad=0.08, h_pad=0.08)  # type: ignore[call-arg]
    return figure


def save(figure: Figure, folder: str | Path, name: str) -> tuple[Path, Path]:
    """Store a figure as ``name.png`` (200 dots per inch) and ``name.svg``; the same figure gives the same bytes.

    Args:
        figure: From any function of this package that draws.
        folder: Where to; made if it is not there.
        name: File name without its ending.

    Returns:
        Paths of the PNG and of the SVG.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     [path.name for path in save(canvas(1, 1), folder, "blank")]
        ['blank.png', 'blank.svg']
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = {}
    with _look():
        for ending in _NAMELESS:
            paths[ending] = folder / f"{name}.{ending}"
            write_whole(paths[ending], _content(figure, ending))
    return paths["png"], paths["svg"]


def as_svg(figure: Figure) -> bytes:
    """A figure as the SVG that ``save`` stores, for where one file is enough: half the time, and nothing on the disk.

    Example:
        >>> as_svg(canvas(1, 1))[:5]
        b'<?xml'
    """
    with _look():
        return _content(figure, "svg")


def _content(figure: Figure, ending: str) -> bytes:
    """A figure as a file of a kind."""
    whole = io.BytesIO()
    figure.savefig(whole, format=ending, dpi=200, metadata=_NAMELESS[ending])
    return whole.getvalue()
