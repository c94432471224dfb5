"""Evaluation (§6): forbidden, then the first matching rule, then the default.

Pure in (policy, action, count of earlier allows, now). Not here: hazards, which are looked at first, and
anything that follows from a verdict (receipts, approvals, tokens).
"""

from __future__ import annotations

from dataclasses import dataclass

from delego_spec.action import Action
from delego_spec.constraints import AllowCounts, CountUnavailable, Facts, count_in_window
from delego_spec.policy import Forbidden, Outcome, Policy, Rule
from delego_spec.types import Micros

__all__ = ["AllowCounts", "CountUnavailable", "Outcome", "Verdict", "count_in_window", "evaluate"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the policy says of one action."""

    outcome: Outcome
    rule: str | None  # the rule or forbidden entry that decided; None: the default did
    reasons: tuple[str, ...]  # wire text (§6), part of the conformance vectors


def evaluate(policy: Policy, action: Action, *, now: Micros, counts: AllowCounts | None) -> Verdict:
    """Decide (§6). ``counts`` must see the same moment as ``now``; None denies every rate limit.

    Raises nothing of its own; what ``counts`` raises beside CountUnavailable passes through.
    """
    method, host, path = action.method, action.host, action.path
    forbidden = policy.forbidden_index.first(method, host, path)
    if forbidden is not None:
        return forbidden_verdict(forbidden)
    rule = policy.rule_index.first(method, host, path)
    if rule is None:
        return default_verdict(policy)
    return rule_verdict(rule, action, now=now, counts=counts)


def forbidden_verdict(forbidden: Forbidden) -> Verdict:
    """The verdict on an action that a forbidden entry matches."""
    return Verdict("deny", forbidden.name, (f"forbidden: {forbidden.description or forbidden.name}",))


def default_verdict(policy: Policy) -> Verdict:
    """The verdict on an action that nothing matches."""
    return Verdict(policy.default, None, (f"no rule matched; default = {policy.default}",))


def rule_verdict(rule: Rule, action: Action, *, now: Micros, counts: AllowCounts | None) -> Verdict:
    """The verdict on an action that ``rule`` matches: the first constraint that fails denies, alone."""
    if not rule.constraints:
        return Verdict(rule.decision, rule.name, (f"matched rule '{rule.name}'",))
    facts = Facts(action.params, rule.name, now, counts)
    reasons = []
    for constraint in rule.constraints:
        finding = constraint.check(facts)
        if not finding.holds:
            return Verdict("deny", rule.name, (finding.reason,))
        reasons.append(finding.reason)
    return Verdict(rule.decision, rule.name, tuple(reasons))
