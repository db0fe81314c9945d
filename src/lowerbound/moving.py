"""Moving pictures: arrays of images as a GIF that goes there and back, for ever. No model is imported."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping

import numpy as np

from lowerbound.errors import InputError

__all__ = ["gif", "there_and_back"]

TILE = 112  # pixels at least that a tile is wide: small images are enlarged a whole number of times
MARGIN, LETTERS = 8, 14  # pixels around tiles, and of the names above them
ROW = 4  # tiles in a row
LEVELS = 64  # of grey: half the bytes of 256, and no eye tells
COLOURS = 255  # one place of a palette is left, for what has not changed
STILL = 6  # of 255, that a colour may be off while it moves
MOVE, HOLD = 60, 600  # milliseconds of a frame on the way, and of the two ends


def there_and_back(frames: np.ndarray) -> np.ndarray:
    """Frames ``[T, ...]`` and the same backwards, each end once: ``[2 T - 2, ...]``.

    Example:
        >>> there_and_back(np.arange(4)).tolist()
        [0, 1, 2, 3, 2, 1]
    """
    return np.concatenate([frames, frames[-2:0:-1]])


def gif(tracks: Mapping[str, np.ndarray]) -> bytes:
    """Images that move side by side, there and back, for ever; their ends are held.

    Args:
        tracks: Of each name, images ``[T, C, H, W]``, 8-bit or float in [0, 1] (clipped for display only), all of one T.

    Returns:
        A GIF of 2 T - 2 frames; fewer where neighbours are the same, which are then held for longer.

    Raises:
        InputError: No track, or tracks of different shapes.

    Example:
        >>> gif({"vae": np.random.default_rng(0).random((5, 1, 8, 8))})[:6]
        b'GIF89a'
    """
    from PIL import Image

    shapes = {images.shape for images in tracks.values()}
    if len(shapes) != 1:
        words = ", ".join(f"{name} {list(images.shape)}" for name, images in tracks.items()) or "none"
        raise InputError(f"tracks of images differ in shape: {words}; expected one [T, C, H, W] for all, at least one")
    count, channels = shapes.pop()[:2]
    pages = np.stack([_page({name: images[frame] for name, images in tracks.items()}) for frame in range(count)])
    colours, drawn = _painted(pages, grey=channels == 1)
    frames = there_and_back(_settled(pages, colours, drawn))
    shown = [Image.fromarray(frame) for frame in frames]
    for frame in shown:
        frame.putpalette(colours.astype(np.uint8).tobytes())
    held = [HOLD if frame in (0, count - 1) else MOVE for frame in there_and_back(np.arange(count))]
    content = io.BytesIO()
    shown[0].save(content, "GIF", save_all=True, append_images=shown[1:], duration=held, loop=0)
    return content.getvalue()


def _painted(pages: np.ndarray, *, grey: bool) -> tuple[np.ndarray, np.ndarray]:
    """One palette ``[n, 3]`` for all pages, so that no colour flickers, and where each pixel lies in it ``[T, H, W]``."""
    from PIL import Image

    if grey:
        levels = np.arange(LEVELS) * 255 // (LEVELS - 1)
        return np.repeat(levels[:, None], 3, axis=1), pages[..., 0] // (256 // LEVELS)
    some = Image.fromarray(np.concatenate(pages[:: max(1, len(pages) // 8)]))
    palette = some.quantize(COLOURS - 1, dither=Image.Dither.NONE)
    colours = np.array([*(palette.getpalette() or ())[: 3 * (COLOURS - 1)], 255, 255, 255]).reshape(
        -1, 3
    )  # paper stays white
    drawn = [np.asarray(Image.fromarray(page).quantize(palette=palette, dither=Image.Dither.NONE)) for page in pages]
    return colours, np.where((pages == 255).all(-1), len(colours) - 1, drawn).astype(np.uint8)


def _settled(pages: np.ndarray, colours: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Pages on which a pixel stays as it was until its colour is off by more than ``STILL``: what stays costs no bytes.

    The last page, which is held, is drawn anew.
    """
    settled = drawn.copy()
    for frame in range(1, len(drawn) - 1):
        off = np.abs(colours[settled[frame - 1]] - pages[frame].astype(np.int16)).max(-1)
        settled[frame] = np.where(off <= STILL, settled[frame - 1], drawn[frame])
    return settled


def _page(tiles: Mapping[str, np.ndarray]) -> np.ndarray:
    """Images ``[C, H, W]`` in rows, their names above them, on white: uint8 ``[height, width, 3]``."""
    from PIL import Image, ImageDraw, ImageFont

    _, height, width = next(iter(tiles.values())).shape
    times = max(1, math.ceil(TILE / max(height, width)))
    across, down = max(width * times, TILE // 2) + MARGIN, height * times + MARGIN + LETTERS
    columns, rows = min(ROW, len(tiles)), math.ceil(len(tiles) / ROW)
    page = np.full((rows * down + MARGIN, columns * across + MARGIN, 3), 255, np.uint8)
    names = []
    for place, (name, image) in enumerate(tiles.items()):
        top, left = MARGIN + place // ROW * down, MARGIN + place % ROW * across
        pixels = image if image.dtype == np.uint8 else np.rint(np.clip(np.nan_to_num(image, nan=0.5), 0, 1) * 255)
        large = pixels.astype(np.uint8).transpose(1, 2, 0).repeat(times, 0).repeat(times, 1)
        page[top + LETTERS : top + LETTERS + len(large), left : left + large.shape[1]] = large
        names.append((left, top, name))
    drawn = Image.fromarray(page)
    brush, font = ImageDraw.Draw(drawn), ImageFont.load_default(11)
    for left, top, name in names:
        brush.text((left, top), name, fill=(60, 60, 60), font=font)
    return np.asarray(drawn)
