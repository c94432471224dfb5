"""The published decision vectors: outcome, rule and reasons, word for word (§6)."""

from __future__ import annotations

import json

from delego_spec.action import Action
from delego_spec.evaluate import Verdict, evaluate
from delego_spec.explain import explain
from delego_spec.policy import load_policy
from delego_spec.types import Micros
from support import shared


class EmptyLedger:
    def count_allows(self, rule: str, since: Micros) -> int:
        return 0


def test_every_published_decision_is_reproduced_with_its_reasons() -> None:
    policy = load_policy(shared("ctk", "policy.example.yaml").read_text(encoding="utf-8"))
    vectors = json.loads(shared("ctk", "decisions.json").read_text(encoding="utf-8"))

    def decide(action: Action) -> Verdict:
        return evaluate(policy, action, now=Micros(10**15), counts=EmptyLedger())

    expected = [Verdict(case["outcome"], case["rule"], tuple(case["reasons"])) for case in vectors]
    assert [decide(Action.from_mapping(case["action"])) for case in vectors] == expected
    assert len(expected) == 4


def test_explaining_a_published_decision_ends_with_that_decision() -> None:
    policy = load_policy(shared("ctk", "policy.example.yaml").read_text(encoding="utf-8"))
    for case in json.loads(shared("ctk", "decisions.json").read_text(encoding="utf-8")):
        action = Action.from_mapping(case["action"])
        last = explain(policy, action, now=Micros(10**15), counts=EmptyLedger())[-1]
        assert last.verdict == Verdict(case["outcome"], case["rule"], tuple(case["reasons"]))
