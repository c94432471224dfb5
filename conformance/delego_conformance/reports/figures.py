"""What the formats count: who passed what, by section and level, and what decides a claim."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from delego_conformance.results import AGAINST, Result, Run
from delego_conformance.vectors import Level

LEVELS: Final[tuple[Level, ...]] = ("MUST", "SHOULD", "MAY")

# Headings of SPEC.md; a test compares them.
TITLES: Final = {
    "1": "Purpose and versions",
    "2": "Roles",
    "2.2": "Messages to a separated broker",
    "3": "Canonical JSON",
    "4": "Action",
    "4.2": "Canonical query",
    "5": "Policy",
    "5.1": "Loading fails closed",
    "6": "Evaluation",
    "7": "Approvals",
    "7.1": "What a yes is bound to",
    "7.2": "Who decides",
    "7.3": "Signed decisions",
    "8": "Receipts",
    "8.1": "Verification",
    "8.3": "Head anchors",
    "8.4": "Context",
    "9": "Authorization token",
    "9.1": "What a broker checks before it injects a credential",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """How many of the claimed vectors passed."""

    passed: int
    counted: int
    decisive: bool  # whether one of those that failed can cost a role

    @property
    def whole(self) -> bool:
        """Whether none failed."""
        return self.passed == self.counted

    @property
    def tone(self) -> Literal["good", "warn", "bad"]:
        """How bad it is."""
        return "good" if self.whole else "bad" if self.decisive else "warn"


def passed(result: Result) -> bool:
    """Whether the implementation answered rightly; ``fixed`` is a matter of its list only."""
    return result.verdict in ("pass", "fixed")


def failures(run: Run) -> list[Result]:
    """What has a verdict against the implementation, at any level."""
    return [result for result in run.results if result.verdict in AGAINST]


def decides(run: Run, result: Result) -> bool:
    """Whether this vector can cost a role: by its level, and by the profile of the run."""
    levels = ("MUST", "SHOULD") if run.strict else ("MUST",)
    in_profile = run.profile == "full" or result.vector.basis != "proposed"
    return result.vector.level in levels and in_profile


def cell(run: Run, results: Iterable[Result]) -> Cell:
    """The figures of these results."""
    claimed = [result for result in results if result.verdict != "not claimed"]
    failed = [result for result in claimed if not passed(result)]
    decisive = any(decides(run, result) for result in failed)
    return Cell(len(claimed) - len(failed), len(claimed), decisive)


def sections(run: Run) -> list[str]:
    """The sections that the vectors are about, in the order of SPEC.md."""
    return sorted({result.vector.section for result in run.results}, key=section_key)


def section_key(section: str) -> tuple[list[int], str]:
    """Sorts 2.2 before 10, and ``4 Hazards`` behind 4."""
    number, _, rest = section.partition(" ")
    return [int(part) for part in re.findall("[0-9]{1,9}", number)], rest


def heading(section: str) -> tuple[str, str]:
    """The sign with the number, and the title; ``4 Hazards`` brings its own."""
    number, _, title = section.partition(" ")
    return f"§{number}", title or TITLES.get(section, "")


def verdict_line(run: Run) -> str:
    """The verdict in one line."""
    verdict = _verdict(run)
    return f"in part of the vectors only: {verdict}" if run.partial else verdict


def _verdict(run: Run) -> str:
    if not run.roles:
        return "not conformant: no role is claimed"
    if run.conformant:
        return f"conformant as {_and(role.role for role in run.roles)}"
    bad = [f"{role.role} ({role.passed:,} of {role.counted:,})" for role in run.roles if not role.conformant]
    good = [role.role for role in run.roles if role.conformant]
    return f"not conformant as {_and(bad)}" + (f"; conformant as {_and(good)}" if good else "")


def demands(run: Run) -> str:
    """What the verdict is about, in words."""
    levels = "MUST and SHOULD" if run.strict else "MUST"
    profiles = {"full": "all clauses", "wire": "the public wire specification"}
    return f"every {levels} of {profiles[run.profile]}"


def _and(names: Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
