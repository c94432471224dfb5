"""The policy decision point (§2): propose, resolve, the human's decision, recovery.

It never holds a credential and never asks a model. Everything it needs comes in as an argument: ledger,
broker, clock, randomness, keys. ``home.open_home`` wires the usual ones.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final, Literal, TypeAlias

from delego_authorizer.approvers import Approvers
from delego_authorizer.brokering import NO_ANSWER, Attempt, call_broker, in_words
from delego_authorizer.config import Config
from delego_authorizer.deciding import DecisionRequest, decide_step, make_ballot
from delego_authorizer.errors import ApprovalUnknown, Unsettled
from delego_authorizer.owner import is_abandoned, this_process
from delego_authorizer.settling import late_step, recover_step, settle_step
from delego_authorizer.steps import (
    DecisionStep,
    Outcomes,
    Proposal,
    Rules,
    Started,
    check_size,
    is_approval_id,
    propose_step,
    release_step,
)
from delego_authorizer.values import Ballot, Decision, HumanDecision, check_note, check_principal
from delego_authorizer.workers import Workers
from delego_ledger.clock import Clock, system_clock
from delego_ledger.contract import Execution, Ledger
from delego_spec.action import Action
from delego_spec.anchors import Anchor
from delego_spec.approvals import Approval
from delego_spec.callbacks import DecisionCallback
from delego_spec.ed25519 import PublicKey, Signer
from delego_spec.explain import Step, explain
from delego_spec.gateway import Broker, GatewayRequest
from delego_spec.policy import Policy
from delego_spec.timestamps import SECOND
from delego_spec.tokens import Claims, mint
from delego_spec.types import EpochSeconds, JSONObject

Randomness: TypeAlias = Callable[[int], bytes]  # n → n unpredictable bytes

ID_BYTES: Final = 12  # of randomness in an approval's or execution's id
AGENT: Final = "agent"  # the principal of a caller that gives none

_log = logging.getLogger("delego.authorizer")


class Authorizer:
    """Decides, releases and records. Safe for use by many threads, and by many processes on one ledger."""

    def __init__(
        self,
        policy: Policy,
        config: Config,
        ledger: Ledger,
        *,
        broker: Broker | None = None,
        token_signer: Signer | None = None,
        approver_keys: Mapping[str, PublicKey] | None = None,
        clock: Clock = system_clock,
        randomness: Randomness = secrets.token_bytes,
        on_receipt: Callable[[Anchor], None] | None = None,
    ) -> None:
        """``broker``: who executes what is released; None: the caller does. ``token_signer``: signs tokens,
        tokens also need an audience in ``config``. ``approver_keys``: principal → public key.
        ``on_receipt``: told of the newest receipt after each operation; what it raises is logged.

        Raises ValueError when one key is to serve two of ledger, tokens and approvers, CanonicalError when
        policy and configuration are too large to be hashed.
        """
        _check_distinct(ledger.public_key, token_signer, approver_keys or {})
        self._ledger = ledger
        self._broker = broker
        self._token_signer = token_signer
        self._clock = clock
        self._randomness = randomness
        self._on_receipt = on_receipt
        self._workers = Workers()
        approvers = Approvers.of(approver_keys or {})
        self._rules = Rules.of(policy, config, approvers, calls_broker=broker is not None)

    @property
    def policy(self) -> Policy:
        """The policy in force; it is not read again."""
        return self._rules.policy

    @property
    def config(self) -> Config:
        """The configuration in force; it is not read again."""
        return self._rules.config

    @property
    def ledger(self) -> Ledger:
        """Where its receipts and approvals are."""
        return self._ledger

    # --- the agent's side -------------------------------------------------------------------------------

    def propose(self, action: Action, principal: str = AGENT) -> Decision:
        """Decide one action and, where it is allowed, release it once.

        Raises StorageError where nothing could be recorded (then nothing was released either), Unsettled
        where the broker was called and its result could not be recorded, ActionTooLarge, PrincipalError.
        """
        return self.propose_many([action], principal)[0]

    def propose_many(self, actions: Sequence[Action], principal: str = AGENT) -> list[Decision]:
        """Decide several actions, in order, in one durable commit; then execute those that are allowed.

        Each counts against the rate limits of those before it. Raises as ``propose``, ActionTooLarge before
        anything is decided; if one execution raises, the ones behind it are not sent, and ``recover``
        settles them.
        """
        proposals = self._proposals(actions, principal)
        steps: list[DecisionStep] = [propose_step(self._rules, proposal) for proposal in proposals]
        outcomes = self._ledger.submit(steps)
        return [self._finish(*pair) for pair in zip(outcomes, proposals, strict=True)]

    def resolve(self, approval_id: str, action: Action, principal: str = AGENT) -> Decision:
        """Release the action that a human approved: exactly this one, once (§7). Raises as ``propose``."""
        proposal = self._proposals([action], principal)[0]
        outcome = self._ledger.submit([release_step(self._rules, proposal, approval_id)])[0]
        return self._finish(outcome, proposal)

    def explain(self, action: Action) -> tuple[Step, ...]:
        """Why the policy would decide as it does now, rule by rule, rate limits included. Changes nothing.

        Hazards are not part of a policy. Raises StorageError.
        """
        with self._ledger.transaction() as transaction:
            return explain(self._rules.policy, action, now=transaction.now, counts=transaction)

    # --- the human's side -------------------------------------------------------------------------------

    def pending(self) -> tuple[Approval, ...]:
        """The approvals that wait for a decision, oldest first."""
        now = self._clock()
        waiting = self._ledger.approvals("pending")
        return tuple(approval for approval in waiting if approval.status_at(now) == "pending")

    def ballot(self, approval_id: str, approver: str) -> Ballot:
        """What ``approver`` is asked, with all that their signature must cover.

        Raises ApprovalUnknown, PrincipalError, StorageError.
        """
        check_principal(approver)
        known = is_approval_id(approval_id)
        approval = self._ledger.approval(approval_id) if known else None
        action = self._ledger.parked_action(approval_id) if known else None
        if approval is None or action is None:
            raise ApprovalUnknown(approval_id)
        return make_ballot(approval, action, approver)

    def decide(
        self,
        approval_id: str,
        decision: Literal["approve", "deny"],
        approver: str,
        *,
        note: str | None = None,
        callback: DecisionCallback | None = None,
    ) -> HumanDecision:
        """Count a person's decision (§7.2, §7.3). ``callback``: signed over this approver's ``ballot``.

        What does not count leaves the approval as it was, is recorded, and is a value (``accepted``).
        Raises ApprovalUnknown, PrincipalError, NoteError, StorageError.
        """
        if decision not in ("approve", "deny"):
            raise ValueError("decision must be 'approve' or 'deny'")
        check_note(note)
        request = DecisionRequest(self.ballot(approval_id, approver), decision, approver, note, callback)
        outcome = self._ledger.submit([decide_step(self._rules, request)])[0]
        self._tell(outcome.receipt)
        return outcome

    # --- after a crash ----------------------------------------------------------------------------------

    def recover(self) -> tuple[Execution, ...]:
        """Settle executions that nobody will settle any more as "outcome unknown"; returns them.

        None is sent again. Those of a live process before its deadline are left alone.
        """
        now = self._clock()
        candidates = tuple(one for one in self._ledger.executions() if is_abandoned(one, now))
        if not candidates:
            return ()
        settled = self._ledger.submit([recover_step(candidates)])[0]
        self._tell(self._ledger.head())
        return settled

    # --- inside -----------------------------------------------------------------------------------------

    def _proposals(self, actions: Sequence[Action], principal: str) -> list[Proposal]:
        context: JSONObject = {"principal": check_principal(principal)}
        owner = this_process()  # asked each time: a fork is another process
        ids = self._randomness(ID_BYTES * len(actions)).hex()
        proposals = []
        for place, action in enumerate(actions):
            check_size(action)
            new_id = ids[2 * ID_BYTES * place : 2 * ID_BYTES * (place + 1)]
            proposals.append(Proposal(action, principal, new_id, context, owner, place))
        return proposals

    def _finish(self, outcome: Outcomes, proposal: Proposal) -> Decision:
        if isinstance(outcome, Started):
            decision = self._execute(outcome, proposal)
        elif outcome.allowed:
            token, problem = self._mint(proposal, outcome.rule, outcome.approval_id)
            decision = replace(outcome, token=token, reasons=(*outcome.reasons, *problem))
        else:
            decision = outcome
        self._tell(decision.receipt)
        return decision

    def _execute(self, started: Started, proposal: Proposal) -> Decision:
        """Call the broker for a started execution, and settle it: the write-ahead receipt is durable now."""
        execution = started.execution
        token, problem = self._mint(proposal, execution.rule, execution.approval_id)
        assert self._broker is not None  # noqa: S101 - `Started` only comes from rules that call a broker
        settling = threading.Lock()  # held until the outcome is recorded: a late answer comes after that

        def record_late(attempt: Attempt) -> None:
            with settling:
                self._record_late(execution, attempt)

        with settling:
            try:
                if problem:
                    attempt = Attempt("refused", f"broker did not execute: {problem[0]}")
                else:
                    request = GatewayRequest.of(started.action, token)
                    timeout = self._rules.config.broker_timeout
                    attempt = call_broker(self._broker, request, timeout, self._workers, record_late)
            except BaseException:
                self._settle(
                    execution, Attempt("unknown", f"{NO_ANSWER}interrupted while the broker was called")
                )
                raise
            receipt = self._settle(execution, attempt)
        return Decision(
            outcome="deny" if attempt.kind == "refused" else "allow",
            rule=execution.rule,
            reasons=(*execution.reasons, attempt.reason),
            intent_hash=execution.intent_hash,
            action_fingerprint=execution.action_fingerprint,
            approval_id=execution.approval_id,
            executed=None if attempt.kind == "unknown" else attempt.kind == "executed",
            result=attempt.result,
            token=token if attempt.kind == "released" else None,
            receipt=receipt,
        )

    def _settle(self, execution: Execution, attempt: Attempt) -> Anchor:
        try:
            return self._ledger.submit([settle_step(execution, attempt, self._rules.digest_reason)])[0]
        except Exception as error:  # a signer may be a device, and fail in its own way
            raise Unsettled(execution.id, attempt.outcome, error) from error

    def _record_late(self, execution: Execution, attempt: Attempt) -> None:
        try:
            self._tell(self._ledger.submit([late_step(execution, attempt, self._rules.digest_reason)])[0])
        except Exception as error:  # noqa: BLE001 - nobody waits for this thread; recovery does the rest
            _log.warning("a late result of %s could not be recorded: %s", execution.id, in_words(error))

    def _mint(
        self, proposal: Proposal, rule: str | None, approval_id: str | None
    ) -> tuple[str | None, tuple[str, ...]]:
        """A token for a released action (§9), or None and why there is none although there should be."""
        config, signer, action = self._rules.config, self._token_signer, proposal.action
        if signer is None or config.audience is None:
            return None, ()
        issued = self._clock() // SECOND
        claims = Claims(
            iss=config.issuer,
            aud=config.audience,
            iat=EpochSeconds(issued),
            exp=EpochSeconds(issued + config.token_lifetime),
            jti=self._randomness(16).hex(),
            cns=self._randomness(16).hex(),
            fpr=action.fingerprint,
            iht=action.intent_hash,
            apr=approval_id,
            sub=proposal.principal,
            pol=(self._rules.policy.version, rule),
        )
        try:
            return mint(claims, signer), ()
        except Exception as error:  # noqa: BLE001 - a signer may be a device; without a token nothing is sent
            return None, (f"no token could be minted: {in_words(error)}",)

    def _tell(self, receipt: Anchor | None) -> None:
        if receipt is None or self._on_receipt is None:
            return
        try:
            self._on_receipt(receipt)
        except Exception:  # noqa: BLE001 - what was decided and done is not to be lost over it
            _log.exception("what is to be told of each receipt failed at %s", receipt.short)


def _check_distinct(
    ledger: PublicKey, token_signer: Signer | None, approvers: Mapping[str, PublicKey]
) -> None:
    """One key, one role: else the holder of the ledger's key could say yes, or one person count as two."""
    tokens = () if token_signer is None else (("the tokens", token_signer.public_key),)
    roles: dict[PublicKey, str] = {ledger: "the ledger"}
    for role, key in (*tokens, *((f"the approver {name!r}", key) for name, key in approvers.items())):
        if key in roles:
            raise ValueError(f"{roles[key]} and {role} have the same key; each needs its own")
        roles[key] = role
