"""The exercise of lesson 08: what five patients suffer from, told from their symptoms.

Whoever looks for the answers finds them here; the cases say only how many are right, and where to look again.
"""

from __future__ import annotations

from typing import Any

from lowerbound.course.exercise import Exercise, Wrong, expect
from lowerbound.errors import nearest

__all__ = ["EXERCISES"]

AILMENTS = (
    "K too large",
    "K too small",
    "aggregate posterior far from the prior",
    "decoder too weak",
    "not yet converged",
    "over-fitting",
    "posterior collapse",
    "q too weak",
    "sigma at its bound",
    "stuck at the mean image",
)
TRUTH = {
    "patient A": "over-fitting",
    "patient B": "aggregate posterior far from the prior",
    "patient C": "stuck at the mean image",
    "patient D": "not yet converged",
    "patient E": "posterior collapse",
}


def every_patient(diagnosis: Any) -> None:
    """A dictionary with an ailment for each."""
    expect(
        isinstance(diagnosis, dict),
        f"diagnosis is a {type(diagnosis).__name__}; expected a dictionary, patient: ailment",
    )
    missing = [name for name in TRUTH if not isinstance(diagnosis.get(name), str) or not diagnosis[name].strip()]
    if len(missing) == len(TRUTH):
        raise NotImplementedError  # nobody was examined yet
    expect(not missing, f"{', '.join(missing)} still {'wait' if len(missing) > 1 else 'waits'} for a diagnosis")
    strangers = [name for name in diagnosis if name not in TRUTH]
    expect(not strangers, f'there is no "{strangers[0] if strangers else ""}"; the patients are {", ".join(TRUTH)}')


def known_ailments(diagnosis: Any) -> None:
    """Names from the list."""
    for name in TRUTH:
        given = diagnosis[name]
        expect(
            given in AILMENTS,
            f'{name} has "{given}", which is not on the list{nearest(given, AILMENTS)}; write it as it stands there: '
            f"{', '.join(AILMENTS)}",
        )


def _hold(diagnosis: dict[str, str], name: str, symptom: str) -> None:
    """Expect the right ailment of one patient; else say how many are right, and which symptom to look at again."""
    right = sum(diagnosis[other] == ailment for other, ailment in TRUTH.items())
    expect(
        diagnosis[name] == TRUTH[name],
        f"{right} of {len(TRUTH)} are right. Look again at {name}, this time at {symptom}",
    )


def test_images(diagnosis: Any) -> None:
    """The patient that does well on what it knows."""
    _hold(
        diagnosis,
        "patient A",
        "its errors of training and of test images side by side, and at the dotted curve: how many images did it learn from?",
    )


def samples(diagnosis: Any) -> None:
    """The patient whose reconstructions are fine."""
    _hold(
        diagnosis,
        "patient B",
        "its reconstructions, then its samples, then its KL, which is the highest of all: where do its codes lie?",
    )


def reconstructions(diagnosis: Any) -> None:
    """The patient that gives one image for all."""
    _hold(
        diagnosis,
        "patient C",
        "its reconstructions: by what do they differ, and is its error below that of the mean image? What did its KL do?",
    )


def curves(diagnosis: Any) -> None:
    """The patient whose curve goes on."""
    _hold(
        diagnosis,
        "patient D",
        "the last steps of its curves, and at how many steps there were: what would they do if nobody had stopped them?",
    )


def dimensions(diagnosis: Any) -> None:
    """The patient with silent dimensions."""
    _hold(
        diagnosis,
        "patient E",
        "the nats of each dimension of its code: PCA makes good use of eight; would fewer or more help this model?",
    )


EXERCISES = (
    Exercise(
        name="diagnosis",
        lesson="08",
        task="Name what each of the five patients suffers from, in words of the list.",
        cases=(every_patient, known_ailments, test_images, samples, reconstructions, curves, dimensions),
        hints=(
            "Go from the coarse to the fine. Who has not finished training? Who shows one image for everything? Who does well "
            "on training images alone? Only then look at samples and at single dimensions.",
            "Compare each patient with the healthy model in one row of the table at a time: the ratio of test to training "
            "error, the KL, the dimensions in use, how far the codes are from the prior. For each patient one row stands out.",
            "A knows its 60 images by heart. B's codes lie far outside of the prior. C gives the mean image for every code. "
            "D was stopped while its curves were still moving. E has dimensions without a nat, though they are worth having.",
        ),
        wrong=(
            Wrong("one patient forgotten", "every_patient", (('    "patient E": "posterior collapse",\n', ""),)),
            Wrong("an ailment in other words", "known_ailments", (('"over-fitting"', '"overfitting"'),)),
            Wrong("over-fitting taken for a K too large", "test_images", (('"over-fitting"', '"K too large"'),)),
            Wrong(
                "poor samples blamed on q",
                "samples",
                (('"aggregate posterior far from the prior"', '"q too weak"'),),
            ),
            Wrong(
                "the mean image taken for collapse",
                "reconstructions",
                (('"patient C": "stuck at the mean image"', '"patient C": "posterior collapse"'),),
            ),
            Wrong("half trained taken for a weak decoder", "curves", (('"not yet converged"', '"decoder too weak"'),)),
            Wrong("silent dimensions taken for too many", "dimensions", (('"posterior collapse"', '"K too large"'),)),
            Wrong("blurred images blamed on K", "dimensions", (('"posterior collapse"', '"K too small"'),)),
        ),
    ),
)
