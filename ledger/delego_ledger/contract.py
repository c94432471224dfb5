"""What a ledger promises, whatever it is made of.

Nothing above this contract may know which database lies below. Its tests are one suite, run against every
backend (``tests/ledger/test_contract.py``).

A *step* is a function of a transaction. It decides from what it reads there and writes what follows; it has
no other effect, because a step may be run a second time after a rollback, and many steps of different
callers may share one durable commit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, TypeAlias, TypeVar

from delego_spec.action import Action
from delego_spec.anchors import Anchor
from delego_spec.approvals import Approval, Status
from delego_spec.ed25519 import PublicKey
from delego_spec.receipts import Entry, Receipt
from delego_spec.types import ApprovalId, Digest, JSONObject, Micros

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Owner:
    """The process that runs an execution: enough to tell, later and on the same host, whether it lives."""

    host: str
    pid: int
    started: str  # distinguishes a process from a later one with the same pid; "" where unknown


@dataclass(frozen=True, slots=True)
class Execution:
    """An action that was released and whose result is not recorded yet."""

    id: str
    rule: str | None  # counts against this rule's rate limit while it runs
    reasons: tuple[str, ...]  # of the verdict, for the receipt of the result
    intent_hash: Digest
    action_fingerprint: Digest
    action_summary: str
    approval_id: ApprovalId | None
    owner: Owner
    started_at: Micros
    deadline: Micros  # after it anybody may settle the execution as "outcome unknown"


class Transaction(Protocol):
    """One exclusive, durable unit of work. Valid only inside the step or block that was given it."""

    @property
    def now(self) -> Micros:
        """The time of this transaction: the clock, or the newest receipt's time if that is later."""
        ...

    @property
    def head(self) -> Anchor | None:
        """The newest receipt, those appended in this transaction included."""
        ...

    def append(self, entry: Entry, *, context: JSONObject | None = None) -> Anchor:
        """Add a receipt; it is signed and durable when the transaction commits."""
        ...

    def count_allows(self, rule: str, since: Micros) -> int:
        """Execution/allow receipts of ``rule`` later than ``since``, plus its executions in flight.

        Raises CountUnavailable when the newest receipt lies in the future of the clock.
        """
        ...

    def park(self, approval: Approval, action: Action) -> None:
        """Keep a new approval and the action it is for."""
        ...

    def approval(self, approval_id: str) -> Approval | None: ...

    def decide(self, before: Approval, after: Approval) -> bool:
        """Compare-and-set: store ``after`` if the approval still is ``before``."""
        ...

    def consume(self, approval: Approval) -> bool:
        """Compare-and-set ``approved`` → ``consumed``. False: somebody else was first."""
        ...

    def start_execution(self, execution: Execution) -> None:
        """Keep that a broker is about to be called: "in flight" until it is settled, over a crash too."""
        ...

    def settle_execution(self, execution_id: str) -> bool:
        """Compare-and-set "in flight" → settled. False: it was settled before."""
        ...

    def executions(self) -> tuple[Execution, ...]:
        """All executions in flight, oldest first."""
        ...

    def use_nonce(self, scope: str, nonce: str, keep_until: Micros) -> bool:
        """Record a nonce as used, in one atomic insert. False: it was used before."""
        ...

    def put_evidence(self, evidence_hash: Digest, evidence: JSONObject) -> None:
        """Keep signed evidence under the hash that stands in a receipt."""
        ...

    def evidence(self, evidence_hash: str) -> JSONObject | None:
        """The evidence kept under this hash."""
        ...


Step: TypeAlias = Callable[[Transaction], T]


class Ledger(Protocol):
    """Durable truth. Safe for use by many threads, and by many processes on one store."""

    @property
    def public_key(self) -> PublicKey:
        """The key whose signatures count in this ledger."""
        ...

    def transaction(self) -> AbstractContextManager[Transaction]:
        """An exclusive transaction: durable when the block ends, rolled back when it raises."""
        ...

    def submit(self, steps: Sequence[Step[T]]) -> list[T]:
        """Run steps, in order, each as if it had a transaction for itself; durable on return.

        Steps that wait at the same time, of any thread, share commits. If a step raises, its writes are
        rolled back, and the exception is raised here after the other steps of this call were run.
        """
        ...

    def head(self) -> Anchor | None:
        """The newest receipt's anchor; None where there is no receipt."""
        ...

    def lines(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """The receipts with ``start <= seq < stop`` as lines, in order, up to the present head."""
        ...

    def receipt(self, seq: int) -> Receipt | None:
        """The receipt at ``seq``, which counts from 0; None beyond the head."""
        ...

    def approval(self, approval_id: str) -> Approval | None:
        """An approval as it is stored: an expiry since then is not in its status."""
        ...

    def parked_action(self, approval_id: str) -> Action | None:
        """The action that an approval is for."""
        ...

    def approvals(self, status: Status | None = None) -> tuple[Approval, ...]:
        """All approvals, or those stored with one status, oldest first."""
        ...

    def executions(self) -> tuple[Execution, ...]:
        """All executions in flight, oldest first."""
        ...

    def evidence(self, evidence_hash: str) -> JSONObject | None:
        """The evidence kept under this hash."""
        ...

    def evidence_items(self) -> Iterator[tuple[Digest, JSONObject]]:
        """All evidence with its hash, in the order of the hashes."""
        ...

    def close(self) -> None:
        """Let go of the storage; what was acknowledged is durable already."""
        ...
