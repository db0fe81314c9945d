"""Valid files made invalid: bytes turned over, cut, moved and repeated, lengths and numbers made huge, JSON made odd.

Every mutation is a function of a random generator, so that what was found once is found again by its number.
"""

from __future__ import annotations

import json
import re
import struct

INTERESTING = (
    0,
    1,
    2,
    3,
    4,
    7,
    8,
    16,
    127,
    128,
    255,
    256,
    32767,
    65535,
    65536,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**63 - 1,
    2**64 - 1,
)
NUMBERS = (
    b"0",
    b"-1",
    b"1",
    b"4096",
    b"65536",
    b"2147483648",
    b"1000000000000",
    b"99999999999999999999",
    b"1e999",
    b"-0.0",
)
WORDS = (
    "",
    "../../etc/passwd",
    "a\x00b",
    "\ud800",
    "é" * 3,
    "x" * 5_000,
    "__proto__",
    "pca",
    "own",
    "line\nbreak",
    "=1+1",
)
EDGES = 160  # bytes at the beginning of a file where headers are
NaN, INFINITE = float("nan"), float("inf")


def damaged(random, content, others=()):
    """Content with one to four mutations of its bytes."""
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        content = random.choice(MUTATIONS)(random, content, others)
    return content


def _place(random, content):
    """A place in it, in its header as often as anywhere else."""
    most = min(len(content), EDGES) if random.random() < 0.5 else len(content)
    return random.randrange(most) if most else 0


def _flip(random, content, others):
    changed = bytearray(content)
    for _ in range(random.choice((1, 1, 2, 8))):
        if changed:
            changed[_place(random, content)] ^= 1 << random.randrange(8)
    return bytes(changed)


def _cut(random, content, others):
    return content[: random.randrange(len(content) + 1)]


def _remove(random, content, others):
    place = _place(random, content)
    return content[:place] + content[place + random.choice((1, 2, 4, 64)) :]


def _insert(random, content, others):
    place = _place(random, content)
    return content[:place] + random.randbytes(random.choice((1, 2, 4, 64))) + content[place:]


def _repeat(random, content, others):
    place, length = _place(random, content), random.choice((1, 4, 16, 256))
    return (
        content[: place + length]
        + content[place : place + length] * random.choice((1, 2, 50))
        + content[place + length :]
    )


def _number(random, content, others):
    """A number of 1, 2, 4 or 8 bytes, in either order, written over what is there."""
    size, place = random.choice((1, 2, 4, 8)), _place(random, content)
    value = random.choice(INTERESTING) % 2 ** (8 * size)
    return content[:place] + value.to_bytes(size, random.choice(("big", "little"))) + content[place + size :]


def _digits(random, content, others):
    """A number that stands there in digits, another one."""
    found = list(re.finditer(rb"\d+", content[:20_000]))
    if not found:
        return _flip(random, content, others)
    there = random.choice(found)
    return content[: there.start()] + random.choice(NUMBERS) + content[there.end() :]


def _splice(random, content, others):
    other = random.choice(others) if others else content
    return content[: _place(random, content)] + other[_place(random, other) :]


def _other_code(random, content, others):
    """The same letters in another encoding, or with a mark before them."""
    text = content.decode("latin-1")
    return random.choice(
        (
            text.encode("utf-16"),
            b"\xef\xbb\xbf" + content,
            text.encode("utf-32-be"),
            text.upper().encode("latin-1", "replace"),
        )
    )


def _noise(random, content, others):
    return random.randbytes(random.choice((0, 1, 8, 200)))


MUTATIONS = (
    *[_flip] * 4,
    *[_cut] * 2,
    _remove,
    _insert,
    _repeat,
    *[_number] * 4,
    *[_digits] * 2,
    _splice,
    _other_code,
    _noise,
)


# JSON


def damaged_json(random, content):
    """JSON with one to three of its values changed, taken away or written twice; sometimes its bytes damaged as well."""
    value = json.loads(content)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        value = _changed(random, value)
    text = json.dumps(value)
    if random.random() < 0.1:
        text = _twice(random, text)
    made = text.encode(errors="surrogatepass")
    return damaged(random, made) if random.random() < 0.15 else made


def _changed(random, value):
    """One value somewhere in it, another one."""
    inner = isinstance(value, dict | list) and value and random.random() < 0.85
    if not inner:
        return _odd(random, value)
    if isinstance(value, dict):
        key = random.choice(list(value))
        act = random.random()
        if act < 0.1:
            return {name: part for name, part in value.items() if name != key}
        if act < 0.2:
            return value | {random.choice(WORDS): value[key]}
        return value | {key: _changed(random, value[key])}
    place = random.randrange(len(value))
    act = random.random()
    if act < 0.1:
        return value[:place] + value[place + 1 :]
    if act < 0.2:
        return value + [value[place]] * random.choice((1, 3, 200))
    return [*value[:place], _changed(random, value[place]), *value[place + 1 :]]


def _odd(random, value):
    """A value in its place, of its type or of any other."""
    near = []
    if isinstance(value, int | float) and not isinstance(value, bool):
        near = [
            value + 1,
            -value,
            value * 2,
            10**12,
            10**30,
            value * 1.0 if abs(value) < 2**60 else 0.0,
            NaN,
            INFINITE,
            1e308,
            0.5,
        ]
    if isinstance(value, str):
        near = [value[:-1], value.upper(), value * 2, *WORDS]
    far = [
        None,
        True,
        0,
        -1,
        3,
        2**53,
        10**400,
        NaN,
        "",
        [],
        {},
        [value],
        {"a": value},
        random.choice(WORDS),
        _deep(random),
    ]
    return random.choice(near) if near and random.random() < 0.6 else random.choice(far)


def _deep(random):
    """Lists in lists."""
    value = []
    for _ in range(random.choice((5, 100, 400))):
        value = [value]
    return value


def _twice(random, text):
    """One of its keys a second time, with another value."""
    found = list(re.finditer(r'"\w+": ', text))
    if not found:
        return text
    there = random.choice(found)
    return text[: there.start()] + there[0] + random.choice(("0", "null", "[]", '"x"')) + ", " + text[there.start() :]


def damaged_tensors(random, content, others=()):
    """A safetensors file: its header as JSON, its bytes, or both."""
    if random.random() < 0.5:
        return damaged(random, content, others)
    length = struct.unpack("<Q", content[:8])[0]
    header = damaged_json(random, content[8 : 8 + length])
    claimed = len(header) if random.random() < 0.9 else random.choice(INTERESTING)
    return struct.pack("<Q", claimed) + header + content[8 + length :]
