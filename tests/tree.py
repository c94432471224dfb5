"""The source tree as tests see it: its rooms, its files, and whether it is there at all.

The suite runs twice: in the checkout, and against the built wheel in a folder that holds no source.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from support import ROOT

AGAINST_WHEEL: Final = os.environ.get("DELEGO_TEST_WHEEL") == "1"

# Import package -> its folder in the checkout.
PACKAGES: Final = {
    "delego_spec": ROOT / "delego_spec",
    "delego_ledger": ROOT / "ledger" / "delego_ledger",
    "delego_authorizer": ROOT / "authorizer" / "delego_authorizer",
    "delego_broker": ROOT / "broker" / "delego_broker",
    "delego_agent": ROOT / "agent" / "delego_agent",
    "delego_cli": ROOT / "cli" / "delego_cli",
    "delego_conformance": ROOT / "conformance" / "delego_conformance",
}

_SKIPPED_FOLDERS: Final = frozenset({"__pycache__", "build", "dist", "htmlcov"})

source_only: Final = pytest.mark.skipif(
    AGAINST_WHEEL, reason="the source tree is out of sight in the wheel run"
)


def project_files(root: Path = ROOT) -> list[Path]:
    """The project's files: what git tracks where there is a repository, else all but caches."""
    if (root / ".git").exists() and (git := shutil.which("git")) is not None:
        listed = subprocess.run(
            [git, "-C", str(root), "ls-files", "-z"], capture_output=True, check=True, text=True
        )
        tracked = [root / name for name in listed.stdout.split("\0") if name]
        return sorted(path for path in tracked if path.is_file())
    found: list[Path] = []
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if _is_project_folder(name)]
        found.extend(Path(folder, name) for name in names if not name.startswith(".coverage"))
    return sorted(found)


def python_files(package: str) -> list[Path]:
    """The modules of one import package, sorted."""
    return sorted(PACKAGES[package].rglob("*.py"))


def copy_tree(target: Path) -> Path:
    """A copy of the project's files, to be changed at will."""
    for path in project_files():
        copy = target / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, copy)
    return target


def _is_project_folder(name: str) -> bool:
    if name in _SKIPPED_FOLDERS or name.endswith(".egg-info"):
        return False
    return not name.startswith(".") or name == ".ci"
