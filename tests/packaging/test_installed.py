"""What the environment of this run has installed: the checkout, or in the wheel run the wheel."""

from __future__ import annotations

import importlib
import subprocess
import sys
import sysconfig
from importlib import metadata
from pathlib import Path

import pytest

from support import ROOT
from tree import AGAINST_WHEEL, PACKAGES

SCRIPT = Path(sysconfig.get_path("scripts"), "delego")


@pytest.mark.parametrize("package", PACKAGES)
def test_each_package_is_imported_from_where_this_run_means_it(package: str) -> None:
    location = Path(str(importlib.import_module(package).__file__)).resolve()
    if AGAINST_WHEEL:
        assert location == Path(sysconfig.get_path("purelib"), package, "__init__.py").resolve()
    else:
        assert location == PACKAGES[package] / "__init__.py"


@pytest.mark.skipif(not AGAINST_WHEEL, reason="only the wheel run hides the source")
def test_the_wheel_run_sees_no_source() -> None:
    assert [folder for folder in PACKAGES.values() if folder.exists()] == []


@pytest.mark.parametrize("room", ["ledger", "authorizer", "broker", "cli"])
def test_a_room_s_folder_cannot_be_imported_by_its_plain_name(room: str) -> None:
    # A user's own `ledger.py` must not meet ours. The folder matters: `-c` puts it on the path.
    done = subprocess.run(
        [sys.executable, "-c", f"import {room}"], cwd=ROOT.anchor, capture_output=True, text=True, check=False
    )
    assert f"No module named '{room}'" in done.stderr


def test_the_command_answers_with_its_version() -> None:
    done = subprocess.run([SCRIPT, "--version"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert metadata.version("delego-spec") in done.stdout


def test_importing_the_core_brings_in_no_other_room() -> None:
    code = (
        "import sys, delego_spec; print(*sorted(name for name in sys.modules if name.startswith('delego_')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert loaded == {"delego_spec"}
