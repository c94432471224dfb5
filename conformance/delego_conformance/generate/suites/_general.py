"""Why the clauses about the document itself, and about what is left to anybody, have no vector."""

from __future__ import annotations

from typing import Final

_RELEASES: Final = "It is a rule for releases and what they say of themselves."

NO_VECTOR: Final = {
    "§1-3": _RELEASES,
    "§1-4": _RELEASES,
    "§1-5": _RELEASES,
    "§3-11": "Either answer is right.",
}
