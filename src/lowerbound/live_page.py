"""The live page of a run: the built template filled with what the run holds, as one file or as files beside each other.

The template is one HTML file with script and style inside, made from ``lab/`` when the package is built; its content security
policy lets the page load nothing. Each asset is gzipped and becomes a ``<script type="text/plain">`` of seven bits a character,
which no markup in it can leave. With ``linked`` the same assets are files beside the page, for a web host.

What is gzipped begins with a byte that says how the rest lies there: 1 as it is; 2 or 4 in so many planes, in the first of them
the first byte of every number of so many bytes. Signs and exponents resemble each other, last bits resemble nothing; apart they
pack better. The WebAssembly comes packed by zstd, which the page unpacks itself; gzip around it tells whether it was damaged.
"""

from __future__ import annotations

import html
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lowerbound import report, seven_bits
from lowerbound.errors import InputError
from lowerbound.images import ImageSet
from lowerbound.payload import Payload, payload
from lowerbound.progress import Progress, quiet
from lowerbound.storage import Run
from lowerbound.whole import make_folder, write_whole

__all__ = [
    "LINKED",
    "REPORT",
    "Template",
    "file_name",
    "page_files",
    "template",
    "write_files",
    "write_page",
    "write_report",
]

LIVE = Path(__file__).parent / "live"
REPORT, FIGURES, LINKED = "report.html", "figures.html", "page/index.html"
ASSETS = "assets"
PLACES = ("<!--assets-->", "connect-src 'none'", "<title>lowerbound</title>")
LEVEL = 7  # of gzip; two more take five times as long, for a tenth of a percent
STRIDES = (1, 2, 4)  # bytes of a number
TRIED = 1 << 16  # bytes from an asset's middle, which tell its stride


@dataclass(frozen=True)
class Template:
    """What was built: a page with places to fill, and the WebAssembly that runs models, packed by zstd."""

    html: str
    wasm: bytes


def template() -> Template:
    """The built template.

    Raises:
        InputError: It was not built, as in a source tree, or is of another program.
    """
    page, wasm = LIVE / "template.html", LIVE / "ort.wasm.zst"
    if not (page.is_file() and wasm.is_file()):
        raise InputError(
            "the live page's template is not built here; run `python hatch_build.py`, or install lowerbound as a wheel"
        )
    found = Template(page.read_text(encoding="utf-8"), wasm.read_bytes())
    for place in PLACES:
        if found.html.count(place) != 1:
            raise InputError(f"{page.name} has {place} {found.html.count(place)} times, expected once; build it again")
    return found


def write_report(run: Run, images: ImageSet, progress: Progress = quiet) -> str:
    """Write a run's ``report.html``: the live page, with the figures in ``figures.html``; the figures alone without a template.

    Returns:
        Why the page is not live, in words; empty where it is.
    """
    try:
        built = template()
    except InputError as error:
        report.write_report(run, images, progress, name=REPORT)
        return str(error)
    report.write_report(run, images, progress, name=FIGURES)
    write_page(run.path / REPORT, payload(run, images, progress=progress), built)
    return ""


def keep_figures(run: Run) -> None:
    """Give the report of a run that has no live page yet the name under which it stands beside one."""
    page, figures = run.path / REPORT, run.path / FIGURES
    if page.is_file() and not figures.exists() and b'id="asset:meta"' not in page.read_bytes():
        page.replace(figures)


def write_page(out: Path, held: Payload, built: Template, *, linked: bool = False) -> list[Path]:
    """Write the page: one file, or with ``linked`` the page and a folder of assets beside it.

    Returns:
        The files, the page first.
    """
    return write_files(out.parent, page_files(held, built, linked=linked, name=out.name))


def write_files(folder: Path, files: Mapping[str, bytes]) -> list[Path]:
    """Write a page's files into a folder; the page last, so that it never lacks an asset."""
    paths = [folder / name for name in files]
    for path, content in reversed(list(zip(paths, files.values(), strict=True))):
        make_folder(path.parent)
        write_whole(path, content)
    return paths


def page_files(held: Payload, built: Template, *, linked: bool = False, name: str = "index.html") -> dict[str, bytes]:
    """The page's files by name, the page first: the same payload and template give the same bytes.

    Args:
        held: What the page holds.
        built: The template.
        linked: Whether assets are files of their own.
        name: Of the page.
    """
    assets = {"meta": _packed(held.json)} | {each: _packed(held.assets[each]) for each in sorted(held.assets)}
    assets["wasm"] = _packed(built.wasm)
    page = built.html.replace(PLACES[2], f"<title>{_words(held.meta['title'])}</title>")
    if linked:
        page = page.replace(PLACES[1], "connect-src 'self'").replace(PLACES[0], "")
        return {name: _encoded(page)} | {f"{ASSETS}/{file_name(each)}": content for each, content in assets.items()}
    return {name: _encoded(page.replace(PLACES[0], _tags(assets)))}


def file_name(asset: str) -> str:
    """The file of an asset beside a linked page; no colon, which file systems of Windows refuse.

    Example:
        >>> file_name("decoder:vae")
        'decoder-vae.gz'
    """
    return f"{asset.replace(':', '-')}.gz"


def _tags(assets: Mapping[str, bytes]) -> str:
    """Assets as tags that the page finds by their names."""
    return "\n".join(
        f'<script type="text/plain" id="asset:{_words(name)}">{seven_bits.written(content)}</script>'
        for name, content in assets.items()
    )


def _packed(content: bytes) -> bytes:
    """Content gzipped, a byte before it that tells its stride: the one with which its middle packs best."""
    start = max(0, (len(content) - TRIED) // 2)
    middle = content[start : start + TRIED]
    stride = min(STRIDES, key=lambda each: len(_gzipped(_planes(middle, each), 1)))
    return _gzipped(bytes([stride]) + _planes(content, stride), LEVEL)


def _planes(content: bytes, stride: int) -> bytes:
    """The first byte of every number, then the second ones, and so on; what is left of the last number as it is."""
    whole = len(content) // stride * stride
    numbers = np.frombuffer(content, np.uint8, whole).reshape(-1, stride)
    return numbers.T.tobytes() + content[whole:]


def _gzipped(content: bytes, level: int) -> bytes:
    """Content as gzip without a date; made for numbers, of which single bytes are frequent but seldom rows of them."""
    packer = zlib.compressobj(level, zlib.DEFLATED, zlib.MAX_WBITS | 16, zlib.DEF_MEM_LEVEL, zlib.Z_FILTERED)
    return packer.compress(content) + packer.flush()


def _words(text: str) -> str:
    return html.escape(text, quote=True).replace("\0", "\N{REPLACEMENT CHARACTER}")


def _encoded(page: str) -> bytes:
    return page.encode("utf-8", errors="replace")
