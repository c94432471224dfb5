"""An action whose params another thread changes while it is judged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from delego_authorizer import Authorizer
from delego_ledger.transaction import SQLiteTransaction
from delego_spec.policy import load_policy
from delego_spec.types import Micros
from houses import FakeClock, Service, order

POLICY = load_policy("""
default: deny
rules:
  - { name: pay, decision: allow, match: { method: POST },
      constraints: { amount: { field: amount, max: 100 }, rate_limit: { max: 3 } } }
""")

Build = Callable[..., Authorizer]


def test_an_action_changed_while_the_ledger_is_waited_for_is_denied(
    build: Build,
) -> None:
    action = order(50_000)

    class Clock(FakeClock):
        def __call__(self) -> Micros:  # read when the transaction begins
            if proposed:
                action.params["amount"] = 1
            return super().__call__()

    proposed: list[object] = []
    service = Service()
    authorizer = build(service=service, policy=POLICY, clock=Clock())
    proposed.append(action)
    decision = authorizer.propose(action)
    assert decision.outcome == "deny"
    assert decision.reasons[0].startswith("the action was changed after it was made")
    assert service.calls == 0


def test_an_amount_changed_between_its_constraint_and_the_next_is_not_released(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    action = order(50_000)
    action.params["amount"] = 1
    count = SQLiteTransaction.count_allows

    def counted(self: SQLiteTransaction, *args: Any, **more: Any) -> int:
        action.params["amount"] = 50_000  # the amount was looked at before
        return count(self, *args, **more)

    monkeypatch.setattr(SQLiteTransaction, "count_allows", counted)
    service = Service()
    assert build(service=service, policy=POLICY).propose(action).outcome == "deny"
    assert service.calls == 0
