"""Each check of §9.1 is switched off in turn, and some test of the broker has to go red."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mutants_broker import MUTANTS
from mutants_parts import PARTS, marks, verdicts
from support import ROOT, unmeasured

pytestmark = marks


@pytest.mark.parametrize("part", range(1, PARTS + 1))
def test_every_mutant_turns_a_test_red(part: int, tmp_path: Path) -> None:
    pytest.importorskip("redis")
    statuses = verdicts("mutants_broker.py", part, tmp_path)
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
