"""Why a policy decides as it does: every entry that was looked at, in order (§6).

For people, and for agents that correct themselves. It walks the policy entry by entry, without the index
that ``evaluate`` uses, and comes to the same verdict.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from delego_spec.action import Action
from delego_spec.constraints import AllowCounts, Facts, Finding
from delego_spec.evaluate import Verdict, default_verdict, forbidden_verdict, rule_verdict
from delego_spec.matching import Mismatch
from delego_spec.policy import Policy
from delego_spec.types import Micros


@dataclass(frozen=True, slots=True)
class Step:
    """One entry that was looked at. Exactly the last one has a verdict."""

    section: Literal["forbidden", "rules", "default"]
    rule: str | None  # None: the default
    mismatches: tuple[Mismatch, ...] = ()  # empty: it matched
    constraints: tuple[Finding, ...] = ()  # all of them, after the first failure too
    verdict: Verdict | None = None

    @property
    def matched(self) -> bool:
        return self.verdict is not None

    @property
    def text(self) -> str:
        """The step as one sentence for people."""
        name = {"forbidden": f"forbidden '{self.rule}'", "rules": f"rule '{self.rule}'", "default": "default"}
        if self.verdict is None:
            why = "; ".join(str(mismatch) for mismatch in self.mismatches) or "its match is empty"
            return f"{name[self.section]} does not match: {why}"
        checks = [f"{'holds' if holds else 'fails'}: {reason}" for holds, reason in self.constraints]
        why = "; ".join(checks or self.verdict.reasons)
        return f"{name[self.section]} decides {self.verdict.outcome}: {why}"


def explain(policy: Policy, action: Action, *, now: Micros, counts: AllowCounts | None) -> tuple[Step, ...]:
    """Every entry looked at, in order, up to the one that decided; its verdict is that of ``evaluate``.

    Takes time in proportion to the policy. Raises nothing of its own.
    """
    target = (action.method, action.host, action.path)
    steps: list[Step] = []
    for forbidden in policy.forbidden:
        if forbidden.match.matches(*target):
            return (*steps, Step("forbidden", forbidden.name, verdict=forbidden_verdict(forbidden)))
        steps.append(Step("forbidden", forbidden.name, forbidden.match.mismatches(*target)))
    for rule in policy.rules:
        if rule.match.matches(*target):
            facts = Facts(action.params, rule.name, now, counts)
            findings = tuple(constraint.check(facts) for constraint in rule.constraints)
            verdict = rule_verdict(rule, action, now=now, counts=counts)
            return (*steps, Step("rules", rule.name, constraints=findings, verdict=verdict))
        steps.append(Step("rules", rule.name, rule.match.mismatches(*target)))
    return (*steps, Step("default", None, verdict=default_verdict(policy)))
