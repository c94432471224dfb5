"""The kit itself is judged: every rule of the core that is broken on purpose is found by a vector."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from mutants import MUTANTS
from mutants_parts import PARTS, marks, verdicts

# Mutants that no input can tell from the original, and why.
EQUIVALENT: Final[dict[str, str]] = {}

pytestmark = marks


@pytest.mark.parametrize("part", range(1, PARTS + 1))
def test_every_mutant_is_killed_by_a_vector(part: int, tmp_path: Path) -> None:
    killers = verdicts("mutants.py", part, tmp_path)
    assert list(killers) == list(MUTANTS)[part - 1 :: PARTS]
    assert [name for name, killer in killers.items() if killer == "survives" and name not in EQUIVALENT] == []
    assert [name for name, killer in killers.items() if killer.startswith("raises") or killer == "died"] == []


def test_there_are_at_least_sixty_mutants() -> None:
    assert len(MUTANTS) >= 60


def test_the_sound_core_passes_what_kills_the_mutants() -> None:
    from delego_conformance.vectors import load_vectors
    from judging import first_failure

    assert first_failure(load_vectors()) is None
