"""Fails when the line coverage of a package is under its floor. Run it after a suite under ``--cov``.

Each package is judged by itself, so that a well-tested one cannot hide another; a module that no test imports
counts with all its lines.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import coverage

from tree import PACKAGES

FLOORS: Final = {name: 100.0 if name == "delego_spec" else 95.0 for name in PACKAGES}  # percent of lines

# Programs of delego_conformance that run where coverage cannot see them, and why. Tests run each of them.
_FOREIGN: Final = "runs in an environment of its own, beside a package that is not installed here"
_STRANGERS: Final = "is what a stranger begins with, and is run as a file"
_KILLED: Final = "misbehaves until it is killed, and so never hands in what it has run"
UNSEEN: Final[Mapping[str, str]] = {
    "adapters/delego_reference.py": _FOREIGN,
    "generate/known_reference.py": _FOREIGN,
    "templates/adapter.py": _STRANGERS,
    "stubs/closes_stdin_and_sleeps.py": _KILLED,
    "stubs/floods.py": _KILLED,
    "stubs/half_lines.py": _KILLED,
    "stubs/hangs.py": _KILLED,
    "stubs/prints_to_stdout.py": _KILLED,
    "stubs/random_bytes.py": _KILLED,
    "stubs/two_replies.py": _KILLED,
    "stubs/wrong_id.py": _KILLED,
}


@dataclass(frozen=True, slots=True)
class Measured:
    """One package: its lines that can run, and those that did not, by module."""

    lines: int
    missing: Mapping[str, str]  # module -> line numbers as text; only modules with missing lines
    missed: int

    @property
    def percent(self) -> float:
        """Covered lines in percent; 0 for a package without code, which no floor lets through."""
        return 100.0 * (self.lines - self.missed) / self.lines if self.lines else 0.0


def measure(data: coverage.Coverage, folder: Path) -> Measured:
    """Count the lines of every module under ``folder`` that coverage can see."""
    lines, missed, missing = 0, 0, {}
    for path in sorted(folder.rglob("*.py")):
        if folder.name == "delego_conformance" and path.relative_to(folder).as_posix() in UNSEEN:
            continue
        _, statements, _, absent, text = data.analysis2(str(path))
        lines += len(statements)
        missed += len(absent)
        if absent:
            missing[path.relative_to(folder).as_posix()] = text
    return Measured(lines, missing, missed)


def judge(data: coverage.Coverage, packages: Mapping[str, Path], floors: Mapping[str, float]) -> bool:
    """Print one line for each package, and what is missing; True if every floor holds."""
    good = True
    for name, folder in packages.items():
        measured = measure(data, folder)
        holds = measured.percent >= floors[name]
        good = good and holds
        verdict = "ok" if holds else "TOO LOW"
        wanted = f"floor {floors[name]:g} %: {verdict}"
        print(f"{name:<18} {measured.percent:6.2f} % of {measured.lines} lines, {wanted}")
        for module, text in measured.missing.items():
            print(f"    {module}: {text}")
    return good


def main() -> int:
    data = coverage.Coverage()
    data.load()
    return 0 if judge(data, PACKAGES, FLOORS) else 1


if __name__ == "__main__":
    sys.exit(main())
