"""The rooms only import downwards: the contract in pyproject.toml, held by import-linter."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support import ROOT
from tree import PACKAGES, source_only

pytestmark = source_only

# (package that is changed, what it must not import)
FORBIDDEN = [
    ("delego_spec", "delego_ledger"),
    ("delego_ledger", "delego_authorizer"),
    ("delego_ledger", "delego_broker"),
    ("delego_authorizer", "delego_broker"),
    ("delego_broker", "delego_authorizer"),
    ("delego_authorizer", "delego_cli"),
    ("delego_agent", "delego_broker"),
]


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter, with the project's contract, over the packages that stand in ``folder``."""
    code = "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"
    config = str(ROOT / "pyproject.toml")
    return subprocess.run(
        [sys.executable, "-P", "-c", code, "--config", config, "--no-cache"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "NO_COLOR": "1", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def rooms(tmp_path: Path) -> Path:
    """A copy of the import packages, side by side as in an installation."""
    for package, folder in PACKAGES.items():
        shutil.copytree(folder, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_the_rooms_only_import_downwards(rooms: Path) -> None:
    done = lint_imports(rooms)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


@pytest.mark.parametrize(("room", "target"), FORBIDDEN, ids=lambda name: name.removeprefix("delego_"))
def test_a_planted_import_upwards_or_sideways_is_found(rooms: Path, room: str, target: str) -> None:
    (rooms / room / "planted.py").write_text(f"import {target}\n", encoding="utf-8")
    done = lint_imports(rooms)
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"{room}.planted -> {target}" in done.stdout
