"""What a denied action would have to be instead: from the policy, so that an agent can correct itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, TypeAlias

from delego_spec.action import Action
from delego_spec.constraints import AllowList, Amount, Constraint
from delego_spec.display import literal, visible
from delego_spec.explain import Step
from delego_spec.matching import Mismatch
from delego_spec.policy import Policy, Rule
from delego_spec.types import JSON, JSONObject

Instead: TypeAlias = dict[str, Any]

NEAREST: Final = 5  # rules named at most
WEIGHT: Final = {"host": 4, "method": 2, "path": 1, "path_contains": 1}  # another host is another matter


def instead(policy: Policy, action: Action, steps: tuple[Step, ...]) -> Instead:
    """``steps``: as ``explain`` gives them; none where a hazard decided."""
    decided = steps[-1] if steps else None
    by_rule = decided.rule if decided is not None and decided.section == "rules" else None
    rule = next((one for one in policy.rules if one.name == by_rule), None)
    failed = [] if rule is None or decided is None else [*_failed(rule, decided)]
    if decided is None or failed:  # another rule does not help against a hazard, nor from inside a rule
        return {"failed": failed, "rules": []}
    return {"failed": [], "rules": [_shown(one, differs) for one, differs in nearest(policy, action)]}


def nearest(policy: Policy, action: Action) -> list[tuple[Rule, tuple[Mismatch, ...]]]:
    """The rules from which the action differs least, of its own host if there are any."""
    ranked: list[tuple[int, int, Rule, tuple[Mismatch, ...]]] = []
    for place, rule in enumerate(policy.rules):
        differs = rule.match.mismatches(action.method, action.host, action.path)
        if differs:  # one that matches and has not decided stands behind the one that has
            ranked.append((sum(WEIGHT[one.matcher] for one in differs), place, rule, differs))
    ranked.sort(key=lambda one: one[:2])
    same_host = [one for one in ranked if all(differ.matcher != "host" for differ in one[3])]
    return [(rule, differs) for _, _, rule, differs in (same_host or ranked)[:NEAREST]]


def in_words(found: Instead) -> Iterator[str]:
    """One line for each."""
    for one in found["failed"]:
        yield f"{one['constraint']} would take: {literal(one['allowed'])}"
    for one in found["rules"]:
        limits = f", with {literal(one['constraints'])}" if one["constraints"] else ""
        takes = f"rule {literal(one['rule'])} ({one['decision']}) takes {literal(one['match'])}{limits}"
        yield f"{takes}; here {visible('; '.join(one['differs']))}"


def _failed(rule: Rule, decided: Step) -> Iterator[JSONObject]:
    for constraint, finding in zip(rule.constraints, decided.constraints, strict=True):
        if not finding.holds:
            name, allowed = _allowed(constraint)
            yield {"constraint": name, "reason": finding.reason, "allowed": allowed}


def _allowed(constraint: Constraint) -> tuple[str, JSONObject]:
    """As the policy writes it."""
    if isinstance(constraint, Amount):
        limits: JSONObject = {"field": constraint.field}
        if constraint.max is not None:
            limits["max"] = constraint.max
        if constraint.currency is not None:
            limits["currency"] = constraint.currency
        return "amount", limits
    if isinstance(constraint, AllowList):
        return "allow_list", {"field": constraint.field, "in": [*constraint.allowed]}
    return "rate_limit", {"max": constraint.max, "per": constraint.per}


def _shown(rule: Rule, differs: tuple[Mismatch, ...]) -> JSONObject:
    match: JSONObject = {}
    if rule.match.methods is not None:
        match["method"] = [*sorted(rule.match.methods)]
    if rule.match.host is not None:
        match["host"] = rule.match.host
    if rule.match.path is not None:
        match["path"] = rule.match.path.pattern
    if rule.match.path_contains is not None:
        match["path_contains"] = rule.match.path_contains
    constraints: dict[str, JSON] = dict(_allowed(one) for one in rule.constraints)
    return {
        "rule": rule.name,
        "decision": rule.decision,
        "description": rule.description,
        "match": match,
        "constraints": constraints,
        "differs": [str(one) for one in differs],
    }
