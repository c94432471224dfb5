"""Programs that do no work pass next to nothing: what a kit is worth shows here."""

from __future__ import annotations

import sys
from typing import Final

import pytest

from conformance_programs import PATIENCE, judged
from delego_conformance.vectors import load_vectors

VECTORS: Final = list(load_vectors())
MOST: Final = 0.05  # of the MUST vectors


@pytest.mark.parametrize("name", ["always_accept", "always_refuse", "always_crash", "flips"])
def test_a_program_that_does_no_work_passes_next_to_nothing(name: str) -> None:
    found = judged([sys.executable, "-m", f"delego_conformance.stubs.{name}"], VECTORS, timeout=PATIENCE)
    musts = [result for result in found.results if result.vector.level == "MUST"]
    passed = [result.vector.id for result in musts if result.verdict == "pass"]
    assert len(musts) > 500
    assert len(passed) < MOST * len(musts), passed
    assert len(found.results) == len(VECTORS)
    assert not any(role.conformant for role in found.roles)
    assert [role.role for role in found.roles] == ["authorizer", "broker", "auditor"]
