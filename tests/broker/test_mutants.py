"""Each check of §9.1 is switched off in turn, and some test of the broker has to go red."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from mutants_broker import MUTANTS
from support import ROOT, unmeasured
from tree import source_only

PARTS: Final = 4

pytestmark = [
    source_only,  # what a mutant shows does not depend on how the package was installed
    pytest.mark.skipif(not hasattr(os, "fork"), reason="mutants are tried in forked processes"),
]


@pytest.mark.parametrize("part", range(1, PARTS + 1))
def test_every_mutant_turns_a_test_red(part: int, tmp_path: Path) -> None:
    pytest.importorskip("redis")
    found = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "mutants_broker.py"), "--part", f"{part}/{PARTS}"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env=unmeasured(),
        timeout=280,
    )
    statuses = dict(line.split("\t") for line in found.stdout.splitlines())
    assert list(statuses) == list(MUTANTS)[part - 1 :: PARTS]
    if shutil.which("redis-server") is None:  # then its tests are skipped, and nobody notices
        statuses = {name: status for name, status in statuses.items() if "redis" not in name}
    assert {name: status for name, status in statuses.items() if status != "1"} == {}


def test_without_a_mutant_the_same_tests_are_green(tmp_path: Path) -> None:
    suites = sorted({suite for mutant in MUTANTS.values() for suite in mutant.suites})
    files = [str(ROOT / "tests" / suite) for suite in suites]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "not sixteen", *files]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=ROOT, env=unmeasured(), timeout=280
    )
    assert done.returncode == 0, done.stdout[-3000:]
