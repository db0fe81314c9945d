"""Every exercise: the right answer passes, every typical wrong answer meets the hint meant for it, and help rises."""

import pytest

from lowerbound.course import catalogue
from lowerbound.course.checking import check

EXERCISES = list(catalogue.exercises().values())
WRONG = [(exercise, wrong) for exercise in EXERCISES for wrong in exercise.wrong]
ASKED = {  # the tutorial's own, and what the course adds
    *(
        "choose_k",
        "LinearAutoencoder",
        "train_autoencoder",
        "ConvAutoencoder",
        "generate_images",
        "rsample",
        "ConvVAE",
        "train_vae",
    ),
    *(
        "pca_by_eigenvectors",
        "kl_closed_form",
        "log_p_x",
        "elbo",
        "interpolate",
        "infer_phi",
        "importance_weighted_bound",
    ),
    *("fitted_prior", "explained_variance", "diagnosis"),
}


def test_all_that_was_promised_is_there():
    assert catalogue.exercises().keys() >= ASKED
    assert {exercise.lesson for exercise in EXERCISES} >= {f"{number:02}" for number in range(1, 11)}


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.name)
def test_the_right_answer_passes(exercise):
    outcome = check(exercise, catalogue.reference(exercise))
    assert outcome.kind == "passed", outcome


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.name)
def test_help_rises(exercise):
    assert len(exercise.hints) == 3
    assert len(exercise.wrong) >= 3
    assert all(len(hint) > 20 for hint in exercise.hints)
    assert {exercise.name} <= catalogue.defined_names(catalogue.solution(exercise))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("exercise", "wrong"), WRONG, ids=[f"{exercise.name}-{wrong.name.replace(' ', '-')}" for exercise, wrong in WRONG]
)
def test_a_typical_wrong_answer_meets_its_hint(exercise, wrong):
    text = wrong.of(catalogue.solution(exercise))
    outcome = check(exercise, catalogue.reference(exercise, text=text))
    assert (outcome.kind, outcome.case) == ("wrong", wrong.case), outcome
    assert len(outcome.words) > 20
