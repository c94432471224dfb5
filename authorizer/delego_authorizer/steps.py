"""The engine's decisions, each a function of one transaction: no clock, no broker, no randomness.

A step may be run again after a rollback, and several may share one durable commit (``contract.Step``); it
raises nothing of its own, so that one action never undoes or hides the decisions beside it. What it returns
is either a finished ``Decision`` or ``Started``: an execution whose write-ahead receipt is in the ledger, so
that the broker may be called once the transaction is durable.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import msgspec

from delego_authorizer.approvers import Approvers, may_approve, wanted_yeses
from delego_authorizer.config import Config
from delego_authorizer.errors import ActionTooLarge
from delego_authorizer.values import Decision
from delego_ledger.contract import Execution, Owner, Transaction
from delego_spec.action import Action
from delego_spec.anchors import Anchor
from delego_spec.approvals import ALREADY_USED, Approval, guard_release
from delego_spec.constraints import Facts, RateLimit
from delego_spec.evaluate import evaluate, forbidden_verdict
from delego_spec.hazards import Hazard, find_hazards
from delego_spec.policy import Policy, Rule, policy_digest
from delego_spec.receipts import MAX_PAYLOAD_BYTES, Entry, Outcome, Phase
from delego_spec.timestamps import SECOND
from delego_spec.types import ApprovalId, JSONObject, Micros

# Bytes of a payload as JSON: an action, the reasons, and 8 KiB for all that stands beside them.
MAX_SUMMARY: Final = MAX_PAYLOAD_BYTES - 64 * 1024
MAX_REASONS: Final = 56 * 1024
ESCAPED: Final = 6  # bytes that one character takes at most
GRACE: Final = 30  # seconds behind the broker's time-out before others may call an outcome unknown
CHANGED: Final = "the action was changed after it was made: its params are not those of its fingerprint"
TOO_LONG: Final = "the reasons do not fit into a receipt; send large content by reference"
RELEASED: Final = "released to the caller: this authorizer calls no broker"

_APPROVAL_ID: Final = re.compile(r"[A-Za-z0-9_.-]{1,80}")


@dataclass(frozen=True, slots=True)
class Rules:
    """All that a decision depends on beside the ledger, fixed for the life of an authorizer."""

    policy: Policy
    config: Config
    digest_reason: str  # "policy sha256:…", the last reason of every decision receipt
    calls_broker: bool  # False: released actions are executed by the caller
    rules: Mapping[str, Rule]  # of the policy, by name
    approvers: Approvers

    @classmethod
    def of(cls, policy: Policy, config: Config, approvers: Approvers, *, calls_broker: bool) -> Rules:
        """Raises CanonicalError when policy and configuration are too large to be hashed."""
        digest = policy_digest(policy.document, config.decision_document)
        named = {rule.name: rule for rule in policy.rules}
        return cls(policy, config, f"policy sha256:{digest}", calls_broker, named, approvers)


@dataclass(frozen=True, slots=True)
class Proposal:
    """One action on its way through the engine, with the ids it will get if it needs them."""

    action: Action
    principal: str
    new_id: str  # of an approval or of an execution
    context: JSONObject  # unsigned correlation data for the receipts (§8.4)
    owner: Owner  # the process that will call the broker
    place: int  # how many of its batch may be executed before it


@dataclass(frozen=True, slots=True)
class Started:
    """A released action, durable in the ledger as in flight."""

    execution: Execution
    action: Action  # a copy that the caller cannot change any more: what is sent is what was decided


Outcomes: TypeAlias = Decision | Started
DecisionStep: TypeAlias = Callable[[Transaction], Outcomes]


def propose_step(rules: Rules, proposal: Proposal) -> DecisionStep:
    """Decide a proposed action (§6) and write down what follows."""
    action = proposal.action
    hazards = find_hazards(action, plain_http_hosts=rules.config.plain_http_hosts)

    def step(transaction: Transaction) -> Outcomes:
        if hazards:
            return _deny(rules, proposal, transaction, "decision", _hazard_reasons(hazards))
        counts = _CountedOnce(transaction)
        verdict = evaluate(rules.policy, action, now=transaction.now, counts=counts)
        if verdict.outcome == "deny":
            return _deny(rules, proposal, transaction, "decision", verdict.reasons, rule=verdict.rule)
        # What is not denied is judged once more, as a copy: while the policy looked at one parameter after
        # the other, another thread could have changed those of the action.
        copy = action.private_copy()
        if copy is None:
            return _deny(rules, proposal, transaction, "decision", (CHANGED,))
        verdict = evaluate(rules.policy, copy, now=transaction.now, counts=counts)
        if verdict.outcome == "deny":
            return _deny(rules, proposal, transaction, "decision", verdict.reasons, rule=verdict.rule)
        if not _fits(verdict.reasons):
            return _deny(rules, proposal, transaction, "decision", (TOO_LONG,), rule=verdict.rule)
        if verdict.outcome == "needs_approval":
            return _park(rules, proposal, copy, transaction, verdict.rule, verdict.reasons)
        return _start(rules, proposal, copy, transaction, verdict.rule, verdict.reasons, approval_id=None)

    return step


class _CountedOnce:
    """A transaction's counts, for judging twice in one step: nothing can change them in between."""

    __slots__ = ("_found", "_transaction")

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        self._found: dict[tuple[str, Micros], int] = {}

    def count_allows(self, rule: str, since: Micros) -> int:
        key = (rule, since)
        if key not in self._found:
            self._found[key] = self._transaction.count_allows(rule, since)
        return self._found[key]


def release_step(rules: Rules, proposal: Proposal, approval_id: str) -> DecisionStep:
    """Release a parked action if the guards of §7 allow it: consume the approval, and start."""
    action = proposal.action
    # What is no id of ours is quoted in the reason, cut, and looked up nowhere.
    known_form = is_approval_id(approval_id)
    approval_id = approval_id if known_form else approval_id[:80]
    written_id = approval_id if known_form else None
    # The scheme is outside the fingerprint: without this look, a yes to https would release plain http.
    hazards = find_hazards(action, plain_http_hosts=rules.config.plain_http_hosts)
    copy = action.private_copy()

    def step(transaction: Transaction) -> Outcomes:
        approval = transaction.approval(approval_id) if known_form else None
        release = guard_release(approval_id, approval, action, now=transaction.now)
        if approval is not None and release.status_after == "expired" != approval.status:
            transaction.decide(approval, replace(approval, status="expired"))
        refusal = release.reasons if release.outcome == "deny" else ()
        if not refusal and hazards:
            refusal = _hazard_reasons(hazards)
        if not refusal and copy is None:
            refusal = (CHANGED,)
        if not refusal and release.outcome == "allow" and approval is not None:
            refusal = _objections(rules, approval, action, transaction)
        if not refusal and release.outcome == "needs_approval":
            return _decision(
                proposal, "needs_approval", release.rule, release.reasons, approval_id=approval_id
            )
        # P3: of several that got this far, the compare-and-set lets one through.
        if not refusal and not (approval is not None and transaction.consume(approval)):
            refusal = (ALREADY_USED,)
        if refusal or copy is None:
            return _deny(rules, proposal, transaction, "execution", refusal, approval_id=written_id)
        return _start(
            rules, proposal, copy, transaction, release.rule, release.reasons, approval_id=approval_id
        )

    return step


def _hazard_reasons(hazards: tuple[Hazard, ...]) -> tuple[str, ...]:
    return tuple(hazard.reason for hazard in hazards)


def _objections(
    rules: Rules, approval: Approval, action: Action, transaction: Transaction
) -> tuple[str, ...]:
    """[strict] What stands against a release beside the guards of §7; the approval stays as it is."""
    # What was forbidden since the yes: the operator's emergency brake reaches parked actions, too.
    forbidden = rules.policy.forbidden_index.first(action.method, action.host, action.path)
    if forbidden is not None:
        return forbidden_verdict(forbidden).reasons
    if rules.config.signed_approvals:
        unsigned = rules.approvers.unsigned(approval, rules.config, transaction)
        if unsigned is not None:
            return (f"approval is not signed as it must be: {unsigned}",)
    # A yes counts under the configuration of the moment: an approver may have been taken off the list since,
    # or a second one be wanted.
    count = len(may_approve(rules.config, approval, approval.approved_by))
    wanted = wanted_yeses(rules.config, approval)
    if count < wanted:
        return (f"approval has {count} of {wanted} approvers that the configuration now asks for",)
    # A rate limit holds for releases, too: of many actions parked while it was free, few may go.
    rule = None if approval.rule is None else rules.rules.get(approval.rule)
    if rule is None:
        return ()
    facts = Facts(action.params, rule.name, transaction.now, transaction)
    limits = [limit.check(facts) for limit in rule.constraints if isinstance(limit, RateLimit)]
    return tuple(finding.reason for finding in limits if not finding.holds)


def _park(
    rules: Rules,
    proposal: Proposal,
    action: Action,
    transaction: Transaction,
    rule: str | None,
    reasons: tuple[str, ...],
) -> Decision:
    config = rules.config
    approval_id = ApprovalId(f"apr_{proposal.new_id}")
    description = None if rule is None or rule not in rules.rules else rules.rules[rule].description
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
        reason=description or "; ".join(reasons),
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
    if not _fits(reasons):  # a refusal is worth a receipt, with its words cut
        cut = MAX_REASONS // (ESCAPED * len(reasons)) - 1
        reasons = tuple(reason if len(reason) <= cut else f"{reason[:cut]}…" for reason in reasons)
    written = (*reasons, rules.digest_reason) if phase == "decision" else reasons
    receipt = transaction.append(
        _entry(proposal.action, phase, "deny", rule, written, approval_id), context=proposal.context
    )
    return _decision(proposal, "deny", rule, reasons, approval_id=approval_id, receipt=receipt)


def _start(
    rules: Rules,
    proposal: Proposal,
    action: Action,
    transaction: Transaction,
    rule: str | None,
    reasons: tuple[str, ...],
    *,
    approval_id: str | None,
) -> Outcomes:
    """Write ahead (§8): no effect without an earlier durable receipt."""
    why = "the default" if rule is None else f"rule {rule!r}"
    written = (f"authorized by {why}; execution follows", rules.digest_reason)
    transaction.append(
        _entry(action, "decision", "allow", None, written, approval_id), context=proposal.context
    )
    if not rules.calls_broker:
        done = (*reasons, RELEASED)
        receipt = transaction.append(_entry(action, "execution", "allow", rule, done, approval_id))
        return _decision(proposal, "allow", rule, done, approval_id=approval_id, receipt=receipt)
    # Each call before it in its batch may take the whole time-out.
    patience = int((rules.config.broker_timeout * (proposal.place + 1) + GRACE) * SECOND)
    execution = Execution(
        id=f"exe_{proposal.new_id}",
        rule=rule,
        reasons=reasons,
        intent_hash=action.intent_hash,
        action_fingerprint=action.fingerprint,
        action_summary=action.summary,
        approval_id=None if approval_id is None else ApprovalId(approval_id),
        owner=proposal.owner,
        started_at=transaction.now,
        deadline=Micros(transaction.now + patience),
    )
    transaction.start_execution(execution)
    return Started(execution, action)


def _entry(
    action: Action,
    phase: Phase,
    outcome: Outcome,
    rule: str | None,
    reasons: tuple[str, ...],
    approval_id: str | None,
) -> Entry:
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


def is_approval_id(text: str) -> bool:
    """True for what may be looked up: some text is not even stored, and much would not fit a receipt."""
    return _APPROVAL_ID.fullmatch(text) is not None


def check_size(action: Action) -> None:
    """Raises ActionTooLarge for an action that leaves a receipt no room for reasons."""
    if len(action.summary) * ESCAPED > MAX_SUMMARY:  # nearly every action is judged by its length alone
        size = len(msgspec.json.encode(action.summary))
        if size > MAX_SUMMARY:
            raise ActionTooLarge(size, MAX_SUMMARY)


def _fits(reasons: tuple[str, ...]) -> bool:
    return sum(map(len, reasons)) * ESCAPED <= MAX_REASONS or len(msgspec.json.encode(reasons)) <= MAX_REASONS


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
