"""Rules of the house that no linter knows: folders, machine paths, registries, claims, sizes."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from support import ROOT
from tree import PACKAGES, project_files, source_only

pytestmark = source_only

MAX_LINES = 450
# One file by design: it runs where none of ours is installed.
SINGLE_FILES = {"conformance/delego_conformance/adapters/delego_reference.py": 750}
MAX_TEST_LINES = 750  # tables of cases make a test file long, not hard to read
ROOMS_WITHOUT_PACKAGE = ("ledger", "cli", "authorizer", "broker", "agent", "conformance", "tests")
BINARY_SUFFIXES = {".gif", ".ico", ".jpg", ".png", ".woff2"}
THIS_FILE = Path(__file__).resolve()

# A path that exists on one machine only. What comes before it keeps URLs and globs out.
MACHINE_PATH = re.compile(
    rf"{re.escape(str(ROOT))}|(?<![\w.*%-])(?:/root/|/home/\w+/|/Users/\w+/)|[A-Z]:\\Users\\"
)
REGISTRY = re.compile(
    r"(?:pypi|pythonhosted|npmjs|golang|crates)\.\w{2,3}\b"
    r"|-index-url|find-links|(?:PIP|UV)_(?:\w+_)?(?:INDEX|FIND_LINKS)|index_url",
    re.IGNORECASE,
)
CLAIM = re.compile(  # SQLite's own option "immutable=1" is no claim
    r"tamper[- ]?proof|\bimmutabl[ey]\b(?!=)|exactly-once|\bcompliant\b|un-?hackable", re.IGNORECASE
)


def findings(pattern: re.Pattern[str], path: Path) -> list[str]:
    """Where ``pattern`` stands in one file, as ``name:line: text``."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [
        f"{path.name}:{number}: {match.group()}"
        for number, line in enumerate(lines, 1)
        for match in pattern.finditer(line)
    ]


def texts() -> list[Path]:
    """The project's text files, without this one, which has to name what it forbids."""
    return [path for path in project_files() if path.suffix not in BINARY_SUFFIXES and path != THIS_FILE]


def test_a_good_part_of_the_project_is_looked_at() -> None:
    names = {path.relative_to(ROOT).as_posix() for path in texts()}
    assert {
        "README.md",
        "pyproject.toml",
        ".ci/run",
        "delego_spec/errors.py",
        "tests/conftest.py",
    } <= names


@pytest.mark.parametrize("room", ROOMS_WITHOUT_PACKAGE)
def test_a_folder_named_for_people_is_no_package(room: str) -> None:
    assert not (ROOT / room / "__init__.py").exists()


def test_no_folder_under_tests_is_a_package() -> None:
    assert list((ROOT / "tests").rglob("__init__.py")) == []


def test_each_import_package_has_an_init_and_a_type_marker() -> None:
    for folder in PACKAGES.values():
        assert (folder / "__init__.py").is_file(), folder.name
        assert (folder / "py.typed").is_file(), folder.name


@pytest.mark.parametrize(
    "pattern",
    [MACHINE_PATH, REGISTRY, CLAIM],
    ids=["a machine path", "a registry", "a false claim"],
)
def test_no_file_contains(pattern: re.Pattern[str]) -> None:
    assert [finding for path in texts() for finding in findings(pattern, path)] == []


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        (MACHINE_PATH, f'ROOT = "{ROOT}/tests"'),
        (MACHINE_PATH, "see /home/alice/notes"),
        (MACHINE_PATH, "(/Users/bob/x)"),
        (MACHINE_PATH, r"C:\Users\bob"),
        (MACHINE_PATH, "#!/root/v/bin/python"),
        (REGISTRY, ".".join(("https://pypi", "org/simple"))),
        (REGISTRY, "pip install --extra-index-url X ."),
        (REGISTRY, "export PIP_INDEX_URL=x"),
        (REGISTRY, "pip install --find-links wheels"),
        (CLAIM, "a Tamper-Proof ledger"),
        (CLAIM, "an immutable log"),
        (CLAIM, "immutability: immutable, always"),
        (CLAIM, "with exactly-once effects"),
        (CLAIM, "SOC 2 compliant"),
    ],
)
def test_a_planted_line_is_found(tmp_path: Path, pattern: re.Pattern[str], line: str) -> None:
    planted = tmp_path / "planted.md"
    planted.write_text(f"fine\n{line}\n", encoding="utf-8")
    assert [finding.split(": ")[0] for finding in findings(pattern, planted)] == ["planted.md:2"]


@pytest.mark.parametrize(
    "line", ["https://api.example.com/home/alice/x", "path: /accounts/*", "#!/usr/bin/env bash"]
)
def test_an_ordinary_path_is_not_taken_for_a_machine_path(tmp_path: Path, line: str) -> None:
    ordinary = tmp_path / "ordinary.md"
    ordinary.write_text(line, encoding="utf-8")
    assert findings(MACHINE_PATH, ordinary) == []


def test_no_module_is_too_long_to_be_read_at_once() -> None:
    too_long = {}
    for path in project_files():
        name, lines = path.relative_to(ROOT).as_posix(), len(path.read_bytes().splitlines())
        most = SINGLE_FILES.get(name, MAX_TEST_LINES if name.startswith("tests/") else MAX_LINES)
        if path.suffix == ".py" and lines > most:
            too_long[name] = lines
    assert too_long == {}


def test_the_changelog_has_a_section_for_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    headings = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert version in headings
