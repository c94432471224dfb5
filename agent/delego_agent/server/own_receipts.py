"""The receipts about one principal's own actions, out of the ledger that all principals share.

What others propose is none of an agent's business: it may hold secrets of another task. Whose a receipt is
stands beside it (its unsigned context), or with the approval it names; a receipt of a result has neither, and
is told by its action and instruction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from delego_ledger.contract import Ledger
from delego_spec.errors import ReceiptError
from delego_spec.receipts import Receipt, decode_line
from delego_spec.types import JSONObject

T = TypeVar("T")

WINDOW: Final = 2000  # receipts that are looked through
MAX_SHOWN: Final = 128 * 1024  # characters in one answer; one action alone may take 256 KiB


@dataclass(slots=True)
class _Owner:
    ledger: Ledger
    principal: str
    proposers: dict[str, str | None] = field(default_factory=dict)
    pairs: set[tuple[str, str]] = field(default_factory=set)

    def owns(self, receipt: Receipt) -> bool:
        """Called in the order of the chain."""
        payload, said = receipt.payload, (receipt.context or {}).get("principal")
        if payload.approval_id is not None:
            proposer = self._proposer(payload.approval_id)
            # A refusal may name an approval of somebody else, and quote what it was given for.
            return self.principal == (said if proposer is None else proposer) and said in (
                None,
                self.principal,
            )
        pair = (payload.intent_hash, payload.action_fingerprint)
        if said == self.principal:
            self.pairs.add(pair)
        return said == self.principal or (said is None and pair in self.pairs)

    def _proposer(self, approval_id: str) -> str | None:
        if approval_id not in self.proposers:
            approval = self.ledger.approval(approval_id)
            self.proposers[approval_id] = None if approval is None else approval.proposer
        return self.proposers[approval_id]


def own_receipts(ledger: Ledger, principal: str, limit: int) -> JSONObject:
    """The newest ``limit`` of them, oldest first; how many of others were left out. Raises StorageError."""
    head = ledger.head()
    stop = 0 if head is None else head.seq + 1
    owner = _Owner(ledger, principal)
    own: list[Receipt] = []
    others = 0
    for line in ledger.lines(max(0, stop - WINDOW), stop):
        try:
            receipt = decode_line(line)
        except ReceiptError:
            others += 1  # whose a damaged receipt is cannot be told
            continue
        if owner.owns(receipt):
            own.append(receipt)
        else:
            others += 1
    newest = [_shown(receipt) for receipt in reversed(own[-limit:])]
    return {
        "receipts": [*reversed(readable(newest))],
        "others": others,
        "head": None if head is None else str(head),
    }


def readable(items: Sequence[T]) -> list[T]:
    """The first items, as many as an agent can be expected to read; one at least."""
    room = MAX_SHOWN
    kept: list[T] = []
    for item in items:
        room -= len(repr(item))
        if kept and room < 0:
            break
        kept.append(item)
    return kept


def _shown(receipt: Receipt) -> JSONObject:
    payload = receipt.payload
    return {
        "seq": payload.seq,
        "ts": payload.ts,
        "phase": payload.phase,
        "outcome": payload.outcome,
        "rule": payload.rule,
        "reasons": [*payload.reasons],
        "intent_hash": payload.intent_hash,
        "action_fingerprint": payload.action_fingerprint,
        "action_summary": payload.action_summary,
        "approval_id": payload.approval_id,
        "entry_hash": receipt.entry_hash,
    }
