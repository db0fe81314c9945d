"""A hand-in: what the journal holds, in one JSON and one CSV, and a link that fills in the course's form. Nothing is sent.

The CSV holds every answer as it was given. A spreadsheet may take one that begins with ``=`` for a formula: import such a column
as text.
"""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

from lowerbound.course.config import FEEDBACK, CourseConfig, Form, form_field
from lowerbound.course.entry import empty
from lowerbound.course.journal import FILE, Journal, stamp
from lowerbound.course.record import Record
from lowerbound.course.sealed import FORMAT, LIMIT, VERSION, Submission, canonical, read_handin, seal
from lowerbound.errors import InputError
from lowerbound.whole import make_folder, write_whole

__all__ = ["COLUMNS", "HandIn", "Submission", "prefilled", "read_handin", "safe_name", "submit"]

COLUMNS = ("name", "group", "lesson", "kind", "id", "value", "at")
LONG_LINK = 8000  # characters that common servers take
_BROKEN = 20  # sentences about a damaged journal; a whole file in another editor's line ends would fill pages


@dataclass(frozen=True)
class HandIn:
    """What was written.

    Attributes:
        json: The file for the instructor's report.
        csv: The same facts, one a row, for a spreadsheet.
        url: The course's form with the answers filled in; None if the course has none.
        notes: Sentences that the learner should read: a damaged journal, a missing name, a link too long.
    """

    json: Path
    csv: Path
    url: str | None
    notes: tuple[str, ...] = ()


def submit(folder: Path | str, config: CourseConfig, out: Path | str | None = None) -> HandIn:
    """Write the hand-in of a learner's folder; one of the same name is replaced whole.

    Args:
        folder: Where the journal is.
        config: The course's settings.
        out: Where the files go; the learner's folder if not given.

    Raises:
        InputError: No journal, one that cannot be read, or no room.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Journal(folder).add("05", "me", "me", {"name": "Ada L.", "group": "athena"})
        ...     done = submit(folder, CourseConfig())
        ...     done.json.name, read_handin(done.json).group, done.url
        ('handin-Ada-L.json', 'athena', None)
    """
    folder = Path(folder)
    record = Journal(folder).read()
    if not record.lines:
        raise InputError(f"{folder} has no {FILE} with anything in it; open a lesson there first, or name its folder")
    content = _content(record, config)
    name, group = content["name"], content["group"]
    data = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False).encode() + b"\n"
    if len(data) > LIMIT:
        raise InputError(
            f"this hand-in would hold {len(data) / 1e6:.0f} MB; expected at most {LIMIT // 1_000_000}; shorten answers"
        )
    target = folder if out is None else Path(out)
    make_folder(target)
    path = target / f"handin-{safe_name(name)}.json"
    table = io.StringIO(newline="")
    writer = csv.writer(table)
    writer.writerow(COLUMNS)
    writer.writerows((name, group, *row) for row in _rows(record))
    write_whole(path, data)
    write_whole(path.with_suffix(".csv"), table.getvalue().encode())
    url = prefilled(config.form, record, content) if config.form else None
    return HandIn(path, path.with_suffix(".csv"), url, tuple(_notes(name, record, url)))


def safe_name(name: str) -> str:
    """A part of a file's name for a learner of any name: letters, marks and digits of any script, all else as a hyphen.

    Example:
        >>> safe_name("../Zoë O'Neil"), safe_name("王小明"), safe_name("🙂")
        ('Zoë-O-Neil', '王小明', 'unnamed')
    """
    kept = (
        letter if unicodedata.category(letter)[0] in "LMN" else " " for letter in unicodedata.normalize("NFC", name)
    )
    return "-".join("".join(kept).split()).encode()[:100].decode(errors="ignore").strip("-") or "unnamed"


def prefilled(form: Form, record: Record, content: dict[str, Any]) -> str:
    """The address of a form with all that was answered filled in, every character of it; what was not is left out.

    Args:
        form: The form, and which of our fields go where.
        record: The journal.
        content: The hand-in.
    """
    prefix = "prefill_" if form.style == "airtable" else "entry."
    values = [(theirs.removeprefix(prefix), _field(ours, record, content)) for ours, theirs in form.fields.items()]
    filled = urlencode([(prefix + theirs, value) for theirs, value in values if value], quote_via=quote, safe="")
    parts = urlsplit(form.url)
    return urlunsplit(parts._replace(query="&".join(filter(None, (parts.query, filled)))))


def _content(record: Record, config: CourseConfig) -> dict[str, Any]:
    """All of the hand-in, sealed."""
    name, group = record.me()
    broken = list(record.broken[:_BROKEN])
    if len(record.broken) > _BROKEN:
        broken.append(f"and {len(record.broken) - _BROKEN} more")
    return seal(
        {
            "format": FORMAT,
            "version": VERSION,
            "course": config.name,
            "name": name,
            "group": group,
            "written": stamp(),
            "lessons": {lesson: _lesson(record, lesson) for lesson in record.lessons()},
            "journal": {"lines": record.lines, "last": record.last, "broken": broken},
        }
    )


def _lesson(record: Record, lesson: str) -> dict[str, Any]:
    """One lesson's part."""
    feelings = record.latest("feeling", lesson)
    tried = {exercise: asdict(how) for exercise, how in record.attempts(lesson).items()}
    return {
        "sections": {section: asdict(arrival) for section, arrival in record.sections(lesson).items()},
        "checks": {exercise: {part: how[part] for part in how if part != "at"} for exercise, how in tried.items()},
        "responses": record.latest("response", lesson),
        "discussions": record.latest("discuss", lesson),
        "feelings": {
            section: {"score": None if empty(said["score"]) else said["score"], "note": said["note"] or ""}
            for section, said in feelings.items()
        },
        "recap": _last(record, "recap", lesson),
        "feedback": {part: _last(record, "feedback", lesson, part) for part in FEEDBACK},
        "runs": [run.value for run in record.runs(lesson)],
    }


def _last(record: Record, kind: str, lesson: str | None, part: str = "", about: str | None = None) -> str:
    """The last answer of a kind as text, or a part of it, to one question or to any; empty if there is none."""
    found = [entry for entry in record.answers(kind, lesson).values() if about in (None, entry.id)]
    said = [entry.value[part] if part else entry.value for entry in sorted(found, key=lambda entry: entry.n)]
    said = [_text(value) for value in said if value not in (None, "")]
    return said[-1] if said else ""


def _rows(record: Record) -> Iterator[tuple[str, str, str, str, str]]:
    """The facts, one a row: lesson, kind, id, value, at."""
    for lesson in record.lessons():
        for section, arrival in record.sections(lesson).items():
            yield lesson, "section", section, _text(arrival.seconds), arrival.at
        for exercise, how in record.attempts(lesson).items():
            yield lesson, "passed", exercise, _text(how.passed), how.at
            for part in ("attempts", "hints", "solution_seen"):
                yield lesson, part, exercise, _text(getattr(how, part)), ""
            yield from ((lesson, "wrong", f"{exercise}/{case}", str(count), "") for case, count in how.wrong.items())
        yield from _answered(record, lesson)
        for run in record.runs(lesson):
            about = "/".join(_text(run.value[part]) for part in ("data", "model", "k"))
            measured = [(part, run.value[part]) for part in ("test_mse", "elbo", "seconds")]
            yield from ((lesson, f"ran_{part}", about, _text(of), run.at) for part, of in measured if of is not None)
    yield from (("", "journal", "broken", sentence, "") for sentence in record.broken[:_BROKEN])


def _answered(record: Record, lesson: str) -> Iterator[tuple[str, str, str, str, str]]:
    """A lesson's answers, one a row; of an answer in parts, each part."""
    for kind in ("response", "discuss", "recap", "feeling", "feedback"):
        for entry in record.answers(kind, lesson).values():
            parts = entry.value.items() if isinstance(entry.value, dict) else [("", entry.value)]
            for part, said in parts:
                if not empty(said):
                    yield lesson, f"{kind}_{part}".rstrip("_"), entry.id, _text(said), entry.at


def _field(ours: str, record: Record, content: dict[str, Any]) -> str:
    """What goes into one field of a form."""
    lesson, what, about = form_field(ours)
    if what in content:  # name, group, course, written
        return content[what]
    if what == "json":
        return canonical(content).decode()
    if what in ("seconds", "checks"):
        lessons = {one: part for one, part in content["lessons"].items() if lesson in ("", one)}
        return _times(lessons) if what == "seconds" else _passes(lessons)
    parts = {"feedback": [about], "feeling": ["score", "note"]}.get(what, [""])
    asked = None if what == "feedback" else about or None
    return ": ".join(filter(None, (_last(record, what, lesson or None, part, asked) for part in parts)))


def _times(lessons: dict[str, Any]) -> str:
    """Seconds to each section, as one line."""
    times = [(f"{one}/{at}", part["seconds"]) for one, many in lessons.items() for at, part in many["sections"].items()]
    return ", ".join(f"{where} {seconds:.0f}" for where, seconds in times if seconds is not None)


def _passes(lessons: dict[str, Any]) -> str:
    """Which exercises passed, as one line."""
    tried = [
        (f"{one}/{name}", part["passed"]) for one, many in lessons.items() for name, part in many["checks"].items()
    ]
    return ", ".join(f"{which} {'passed' if passed else 'not passed'}" for which, passed in tried)


def _text(value: Any) -> str:
    """A value as a cell of a table holds it: nothing for None, true and false as in JSON."""
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)


def _notes(name: str, record: Record, url: str | None) -> Iterator[str]:
    """What the learner should know of this hand-in."""
    if not name.strip():
        yield "no name was given; fill in yours at the top of a lesson, run that cell, and submit again"
    if record.broken:
        yield f"the journal is damaged, and the hand-in says so: {record.broken[0]} ({len(record.broken)} in all)"
    if url and len(url) > LONG_LINK:
        yield f"the link has {len(url):,} characters, more than many servers take; if it fails, hand in the JSON file"
