"""Seven bits a character: any bytes there and back, characters that a page keeps, and what a real browser reads of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lowerbound.seven_bits import read, written
from tests.browser import Browser, install

LEGAL = {*range(128), 0x80, 0x8D, 0xBC} - {0x00, 0x0D, 0x3C}
ALL = np.packbits(np.unpackbits(np.arange(128, dtype=np.uint8)[:, None], axis=1)[:, 1:]).tobytes()  # every value once


def by_hand(content):
    """The same from its definition: the bits as text, cut into sevens."""
    bits = "".join(f"{byte:08b}" for byte in content)
    numbers = [int(bits[at : at + 7].ljust(7, "0"), 2) for at in range(0, len(bits), 7)]
    return "".join(chr(number + 128 if number in {0, 13, 60} else number) for number in numbers)


@given(st.binary(max_size=300))
@example(b"")
@example(ALL)
def test_any_bytes_come_back_and_are_written_as_defined(content):
    text = written(content)
    assert text == by_hand(content)
    assert read(text) == content
    assert {ord(letter) for letter in text} <= LEGAL


@pytest.mark.parametrize("length", range(21))
def test_the_length_is_that_of_the_text(length):
    for fill in (0x00, 0xFF, 0x0D, 0x3C):
        content = bytes([fill]) * length
        text = written(content)
        assert len(text) == -(-8 * length // 7)
        assert 7 * len(text) // 8 == length
        assert read(text) == content


def test_every_byte_at_every_place():
    for place in range(7):
        for byte in range(256):
            content = bytes(place) + bytes([byte]) + bytes(6 - place)
            assert read(written(content)) == content


def test_random_bytes_take_a_sixth_more_in_the_file():
    content = np.random.default_rng(0).bytes(700_000)
    assert len(written(content).encode()) / len(content) == pytest.approx(8 / 7 * (1 + 3 / 128), rel=1e-3)


@given(st.binary(min_size=1, max_size=60), st.data())
def test_a_character_that_is_never_written_is_refused(content, data):
    text = written(content)
    place = data.draw(st.integers(0, len(text) - 1))
    wrong = data.draw(st.characters().filter(lambda letter: ord(letter) not in LEGAL))
    with pytest.raises(ValueError, match=r"never written|can't encode"):
        read(text[:place] + wrong + text[place + 1 :])


def test_a_length_that_no_bytes_have_and_bits_left_over_are_refused():
    for text in ("A", "ABCDEFGHI", "AC", written(bytes(6))[:-1] + "\x01"):
        with pytest.raises(ValueError, match="bits left over"):
            read(text)
    assert read("A@") == bytes([0b1000001_1])


@pytest.mark.slow
def test_a_browser_keeps_every_character(tmp_path):
    """As a script of plain text: each value alone, before and after each other one, also where LF was made CRLF on the way."""
    install()
    pairs = [number for first in range(128) for second in range(128) for number in (first, second)]
    content = np.packbits(np.unpackbits(np.array(pairs, np.uint8)[:, None], axis=1)[:, 1:]).tobytes()
    text = written(content)
    assert {ord(letter) for letter in text} == LEGAL
    page = f'<!doctype html><meta charset="utf-8"><script type="text/plain" id="a">{text}</script><p id="b">after</p>'
    lines = page.replace("\n", "\r\n")
    browser = Browser(tmp_path / "chromium")
    try:
        for name, each in {"page": page, "lines": lines}.items():
            file = tmp_path / f"{name}.html"
            file.write_bytes(each.encode())
            browser.open(file, ready=False)
            codes = browser.js("return Array.from(document.getElementById('a').textContent, c => c.charCodeAt(0))")
            assert read("".join(map(chr, codes))) == content, name
            assert [code & 127 for code in codes] == pairs
            assert browser.text("#b") == "after"
            assert browser.console() == []
    finally:
        browser.quit()
