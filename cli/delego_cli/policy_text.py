"""A policy's entries in words, and why an action would be decided as it would be. Prints nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from delego_cli.log_reading import first_since, rows
from delego_ledger.clock import system_clock
from delego_ledger.transaction import MAX_LAG
from delego_spec.constraints import Amount, Constraint, CountUnavailable, RateLimit
from delego_spec.display import literal, visible
from delego_spec.explain import Step
from delego_spec.explain import explain as explain_policy
from delego_spec.hazards import find_hazards
from delego_spec.timestamps import parse_ts
from delego_spec.types import Micros

if TYPE_CHECKING:
    from collections.abc import Sequence

    from delego_authorizer import Home
    from delego_ledger.contract import Ledger
    from delego_spec.action import Action
    from delego_spec.matching import Match
    from delego_spec.receipts import Outcome


@dataclass(frozen=True, slots=True)
class Explanation:
    """What would decide an action."""

    outcome: Outcome
    rule: str | None
    reasons: tuple[str, ...]
    hazards: tuple[str, ...]
    steps: tuple[Step, ...]  # none where a hazard decides: no rule is looked at


def explanation(home: Home, action: Action) -> Explanation:
    """Against the home's policy, configuration, ledger and the present time. Raises as those do."""
    policy, config, now = home.policy(), home.config(), system_clock()
    hazards = tuple(
        hazard.reason for hazard in find_hazards(action, plain_http_hosts=config.plain_http_hosts)
    )
    if hazards:
        return Explanation("deny", None, hazards, hazards, ())
    steps = explain_policy(policy, action, now=now, counts=LedgerCounts(home.ledger(), now))
    verdict = steps[-1].verdict
    assert verdict is not None  # noqa: S101 - the last step always has one
    return Explanation(verdict.outcome, verdict.rule, verdict.reasons, (), steps)


class LedgerCounts:
    """Counts earlier allows by reading receipts: the answer of a transaction, without writing one."""

    def __init__(self, ledger: Ledger, now: Micros) -> None:
        self._ledger = ledger
        self._now = now

    def count_allows(self, rule: str, since: Micros) -> int:
        head = self._ledger.head()
        stop = 0 if head is None else head.seq + 1
        running = sum(1 for one in self._ledger.executions() if one.rule == rule)
        first = first_since(self._ledger, Micros(since + 1), stop)
        for row in rows(self._ledger, max(0, stop - 1), stop):
            if row.receipt is not None and parse_ts(row.receipt.payload.ts) > self._now + MAX_LAG:
                raise CountUnavailable("the newest receipt lies in the future of the clock; set the clock")
        payloads = (row.receipt.payload for row in rows(self._ledger, first, stop) if row.receipt is not None)
        return running + sum(
            1 for one in payloads if (one.phase, one.outcome, one.rule) == ("execution", "allow", rule)
        )


def match_text(match: Match) -> str:
    """``GET or POST, api.example.com, /accounts/**``."""
    parts = []
    if match.methods is not None:
        parts.append(" or ".join(sorted(match.methods)))
    if match.host is not None:
        parts.append(match.host)
    if match.path is not None:
        parts.append(match.path.pattern)
    if match.path_contains is not None:
        parts.append(f"path with {match.path_contains}")
    return visible(", ".join(parts))


def constraints_text(constraints: Sequence[Constraint]) -> str:
    """``amount at most 5000 USD; destination in ["internal"]; at most 50 per hour``."""
    return "; ".join(map(_constraint_text, constraints))


def _constraint_text(constraint: Constraint) -> str:
    if isinstance(constraint, RateLimit):
        return f"at most {constraint.max} per {constraint.per}"
    name = visible(constraint.field)
    if isinstance(constraint, Amount):
        limit = "a number" if constraint.max is None else f"at most {constraint.max}"
        return f"{name} {limit}{'' if constraint.currency is None else f' {visible(constraint.currency)}'}"
    return f"{name} in {literal([*constraint.allowed])}"
