"""Steps that end an execution: its result, a result that came too late, and recovery after a crash (§8)."""

from __future__ import annotations

from delego_authorizer.brokering import NO_ANSWER, Attempt
from delego_authorizer.owner import is_abandoned
from delego_ledger.contract import Execution, Step, Transaction
from delego_spec.anchors import Anchor
from delego_spec.receipts import Entry, Outcome, Phase

GONE = f"{NO_ANSWER}the process that called the broker ended before it recorded a result"
OVERDUE = f"{NO_ANSWER}no result was recorded by the deadline"


def settle_step(execution: Execution, attempt: Attempt, digest_reason: str) -> Step[Anchor]:
    """Record what the broker call came to. ``digest_reason``: the policy digest, as a receipt names it.

    Refused or surely not sent is execution/deny. All else is execution/allow and counts for rate limits,
    "outcome unknown" too: it was released and may have happened.
    """

    def step(transaction: Transaction) -> Anchor:
        if not transaction.settle_execution(execution.id):
            return transaction.append(_late(execution, attempt, digest_reason))
        outcome: Outcome = "deny" if attempt.kind == "refused" else "allow"
        return transaction.append(_result(execution, outcome, attempt.reason))

    return step


def late_step(execution: Execution, attempt: Attempt, digest_reason: str) -> Step[Anchor | None]:
    """Record an answer that came after its caller gave up. It changes nothing (an allow stays counted)."""

    def step(transaction: Transaction) -> Anchor | None:
        if transaction.settle_execution(execution.id):  # the caller gave up, and could not record even that
            return transaction.append(_result(execution, "allow", f"{OVERDUE}; {attempt.reason}"))
        return transaction.append(_late(execution, attempt, digest_reason))

    return step


def recover_step(candidates: tuple[Execution, ...]) -> Step[tuple[Execution, ...]]:
    """Settle abandoned executions as "outcome unknown"; returns those this step settled. Nothing is sent."""

    def step(transaction: Transaction) -> tuple[Execution, ...]:
        settled = []
        for execution in candidates:
            overdue = transaction.now >= execution.deadline
            if is_abandoned(execution, transaction.now) and transaction.settle_execution(execution.id):
                transaction.append(_result(execution, "allow", OVERDUE if overdue else GONE))
                settled.append(execution)
        return tuple(settled)

    return step


def _result(execution: Execution, outcome: Outcome, reason: str) -> Entry:
    return _entry(execution, "execution", outcome, execution.rule, (*execution.reasons, reason))


def _late(execution: Execution, attempt: Attempt, digest_reason: str) -> Entry:
    # A decision receipt without a rule: neither a rate limit nor an auditor counts it as a second execution.
    reason = f"late result, already recorded as outcome unknown; nothing was changed: {attempt.reason}"
    return _entry(execution, "decision", "allow", None, (reason, digest_reason))


def _entry(
    execution: Execution, phase: Phase, outcome: Outcome, rule: str | None, reasons: tuple[str, ...]
) -> Entry:
    return Entry(
        phase=phase,
        outcome=outcome,
        rule=rule,
        reasons=reasons,
        intent_hash=execution.intent_hash,
        action_fingerprint=execution.action_fingerprint,
        action_summary=execution.action_summary,
        approval_id=execution.approval_id,
    )
