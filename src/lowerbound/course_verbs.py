"""The verbs of the course: for learners start, list, check, watch, submit; for instructors new, build, report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lowerbound.errors import InputError
from lowerbound.outcome import tell, wrote

__all__ = ["course_app"]

course_app = typer.Typer(
    help="A course from PCA to the VAE: `lowerbound course start` puts its notebooks in a folder and opens Jupyter.",
    no_args_is_help=True,
)

LearnersFolder = Annotated[
    Path | None,
    typer.Argument(metavar="FOLDER", help="Where you work; else the current folder, or lowerbound-course in it"),
]
SavedFile = Annotated[Path, typer.Argument(metavar="FILE", help="A saved notebook (.ipynb) or Python file (.py)")]


@course_app.command("start")
def course_start(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="LESSON", help="Such as 0 or 05; else all of them")
    ] = None,
    data: Annotated[
        str, typer.Option(metavar="DATA", help="mnist, cifar10, digits (tiny, no download), or a folder of images")
    ] = "mnist",
    form: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="ipynb, or py for plain Python with cells")
    ] = "ipynb",
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="Where the notebooks are put")] = Path(
        "lowerbound-course"
    ),
    *,
    fresh: Annotated[bool, typer.Option("--fresh", help="Put new copies beside notebooks that are there")] = False,
    show: Annotated[bool, typer.Option("--open/--no-open", help="Open Jupyter on the folder")] = True,
) -> None:
    """Put the course's notebooks in a folder, fetch the images they use, and open Jupyter.

    A notebook that is there already is kept as it is. --format py gives files for any editor instead; `course watch` then
    checks them as they are saved.

    Example: lowerbound course start --data digits

    Example: lowerbound course start 5 6 --data cifar10 --no-open
    """
    from lowerbound.course import starting
    from lowerbound.progress import terminal

    starting.check_format(form)
    chosen = starting.choose_lessons(names or [], starting.lessons())
    line = starting.fetch_data(data, terminal)
    placed = [starting.place_lesson(lesson, out, line, form, fresh=fresh) for lesson in chosen]
    new = [one.file for one in placed if one.new]
    wrote(*new)
    tell(kept=[str(one.file) for one in placed if not one.new], data=line)
    for one in placed:
        if not one.new:
            print(f"{one.file} is kept as it is (--fresh puts a new copy beside it)")
    if new:
        named = str(new[0]) if len(new) == 1 else f"{new[0]} to {new[-1].name}, {len(new)} files"
        print(f"written: {named}, with data={line}")
    first = (new or [one.file for one in placed])[0]
    if form == "py":
        print(f"next: open {first} in an editor, and in a terminal run: lowerbound course watch {first}")
    elif not show:
        print(f"next: cd {out}, and open {first.name} in Jupyter, VS Code or any other editor of notebooks")
    else:
        code = starting.open_jupyter(out, first if len(placed) == 1 else None)
        if code is None:
            print("there is no Jupyter to open them: pip install 'lowerbound[notebook]', then run this once more")
        elif code != 0:
            print(f"Jupyter did not start or ended with an error, as it says above; what it was to open is {first}")
            raise typer.Exit(1)


@course_app.command("list")
def course_list(
    folder: LearnersFolder = None,
) -> None:
    """List the lessons with their exercises, and what of them is done according to the journal in a folder.

    Example: lowerbound course list lowerbound-course
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from lowerbound.course import starting
    from lowerbound.course.journal import Journal
    from lowerbound.course.lesson import MARKS
    from lowerbound.course.saved import known_near

    folder = starting.working_folder(folder)
    record = Journal(folder).read()
    table = Table("lesson", "title", "minutes", "exercises", box=None, pad_edge=False)
    passed = asked = 0
    listed = {}
    known = known_near(folder)[0].values()
    for lesson in starting.lessons_taught(folder):
        names = [one.name for one in known if one.lesson == lesson.id]
        done = {name for name, attempts in record.attempts(lesson.id).items() if attempts.passed}
        marked = [f"{MARKS['passed']} {name}" if name in done else name for name in names]
        minutes = f"{sum(lesson.minutes.values()):.0f}"
        table.add_row(lesson.id, Text(lesson.title), minutes, Text(", ".join(marked)))
        passed, asked = passed + len(done & set(names)), asked + len(names)
        listed[lesson.id] = {"title": lesson.title, "exercises": names, "passed": sorted(done & set(names))}
    tell(lessons=listed, passed=passed, exercises=asked)
    Console().print(table)
    if record.lines:
        print(f"\n{passed} of {asked} exercises pass, as {Journal(folder).path} has it")
    else:
        print("\nbegin with: lowerbound course start")


@course_app.command("check")
def course_check(
    file: SavedFile,
    exercise: Annotated[str | None, typer.Argument(metavar="EXERCISE", help="Only this one")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs")] = False,
) -> None:
    """Check the exercises in a saved notebook or Python file; nothing of it is run but its imports and definitions.

    Attempts are noted in the journal beside the file. Exit codes: 0 all pass, 1 something is wrong or still to do, 2 the file
    cannot be read.

    Example: lowerbound course check lowerbound-course/05_elbo.ipynb rsample
    """
    import json
    import sys

    from lowerbound.course.coach import lines_of
    from lowerbound.course.saved import check_file, note
    from lowerbound.progress import quiet, terminal

    results = check_file(file, exercise, progress=terminal if sys.stderr.isatty() else quiet)
    kinds = [outcome.kind for _, outcome in results]
    found = [
        {
            "exercise": one.name,
            "lesson": one.lesson,
            "outcome": outcome.kind,
            "case": outcome.case,
            "words": outcome.words,
        }
        for one, outcome in results
    ]
    counts = {kind: kinds.count(kind) for kind in ("passed", "wrong", "to do")}
    content = {"file": str(file), "counts": counts, "exercises": found}
    tell(**content)
    if as_json:
        print(json.dumps(content, indent=1))
    else:
        print("\n".join(lines_of(results)))
    try:
        note(file.parent, results)
    except InputError as error:  # what was found holds all the same
        print(f"not noted: {error}", file=sys.stderr)
    if any(kind != "passed" for kind in kinds):
        raise typer.Exit(1)


@course_app.command("watch")
def course_watch(file: SavedFile) -> None:
    """Check a file again whenever it is saved, and show the first exercise that does not pass yet.

    Keys: h one hint more, n next exercise, l list, s solution (after all hints, or once it passes), q quit.

    Example: lowerbound course watch lowerbound-course/05_elbo.py
    """
    from lowerbound.course.watching import watch

    watch(file)


@course_app.command("submit")
def course_submit(
    folder: LearnersFolder = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="FOLDER", help="Where the files go")] = None,
) -> None:
    """Write what you hand in, from the journal in a folder: one JSON and one CSV to look at. Nothing is sent.

    Example: lowerbound course submit lowerbound-course
    """
    from lowerbound.course.config import read_config
    from lowerbound.course.handin import submit
    from lowerbound.course.starting import working_folder

    folder = working_folder(folder)
    done = submit(folder, read_config(folder), out)
    wrote(done.json, done.csv)
    tell(notes=done.notes, form=done.url)
    print(f"written: {done.json} and {done.csv}; nothing was sent")
    for note in done.notes:
        print(f"note: {note}")
    if done.url:
        print(f"the course's form, with your answers filled in:\n{done.url}")


@course_app.command("report")
def course_report(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the hand-ins of a class lie")],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FOLDER", help="Where the report goes; else the current folder"),
    ] = None,
) -> None:
    """Write one page and one CSV over all hand-ins of a class; broken and changed ones are named in it.

    In the folder of a course of your own, times are compared with the minutes that its lessons say.

    Example: lowerbound course report handins/ --out report
    """
    from lowerbound.course import starting
    from lowerbound.course.class_report import write_report
    from lowerbound.progress import terminal

    estimates = {lesson.id: lesson.minutes for lesson in starting.lessons_taught(Path())}
    page, table = write_report(folder, out or Path(), estimates, terminal)
    wrote(page, table)
    print(f"written: {page} and {table}")


@course_app.command("new")
def course_new(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new folder for a course of your own")],
    name: Annotated[str | None, typer.Option(metavar="TITLE", help="Of the course; else the folder's name")] = None,
) -> None:
    """Begin a course of your own: a lesson to change, its exercises and checks, and the course's settings.

    Example: lowerbound course new my-course --name "Light and dark"
    """
    from lowerbound.course.fresh import new_course

    written = new_course(folder, folder.resolve().name if name is None else name)
    wrote(*written)
    print(f"written: {', '.join(map(str, written))}")
    print(f"next: change them, then: lowerbound course build {folder}")


@course_app.command("build")
def course_build(
    what: Annotated[
        Path, typer.Argument(metavar="FOLDER|NOTEBOOK.ipynb", help="A course's folder; or a notebook with marks")
    ] = Path(),
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FOLDER", help="Where it goes; else beside the lessons")
    ] = None,
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; say whether the notebooks are up to date")
    ] = False,
) -> None:
    """Make the student and the solution notebooks of a course's lessons, or of one notebook with marks.

    A course's folder has its sources in lessons/; the notebooks go to notebooks/student and notebooks/solution. A
    notebook with our marks, or with cells of `# to_remove solution`, becomes NAME-student.ipynb and NAME-solution.ipynb.
    Lessons are read by jupytext: pip install 'lowerbound[course]'.

    Example: lowerbound course build my-course

    Example: lowerbound course build W8_Tutorial.ipynb --out split
    """
    from lowerbound.course.compiler import build
    from lowerbound.course.config import read_config
    from lowerbound.course.family import build_notebook

    if what.suffix.lower() == ".ipynb":
        if check:
            raise InputError(f"--check is for a course's folder; {what} is a notebook; leave it out")
        student, solution = build_notebook(what, out or what.parent)
        wrote(student, solution)
        print(f"written: {student} and {solution}")
        return
    if not what.is_dir():
        raise InputError(f"{what} is no folder and no .ipynb file; expected a course's folder or a notebook; give one")
    config = read_config(what)
    made = build(what / config.lessons, out or what / "notebooks", config, check=check)
    tell(notebooks=len(made))
    if not check:
        wrote(out or what / "notebooks")
    print(
        f"up to date: {len(made)} notebooks"
        if check
        else f"written: {len(made)} notebooks in {out or what / 'notebooks'}"
    )
