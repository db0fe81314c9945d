"""The verb that says what is wrong with a model, how sure that is, and what to try."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lowerbound.exports import FIGURE, place, save_figure
from lowerbound.options import DataDir, ModelName, OneK, Out, Own, RunFolder, Seed, Style, open_model
from lowerbound.outcome import tell, wrote

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lowerbound.diagnosis import Checked, Commands, Finding
    from lowerbound.storage import Run
    from lowerbound.stored import StoredModel
    from lowerbound.symptoms import Symptoms

__all__ = ["VERBS"]

FORMAT = 1


def diagnose(
    run: RunFolder,
    *,
    model: ModelName = None,
    k: OneK = None,
    out: Out = None,
    json: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Findings and checks as JSON, too")
    ] = None,
    data_dir: DataDir = None,
    seed: Seed = 0,
    own: Own = None,
    style: Style = "plain",
) -> None:
    """Find what is wrong with a model: each finding with its evidence, how sure it is, and one thing to try; and a figure.

    Example: lowerbound diagnose runs/mnist-k20-2026-11-22

    Example: lowerbound diagnose runs/mnist-k20-2026-11-22 --model conv --json findings.json
    """
    from lowerbound import look
    from lowerbound.comparison import images_of
    from lowerbound.diagnosis import check, findings
    from lowerbound.examination import examine
    from lowerbound.findings_figure import checkup
    from lowerbound.progress import terminal

    with look.style(style):
        out = place(out, f"{run.name}-diagnosis.png", FIGURE)
        json = None if json is None else place(json, "findings.json", (".json",))
        folder, stored, fitted = open_model(run, model, k, own)
        images = images_of(folder, data_dir, terminal)
        history = folder.history(stored)
        symptoms = examine(
            fitted, images.train.pixels, images.test.pixels, history=history, seed=seed, progress=terminal
        )
        checked = check(symptoms, _commands(run, folder, stored))
        found = findings(checked)
        _tell(stored.name, found, checked)
        marks: dict[str, dict[str, str]] = {"ailment": {}, "note": {}}
        for each in found:
            if each.figure:
                marks[each.severity].setdefault(each.figure, each.name)  # the first cause names the panel
        save_figure(checkup(_panels(symptoms), marks["ailment"], marks["note"]), out)
        content = _content(run, stored, found, checked, seed)
        tell(**content)
        if json is not None:
            _write(json, content)


VERBS = (("diagnose", diagnose),)


def _commands(path: Path, run: Run, stored: StoredModel) -> Commands:
    """How the model was made, for the commands in the advice."""
    import shlex

    from lowerbound.diagnosis import Commands
    from lowerbound.parts import Parts

    source = run.about["source"]["source"]
    return Commands(
        shlex.quote(str(source)), shlex.quote(str(path)), stored.recipe, stored.parts or Parts(), stored.network
    )


def _tell(name: str, found: list[Finding], checked: list[Checked]) -> None:
    """The report, as the terminal shows it."""
    ailments = [each for each in found if each.severity == "ailment"]
    if ailments:
        more = f", and {len(ailments) - 1} more" if len(ailments) > 1 else ""
        print(f"{name}: {ailments[0].name} ({ailments[0].certainty}){more}")
    else:
        print(f"{name}: a clean bill of health" + (f", with {_count(len(found))}" if found else ""))
    for each in found:
        note = "note, " if each.severity == "note" else ""
        print(f"\n{each.name} ({note}{each.certainty})")
        print(f"  evidence: {each.evidence}")
        if each.follows:
            print(f"  may follow from: {each.follows}")
        print(f"  try: {each.advice}")
    print("\nchecked, and not found:")
    for one in checked:
        if one.finding is None:
            print(f"  {one.name}: {one.words}")
    print("± is one standard error over images.")


def _count(notes: int) -> str:
    """How many notes, in words.

    Example:
        >>> _count(1), _count(2)
        ('1 note', '2 notes')
    """
    return f"{notes} note" + ("" if notes == 1 else "s")


def _panels(s: Symptoms) -> Mapping[str, Any]:
    """What the figure shows of the symptoms."""
    from lowerbound.evaluation import Estimate

    def bar(values: Any) -> tuple[float, float]:
        found = values if isinstance(values, Estimate) else Estimate.of(values)
        return found.mean, found.standard_error

    errors = {"training images": s.train_errors, "test images": s.errors, "the mean image": s.mean_errors}
    panels: dict[str, Any] = {"pictures": s.pictures}
    if s.reference is not None:
        errors |= {f"PCA, K = {k}": each for k, each in s.reference.errors.items() if k >= s.latent_dim}
        kept = 1 - float(s.errors.mean() / max(s.mean_errors.mean(), 1e-12))
        panels["spectrum"] = (s.reference.explained, s.latent_dim, kept)
    if s.own_errors is not None and s.fresh_errors is not None:
        errors |= {"codes drawn from q": s.own_errors, "fresh decoder of these": s.fresh_errors}
    panels["errors"] = {name: bar(values) for name, values in errors.items()}
    if len(s.history.get("loss", ())) > 1:
        panels["loss"] = s.history["loss"]
    kl = s.codes.kl
    panels["codes"] = (s.codes.variances, "variance") if kl is None else (kl, "nats of KL")
    shares = {"never change": (s.pixels.constant, 0.0), "others at 0 or 255": (s.pixels.saturated, 0.0)}
    if s.density is not None:
        shares["sigma at its bound"] = (s.density.at_bound, 0.0)
        if s.density.gaps is not None:
            gaps = s.density.gaps
            panels["gaps"] = {
                "rate": bar(s.density.rate),
                "encoder's q to best q": bar(gaps.amortisation.estimate),
                "best q to log p(x)": bar(gaps.approximation.estimate),
            }
    panels["pixels"] = shares
    return panels


def _content(run: Path, stored: StoredModel, found: list[Finding], checked: list[Checked], seed: int) -> dict[str, Any]:
    """All of it, as JSON has it."""
    return {
        "format": FORMAT,
        "run": run.name,
        "model": stored.name,
        "seed": seed,
        "healthy": all(each.severity == "note" for each in found),
        "findings": [each.to_json() for each in found],
        "not_found": {each.name: each.words for each in checked if each.finding is None},
    }


def _write(file: Path, content: dict[str, Any]) -> None:
    """All of it as JSON."""
    from lowerbound.formats import to_json
    from lowerbound.whole import make_folder, write_whole

    make_folder(file.parent)
    write_whole(file, to_json(content))
    wrote(file)
    print(f"{file}: {len(content['findings'])} findings, {len(content['not_found'])} checks without one")
