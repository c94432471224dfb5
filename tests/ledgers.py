"""Ledgers for tests: a clock that stands still until it is told, entries, approvals and executions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from chains import SIGNER
from delego_ledger.contract import Execution, Ledger, Owner
from delego_ledger.sqlite import SQLiteLedger
from delego_spec.action import Action
from delego_spec.approvals import Approval
from delego_spec.receipts import Entry
from delego_spec.types import ApprovalId, Digest, Micros

START = 1_767_225_600_000_000  # 2026-01-01T00:00:00Z, in microseconds
SECOND = 1_000_000

ACTION = Action("place an order", "POST", "https://api.example.com/orders", {"amount": 9000})
OWNER = Owner(host="host-1", pid=1, started="10")


@dataclass
class SetClock:
    """A clock that only moves when a test moves it."""

    now: int = START

    def __call__(self) -> Micros:
        return Micros(self.now)


# A ledger of each kind, made in an empty directory. The contract's tests run against all of them.
BACKENDS: dict[str, Callable[[Path, SetClock], Ledger]] = {
    "sqlite": lambda directory, clock: SQLiteLedger.create(directory / "ledger.db", SIGNER, clock=clock),
}


def entry(rule: str | None = "small", **change: Any) -> Entry:
    """An execution/allow receipt, which counts for rate limits, unless something is changed."""
    made = Entry(
        phase="execution",
        outcome="allow",
        rule=rule,
        reasons=(f"matched rule {rule!r}",),
        intent_hash=ACTION.intent_hash,
        action_fingerprint=ACTION.fingerprint,
        action_summary=ACTION.summary,
    )
    return replace(made, **change)


def approval(name: str = "a-1", **change: Any) -> Approval:
    made = Approval(
        id=ApprovalId(name),
        status="pending",
        action_fingerprint=ACTION.fingerprint,
        intent_hash=ACTION.intent_hash,
        instruction=ACTION.instruction,
        summary=ACTION.summary,
        rule="large",
        proposer="agent-1",
        created_at=Micros(START),
    )
    return replace(made, **change)


def execution(name: str = "e-1", rule: str | None = "small", started_at: int = START) -> Execution:
    return Execution(
        id=name,
        rule=rule,
        reasons=("matched rule 'small'",),
        intent_hash=Digest("ab" * 32),
        action_fingerprint=Digest("cd" * 32),
        action_summary="GET h/x",
        approval_id=None,
        owner=OWNER,
        started_at=Micros(started_at),
        deadline=Micros(started_at + 60 * SECOND),
    )
