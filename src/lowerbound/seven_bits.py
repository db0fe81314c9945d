"""Bytes as characters that an HTML page keeps as they are: seven bits a character, a sixth more than the bytes.

Seven bytes become eight numbers of seven bits, the highest bits first, and each number the character of that code in ASCII,
control characters among them. Three of the 128 have another: a browser reads NUL as U+FFFD and CR as LF, and ``<`` could end the
tag. They are written 128 higher, as U+0080, U+008D and U+00BC, so that a reader needs no table: the number is the code's low
seven bits. A program that turns LF into CRLF on the way does no harm: a browser turns them back, and no CR is written.

The last bytes, r of them with 0 < r < 7, are followed by bits 0 and become r + 1 characters. So m characters hold exactly
``7 * m // 8`` bytes, no more has to be stored, and m is never one more than a multiple of 8.

Of random bytes 3 characters in 128 take two bytes of UTF-8: 1.17 bytes for a byte, where base64 takes 1.33. In a browser's
memory the text has one byte a character.
"""

from __future__ import annotations

import numpy as np

__all__ = ["read", "written"]

MOVED = (0x00, 0x0D, 0x3C)  # what a page would not keep, or what could end its tag
LEGAL = np.isin(np.arange(256), [*(each for each in range(128) if each not in MOVED), *(128 + each for each in MOVED)])


def written(content: bytes) -> str:
    r"""Bytes as text without NUL, CR and ``<``.

    Args:
        content: Any bytes.

    Returns:
        ``ceil(8 * len(content) / 7)`` characters: ASCII, U+0080, U+008D and U+00BC.

    Example:
        >>> written(bytes([0b1000001_1, 0b000010_01, 0b11100_000]))
        'AB¼\x80'
    """
    groups = -(-len(content) // 7)
    padded = np.zeros(7 * groups, np.uint8)
    padded[: len(content)] = np.frombuffer(content, np.uint8)
    eights = np.zeros((groups, 8), np.uint8)
    eights[:, 1:] = padded.reshape(groups, 7)
    numbers = eights.view(">u8")[:, 0].astype(np.uint64)  # 56 bits each
    for place in range(8):
        eights[:, place] = numbers >> np.uint64(49 - 7 * place) & np.uint64(127)
    text = eights.tobytes()[: -(-8 * len(content) // 7)]
    for each in MOVED:
        text = text.replace(bytes([each]), chr(128 + each).encode())
    return text.decode()


def read(text: str) -> bytes:
    """The bytes of such a text.

    Args:
        text: What ``written`` gave.

    Raises:
        ValueError: It is no text of this kind, or was cut or changed so that one can see it.

    Example:
        >>> read(written(b"any bytes"))
        b'any bytes'
        >>> read("<b>")
        Traceback (most recent call last):
            ...
        ValueError: a character that is never written, or bits left over
    """
    letters = np.frombuffer(text.encode("latin-1"), np.uint8)
    bits = np.unpackbits(letters[:, None], axis=1)[:, 1:].ravel()
    length = 7 * len(letters) // 8
    if not LEGAL[letters].all() or len(text) % 8 == 1 or bits[8 * length :].any():
        raise ValueError("a character that is never written, or bits left over")
    return np.packbits(bits[: 8 * length]).tobytes()
