"""What all tests share: random numbers that are the same in every run."""

import sys

import pytest
from hypothesis import settings

settings.register_profile("untimed", deadline=None)  # another program on this machine is no fault of an example
settings.load_profile("untimed")

pytest_plugins = ("tests.browser_pages",)  # here, before doctests import it


@pytest.fixture(autouse=True)
def _seeded():
    """Hypothesis and NumPy's generators have seeds of their own; torch's draws begin anew for every test."""
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)
