"""The patients of the lesson on troubleshooting are ill in the way that the lesson says, and come out the same every time."""

import numpy as np
import pytest

from lowerbound import load
from lowerbound.course import patients
from lowerbound.course.exercises.lesson_08 import AILMENTS, TRUTH
from lowerbound.diagnosis import CHECKS, diagnose
from lowerbound.examination import examine


def test_the_answers_are_names_that_the_doctor_knows():
    assert set(TRUTH) == set(patients.NAMES)
    assert set(TRUTH.values()) < set(AILMENTS) < set(CHECKS)
    assert len(set(TRUTH.values())) == len(TRUTH)


@pytest.mark.slow
def test_the_doctor_finds_what_each_patient_has():
    digits = load("digits")
    for patient in patients.admit(digits):
        symptoms = examine(patient.model, patient.train, digits.test.pixels, images=250, steps=25, gaps=0)
        found = [each for each in diagnose(symptoms) if each.severity == "ailment"]
        names = [each.name for each in found]
        assert names[:1] == ([TRUTH[patient.name]] if patient.name in TRUTH else []), patient.name
        assert all(each.certainty == "certain" for each in found[:1])
        assert len(patient.history["kl"]) == len(patient.history["objective"]) == patient.steps[-1]
        assert len(patient.tested) == len(patient.steps)
        assert np.isfinite(patient.tested).all()


@pytest.mark.slow
def test_patients_are_the_same_every_time():
    digits = load("digits")
    one, two = (next(iter(patients.admit(digits))) for _ in range(2))
    assert np.array_equal(one.history["kl"], two.history["kl"])
    assert np.array_equal(one.model.sample(2), two.model.sample(2))
