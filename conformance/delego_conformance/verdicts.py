"""From what two passes found to verdicts (docs/kit-protocol.md, "Verdicts"). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

from delego_conformance.judge import relation_mismatch
from delego_conformance.results import AGAINST, Exchange, Implementation, Result, RoleVerdict, Verdict
from delego_conformance.vectors import Vector

Kind: TypeAlias = Literal["pass", "fail", "error", "unsupported"]

PASSED: Final[frozenset[Verdict]] = frozenset({"pass", "fixed"})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one pass found about one vector."""

    kind: Kind
    detail: str = ""
    exchanges: tuple[Exchange, ...] = ()
    choices: tuple[int, ...] = ()  # of each reply, which of the answers allowed it is
    seconds: float = 0.0
    stderr: str = ""
    is_usable: bool = True  # each request had a reply that could be judged


def unclaimed(vector: Vector, implementation: Implementation) -> str | None:
    """Why a vector is not sent to an implementation, None if it is."""
    if not set(vector.roles) & set(implementation.roles):
        return f"the role {' or '.join(vector.roles)} is not claimed"
    lacking = [name for name in vector.requires if name not in implementation.features]
    return f"the feature {lacking[0]} is not claimed" if lacking else None


def counts(vector: Vector, *, strict: bool) -> bool:
    """Whether a role's conformance hangs on this vector."""
    return vector.level == "MUST" or (strict and vector.level == "SHOULD")


def related(vectors: Mapping[str, Vector], outcomes: Mapping[str, Outcome]) -> dict[str, Outcome]:
    """The outcomes of one pass, with relations looked at. One to a vector that was not sent says nothing."""
    found = dict(outcomes)
    for one, outcome in outcomes.items():
        relation = vectors[one].relation
        if relation is None or outcome.kind != "pass" or relation.other not in outcomes:
            continue
        other = outcomes[relation.other].exchanges
        own_reply = outcome.exchanges[-1].reply or {}
        other_reply = other[-1].reply if other else None
        if other_reply is None:
            problem: str | None = f"expected a result of {relation.other} as well; it gave none"
        else:
            problem = relation_mismatch(relation, own_reply, other_reply)
        if problem is not None:
            found[one] = replace(outcome, kind="fail", detail=problem)
    return found


def results(
    vectors: Iterable[Vector],
    passes: tuple[Mapping[str, Outcome], Mapping[str, Outcome]],
    *,
    implementation: Implementation,
    known: Mapping[str, str],
) -> tuple[Result, ...]:
    """One result for each vector that was sent or is not claimed, in their order."""
    vectors = tuple(vectors)
    by_id = {vector.id: vector for vector in vectors}
    first, second = (related(by_id, outcomes) for outcomes in passes)
    found: list[Result] = []
    own = {one: _agreed(by_id[one], first[one], second.get(one)) for one in first}
    for vector in vectors:
        reason = unclaimed(vector, implementation)
        if reason is not None:
            found.append(Result(vector, "not claimed", reason))
        elif vector.id in own:
            found.append(_marked(_not_vacuous(own[vector.id], own), known))
    return tuple(found)


def role_verdicts(
    implementation: Implementation, found: Iterable[Result], *, strict: bool, partial: bool
) -> tuple[RoleVerdict, ...]:
    """The verdict on each claimed role. ``partial``: on those alone that something was asked about."""
    found = tuple(found)
    roles = []
    for role in implementation.roles:
        judged = [
            result.verdict in PASSED
            for result in found
            if role in result.vector.roles
            and result.verdict != "not claimed"
            and counts(result.vector, strict=strict)
        ]
        if judged or not partial:
            roles.append(RoleVerdict(role, bool(judged) and all(judged), sum(judged), len(judged)))
    return tuple(roles)


def _agreed(vector: Vector, first: Outcome, second: Outcome | None) -> Result:
    """What two passes say together, before controls and known failures are looked at."""
    if second is None or (second.kind != "pass" and first.kind != "pass"):
        return _result(vector, first.kind, first.detail, first)
    if first.kind == second.kind:
        if first.choices == second.choices:
            return _result(vector, "pass", "", first)
        return _result(vector, "unstable", "two allowed answers, one in each run", second)
    failed, which = (second, "second") if first.kind == "pass" else (first, "first")
    detail = f"as expected in one run, not in the {which}: {failed.detail}"
    return _result(vector, "unstable" if failed.is_usable else failed.kind, detail, failed)


def _result(vector: Vector, verdict: Verdict, detail: str, outcome: Outcome) -> Result:
    return Result(vector, verdict, detail, outcome.exchanges, outcome.seconds, outcome.stderr)


def _not_vacuous(result: Result, own: Mapping[str, Result]) -> Result:
    """Refusing everything passes what wants a refusal; only with its twin does that mean anything."""
    control = own.get(result.vector.control or "")
    if result.verdict != "pass" or control is None or control.verdict == "pass":
        return result
    detail = f"as expected, but its control {control.vector.id} is not: {control.detail}"
    return replace(result, verdict="vacuous", detail=detail)


def _marked(result: Result, known: Mapping[str, str]) -> Result:
    reason = known.get(result.vector.id)
    if reason is None:
        return result
    if result.verdict in AGAINST:
        return replace(result, verdict="known", known_reason=reason)
    detail = "is listed as a known failure, and passes: take it off the list"
    return replace(result, verdict="fixed", detail=detail, known_reason=reason)
