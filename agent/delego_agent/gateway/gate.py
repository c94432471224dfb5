"""Decides a guarded call: proposes it, waits for a person where one is wanted, and has it sent once.

What waits is parked in the ledger before anybody waits for it, so that a gateway that is killed loses
nothing: the same call, made again, meets the same approval.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import msgspec

from delego_agent.gateway.forwarding import ForwardBroker, Forwarding, current
from delego_agent.gateway.naming import Named
from delego_agent.gateway.replies import Refusal
from delego_agent.gateway.wire import Message
from delego_agent.service import LocalService
from delego_authorizer import Config, Decision, DelegoAuthorizerError, Home, Unsettled
from delego_authorizer.brokering import NO_ANSWER
from delego_ledger.errors import DelegoLedgerError
from delego_spec.action import Action
from delego_spec.errors import ActionError, DelegoSpecError
from delego_spec.policy import Policy, load_policy

# The instruction of a call for which nobody gave one. Receipts and approvers see these words.
NO_INSTRUCTION: Final = "(the agent's program gave no instruction)"
NOT_EXECUTED: Final = "broker did not execute: "
POLL: Final = 0.2  # seconds between two looks at a waiting approval
REPORT: Final = 5.0  # seconds between two progress messages while a call is held

Unasked: TypeAlias = Literal["ask", "policy"]
Answer: TypeAlias = Message | Refusal | None  # the server's, the gateway's, or none: the client has left


@dataclass(frozen=True, slots=True)
class GateOptions:
    """What an operator may set."""

    principal: str = "agent"
    hold: float = 300.0  # seconds that a call waits for a person; 0: it comes back at once as pending
    timeout: float = 300.0  # seconds that a server may take for an answer
    unasked: Unasked = "ask"  # what without an instruction would be allowed: a person is asked, or not


@dataclass(slots=True)
class Call:
    """A guarded call while it is decided and sent."""

    named: Named
    forwarding: Forwarding
    instruction: str | None
    report: Callable[[int, str], None]  # tells the client how long it has waited, and for what
    left: threading.Event = field(default_factory=threading.Event)  # the client wants no answer any more


class _Home(Home):
    """A home whose calls may take as long as the gateway says, and whose policy may ask more often."""

    __slots__ = ("asks", "timeout")
    asks: bool
    timeout: float

    def config(self) -> Config:
        return replace(Home.config(self), broker_timeout=self.timeout)

    def policy(self) -> Policy:
        policy = Home.policy(self)
        return _asking(policy) if self.asks else policy


class Gate:
    """Decides calls. Safe for use by many threads."""

    def __init__(self, home: Path, options: GateOptions) -> None:
        """Opens the home. Raises what ``Home.authorizer`` raises."""
        self._options = options
        broker = ForwardBroker()
        self._services: list[LocalService] = []
        try:
            self._decides = self._open(home, broker, asks=False)
            self._asks = self._open(home, broker, asks=True) if options.unasked == "ask" else self._decides
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        for service in self._services:
            service.close()

    def pass_through(self, call: Call) -> Answer:
        """Decide ``call`` and have it sent if it may be. Raises nothing."""
        try:
            action = Action(
                NO_INSTRUCTION if call.instruction is None else call.instruction,
                call.named.method,
                call.named.url,
                call.named.params,
            )
        except ActionError as error:
            return Refusal("denied", (f"cannot be decided: {error}",), advice=_CORRECT)
        service = self._asks if call.instruction is None else self._decides
        token = current.set(call.forwarding)
        try:
            return self._decide(service, action, call)
        except Unsettled as error:
            return Refusal("outcome_unknown", (str(error),))
        except (DelegoSpecError, DelegoAuthorizerError, DelegoLedgerError) as error:
            return Refusal("not_sent", (f"nothing was decided: {error}",))
        finally:
            current.reset(token)

    def _decide(self, service: LocalService, action: Action, call: Call) -> Answer:
        started = time.monotonic()
        reported = -REPORT
        while True:
            decision = service.request(action, self._options.principal)
            if decision.outcome != "needs_approval":
                return _answer(decision, call)
            approval_id = str(decision.approval_id)
            while service.held(approval_id, self._options.principal).status == "pending":
                waited = time.monotonic() - started
                if waited >= self._options.hold:
                    return _pending(decision, call)
                if waited - reported >= REPORT:
                    reported = waited
                    call.report(int(waited), approval_id)
                if call.left.wait(min(POLL, self._options.hold - waited)):
                    return None  # the approval stays: the same call may come again

    def _open(self, path: Path, broker: ForwardBroker, *, asks: bool) -> LocalService:
        home = _Home(path)
        object.__setattr__(home, "asks", asks)
        object.__setattr__(home, "timeout", self._options.timeout)
        service = LocalService(home.authorizer(broker))
        self._services.append(service)
        return service


_CORRECT: Final = "Make another call that avoids what is named above, or ask the person what to do."
_AGAIN: Final = (
    "A person was asked. Do something else, and later make exactly this call again, with the same arguments:"
    " once approved it runs, once. 'delego approve' is for the person, not for you."
)


def _answer(decision: Decision, call: Call) -> Answer:
    ticket = call.forwarding.ticket
    if decision.executed and ticket is not None:
        return ticket.answer if ticket.is_request else None
    approval_id = None if decision.approval_id is None else str(decision.approval_id)
    last = decision.reasons[-1] if decision.reasons else ""
    if decision.executed is None:
        return Refusal("outcome_unknown", (last.removeprefix(NO_ANSWER),), approval_id)
    if last.startswith(NOT_EXECUTED):
        return Refusal("not_sent", (last.removeprefix(NOT_EXECUTED),), approval_id)
    return Refusal("denied", decision.reasons, approval_id, decision.rule, advice=_CORRECT)


def _pending(decision: Decision, call: Call) -> Refusal:
    advice = _AGAIN
    if call.instruction is None:
        advice += " Call delego_begin_task first to say which words of the person your calls serve."
    return Refusal("pending", decision.reasons, str(decision.approval_id), decision.rule, advice)


def _asking(policy: Policy) -> Policy:
    """``policy`` with each allow turned into a question."""
    document: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(policy.document))
    if document.get("default") == "allow":
        document["default"] = "needs_approval"
    for rule in document.get("rules", []):
        if rule.get("decision") == "allow":
            rule["decision"] = "needs_approval"
    return load_policy(msgspec.json.encode(document).decode(), source="policy without an instruction")
