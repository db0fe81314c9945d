"""What is given away works where nothing else is: builds sdist and wheel, installs the wheel alone, runs the fast tests on it.

    python tests/release_check.py [--keep FOLDER]

The environment has the wheel, what it needs and what the tests need; PATH holds neither Node nor a compiler. The tests
lie in another folder than the sources, beside the documents that they read.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import tomllib
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# What a wheel must hold beside its code, and what it must not.
INSIDE = (
    "lowerbound/py.typed",
    "lowerbound/lowerbound.mplstyle",
    "lowerbound/page.css",
    "lowerbound/live/template.html",
    "lowerbound/live/ort.wasm.zst",
    "lowerbound/live/LICENCES.txt",
    "lowerbound/fonts/ComicNeue-Regular.otf",
    "lowerbound/fonts/LICENSE-ComicNeue.txt",
)
NOTEBOOKS = 2 * 12  # student and solution of twelve lessons
NEVER = ("node_modules", "__pycache__", ".pyc", ".DS_Store", ".egg-info", ".venv", ".hypothesis", ".pytest_cache")
TOOLS = ("sh", "bash", "env", "uname", "rm", "cat", "git", "mount", "umount", "ldconfig")  # of the system, for tests
# These read the sources themselves, or build from them.
OF_SOURCES = ("test_arrows.py", "test_paths.py", "test_release.py", "test_reference_pages.py", "test_site.py")


def build(folder: Path, *isolation: str) -> tuple[Path, Path]:
    """The sdist, and the wheel that is built from it."""
    subprocess.run([sys.executable, "-m", "build", "--outdir", folder, *isolation, ROOT], check=True)
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return sdist, wheel


def contents(file: Path) -> list[str]:
    """The files in an sdist, without its own folder, or in a wheel."""
    if file.suffix == ".whl":
        with zipfile.ZipFile(file) as packed:
            return packed.namelist()
    with tarfile.open(file) as packed:
        return [name.partition("/")[2] for name in packed.getnames()]


def faults(sdist: Path, wheel: Path) -> list[str]:
    """What is wrong with what would be given away, one line each."""
    inside, source = set(contents(wheel)), set(contents(sdist))
    found = [f"{wheel.name} lacks {name}" for name in INSIDE if name not in inside]
    notebooks = [name for name in inside if name.endswith(".ipynb")]
    if len(notebooks) != NOTEBOOKS:
        found.append(f"{wheel.name} has {len(notebooks)} notebooks; expected {NOTEBOOKS}")
    if not any(name.endswith(".dist-info/licenses/LICENSE") for name in inside):
        found.append(f"{wheel.name} has no licence")
    found += [f"{wheel.name} holds {name}" for name in inside if name.split("/")[0].partition("-")[0] != "lowerbound"]
    lacking = {f"src/{name}" for name in INSIDE} | {
        "lab/package-lock.json",
        "hatch_build.py",
        "pyproject.toml",
        "LICENSE",
    }
    found += [f"{sdist.name} lacks {name}" for name in sorted(lacking - source)]
    code = {name.removeprefix("src/") for name in source if name.startswith("src/lowerbound/") and name.endswith(".py")}
    found += [f"{wheel.name} lacks {name}" for name in sorted(code - inside)]
    return found + [f"{name} was packed" for name in inside | source if any(word in name for word in NEVER)]


def environment(folder: Path) -> Path:
    """A virtual environment with pip alone; its folder of programs."""
    venv.create(folder, with_pip=True)
    return folder / ("Scripts" if os.name == "nt" else "bin")


def bare(programs: Path, tools: Path) -> dict[str, str]:
    """Variables with a PATH on which neither Node nor a compiler is, and no settings of ours."""
    tools.mkdir()
    for name in TOOLS:
        if there := shutil.which(name):
            (tools / name).symlink_to(there)
    path = f"{programs}{os.pathsep}{tools}"
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "VIRTUAL_ENV", "CC", "NODE"))
    }
    for name in ("node", "npm", "gcc", "cc", "clang", "cl"):
        if os.name != "nt" and shutil.which(name, path=path):
            raise SystemExit(f"{name} is on the PATH that was to be bare")
    return {**kept, "PATH": path, "OMP_NUM_THREADS": "1"}


def test_packages() -> list[str]:
    """What the tests need besides the wheel: the group ``test`` of pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]["test"]


def place_tests(sdist: Path, folder: Path) -> None:
    """The tests and the documents that they read, out of the sdist and without its sources."""
    with tarfile.open(sdist) as packed:
        packed.extractall(folder.parent, filter="data")
    (folder.parent / sdist.name.removesuffix(".tar.gz")).rename(folder)
    shutil.rmtree(folder / "src")
    for name in OF_SOURCES:
        (folder / "tests" / name).unlink()


def check(folder: Path) -> int:
    """Build, look inside, install, test; an exit code."""
    began = time.monotonic()

    def say(line: str) -> None:
        sys.stdout.write(f"{time.monotonic() - began:6.0f} s  {line}\n")
        sys.stdout.flush()

    sdist, wheel = build(folder / "dist")
    for file in (sdist, wheel):
        say(f"{file.name}: {len(contents(file)):,} files, {file.stat().st_size / 1e6:.1f} MB")
    if wrong := faults(sdist, wheel):
        say("\n".join(wrong))
        return 1
    programs = environment(folder / "environment")
    around = bare(programs, folder / "tools")
    python, pinned = programs / "python", str(ROOT / "constraints.txt")

    def pip(*words: str | Path) -> None:
        command = [python, "-m", "pip", "install", "--quiet", "--constraint", pinned, *words]
        subprocess.run(command, check=True, env=around, cwd=folder)

    pip("--only-binary", ":all:", wheel)
    done = subprocess.run(
        [programs / "lowerbound", "--version"], check=True, env=around, cwd=folder, capture_output=True, text=True
    )
    say(f"installed with no Node and no compiler: {done.stdout.strip()}")
    subprocess.run(
        [programs / "lowerbound", "-q", "compare", "digits", "-k", "3", "--epochs", "1", "--out", "run"],
        check=True, env=around, cwd=folder,
    )  # fmt: skip
    page = (folder / "run" / "report.html").stat().st_size
    say(f"compared four models of digits with nothing else installed; its live page has {page / 1e6:.1f} MB")
    pip(*test_packages())
    place_tests(sdist, folder / "elsewhere")
    words = ("-m", "pytest", "-q", "-n", "2", "-m", "not slow and not soak", "-p", "no:cacheprovider", "tests")
    tests = subprocess.run([python, *words], check=False, env=around, cwd=folder / "elsewhere")
    say(f"the fast tests from outside the source tree: exit code {tests.returncode}")
    return tests.returncode


def main() -> int:
    """Check in a temporary folder, or in one that is kept."""
    asked = argparse.ArgumentParser(description=main.__doc__)
    asked.add_argument("--keep", type=Path, help="a new folder for all that is built")
    keep = asked.parse_args().keep
    if keep is not None:
        keep.mkdir(parents=True)
        return check(keep.resolve())
    with tempfile.TemporaryDirectory(prefix="lowerbound-release-") as folder:
        return check(Path(folder))


if __name__ == "__main__":
    sys.exit(main())
