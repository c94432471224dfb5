"""The kit itself is judged: every rule of the core that is broken on purpose is found by a vector."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from mutants import MUTANTS
from support import ROOT, unmeasured
from tree import source_only

# Mutants that no input can tell from the original, and why.
EQUIVALENT: Final[dict[str, str]] = {}

PARTS: Final = 4

pytestmark = [
    source_only,  # what a mutant shows does not depend on how the package was installed
    pytest.mark.skipif(not hasattr(os, "fork"), reason="mutants are tried in forked processes"),
]


@pytest.mark.parametrize("part", range(1, PARTS + 1))
def test_every_mutant_is_killed_by_a_vector(part: int, tmp_path: Path) -> None:
    found = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "mutants.py"), "--part", f"{part}/{PARTS}"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env=unmeasured(),
        timeout=280,
    )
    killers = dict(line.split("\t", 1) for line in found.stdout.splitlines())
    assert len(killers) == len(list(MUTANTS)[part - 1 :: PARTS])
    assert [name for name, killer in killers.items() if killer == "survives" and name not in EQUIVALENT] == []
    assert [name for name, killer in killers.items() if killer.startswith("raises") or killer == "died"] == []


def test_there_are_at_least_sixty_mutants() -> None:
    assert len(MUTANTS) >= 60


def test_the_sound_core_passes_what_kills_the_mutants() -> None:
    from delego_conformance.vectors import load_vectors
    from judging import first_failure

    assert first_failure(load_vectors()) is None
