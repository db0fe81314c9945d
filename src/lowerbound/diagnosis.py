"""What is wrong with a trained model, how sure that is, and one thing to try.

Every check turns measured numbers (``symptoms.Symptoms``) into a finding, or into the sentence that says why there is none. The
checks stand in the order of causes: a model that is not trained yet is also worse than PCA, and one that is stuck at the mean
image has dead dimensions, so what comes first is to be mended first, and a later finding names the earlier one it may follow
from.

An effect has to be both real and large: more than three standard errors above zero, paired by image wherever two models see the
same images, and above a threshold that stands in ``ailments`` with its reason. How sure a finding is follows from how many
standard errors the number lies beyond that threshold.
"""

from __future__ import annotations

from dataclasses import replace

from lowerbound.ailments import CHECKS
from lowerbound.findings import Checked, Commands, Finding
from lowerbound.symptoms import Symptoms

__all__ = ["CHECKS", "Checked", "Commands", "Finding", "check", "diagnose"]


def diagnose(symptoms: Symptoms, commands: Commands | None = None) -> list[Finding]:
    """What is wrong, causes before effects and ailments before notes; without an ailment the model is in good health.

    Args:
        symptoms: From ``examine``.
        commands: How the model was made, for the commands in the advice.

    Example:
        >>> from lowerbound.pca import PCA
        >>> from lowerbound.sources import load
        >>> from lowerbound.examination import examine
        >>> digits = load("digits")
        >>> diagnose(examine(PCA(8).fit(digits.train.pixels), digits.train.pixels, digits.test.pixels))
        []
    """
    return findings(check(symptoms, commands))


def findings(checked: list[Checked]) -> list[Finding]:
    """The findings among what was checked: ailments first, and of each what it may follow from.

    Example:
        >>> findings([Checked("over-fitting", "test images are no worse than training images")])
        []
    """
    found = [each.finding for each in checked if each.finding is not None]
    ordered = [each for each in found if each.severity == "ailment"] + [
        each for each in found if each.severity == "note"
    ]
    names = [each.name for each in ordered]
    return [
        replace(each, follows=next((cause for cause in names[:place] if each.name in FOLLOWS.get(cause, ())), ""))
        for place, each in enumerate(ordered)
    ]


def check(symptoms: Symptoms, commands: Commands | None = None) -> list[Checked]:
    """Every check, with its finding or the sentence that says why there is none.

    Args:
        symptoms: From ``examine``.
        commands: How the model was made, for the commands in the advice.
    """
    commands = commands or Commands()
    checked = []
    for name, look in CHECKS.items():
        found = look(symptoms, commands)
        checked.append(Checked(name, found) if isinstance(found, str) else Checked(name, "", replace(found, name=name)))
    return checked


_POOR = ("worse than PCA", "decoder too weak", "K too small", "q too weak", "aggregate posterior far from the prior")
FOLLOWS: dict[str, tuple[str, ...]] = {
    "train/test mismatch": ("over-fitting", "K too large", *_POOR),
    "sigma at its bound": ("q too weak", "aggregate posterior far from the prior", "over-fitting", "not yet converged"),
    "not yet converged": ("stuck at the mean image", "posterior collapse", *_POOR),
    "stuck at the mean image": ("posterior collapse", "K too large", *_POOR),
    "posterior collapse": ("K too large", *_POOR),
    "over-fitting": _POOR,
    "decoder too weak": _POOR,
    "K too small": ("q too weak", "worse than PCA"),
    "K too large": ("q too weak", "aggregate posterior far from the prior"),
    "saturated or constant pixels": ("sigma at its bound",),
}
"""What may be a mere effect of an earlier finding."""
