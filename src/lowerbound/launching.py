"""A training from the command line: begun, gone on with, and told of at the end; by one process or several."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from lowerbound.binarise import binarised_set
from lowerbound.comparison import begin, go_on, images_of, more_epochs
from lowerbound.errors import DivergedError, InputError, LostProcessError
from lowerbound.images import ImageSet
from lowerbound.options import load_own, load_source, whole
from lowerbound.outcome import tell, wrote
from lowerbound.outside import Outside, where
from lowerbound.plan import Plan, choose_k
from lowerbound.processes import Processes, here
from lowerbound.progress import terminal
from lowerbound.replicates import averaged
from lowerbound.report import HEADER, footnote, judgement, rows
from lowerbound.storage import Run
from lowerbound.stored import StoredModel
from lowerbound.whole import refuse_existing

__all__ = ["begin_run", "resume_run"]


@contextlib.contextmanager
def _joined() -> Iterator[Processes]:
    """The processes of this training; all but the main one keep silent, and what ends them all is said once."""
    processes = here()
    try:
        if processes.recall("mistake"):  # was said; a launcher that starts everything again does not mend it
            raise SystemExit(2)
        with contextlib.ExitStack() as stack:
            if not processes.main:
                silence = stack.enter_context(Path(os.devnull).open("w", encoding="utf-8"))
                stack.enter_context(contextlib.redirect_stdout(silence))
                stack.enter_context(contextlib.redirect_stderr(silence))
            stack.enter_context(processes.watched())
            yield processes
    except (InputError, DivergedError, LostProcessError, KeyboardInterrupt) as error:
        code = 130 if isinstance(error, KeyboardInterrupt) else 2 if isinstance(error, InputError) else 1
        if isinstance(error, InputError | DivergedError):
            processes.remember("mistake", str(error))
        speaks = processes.speaks(code)
        if speaks and not processes.main:
            print(f"lowerbound: {error}", file=sys.stderr)
        if not (speaks and processes.main):
            raise SystemExit(code) from None
        raise
    except Exception:
        processes.speaks(1)
        raise
    finally:
        processes.close()


def begin_run(
    source: str, plan: Plan, out: Path | None, data_dir: Path | None, size: int | None, *, insight: bool = False
) -> None:
    """Load, choose K where it is left to us, train, examine the VAE where asked, and print what came out.

    Raises:
        InputError: What the images do not allow, or a folder that exists.
    """
    with _joined() as processes:
        before = processes.tell(_begun_before(processes))
        if before is not None:  # the launcher has started all processes again
            _resume(processes, Path(before), None, data_dir, plan.outside, changed=False)
            return
        if out is not None and processes.main:
            out = out.expanduser()
            refuse_existing(out)
        if not processes.main:
            processes.tell(None)  # what has to be fetched or decoded is there now
        images = load_source(source, data_dir, size)
        if processes.main:
            processes.tell(None)
        if plan.binarise is not None:
            images = binarised_set(images, plan.binarise, plan.seed)  # type: ignore[arg-type]
            print(f"{images.name}: {images.choices[-1]}")
        if not plan.ks:
            k, reason = choose_k(images)
            plan = replace(plan, ks=(k,), reason=reason)
            tell(k=k, why=reason)
            print(f"chose K = {k}: {reason.partition(', ')[2]}; -k gives another")
        for line in plan.chosen(images):
            print(line)
        run = _begun(processes, images, plan, out, data_dir, size, insight=insight)
        _finish(run, images, processes)


def _begun_before(processes: Processes) -> str | None:
    """The run that an attempt before this one has begun, as the main process knows it."""
    path = processes.recall("run")
    return path if path is not None and Path(path).exists() else None


def _begun(
    processes: Processes,
    images: ImageSet,
    plan: Plan,
    out: Path | None,
    data_dir: Path | None,
    size: int | None,
    *,
    insight: bool,
) -> Run:
    """The run, whose folder the main process makes."""
    _check_shared(processes, plan.stored(images), plan.outside)
    if processes.main:
        command = shlex.join(["lowerbound", *sys.argv[1:]])
        run = begin(
            images, plan, out, command=command, size=size, data_dir=data_dir, insight=insight,
            remember=lambda path: processes.remember("run", str(path.absolute())),  # so that a kill loses nothing
        )  # fmt: skip
        processes.tell([str(run.path.absolute()), run.about])
        return run
    path, about = processes.tell(None)
    return Run(Path(path), about, plan.outside)


def _check_shared(processes: Processes, models: list[StoredModel], outside: Outside | None) -> None:
    """Refuse models that several processes cannot train, before anything is written.

    Raises:
        InputError: The loss of one is a statistic of the whole batch.
    """
    for stored in models:
        trained = processes.size > 1 and stored.recipe != "pca"
        if trained and stored.build(outside=outside).whole_batch:
            raise InputError(
                f"the loss of {stored.name} is a statistic of the whole batch, which {processes.size} processes do not share; "
                "train it with one process, or without free bits, an optimal sigma, MMD or a total correlation"
            )


def resume_run(path: Path, epochs: str | None, data_dir: Path | None, own: str | None, *, changed: bool) -> None:
    """Go on with a run, for more epochs where asked.

    Raises:
        InputError: No such run, nothing to go on with, or other images than it was begun with.
    """
    with _joined() as processes:
        _resume(processes, path, epochs, data_dir, load_own(own), changed=changed)


def _resume(
    processes: Processes,
    path: Path,
    epochs: str | None,
    data_dir: Path | None,
    outside: Outside | None,
    *,
    changed: bool,
) -> None:
    """Go on with a run: the main process opens it, settles what is to be done, and tells the others."""
    if not processes.main:
        about = processes.tell(None)
        if about is not None:
            run = Run(path, about, outside)
            _finish(run, images_of(run, data_dir), processes)
        return
    run = Run.open(path, unfinished=True, outside=outside)
    complete = run.about["status"] == "complete"
    if complete and processes.attempt and (epochs is None or processes.recall("more")):
        processes.tell(None)  # an attempt before this one has completed it
        return
    if processes.attempt and not complete:
        epochs = None  # an attempt before this one has asked for more
    more = _more(run, epochs)
    images = images_of(run, data_dir, terminal, changed=changed)
    _check_shared(processes, run.models, outside)
    if more is not None:
        more_epochs(run, more, images)
    processes.remember("more", "asked")
    processes.tell(run.about)
    _finish(run, images, processes)


def _more(run: Run, epochs: str | None) -> int | None:
    """How many more epochs are asked for; None to finish what was begun."""
    complete = run.about["status"] == "complete"
    if epochs is None and complete:
        raise InputError(f"{run.path} is complete; to train on, say for how long: --epochs +5")
    if epochs is not None and not complete:
        raise InputError(f"{run.path} is not complete; leave --epochs out to finish it first")
    if epochs is not None and not epochs.startswith("+"):
        raise InputError(f"epochs is {epochs}; expected how many more, as in --epochs +5")
    return None if epochs is None else whole(epochs[1:], "epochs")


def _finish(run: Run, images: ImageSet, processes: Processes) -> None:
    """Train, measure and draw; print the table and where the report is."""
    from rich.console import Console
    from rich.table import Table

    machine = run.about["machine"]
    threads = f"{machine['threads']} threads" if processes.size == 1 else f"{processes.size} processes"
    wrote(run.path)
    print(f"run: {run.path}\ncomputing on {machine['device']} with {threads}")
    try:
        go_on(
            run,
            images,
            processes=processes,
            progress=terminal,
            say=print,
            warn=lambda line: print(f"lowerbound: {line}", file=sys.stderr),
        )
    except KeyboardInterrupt:
        path = shlex.quote(str(run.path))
        if run.about["status"] == "complete":
            said = f"the run is complete, and {path}/report.html written; `lowerbound page {path}` adds findings and ascents"
        else:
            said = f"go on with `lowerbound train --resume {path}`"
        raise KeyboardInterrupt(said) from None
    except Exception as error:
        if run.outside is None or where(error, run.outside.file) is None:
            raise
        said = run.outside.fault(error, "while it is trained")
        raise InputError(f"{said} and begin a new run: {run.path} is of the file as it was") from error
    if not processes.main:
        return
    console = Console(width=None if sys.stdout.isatty() else 140, highlight=False, markup=False)
    table = Table(*HEADER, box=None, pad_edge=False, header_style="bold")
    for row in rows(averaged(run.metrics), errors=console.width >= 100):
        table.add_row(*row)
    console.print(table)
    console.print(footnote(run))
    tell(run=run.path, report=run.path / "report.html", metrics=run.metrics, verdict=judgement(run), note=footnote(run))
    for sentence in judgement(run):
        console.print(sentence)
    print(f"report: {run.path / 'report.html'}")
