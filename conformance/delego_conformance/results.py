"""What a run found, as values: made by the runner, drawn by the reports."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

from delego_conformance.vectors import JSONObject, Level, Role, Vector

Verdict: TypeAlias = Literal[
    "pass", "fail", "error", "unstable", "vacuous", "unsupported", "known", "fixed", "not claimed"
]
Profile: TypeAlias = Literal["wire", "full"]

AGAINST: Final[frozenset[Verdict]] = frozenset(
    {"fail", "error", "unstable", "vacuous", "unsupported", "known"}
)


@dataclass(frozen=True, slots=True)
class Implementation:
    """What the implementation said of itself in its hello, and how it was started."""

    name: str
    version: str
    language: str
    url: str
    spec: tuple[str, ...]
    roles: tuple[Role, ...]
    features: tuple[str, ...]
    command: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and what came back. ``reply`` is the parsed line, or None if there was no usable one."""

    request: JSONObject
    reply: JSONObject | None
    problem: str | None  # what was wrong with the reply as such, in a line
    expect: JSONObject


@dataclass(frozen=True, slots=True)
class Result:
    """The verdict on one vector."""

    vector: Vector
    verdict: Verdict
    detail: str  # one line: what was expected and what came; empty for a pass
    exchanges: tuple[Exchange, ...] = ()  # of the run that decided
    seconds: float = 0.0
    stderr: str = ""  # the end of what the implementation wrote there meanwhile
    known_reason: str | None = None  # from the file of known failures


@dataclass(frozen=True, slots=True)
class RoleVerdict:
    """Whether one claimed role is conformant, and how many MUSTs say so."""

    role: Role
    conformant: bool
    passed: int  # of the vectors that count at the levels that count
    counted: int


@dataclass(frozen=True, slots=True)
class Run:
    """A whole run."""

    implementation: Implementation
    kit_version: str
    profile: Profile
    strict: bool
    started: str  # RFC 3339, UTC
    seconds: float
    seed: int  # of both shuffles
    vectors_sha256: dict[str, str]  # file name -> digest
    results: tuple[Result, ...]  # in the order of the vectors
    roles: tuple[RoleVerdict, ...] = ()
    restarts: int = 0
    notes: dict[str, JSONObject] = field(default_factory=dict)  # of the flags
    partial: bool = False  # some of the vectors were not to be sent: no verdict on the implementation

    @property
    def conformant(self) -> bool:
        """Whether something is claimed, and all of it holds."""
        return bool(self.roles) and all(role.conformant for role in self.roles)

    def count(self, verdict: Verdict, level: Level | None = None) -> int:
        """How many vectors (of one level) have this verdict."""
        return sum(
            result.verdict == verdict and level in (None, result.vector.level) for result in self.results
        )

    def of(self, **wanted: Any) -> list[Result]:
        """The results whose vectors have these attributes, as in ``of(section="4", level="MUST")``."""
        return [
            result
            for result in self.results
            if all(getattr(result.vector, name) == value for name, value in wanted.items())
        ]
