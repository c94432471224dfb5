"""The built distributions: what is inside, what it asks for, and that both ways of building agree."""

from __future__ import annotations

import email
import email.message
import re
import subprocess
import sys
import tarfile
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from support import ROOT
from tree import PACKAGES, copy_tree, project_files, source_only

pytestmark = source_only

MAX_BASE_DISTRIBUTIONS = 10
STRAYS = (
    "delego_spec/__pycache__/canonical.cpython-311.pyc",
    "ledger/delego_ledger/ledger.db",
    "ledger/delego_ledger/ledger.db-wal",
    "cli/delego_cli/.delego/token.pem",
)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project in which somebody has worked: caches, a database and a key lie about."""
    tree = copy_tree(tmp_path_factory.mktemp("source"))
    for stray in STRAYS:
        (tree / stray).parent.mkdir(parents=True, exist_ok=True)
        (tree / stray).write_bytes(b"stray")
    return tree


@pytest.fixture(scope="module")
def wheel(source: Path) -> Path:
    return build("wheel", source)


@pytest.fixture(scope="module")
def sdist(source: Path) -> Path:
    return build("sdist", source)


def build(target: str, tree: Path) -> Path:
    """Build one distribution of ``tree`` with the installed hatchling, without a network."""
    out = tree.parent / f"{tree.name}-{target}"
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(out)]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (built,) = out.iterdir()
    return built


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def core_metadata(wheel: Path) -> email.message.Message:
    (name,) = (name for name in contents(wheel) if name.endswith(".dist-info/METADATA"))
    return email.message_from_bytes(contents(wheel)[name])


def test_the_wheel_installs_these_top_level_names_and_no_other(wheel: Path) -> None:
    version = core_metadata(wheel)["Version"]
    assert {name.split("/")[0] for name in contents(wheel)} == {*PACKAGES, f"delego_spec-{version}.dist-info"}


def test_the_wheel_holds_every_file_of_the_packages_and_nothing_else(wheel: Path) -> None:
    expected = {
        f"{package}/{path.relative_to(folder).as_posix()}"
        for package, folder in PACKAGES.items()
        for path in project_files()
        if path.is_relative_to(folder)
    }
    assert {name for name in contents(wheel) if ".dist-info/" not in name} == expected


@pytest.mark.parametrize("package", PACKAGES)
def test_each_package_in_the_wheel_is_marked_as_typed(wheel: Path, package: str) -> None:
    assert f"{package}/py.typed" in contents(wheel)


def test_the_policy_schema_is_in_the_wheel(wheel: Path) -> None:
    assert "delego_spec/schemas/policy.schema.json" in contents(wheel)


def test_the_license_is_in_the_wheel(wheel: Path) -> None:
    (name,) = (name for name in contents(wheel) if name.endswith("/LICENSE"))
    assert contents(wheel)[name] == (ROOT / "LICENSE").read_bytes()


@pytest.mark.parametrize(
    "name",
    [
        "delego_cli/verifier.html",
        "delego_conformance/adapters/delego_reference.known",
        "delego_conformance/clauses.json",
        "delego_conformance/notes.json",
        "delego_conformance/schemas/request.schema.json",
        "delego_conformance/templates/adapter.mjs",
        "delego_conformance/templates/adapter.py",
        "delego_conformance/vectors/v1/fingerprint.json",
    ],
)
def test_what_a_user_is_handed_is_in_the_wheel(wheel: Path, name: str) -> None:
    assert name in contents(wheel)


def test_the_wheel_has_two_commands(wheel: Path) -> None:
    (name,) = (name for name in contents(wheel) if name.endswith("/entry_points.txt"))
    lines = contents(wheel)[name].decode().split("\n")
    assert [line for line in lines if line] == [
        "[console_scripts]",
        "delego = delego_cli.main:main",
        "delego-conformance = delego_conformance.cli:main",
    ]


def test_the_sdist_holds_the_project_and_no_stray_file(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        inside = {name.split("/", 1)[1] for name in archive.getnames()}
    assert inside == {path.relative_to(ROOT).as_posix() for path in project_files()} | {"PKG-INFO"}


def test_a_wheel_built_from_the_sdist_is_the_same(wheel: Path, sdist: Path, tmp_path: Path) -> None:
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (unpacked,) = tmp_path.iterdir()
    assert contents(build("wheel", unpacked)) == contents(wheel)


def test_the_base_install_brings_at_most_ten_distributions(wheel: Path) -> None:
    requirements = core_metadata(wheel).get_all("Requires-Dist", [])
    resolved = resolve(requirements)
    assert len(resolved) <= MAX_BASE_DISTRIBUTIONS, sorted(resolved)
    assert {"click", "cryptography", "pycparser"} <= resolved  # direct ones and one two steps away


def resolve(requirements: list[str]) -> set[str]:
    """The distributions that these requirements install here, followed to the end; extras stay out."""
    found: set[str] = set()
    waiting = [Requirement(text) for text in requirements]
    while waiting:
        requirement = waiting.pop()
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        name = canonicalize_name(requirement.name)
        if name in found:
            continue
        found.add(name)
        waiting += [Requirement(text) for text in metadata.requires(name) or []]
    return found


def test_each_dependency_is_bounded_on_both_sides(wheel: Path) -> None:
    for text in core_metadata(wheel).get_all("Requires-Dist", []):
        requirement = Requirement(text)
        operators = {specifier.operator for specifier in requirement.specifier}
        if requirement.marker is None:
            assert operators == {">=", "<"}, text


def test_the_readme_that_a_package_page_shows_is_ours(wheel: Path) -> None:
    shown = core_metadata(wheel).get_payload(decode=True)
    assert shown == (ROOT / "README.md").read_bytes()


def test_the_interpreters_named_are_those_that_may_install_it(wheel: Path) -> None:
    about = core_metadata(wheel)
    assert about["Requires-Python"] == ">=3.11"
    named = re.findall(r"Python :: (3\.\d+)", "\n".join(about.get_all("Classifier", [])))
    assert named[0] == "3.11"
