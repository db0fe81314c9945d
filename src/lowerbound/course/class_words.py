"""What a class wrote, as sections of its report: answers of each group side by side, feelings, feedback."""

from __future__ import annotations

import re
from itertools import groupby
from typing import TYPE_CHECKING

from lowerbound import look
from lowerbound.course import class_counts
from lowerbound.page import Section, Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lowerbound.course.class_counts import Answer
    from lowerbound.course.classroom import Classroom

__all__ = ["answers", "feedback", "feelings", "file_of", "many", "name_of", "thing_of"]

OPEN_LEARNERS = 12  # answers of a larger class are folded away, question by question
FEEDBACK = {
    "better": "how could it be better?",
    "group": "how is your group?",
    "feeling": "how do you feel now?",
}


def answers(room: Classroom) -> Iterator[Section]:
    """Every question with the answers of each group side by side."""
    kinds = {
        "responses": ("Answers", "answers"),
        "discussions": ("Discussions", "notes"),
        "recap": ("The week before", "answers"),
    }
    for kind, (title, words) in kinds.items():
        found = class_counts.answers(room, kind)
        tables = [
            _side_by_side(f"{lesson}  {question}" if kind != "recap" else lesson, words, each, folded=_folded(room))
            for (lesson, question), each in found.items()
        ]
        if tables:
            yield Section(title, "By question, those of one group together." + _opened(room), table=tables)


def _folded(room: Classroom) -> bool:
    """Whether the answers of a class are too many to stand open."""
    return len(room.learners) > OPEN_LEARNERS


def _opened(room: Classroom) -> str:
    """What a reader has to know to see them."""
    return " Click a question to open it." if _folded(room) else ""


def _side_by_side(question: str, words: str, each: Sequence[Answer], *, folded: bool) -> Table:
    """The answers to one question, two of a group beside each other."""
    groups = [(group, list(members)) for group, members in groupby(each, key=lambda answer: answer.group)]
    beside = min(2, max(len(members) for _, members in groups))
    rows = []
    for group, members in groups:
        for place in range(0, len(members), beside):
            cells = [cell for answer in members[place : place + beside] for cell in (name_of(answer.name), answer.text)]
            rows.append((look.one_line(group, 40) or "no group", *cells, *[""] * (2 * beside - len(cells))))
    header = ("group", *("learner", "wrote") * beside)
    return Table(header, rows, f"{look.one_line(question, 120)} ({len(each)} {words})", prose=True, folded=folded)


def feelings(room: Classroom) -> Section:
    """How the sections felt: what was chosen, and the notes."""
    counts, notes = class_counts.feelings(room)
    if not counts and not notes:
        return Section("How the sections felt", "Nobody has said.")
    tables = []
    if counts:
        rows = [
            (
                f"{lesson}  {section}",
                ", ".join(f"{look.one_line(choice, 40)}: {n}" for choice, n in chosen.most_common()),
            )
            for (lesson, section), chosen in counts.items()
        ]
        tables.append(Table(("section", "chosen, and by how many"), rows, prose=True, folded=len(rows) > 12))
    tables += [
        _side_by_side(f"{lesson}  {section}: notes", "notes", each, folded=_folded(room))
        for (lesson, section), each in notes.items()
    ]
    return Section("How the sections felt", "What was chosen, the most common first; then the notes.", table=tables)


def feedback(room: Classroom) -> Section:
    """The feedback at the end of each lesson, a table for each question."""
    found = class_counts.feedback(room)
    if not found:
        return Section("Feedback", "Nobody has given any.")
    tables = [
        _side_by_side(f"{lesson}  {FEEDBACK.get(question, question)}", "answers", each, folded=_folded(room))
        for (lesson, question), each in found.items()
    ]
    return Section("Feedback", "What learners said at the end of a lesson." + _opened(room), table=tables)


def name_of(name: str) -> str:
    """A learner's name as it is shown: on one line."""
    return look.one_line(name) or "no name"


def file_of(file: str) -> str:
    """A file's name as it is shown; a very long one may be broken where it has no gap (a zero-width space lets it)."""
    return re.sub(r"(\S{40})", "\\1\N{ZERO WIDTH SPACE}", look.one_line(file, 120))


def thing_of(lesson: str, thing: str) -> str:
    """An exercise or a section as a table names it."""
    return f"{look.one_line(lesson, 20)}  {look.one_line(thing, 40)}"


def many(number: int, thing: str) -> str:
    """A number of things: "1 file", "2 files"."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
