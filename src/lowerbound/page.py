"""One page that holds a whole run: summary, facts, pictures, tables; a single file that needs nothing else.

The page opens from anywhere, also from a memory stick without a network: style and pictures are inside it, it runs no
script, and its content security policy forbids the browser to fetch anything. All words that come in are shown as
words, whatever they look like.
"""

from __future__ import annotations

import base64
import html
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lowerbound.errors import InputError
from lowerbound.whole import write_whole

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Section", "Table", "report"]

_STYLE = Path(__file__).with_name("page.css")
_TYPES = {".png": "image/png", ".svg": "image/svg+xml"}


@dataclass(frozen=True)
class Table:
    """Cells as they are shown: a number arrives with the digits and the unit it should have.

    Args:
        header: What each column holds, with its unit.
        rows: One row or more, of as many cells as the header.
        caption: What the table shows; stands above it.
        prose: The cells hold sentences, not numbers: they wrap, begin at the left, and keep their line breaks.
        folded: Only the caption is seen until the reader opens the table.

    Raises:
        InputError: A row of another length than the header.

    Example:
        >>> table = Table(("model", "test MSE per pixel"), (("PCA", "0.0252"), ("VAE", "0.0072")))
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    prose: bool = False
    folded: bool = False

    def __post_init__(self) -> None:
        """Hold every row to the header."""
        for row in self.rows:
            if len(row) != len(self.header):
                raise InputError(
                    f"a table row has {len(row)} cells ({row}); expected {len(self.header)}, as the header"
                )


@dataclass(frozen=True)
class Section:
    """One thing to look at, and what one is looking at.

    Args:
        title: Its heading.
        text: Two sentences or so on what is seen; plain text, an empty line starts a new paragraph.
        figure: A PNG or SVG file. Of a figure stored as both, the smaller is put into the page.
        alt: What the figure shows, in words, for who cannot see it.
        table: Shown under the figure; one, or several, one under the other.

    Example:
        >>> section = Section("Spectrum", "Each component keeps less variance than the one before.")
    """

    title: str
    text: str
    figure: Path | None = None
    alt: str = ""
    table: Table | Sequence[Table] | None = None


def report(
    title: str,
    summary: Sequence[str],
    facts: Sequence[tuple[str, str]],
    sections: Sequence[Section],
    path: Path,
) -> Path:
    """Write a report as one HTML file.

    Args:
        title: Heading of the page.
        summary: What was found, one sentence an item.
        facts: Name and value of what was run: data, sizes, seed, times, versions.
        sections: In the order they are read.
        path: The file to write; one that is there is replaced.

    Returns:
        ``path``.

    Raises:
        InputError: A figure is not there, or is neither PNG nor SVG.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "report.html")
        ...     _ = report("Run", ["All went well."], [("seed", "0")], [Section("<b>", "Text.")], file)
        ...     "&lt;b&gt;" in file.read_text(encoding="utf-8")
        True
    """
    contents = "".join(
        f'<li><a href="#s{number}">{_words(section.title)}</a></li>' for number, section in enumerate(sections, start=1)
    )
    body = "\n".join(_section(number, section) for number, section in enumerate(sections, start=1))
    page = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="lowerbound">
<title>{_words(title)}</title>
<style>
{_STYLE.read_text(encoding="utf-8")}</style>
</head>
<body>
<header>
<h1>{_words(title)}</h1>
<ul class="summary">{"".join(f"<li>{_words(sentence)}</li>" for sentence in summary)}</ul>
</header>
<nav aria-label="Contents"><ol>{contents}</ol></nav>
<main>
{body}
<section id="facts">
<h2>How this was made</h2>
<dl>{"".join(f"<dt>{_words(name)}</dt><dd>{_words(value)}</dd>" for name, value in facts)}</dl>
</section>
</main>
</body>
</html>
"""
    path = Path(path)
    write_whole(path, page.encode("utf-8", errors="replace"))
    return path


def _section(number: int, section: Section) -> str:
    """One section as HTML."""
    paragraphs = "".join(f"<p>{_words(part)}</p>" for part in section.text.split("\n\n") if part.strip())
    parts = [f'<section id="s{number}">', f"<h2>{_words(section.title)}</h2>", paragraphs]
    if section.figure is not None:
        source = _inside(Path(section.figure))
        # A box that can be scrolled must be reachable by keyboard.
        parts.append(f'<figure tabindex="0"><img src="{source}" alt="{_words(section.alt)}"></figure>')
    parts += map(_table, [section.table] if isinstance(section.table, Table) else section.table or ())
    return "\n".join([*parts, "</section>"])


def _table(table: Table) -> str:
    """A table as HTML, in a box of its own that scrolls when the table is wider than the page."""
    head = "".join(f'<th scope="col">{_words(cell)}</th>' for cell in table.header)
    rows = "".join(
        "<tr>"
        + "".join(
            f'<th scope="row">{_words(cell)}</th>' if column == 0 else f"<td>{_words(cell)}</td>"
            for column, cell in enumerate(row)
        )
        + "</tr>"
        for row in table.rows
    )
    kind = "table prose" if table.prose else "table"
    box = f'<div class="{kind}" tabindex="0"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
    if table.folded:
        return f"<details><summary>{_words(table.caption)}</summary>{box}</details>"
    return f"<h3>{_words(table.caption)}</h3>{box}" if table.caption else box


def _inside(figure: Path) -> str:
    """A picture as an address that holds it: of the PNG and SVG of one name, the smaller."""
    if figure.suffix not in _TYPES or not figure.is_file():
        what = "is not there" if figure.suffix in _TYPES else "is neither .png nor .svg"
        raise InputError(f"figure {figure} {what}; expected a file that lowerbound.look.save wrote")
    twins = [twin for ending in _TYPES if (twin := figure.with_suffix(ending)).is_file()]
    smaller = min(twins, key=lambda twin: twin.stat().st_size)
    return f"data:{_TYPES[smaller.suffix]};base64,{base64.b64encode(smaller.read_bytes()).decode()}"


def _words(text: str) -> str:
    """Text as HTML that shows this text and does nothing."""
    return html.escape(str(text), quote=True).replace("\0", "\N{REPLACEMENT CHARACTER}")
