"""What an instructor gets of a class: one page to read, and one CSV to reckon with.

All that learners wrote is shown as words, whatever it looks like. In the CSV a cell that a spreadsheet would take for a
formula has an apostrophe before it (``defused``), and so has one that begins with an apostrophe: who takes one apostrophe
from each cell that begins with one has what was written.
"""

from __future__ import annotations

import csv
import hashlib
import json
import re
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lowerbound import look
from lowerbound.course.class_sections import sections, summary
from lowerbound.course.classroom import KEPT, Classroom, HandedIn, moment, read_class
from lowerbound.course.handin import COLUMNS
from lowerbound.errors import InputError
from lowerbound.page import report
from lowerbound.progress import Progress, quiet
from lowerbound.whole import make_folder, write_whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lowerbound.progress import Advance

__all__ = ["defused", "facts_of", "write_report"]

_FORMULA = re.compile(r"\s*[=+\-@]|[\t\r\n']")  # spreadsheets pass over blanks at the beginning
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def write_report(
    folder: Path,
    out: Path,
    estimates: Mapping[str, Mapping[str, float]] | None = None,
    progress: Progress = quiet,
) -> tuple[Path, Path]:
    """Write ``class-report.html`` and ``class-report.csv`` over all hand-ins of a folder.

    Args:
        folder: Where the hand-ins lie, also in folders within; nothing in it is changed.
        out: The folder to write to; made if it is not there.
        estimates: By lesson and section, the minutes that the lessons say.
        progress: Shown while hand-ins are read and the report is written.

    Returns:
        Paths of the page and of the CSV; each is written whole or not at all.

    Raises:
        InputError: No hand-in that can be read, or no right to write.

    Example:
        >>> write_report(Path("no-such-folder"), Path("report"))
        Traceback (most recent call last):
        lowerbound.errors.InputError: no-such-folder is no folder; expected the folder that the hand-ins lie in
    """
    room = read_class(folder, progress)
    out = Path(out)
    make_folder(out)
    table = out / "class-report.csv"
    with tempfile.TemporaryDirectory() as pictures, progress("figures and report", len(room.learners) + 9) as advance:
        drawn = []
        for section in sections(room, Path(pictures), estimates):
            drawn.append(section)
            advance(1, section.title)
        course = min((one.course for one in room.learners if one.course), default="A class")
        title = f"{look.one_line(course, 80)}: report of the class"
        page = report(title, summary(room), _facts(room), drawn, out / "class-report.html")
        write_whole(table, lambda path: _write_csv(room, path, advance))
    return page, table


def defused(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula; numbers stay numbers.

    Example:
        >>> defused("=HYPERLINK(...)"), defused("-12.5"), defused("two - one"), defused("'tis")
        ("'=HYPERLINK(...)", '-12.5', 'two - one', "''tis")
    """
    if cell[:1].isalnum():
        return cell
    return f"'{cell}" if _FORMULA.match(cell) and not _NUMBER.fullmatch(cell) else cell


def facts_of(lessons: Mapping[str, Any], broken: Sequence[str]) -> Iterator[tuple[str, str, str, str, str]]:
    """The facts of a hand-in, one a row, as in the CSV beside it: lesson, kind, id, value, and when where it is known.

    Args:
        lessons: Of the hand-in: what was done, by lesson.
        broken: What it says of its journal.
    """
    for lesson, done in lessons.items():
        for facts in (_stamps(done), _words(done), _runs(done)):
            yield from ((lesson, *fact) for fact in facts)
    for sentence in broken:
        yield "", "journal", "broken", sentence, ""


def _stamps(done: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """Arrivals at sections, and how exercises went."""
    for section, stamp in done["sections"].items():
        yield "section", section, _cell(stamp["seconds"]), stamp["at"]
    for exercise, how in done["checks"].items():
        for part in ("passed", "attempts", "hints", "solution_seen"):
            yield part, exercise, _cell(how[part]), ""
        for case, number in how["wrong"].items():
            yield "wrong", f"{exercise}/{case}", _cell(number), ""


def _words(done: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """What was written and chosen."""
    for kind, questions in (("response", done["responses"]), ("discuss", done["discussions"])):
        yield from ((kind, question, text, "") for question, text in questions.items())
    if done["recap"]:
        yield "recap", "recap", done["recap"], ""
    for section, said in done["feelings"].items():
        yield from ((f"feeling_{part}", section, _cell(said[part]), "") for part in ("score", "note"))
    yield from ((f"feedback_{part}", "feedback", said, "") for part, said in done["feedback"].items() if said)


def _runs(done: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """Runs of the class experiment."""
    for run in done["runs"]:
        about = "/".join(_cell(run[part]) for part in ("data", "model", "k"))
        for part in ("test_mse", "elbo", "seconds"):
            if run[part] is not None:
                yield f"ran_{part}", about, _cell(run[part]), ""


def _cell(value: Any) -> str:
    """A value as a cell holds it: nothing for None, true and false as in JSON."""
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)


def _write_csv(room: Classroom, path: Path, advance: Advance) -> None:
    """All facts of a class; hand-ins are read again one by one, for together they may not fit into memory."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("file", *COLUMNS))
        for one in room.learners:
            content = _again(room.folder / one.file, one)
            who = [defused(cell) for cell in (one.file, one.name, one.group)]
            rows = facts_of(content["lessons"], content["journal"]["broken"])
            writer.writerows([*who, *map(defused, row)] for row in rows)
            advance(1, one.file)


def _again(path: Path, one: HandedIn) -> dict[str, Any]:
    """A hand-in that was read and found good before, if it still is the same file."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read any more ({error.strerror}); run again") from error
    if hashlib.sha256(data).hexdigest() != one.digest:
        raise InputError(f"{path} has changed while the report was written; run again")
    return json.loads(data)


def _facts(room: Classroom) -> list[tuple[str, str]]:
    """What was read, and how the files are to be understood."""
    return [
        (
            "hand-ins",
            f"{len(room.learners):,} count; {len(room.older):,} older ones and {len(room.unread):,} unread do not",
        ),
        ("a learner", "a name and a group; a hand-in without a name is a learner of its own"),
        ("newest", max((one.written for one in room.learners), key=moment)),
        (
            "long texts",
            f"are cut here after {KEPT:,} characters; class-report.csv has all of each",
        ),
        (
            "class-report.csv",
            "a row for every fact, UTF-8. A cell that a spreadsheet would take for a formula (it begins with = + - @, a tab or "
            "a line break, and is no number) has an apostrophe before it, and so has one that begins with an apostrophe: take "
            "one away from each cell that begins with one, and you have what was written",
        ),
        ("made by", f"lowerbound {version('lowerbound')}"),
    ]
