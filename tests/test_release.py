"""What is given away: one version, declared and pinned packages, workflows that call what there is, and what is in the files."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

from tests.release_check import ROOT, build, contents, faults

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
NEEDED = [Requirement(each) for each in PROJECT["project"]["dependencies"]]
EXTRAS = {
    name: [Requirement(each) for each in those] for name, those in PROJECT["project"]["optional-dependencies"].items()
}
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
SOURCES = sorted((ROOT / "src" / "lowerbound").rglob("*.py"))


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def pinned(name):
    """The versions in a file of constraints, by name."""
    rows = (line.partition("#")[0].strip().partition("==") for line in read(name).splitlines())
    return {package.lower().replace("_", "-"): Version(version) for package, _, version in rows if version}


def test_the_version_stands_in_one_place():
    import lowerbound

    version = PROJECT["project"]["version"]
    assert lowerbound.__version__ == version
    assert re.search(r"^## \[?(\S+?)\]? ", read("CHANGELOG.md"), re.MULTILINE)[1] == version
    for file in SOURCES:
        assert not re.search(r"(?i)\bversion\w* *= *[\"']\d", file.read_text(encoding="utf-8")), file
    cited = (
        re.search(r"^version: *\"?([^\s\"]+)", read("CITATION.cff"), re.MULTILINE)
        if Path(ROOT, "CITATION.cff").exists()
        else None
    )
    assert cited is None or cited[1] == version


def test_each_package_has_its_reason():
    page = read("ARCHITECTURE.md").partition("## Dependencies")[2]
    table = {
        name.strip()
        for row in re.findall(r"^\| ([^|]+) \|", page, re.MULTILINE)
        for name in re.split(r"[,:]", row.replace("*", ""))
    }
    for each in [*NEEDED, *(one for those in EXTRAS.values() for one in those)]:
        assert each.name in table, f"{each.name} has no reason in ARCHITECTURE.md"


def test_each_package_is_pinned_within_its_range():
    here = pinned("constraints.txt")
    for each in [*NEEDED, *(one for those in EXTRAS.values() for one in those)]:
        assert each.specifier.contains(here[each.name]), each
    for name in (each for group in PROJECT["dependency-groups"].values() for each in group if isinstance(each, str)):
        assert Requirement(name).name in here, f"{name} is not pinned"


def test_the_oldest_versions_are_those_that_are_tested():
    """Of each range the lower end, and nothing else, is what `make oldest` installs."""
    oldest = pinned("constraints-oldest.txt")
    for each in NEEDED:
        (lower,) = [one for one in each.specifier if one.operator == ">="]
        assert Version(lower.version) == oldest.pop(each.name), each.name
    for those in EXTRAS.values():
        for each in those:
            (lower,) = [one for one in each.specifier if one.operator == ">="]
            assert Version(lower.version) == oldest.pop(each.name, Version(lower.version)), each.name


def test_a_missing_extra_is_named_where_it_is_missed():
    words = "".join(file.read_text(encoding="utf-8") for file in SOURCES)
    for extra in EXTRAS:
        assert f"pip install 'lowerbound[{extra}]'" in words, extra


def declared():
    return [each.rpartition(" ")[2] for each in PROJECT["project"]["classifiers"] if re.search(r":: 3\.\d+$", each)]


def test_pythons_are_declared_and_this_is_one():
    assert PROJECT["project"]["requires-python"] == f">={declared()[0]}"
    assert f"{sys.version_info.major}.{sys.version_info.minor}" in declared()
    assert PROJECT["tool"]["pyright"]["pythonVersion"] == declared()[0]
    assert PROJECT["tool"]["ruff"]["target-version"] == "py" + declared()[0].replace(".", "")


def test_the_workflows_cover_every_python_and_system():
    jobs = yaml.safe_load(read(".github/workflows/tests.yml"))["jobs"]
    matrix = jobs["check"]["strategy"]["matrix"]
    assert matrix["python"] == declared()
    assert {each.partition("-")[0] for each in matrix["os"]} == {"ubuntu", "macos", "windows"}


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_a_workflow_calls_what_there_is_and_may_do_little(file):
    flow = yaml.safe_load(file.read_text(encoding="utf-8"))
    targets = set(re.findall(r"^([a-z][\w-]*):", read("Makefile"), re.MULTILINE))
    assert flow["permissions"] == {"contents": "read"}
    for name, job in flow["jobs"].items():
        assert job["timeout-minutes"] <= 180, name
        may = job.get("permissions", {})
        assert set(may.items()) <= {("id-token", "write"), ("pages", "write")}, name
        assert not may or "environment" in job, f"{name} may write, and no environment guards it"
        for step in job["steps"]:
            for target in re.findall(r"\bmake ([\w-]+)", step.get("run", "")):
                assert target in targets, target
            if "uses" in step:
                assert re.fullmatch(r"(actions/[\w-]+@v\d+|pypa/gh-action-pypi-publish@release/v1)", step["uses"])
            if step.get("uses", "").startswith("actions/checkout"):
                assert step["with"]["persist-credentials"] is False
    assert "secrets." not in file.read_text(encoding="utf-8")


def test_all_kinds_of_workflows_are_there():
    assert {file.stem for file in WORKFLOWS} == {"docs", "lint", "release", "tests"}


def test_the_steps_of_a_release_name_targets_that_exist():
    steps = read("CONTRIBUTING.md").partition("## To release")[2]
    targets = set(re.findall(r"^([a-z][\w-]*):", read("Makefile"), re.MULTILINE))
    named = set(re.findall(r"`make ([\w-]+)", steps))
    assert {"test", "release-check"} <= named <= targets


@pytest.mark.slow
def test_sdist_and_wheel_hold_what_they_should(tmp_path):
    """Built without an environment of their own, so that nothing is fetched; the wheel comes from the sdist."""
    sdist, wheel = build(tmp_path, "--no-isolation")
    assert faults(sdist, wheel) == []
    assert wheel.stat().st_size < 12e6
    assert sdist.stat().st_size < 40e6
    assert wheel.name == f"lowerbound-{PROJECT['project']['version']}-py3-none-any.whl"
    assert [name for name in contents(sdist) if name.startswith("tests/test_")], "the tests travel with the sources"
