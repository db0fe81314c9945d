"""A run's live page, shown: served to this machine alone, and in a notebook.

The server listens on the loopback address, answers only who asks for it by a loopback name (a page of the web that made its own
name mean this machine is refused), and has nothing but the page's files.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from lowerbound.comparison import images_of
from lowerbound.errors import InputError
from lowerbound.insight import make_insight
from lowerbound.live_page import REPORT, keep_figures, template, write_page
from lowerbound.payload import payload
from lowerbound.progress import Progress, quiet
from lowerbound.storage import Run

__all__ = ["HEIGHT", "serve", "server", "show"]

LOOPBACK = "127.0.0.1"
TYPES = {".html": "text/html; charset=utf-8", ".gz": "application/gzip"}
HEIGHT = 800  # pixels of a page in a notebook


def server(files: Mapping[str, bytes], port: int = 0, *, any_host: bool = False) -> ThreadingHTTPServer:
    """What serves some files, the first of them also at ``/``, on the loopback address; it does not run yet.

    Args:
        files: By name.
        port: To listen at; 0 for one that is free.
        any_host: Whether to answer under every name: only where a proxy of the notebook's stands in front.

    Raises:
        InputError: The port is taken, or not to be had.

    Example:
        >>> with server({"index.html": b"<!doctype html>"}) as page:
        ...     page.server_address[0]
        '127.0.0.1'
    """
    handler = functools.partial(_Handler, dict(files), any_host)
    try:
        return ThreadingHTTPServer((LOOPBACK, port), handler)
    except (OSError, OverflowError) as error:
        raise InputError(
            f"port {port} cannot be listened at ({error}); give another, or none for a free one"
        ) from error


def serve(files: Mapping[str, bytes], port: int = 0, say: Callable[[str], object] = print) -> None:
    """Serve some files until Ctrl-C; says the address first.

    Raises:
        KeyboardInterrupt: When it was told to end, as always.
    """
    with server(files, port) as page:
        say(f"http://{LOOPBACK}:{page.server_port}/ (Ctrl-C ends it)")
        try:
            page.serve_forever(poll_interval=0.2)
        except KeyboardInterrupt:
            raise KeyboardInterrupt("the page is not served any more; its file stays") from None


def show(run: Run | str | Path, *, height: int = HEIGHT, insight: bool = True, progress: Progress = quiet) -> Any:
    """A run's live page as a notebook shows it; written into the run first.

    Args:
        run: A run, or its folder.
        height: Of the frame, in pixels.
        insight: Whether the run's VAE is examined first where that was not done, for the findings and ascents on the page.
        progress: Shown while the page is made.

    Returns:
        In Jupyter an ``IPython.display.IFrame``; in Colab None, the frame is shown at once.

    Raises:
        InputError: No run, no template, or images that are not there any more.
    """
    run = run if isinstance(run, Run) else Run.open(Path(run))
    page, built = run.path / REPORT, template()
    images = images_of(run, progress=progress)
    without = make_insight(run, images, progress) if insight else "This page was asked for without them."
    keep_figures(run)
    write_page(page, payload(run, images, without=without, progress=progress), built)
    colab = _colab()
    if colab is not None:  # its frames see the machine's ports alone
        colab.serve_kernel_port_as_iframe(_in_background({page.name: page.read_bytes()}, any_host=True), height=height)
        return None
    from IPython.display import IFrame

    address = _beside(page)
    if address is None:
        address = f"http://{LOOPBACK}:{_in_background({page.name: page.read_bytes()})}/"
    return IFrame(address, width="100%", height=height)


def _beside(page: Path) -> str | None:
    """The address of a page below the folder of the notebook, which is all that Jupyter serves; None for one elsewhere."""
    try:
        there = Path(os.path.relpath(page, Path.cwd())).as_posix()
    except ValueError:  # on another drive
        return None
    return None if there.startswith("..") else quote(there)


def _colab() -> Any:
    """Colab's own module for what a cell shows; None anywhere else."""
    try:
        from google.colab import output  # type: ignore[import-not-found]
    except ImportError:
        return None
    return output


def _in_background(files: Mapping[str, bytes], *, any_host: bool = False) -> int:
    """The port of a server that runs as long as this process."""
    page = server(files, any_host=any_host)
    threading.Thread(target=page.serve_forever, daemon=True).start()
    return page.server_port


class _Handler(BaseHTTPRequestHandler):
    """Answers with the page's files alone."""

    server_version, sys_version = "lowerbound", ""

    def __init__(self, files: Mapping[str, bytes], any_host: bool, *request: Any) -> None:  # noqa: FBT001
        self.files, self.any_host = files, any_host
        super().__init__(*request)

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def _answer(self, *, body: bool = True) -> None:
        port = self.connection.getsockname()[1]
        if not self.any_host and self.headers.get("Host") not in (f"{LOOPBACK}:{port}", f"localhost:{port}"):
            self.send_error(421, "This page is for this machine alone")
            return
        name = unquote(urlsplit(self.path).path).removeprefix("/") or next(iter(self.files))
        content = self.files.get(name)
        if content is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Type", TYPES[Path(name).suffix])
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  (the base class's own word)
        """Say nothing of single requests."""
