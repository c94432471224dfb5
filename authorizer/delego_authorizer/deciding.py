"""A person's yes or no on a parked action: who may give it, what it must be signed with, what it changes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal

from delego_authorizer.approvers import wanted_yeses
from delego_authorizer.config import Config
from delego_authorizer.steps import Rules
from delego_authorizer.values import Ballot, HumanDecision
from delego_ledger.contract import Step, Transaction
from delego_spec.action import Action
from delego_spec.approvals import Approval, Vote, guard_decision
from delego_spec.callbacks import (
    CallbackRefusal,
    DecisionCallback,
    VerifiedDecision,
    evidence_digest,
    verify_decision,
)
from delego_spec.canonical import digest
from delego_spec.display import decision_text, display_hash
from delego_spec.receipts import Entry, Outcome
from delego_spec.timestamps import SECOND
from delego_spec.types import Digest, EpochSeconds, Micros

NONCE_SCOPE: Final = "approval"
_FAR: Final = Micros(253_370_764_800 * SECOND)  # the year 9999: where no limit is configured


@dataclass(frozen=True, slots=True)
class DecisionRequest:
    """One person's decision, as it arrived."""

    ballot: Ballot
    decision: Literal["approve", "deny"]
    approver: str
    note: str | None
    callback: DecisionCallback | None


def make_ballot(approval: Approval, action: Action, approver: str) -> Ballot:
    """What ``approver`` decides on.

    The nonce is derived, so that no second store has to remember it: an approval id is random and single-use,
    and each approver gets their own, another one once they have said yes (a no may still follow). Spending it
    is recorded in the ledger.
    """
    text = decision_text(approval, action)
    said_yes = approver in approval.approved_by
    nonce = digest(["delego-approval-nonce-v1", approval.id, approver, said_yes])[:32]
    return Ballot(approval, text, display_hash(text), nonce)


def decide_step(rules: Rules, request: DecisionRequest) -> Step[HumanDecision]:
    """Count a decision, or leave the approval as it was; either way the attempt is recorded (§7.3)."""

    def step(transaction: Transaction) -> HumanDecision:
        approval = transaction.approval(request.ballot.approval.id) or request.ballot.approval
        verified = _verify(rules, request, approval, transaction.now)
        if isinstance(verified, str):
            return _refused(rules, request, approval, transaction, verified)
        # A number that was raised since it was parked holds; who said yes so far is looked at on release.
        judged = replace(approval, required_approvers=wanted_yeses(rules.config, approval))
        vote = guard_decision(
            judged,
            request.decision,
            request.approver,
            now=transaction.now,
            separate_duties=rules.config.separate_duties,
        )
        if not vote.accepted:
            if vote.status_after == "expired" != approval.status:
                transaction.decide(approval, replace(approval, status="expired"))
            return _refused(rules, request, approval, transaction, vote.refusal or "it does not count")
        if verified is not None and not transaction.use_nonce(
            NONCE_SCOPE, request.ballot.nonce, approval.expires_at or _FAR
        ):
            return _refused(rules, request, approval, transaction, "its nonce was used before")
        evidence_hash = None if verified is None else evidence_digest(verified.evidence)
        after = _after(rules.config, request, judged, vote, evidence_hash, transaction.now)
        if not transaction.decide(approval, after):
            return _refused(rules, request, approval, transaction, "the approval changed meanwhile")
        evidence: tuple[str, ...] = ()
        if verified is not None and evidence_hash is not None:
            transaction.put_evidence(evidence_hash, verified.evidence.to_mapping())
            evidence = (f"approval evidence sha256:{evidence_hash}",)
        said = "approved" if request.decision == "approve" else "denied"
        partial = (f"approval {len(after.approved_by)} of {after.required_approvers}",)
        reasons = (
            f"human {said} by {request.approver!r}",
            *(partial if after.status == "pending" else ()),
            *evidence,
            rules.digest_reason,
        )
        outcome: Outcome = "allow" if request.decision == "approve" else "deny"
        receipt = transaction.append(_entry(approval, outcome, reasons))
        return HumanDecision(True, after, None, receipt)

    return step


def _verify(
    rules: Rules, request: DecisionRequest, approval: Approval, now: Micros
) -> VerifiedDecision | str | None:
    """The verified signature, None where none is needed, or why the decision does not count."""
    config, approvers = rules.config, rules.approvers
    if config.approvers and request.approver not in config.approvers:
        return f"{request.approver!r} is not one of the configured approvers"
    if request.callback is None:
        return (
            "it is not signed, and this home accepts signed decisions only"
            if config.signed_approvals
            else None
        )
    limit = approval.expires_at if approval.expires_at is not None else _FAR
    verified = verify_decision(
        request.callback,
        keys=approvers.keys,
        approval_id=approval.id,
        nonce=request.ballot.nonce,
        action_fingerprint=approval.action_fingerprint,
        intent_hash=approval.intent_hash,
        display_hash=request.ballot.display_hash,
        now=now,
        not_after=EpochSeconds(limit // SECOND),
    )
    if isinstance(verified, CallbackRefusal):
        return f"{verified.code}: {verified.message}"
    # A colleague's valid signature under somebody else's name would count twice.
    if approvers.principals.get(verified.kid) != request.approver:
        return f"it is signed with the key of {approvers.principals.get(verified.kid)!r}"
    if (verified.decision, verified.decision_note) != (request.decision, request.note):
        return "its signature is over another decision or note"
    return verified


def _after(
    config: Config,
    request: DecisionRequest,
    approval: Approval,
    vote: Vote,
    evidence_hash: Digest | None,
    now: Micros,
) -> Approval:
    approved = vote.status_after == "approved"
    signed = (evidence_hash,) if evidence_hash is not None and request.decision == "approve" else ()
    return replace(
        approval,
        status=vote.status_after,
        approved_by=vote.approved_by,
        evidence=(*approval.evidence, *signed),
        denied_by=request.approver if vote.status_after == "denied" else None,
        release_by=Micros(now + config.release_window * SECOND) if approved else None,
        decision_note=request.note if request.note is not None else approval.decision_note,
    )


def _refused(
    rules: Rules, request: DecisionRequest, approval: Approval, transaction: Transaction, why: str
) -> HumanDecision:
    reasons = (f"decision by {request.approver!r} refused: {why}", rules.digest_reason)
    receipt = transaction.append(_entry(approval, "deny", reasons))
    return HumanDecision(False, transaction.approval(approval.id) or approval, why, receipt)


def _entry(approval: Approval, outcome: Outcome, reasons: tuple[str, ...]) -> Entry:
    return Entry(
        phase="decision",
        outcome=outcome,
        rule=None,
        reasons=reasons,
        intent_hash=approval.intent_hash,
        action_fingerprint=approval.action_fingerprint,
        action_summary=approval.summary,
        approval_id=approval.id,
    )
