"""Approvals (§7): one human yes, bound to one exact action and one instruction, released once.

    pending ─▶ approved ─▶ consumed        pending ─▶ denied        pending, approved ─▶ expired

Pure: these functions say what should happen. Making ``approved → consumed`` a single durable
compare-and-set, which is what "released once" rests on, is the ledger's part.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from delego_spec.action import Action
from delego_spec.receipts import Outcome
from delego_spec.timestamps import format_ts
from delego_spec.types import ApprovalId, Digest, Micros

Status: TypeAlias = Literal["pending", "approved", "denied", "consumed", "expired"]


@dataclass(frozen=True, slots=True)
class Approval:
    """A parked action and what became of it."""

    id: ApprovalId
    status: Status
    action_fingerprint: Digest
    intent_hash: Digest
    instruction: str  # as given; the plain text of intent_hash
    summary: str  # of the action, as in its receipt
    rule: str | None  # the rule it was parked under; None for the default
    proposer: str  # the principal that proposed it
    created_at: Micros
    scheme: str | None = None  # [strict] of the action's URL; the fingerprint leaves it out
    expires_at: Micros | None = None  # a decision must come before this time; None: no limit
    release_by: Micros | None = None  # once approved, the release must come before this time
    required_approvers: int = 1  # distinct principals that must say yes
    approved_by: tuple[str, ...] = ()  # distinct principals that said yes so far, in order
    evidence: tuple[str, ...] = ()  # hashes of the signed yeses, where decisions are signed
    denied_by: str | None = None
    routing_group: str | None = None  # who should decide; advice, set by configuration (§7.2)
    reason: str | None = None  # why approval is required (§7.2)
    decision_note: str | None = None  # the deciding person's note (§7.2)

    def status_at(self, now: Micros) -> Status:
        """The status, with what time has done to it: a lapsed approval is expired, stored so or not."""
        limit = self._limit()
        return "expired" if limit is not None and now >= limit else self.status

    @property
    def expired_at(self) -> Micros | None:
        """When it lapsed, or would lapse in its present status."""
        if self.status == "expired":
            return self.release_by if self.approved_by and self.release_by is not None else self.expires_at
        return self._limit()

    def _limit(self) -> Micros | None:
        if self.status == "pending":
            return self.expires_at
        return self.release_by if self.status == "approved" else None


@dataclass(frozen=True, slots=True)
class Release:
    """What the guards say about releasing an approval for an action.

    ``allow`` means: consume the approval, and only if *that* succeeds, execute. ``status_after`` is the
    status the approval should have afterwards; None where there is no such approval.
    """

    outcome: Outcome
    reasons: tuple[str, ...]
    rule: str | None
    status_after: Status | None


def guard_release(approval_id: str, approval: Approval | None, action: Action, *, now: Micros) -> Release:
    """May this approval release this action? (§7, in the protocol's order)"""
    if approval is None:
        return Release("deny", (f"unknown approval id {approval_id!r}",), None, None)
    status = approval.status_at(now)
    # 1. The exact action, whatever the status: the confused deputy that swaps in another request.
    # The scheme counts as well [strict]: tool:// and mcp://, or http and https to one loopback port, share
    # a fingerprint.
    if action.fingerprint != approval.action_fingerprint or approval.scheme not in (None, action.scheme):
        return _refuse(
            "approval/action mismatch: this approval was issued for a different action "
            "(possible confused-deputy / substituted action); "
            f"the approval was issued for: {approval.summary}",
            status,
        )
    # 2. The exact instruction: a yes given for one purpose, spent on another.
    if action.intent_hash != approval.intent_hash:
        return _refuse(
            "approval/intent mismatch: this approval was issued for a different instruction; "
            f"the approval was issued for: {approval.instruction!r}",
            status,
        )
    # 3. The status: not yet, no, too late, or already used.
    if status == "approved":
        return Release("allow", (approved_reason(approval),), approval.rule, "consumed")
    if status == "pending":
        return Release("needs_approval", ("awaiting human approval",), approval.rule, status)
    if status == "denied":
        return _refuse("human denied this action", status)
    if status == "expired":
        return _refuse(expired_reason(approval), status)
    return _refuse(ALREADY_USED, status)


ALREADY_USED: Final = "approval already used: this single-use approval has already released its action"


def approved_reason(approval: Approval) -> str:
    """``human approved by 'alice'``; several approvers are joined by commas inside the quotes."""
    return f"human approved by {', '.join(approval.approved_by)!r}"


def expired_reason(approval: Approval) -> str:
    """``approval expired at <ts>``."""
    limit = approval.expired_at
    return "approval expired" if limit is None else f"approval expired at {format_ts(limit)}"


@dataclass(frozen=True, slots=True)
class Vote:
    """What one person's decision does to an approval: the next status, or why it counts for nothing."""

    accepted: bool
    status_after: Status
    approved_by: tuple[str, ...]
    refusal: str | None = None


def guard_decision(
    approval: Approval,
    decision: Literal["approve", "deny"],
    approver: str,
    *,
    now: Micros,
    separate_duties: bool,
) -> Vote:
    """Does this person's decision count, and what follows? (§7.2, §7.3)

    One principal counts once; one deny is final. ``separate_duties``: whoever proposed an action may not
    approve it (but may always deny it).
    """
    status = approval.status_at(now)
    if status != "pending":
        text = expired_reason(approval) if status == "expired" else f"approval is already {status}"
        return Vote(False, status, approval.approved_by, text)
    if decision == "deny":
        return Vote(True, "denied", approval.approved_by)
    if separate_duties and approver == approval.proposer:
        text = f"{approver!r} proposed this action and may not approve it"
        return Vote(False, status, approval.approved_by, text)
    if approver in approval.approved_by:
        return Vote(False, status, approval.approved_by, f"{approver!r} has already approved this action")
    approved_by = (*approval.approved_by, approver)
    done = len(approved_by) >= approval.required_approvers
    return Vote(True, "approved" if done else "pending", approved_by)


def _refuse(reason: str, status: Status) -> Release:
    return Release("deny", (reason,), None, status)
