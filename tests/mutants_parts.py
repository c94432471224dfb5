"""Mutants are tried a part at a time, each part in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from support import ROOT, unmeasured
from tree import source_only

PARTS: Final = 4

marks: Final = [
    source_only,  # what a mutant shows does not depend on how the package was installed
    pytest.mark.skipif(not hasattr(os, "fork"), reason="mutants are tried in forked processes"),
]


def verdicts(script: str, part: int, folder: Path) -> dict[str, str]:
    """What a script of ``tests`` says of each mutant of this part, counted from 1; it runs in ``folder``."""
    found = subprocess.run(
        [sys.executable, str(ROOT / "tests" / script), "--part", f"{part}/{PARTS}"],
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
        env=unmeasured(),
        timeout=280,
    )
    return dict(line.split("\t", 1) for line in found.stdout.splitlines())
