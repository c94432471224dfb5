"""The engine's decisions, each a function of one transaction: no clock, no broker, no randomness.

A step may be run again after a rollback, and several may share one durable commit (``contract.Step``).
What a step returns is either a finished ``Decision`` or ``Started``: an execution whose write-ahead receipt
is in the ledger, so that the broker may be called once the transaction is durable.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import msgspec

from delego_authorizer.config import Config
from delego_authorizer.errors import ActionTooLarge
from delego_authorizer.values import Decision
from delego_ledger.contract import Execution, Owner, Transaction
from delego_spec.action import Action
from delego_spec.anchors import Anchor
from delego_spec.approvals import ALREADY_USED, Approval, guard_release
from delego_spec.constraints import Facts, RateLimit
from delego_spec.evaluate import evaluate
from delego_spec.hazards import Hazard, find_hazards
from delego_spec.policy import Policy
from delego_spec.receipts import MAX_PAYLOAD_BYTES, Entry, Outcome, Phase
from delego_spec.timestamps import SECOND
from delego_spec.types import ApprovalId, JSONObject, Micros

MAX_ENTRY: Final = MAX_PAYLOAD_BYTES - 8192  # bytes of summary and reasons; the rest fits beside them
CUT: Final = 2000  # characters of a reason in a refusal that would not fit otherwise
GRACE: Final = 30  # seconds behind the broker's time-out before others may call an outcome unknown
RELEASED: Final = "released to the caller: this authorizer calls no broker"

_APPROVAL_ID: Final = re.compile(r"[A-Za-z0-9_.-]{1,80}")


@dataclass(frozen=True, slots=True)
class Rules:
    """All that a decision depends on beside the ledger, fixed for the life of an authorizer."""

    policy: Policy
    config: Config
    digest_reason: str  # "policy sha256:…", the last reason of every decision receipt
    owner: Owner
    calls_broker: bool  # False: released actions are executed by the caller


@dataclass(frozen=True, slots=True)
class Proposal:
    """One action on its way through the engine, with the ids it will get if it needs them."""

    action: Action
    principal: str
    new_id: str  # of an approval or of an execution
    context: JSONObject  # unsigned correlation data for the receipts (§8.4)


@dataclass(frozen=True, slots=True)
class Started:
    """A released action, durable in the ledger as in flight."""

    execution: Execution
    rule: str | None


Outcomes: TypeAlias = Decision | Started
DecisionStep: TypeAlias = Callable[[Transaction], Outcomes]


def propose_step(rules: Rules, proposal: Proposal) -> DecisionStep:
    """Decide a proposed action (§6) and write down what follows."""
    action = proposal.action
    hazards = find_hazards(action, plain_http_hosts=rules.config.plain_http_hosts)

    def step(transaction: Transaction) -> Outcomes:
        if hazards:
            return _deny(rules, proposal, transaction, "decision", _hazard_reasons(hazards))
        verdict = evaluate(rules.policy, action, now=transaction.now, counts=transaction)
        if verdict.outcome == "deny":
            return _deny(rules, proposal, transaction, "decision", verdict.reasons, rule=verdict.rule)
        if verdict.outcome == "needs_approval":
            return _park(rules, proposal, transaction, verdict.rule, verdict.reasons)
        return _start(rules, proposal, transaction, verdict.rule, verdict.reasons, approval_id=None)

    return step


def release_step(rules: Rules, proposal: Proposal, approval_id: str) -> DecisionStep:
    """Release a parked action if the guards of §7 allow it: consume the approval, and start."""
    action = proposal.action
    # What is no id of ours is quoted in the reason, cut, and not repeated in the receipt's own field.
    known_form = _APPROVAL_ID.fullmatch(approval_id) is not None
    approval_id = approval_id if known_form else approval_id[:80]
    written_id = approval_id if known_form else None
    # The scheme is outside the fingerprint: without this look, a yes to https would release plain http.
    hazards = find_hazards(action, plain_http_hosts=rules.config.plain_http_hosts)

    def step(transaction: Transaction) -> Outcomes:
        approval = transaction.approval(approval_id)
        release = guard_release(approval_id, approval, action, now=transaction.now)
        if approval is not None and release.status_after == "expired" != approval.status:
            transaction.decide(approval, replace(approval, status="expired"))
        refusal = release.reasons if release.outcome == "deny" else ()
        if not refusal and hazards:
            refusal = _hazard_reasons(hazards)
        if not refusal and release.outcome == "allow":
            refusal = _spent_limit(rules.policy, release.rule, action, transaction)
        if not refusal and release.outcome == "needs_approval":
            return _decision(
                proposal, "needs_approval", release.rule, release.reasons, approval_id=approval_id
            )
        # P3: of several that got this far, the compare-and-set lets one through.
        if not refusal and not (approval is not None and transaction.consume(approval)):
            refusal = (ALREADY_USED,)
        if refusal:
            return _deny(rules, proposal, transaction, "execution", refusal, approval_id=written_id)
        return _start(rules, proposal, transaction, release.rule, release.reasons, approval_id=approval_id)

    return step


def _hazard_reasons(hazards: tuple[Hazard, ...]) -> tuple[str, ...]:
    return tuple(hazard.reason for hazard in hazards)


def _spent_limit(
    policy: Policy, rule: str | None, action: Action, transaction: Transaction
) -> tuple[str, ...]:
    """[strict] A rate limit holds for releases too: of many actions parked while it was free, few may go."""
    for candidate in policy.rules:
        if candidate.name == rule:
            facts = Facts(action.params, candidate.name, transaction.now, transaction)
            limits = [limit.check(facts) for limit in candidate.constraints if isinstance(limit, RateLimit)]
            return tuple(finding.reason for finding in limits if not finding.holds)
    return ()


def _park(
    rules: Rules, proposal: Proposal, transaction: Transaction, rule: str | None, reasons: tuple[str, ...]
) -> Decision:
    action, config = proposal.action, rules.config
    approval_id = ApprovalId(f"apr_{proposal.new_id}")
    descriptions = {candidate.name: candidate.description for candidate in rules.policy.rules}
    approval = Approval(
        id=approval_id,
        status="pending",
        action_fingerprint=action.fingerprint,
        intent_hash=action.intent_hash,
        instruction=action.instruction,
        summary=action.summary,
        rule=rule,
        proposer=proposal.principal,
        created_at=transaction.now,
        scheme=action.scheme,
        expires_at=Micros(transaction.now + config.approval_lifetime * SECOND),
        required_approvers=config.required_approvers,
        routing_group=config.routing_group,
        reason=descriptions.get(rule or "") or "; ".join(reasons),
    )
    transaction.park(approval, action)
    receipt = transaction.append(
        _entry(action, "decision", "needs_approval", rule, (*reasons, rules.digest_reason), approval_id),
        context=proposal.context,
    )
    return _decision(proposal, "needs_approval", rule, reasons, approval_id=approval_id, receipt=receipt)


def _deny(
    rules: Rules,
    proposal: Proposal,
    transaction: Transaction,
    phase: Phase,
    reasons: tuple[str, ...],
    *,
    rule: str | None = None,
    approval_id: str | None = None,
) -> Decision:
    if not _fits(proposal.action.summary, reasons):  # a refusal is worth a receipt, with its words cut
        reasons = tuple(reason if len(reason) <= CUT else f"{reason[:CUT]}…" for reason in reasons)
    written = (*reasons, rules.digest_reason) if phase == "decision" else reasons
    receipt = transaction.append(
        _entry(proposal.action, phase, "deny", rule, written, approval_id), context=proposal.context
    )
    return _decision(proposal, "deny", rule, reasons, approval_id=approval_id, receipt=receipt)


def _start(
    rules: Rules,
    proposal: Proposal,
    transaction: Transaction,
    rule: str | None,
    reasons: tuple[str, ...],
    *,
    approval_id: str | None,
) -> Outcomes:
    """Write ahead (§8): no effect without an earlier durable receipt."""
    action = proposal.action
    why = "the default" if rule is None else f"rule {rule!r}"
    written = (f"authorized by {why}; execution follows", rules.digest_reason)
    transaction.append(
        _entry(action, "decision", "allow", None, written, approval_id), context=proposal.context
    )
    if not rules.calls_broker:
        done = (*reasons, RELEASED)
        receipt = transaction.append(_entry(action, "execution", "allow", rule, done, approval_id))
        return _decision(proposal, "allow", rule, done, approval_id=approval_id, receipt=receipt)
    if not _fits(action.summary, reasons):  # or its result could not be recorded once it has happened
        raise ActionTooLarge(_size(action.summary, reasons), MAX_ENTRY)
    patience = int((rules.config.broker_timeout + GRACE) * SECOND)
    execution = Execution(
        id=f"exe_{proposal.new_id}",
        rule=rule,
        reasons=reasons,
        intent_hash=action.intent_hash,
        action_fingerprint=action.fingerprint,
        action_summary=action.summary,
        approval_id=None if approval_id is None else ApprovalId(approval_id),
        owner=rules.owner,
        started_at=transaction.now,
        deadline=Micros(transaction.now + patience),
    )
    transaction.start_execution(execution)
    return Started(execution, rule)


def _entry(
    action: Action,
    phase: Phase,
    outcome: Outcome,
    rule: str | None,
    reasons: tuple[str, ...],
    approval_id: str | None,
) -> Entry:
    if not _fits(action.summary, reasons):
        raise ActionTooLarge(_size(action.summary, reasons), MAX_ENTRY)
    return Entry(
        phase=phase,
        outcome=outcome,
        rule=rule,
        reasons=reasons,
        intent_hash=action.intent_hash,
        action_fingerprint=action.fingerprint,
        action_summary=action.summary,
        approval_id=None if approval_id is None else ApprovalId(approval_id),
    )


def _fits(summary: str, reasons: tuple[str, ...]) -> bool:
    # A character takes six bytes at most, as an escape: nearly every action is judged by its length alone.
    characters = len(summary) + sum(map(len, reasons))
    return characters * 6 <= MAX_ENTRY or _size(summary, reasons) <= MAX_ENTRY


def _size(summary: str, reasons: tuple[str, ...]) -> int:
    return len(msgspec.json.encode((summary, reasons)))


def _decision(
    proposal: Proposal,
    outcome: Outcome,
    rule: str | None,
    reasons: tuple[str, ...],
    *,
    approval_id: str | None,
    receipt: Anchor | None = None,
) -> Decision:
    action = proposal.action
    return Decision(
        outcome=outcome,
        rule=rule,
        reasons=reasons,
        intent_hash=action.intent_hash,
        action_fingerprint=action.fingerprint,
        approval_id=None if approval_id is None else ApprovalId(approval_id),
        receipt=receipt,
    )
