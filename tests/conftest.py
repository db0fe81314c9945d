"""What all tests share: random numbers that are the same in every run."""

import sys

import pytest

pytest_plugins = ("tests.browser_pages",)  # here, before doctests import it


@pytest.fixture(autouse=True)
def _seeded():
    """Hypothesis and NumPy's generators have seeds of their own; torch's draws begin anew for every test."""
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)
