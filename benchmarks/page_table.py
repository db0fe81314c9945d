"""What was measured of the live page: numbers beside goals, kept in benchmarks/page.json, and as a table in docs/page.md."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from benchmarks import page_browser
from benchmarks.quality import _processor

__all__ = ["Number", "keep", "table"]

RESULTS = Path(__file__).with_name("page.json")
PAGE = Path(__file__).parents[1] / "docs" / "page.md"
BEGIN, END = "<!-- speed -->", "<!-- end of speed -->"


@dataclass(frozen=True)
class Number:
    """One number: what it is, its unit, what was wanted of it at most, how it was measured, and what stands beside it."""

    what: str
    value: float
    unit: str
    goal: float | None
    how: str
    beside: Mapping[str, float] = field(default_factory=dict)

    def line(self, note: int) -> str:
        """The number as a row of a table, with the number of the note on how it was measured.

        Example:
            >>> Number("one file", 14.25, "MB", 13, "", {"images": 2.5}).line(1)
            '| one file (1) | <= 13 MB | 14.2 MB (images 2.5) | **no** |'
        """
        goal = "" if self.goal is None else f"<= {self.goal:g} {self.unit}"
        met = "" if self.goal is None else "yes" if self.value <= self.goal else "**no**"
        beside = ", ".join(f"{name} {_digits(value)}" for name, value in self.beside.items())
        measured = f"{_digits(self.value)} {self.unit}{beside and f' ({beside})'}"
        return f"| {self.what} ({note}) | {goal} | {measured} | {met} |"


def _digits(value: float) -> str:
    """A number with three digits.

    Example:
        >>> _digits(12.345), _digits(0.000312), _digits(59.97)
        ('12.3', '0.00031', '60')
    """
    return f"{value:.3g}" if abs(value) >= 0.01 else f"{value:.2g}"


def table(kept: Mapping[str, Any]) -> str:
    """What was measured, as Markdown: the table, and below how each number was taken."""
    rows = [Number(**row) for part in kept["parts"].values() for row in part["numbers"]]
    ways = list(dict.fromkeys(row.how for row in rows))
    lines = [row.line(ways.index(row.how) + 1) for row in rows]
    notes = [f"{place + 1}. {way[0].upper()}{way[1:]}." for place, way in enumerate(ways)]
    head = "| what | goal | measured | met |\n|---|---|---|---|\n"
    timed = [part["load"] for part in kept["parts"].values() if any(n["unit"] in ("s", "ms") for n in part["numbers"])]
    load = f"; load average when a timed part began: {min(timed):.1f} to {max(timed):.1f}" if timed else ""
    end = f"Machine: {kept['machine']}{load}."
    return head + "\n".join(lines) + "\n\n" + "\n".join(notes) + f"\n\n{end}\n"


def keep(name: str, part: dict[str, Any]) -> str:
    """Put what was measured into the results and into the docs, beside what was measured before; the table of all."""
    kept = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else {"parts": {}}
    kept = {"machine": _machine(), "parts": kept["parts"] | {name: part}}
    RESULTS.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n\n{table(kept)}\n{END}{rest.partition(END)[2]}", encoding="utf-8")
    return table(kept)


def _machine() -> str:
    """What measured."""
    versions = f"Python {platform.python_version()}, torch {torch.__version__}, lowerbound {version('lowerbound')}"
    return f"{_processor()}, {os.cpu_count()} cores, {versions}, {page_browser.named()}"
