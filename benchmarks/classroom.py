"""The report of a class, timed: hand-ins of a made-up class over the whole course, read and reported in a process of its own.

    python -m benchmarks.classroom                 300 learners, five times; the goal is 5 s
    python -m benchmarks.classroom --learners 24 --keep FOLDER      leave hand-ins and report there, to be looked at

The learners are made up, and so is what they did and found; lessons, sections and exercises are the course's own.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.quality import _processor
from lowerbound.course import catalogue
from lowerbound.course.sealed import seal

RESULTS = Path(__file__).with_name("classroom.json")
GROUPS = ("athena", "boreas", "circe", "daphne", "eos", "faunus")
NAMES = ("Ada", "Blaise", "Chen", "Daniela", "Emeka", "Fatima", "Grace", "Hiro", "Ines", "Jonas", "Kofi", "Lena")
FEELINGS = ("a delight", "fine", "so-so", "hard going", "I am lost")
KS = {"mnist": (2, 5, 10, 20, 40), "cifar10": (20, 50, 100)}
WORDS = ("the code", "a decoder", "half way", "the mean image", "no class at all", "fills in", "leaves open", "is near")


def made_up(learners: int, seed: int = 0) -> list[dict[str, Any]]:
    """The hand-ins of a class that never was."""
    draw = random.Random(seed)  # noqa: S311
    lessons = {}
    for file in sorted((catalogue.NOTEBOOKS / "student").glob("*.ipynb")):
        about = json.loads(file.read_text(encoding="utf-8"))["metadata"]["lowerbound"]
        lessons[about["lesson"]] = about["sections"]
    return [_learner(draw, number, lessons) for number in range(learners)]


def _learner(draw: random.Random, number: int, lessons: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """One of them: quick or slow, patient or not, and with data and K of their own."""
    skill, pace = draw.uniform(0.5, 1), draw.uniform(0.7, 1.6)
    data = "mnist" if number % 3 else "cifar10"
    done = {}
    for lesson, sections in lessons.items():
        at, stamps = 0.0, {}
        for section in sections:
            stamps[section["section"]] = {"at": "2026-03-04T10:00:00.000Z", "seconds": round(at, 1)}
            at += 60 * section["minutes"] * pace * draw.uniform(0.6, 1.5)
        exercises = [one for one in catalogue.exercises().values() if one.lesson == lesson]
        done[lesson] = {
            "sections": stamps,
            "checks": {one.name: _attempts(draw, one.case_names, skill) for one in exercises},
            "responses": {"what_we_saw": _sentence(draw), "why": _sentence(draw)},
            "discussions": {"halfway": _sentence(draw)},
            "feelings": {one["section"]: {"score": draw.choice(FEELINGS), "note": ""} for one in sections},
            "recap": _sentence(draw),
            "feedback": {
                "better": _sentence(draw),
                "group": "good",
                "feeling": draw.choice(("curious", "tired", "proud")),
            },
            "runs": _runs(draw, data) if lesson in ("01", "02", "07") else [],
        }
    return seal(
        {
            "format": "lowerbound hand-in",
            "version": 1,
            "course": "A made-up class",
            "name": f"{NAMES[number % len(NAMES)]} {number // len(NAMES) + 1}",
            "group": GROUPS[number % len(GROUPS)],
            "written": "2026-03-04T12:00:00.000Z",
            "lessons": done,
            "journal": {"lines": 200, "last": "ab", "broken": []},
        }
    )


def _attempts(draw: random.Random, cases: tuple[str, ...], skill: float) -> dict[str, Any]:
    """What a learner's attempts at an exercise came to."""
    wrong: dict[str, int] = {}
    while draw.random() > skill and sum(wrong.values()) < 6:
        case = cases[min(int(draw.expovariate(0.8)), len(cases) - 1)]
        wrong[case] = wrong.get(case, 0) + 1
    tries = sum(wrong.values())
    passed = draw.random() < 0.97 - 0.07 * tries
    return {
        "passed": passed,
        "attempts": tries + passed,
        "wrong": wrong,
        "hints": min(3, tries // 2),
        "solution_seen": tries > 5,
    }


def _runs(draw: random.Random, data: str) -> list[dict[str, Any]]:
    """A learner's share of the experiment: one K of one data set, three models."""
    k = draw.choice(KS[data])
    level = (0.066 if data == "mnist" else 0.06) * k ** (-0.38 if data == "mnist" else -0.45)
    factors = {"pca": 1.0, "linear": 1.02, "conv": 0.65 if data == "mnist" else 0.97}
    return [
        {
            "data": data,
            "k": k,
            "model": model,
            "full": False,
            "test_mse": level * factor * draw.uniform(0.97, 1.05),
            "elbo": None,
            "seconds": None,
        }
        for model, factor in factors.items()
    ]


def _sentence(draw: random.Random) -> str:
    """Some words, as an answer has them."""
    return " ".join(draw.choices(WORDS, k=draw.randint(8, 30))).capitalize() + "."


def main() -> None:
    """Make a class, and time its report in processes of their own."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--learners", type=int, default=300)
    asked.add_argument("--keep", type=Path)
    said = asked.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = said.keep or Path(scratch)
        (folder / "handins").mkdir(parents=True, exist_ok=True)
        for number, content in enumerate(made_up(said.learners)):
            (folder / "handins" / f"handin-{number}.json").write_text(json.dumps(content), encoding="utf-8")
        seconds = []
        for _ in range(1 if said.keep else 5):
            begin = time.perf_counter()
            command = [sys.executable, "-m", "lowerbound", "course", "report", folder / "handins", "--out", folder]
            subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL)
            seconds.append(time.perf_counter() - begin)
        print(f"{said.learners} hand-ins reported in {statistics.median(seconds):.1f} s (median of {len(seconds)})")
    if not said.keep:
        found = {"learners": said.learners, "seconds": seconds, "load": os.getloadavg()[0], "machine": _processor()}
        RESULTS.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
