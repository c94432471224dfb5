"""Homes for the agents' room: a policy over tools, and the person who decides."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from delego_authorizer import Authorizer, Home, init_home
from delego_spec.receipts import decode_line

POLICY = """
version: 1
default: deny
forbidden:
  - { name: never, description: Nobody formats disks, match: { path_contains: /disk.format } }
rules:
  - { name: reads, decision: allow, match: { method: CALL, path: /read* } }
  - { name: few, decision: allow, match: { method: CALL, path: /few },
      constraints: { rate_limit: { max: 2, per: hour } } }
  - { name: deletes, description: Deleting is final, decision: needs_approval,
      match: { method: CALL, path: /file.delete* } }
  - { name: pays, decision: needs_approval, match: { method: CALL, path: /pay },
      constraints: { amount: { field: amount, max: 100 } } }
"""


def make_home(folder: Path, policy: str = POLICY) -> Path:
    """A new home whose approver is ``alice``."""
    return init_home(folder, approver="alice", policy_text=policy).path


@contextmanager
def person(home: Path) -> Iterator[Authorizer]:
    """The person's side of a home, as another process would open it."""
    authorizer = Home(home).authorizer()
    try:
        yield authorizer
    finally:
        authorizer.ledger.close()


def decide(home: Path, approval_id: str, decision: str = "approve") -> None:
    """Have ``alice`` say yes or no."""
    with person(home) as authorizer:
        said = authorizer.decide(approval_id, "approve" if decision == "approve" else "deny", "alice")
    assert said.accepted, said.refusal


def receipts(home: Path) -> list[tuple[str, str, str]]:
    """(phase, outcome, the reasons in one line) of every receipt, in order."""
    with person(home) as authorizer:
        payloads = [decode_line(line).payload for line in authorizer.ledger.lines()]
    return [(one.phase, one.outcome, "; ".join(one.reasons)) for one in payloads]


def executions(home: Path) -> list[str]:
    """What became of each execution, as its receipt says it last."""
    return [
        reasons.rpartition("; ")[2]
        for phase, outcome, reasons in receipts(home)
        if phase == "execution" and outcome == "allow"
    ]
