"""Chromium and its driver where the tests run, and what test processes share."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest

CI = os.environ.get("CI") == "true"  # there the browser must run, elsewhere the one that is found is used


def install() -> tuple[str, str]:
    """Chromium and its driver: those found; under CI=true Debian's, which are installed; else the test is skipped."""
    if not CI:
        pytest.importorskip("selenium", reason="selenium is not installed")
    import selenium  # noqa: F401

    names = {"chromium": ("chromium", "chromium-browser", "google-chrome"), "chromium-driver": ("chromedriver",)}
    found = {package: next(filter(None, map(shutil.which, each)), None) for package, each in names.items()}
    missing = [package for package, path in found.items() if path is None]
    if missing and not CI:
        pytest.skip(f"{' and '.join(missing)} not found; Debian has packages of these names")
    if missing:
        apt = ["apt-get", "-y", "-q", "-o", "DPkg::Lock::Timeout=300"]
        quietly = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for command in ([*apt, "update"], [*apt, "install", "--no-install-recommends", "chromium", "chromium-driver"]):
            done = subprocess.run(command, check=False, capture_output=True, text=True, env=quietly)
            assert done.returncode == 0, f"{' '.join(command)}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
        found = {package: next(filter(None, map(shutil.which, each)), None) for package, each in names.items()}
    chromium, driver = found["chromium"], found["chromium-driver"]
    assert None not in (chromium, driver), f"{missing} were installed, but are not found"
    return chromium, driver


@contextmanager
def once(folder: Path, what: str):
    """Hold a lock that processes of one test session share; gives a folder, and whether it is still to be filled."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{what}.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = folder / f"{what}.done"
        (folder / what).mkdir(exist_ok=True)
        yield folder / what, not done.exists()
        done.touch()
