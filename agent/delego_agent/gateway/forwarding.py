"""The gateway's broker: executing a decided call is sending it to its server, once.

The authorizer calls ``begin`` after the write-ahead receipt is durable, in the thread that proposed: from its
context the broker knows which message it is to send. A late answer is waited for a little longer than the
authorizer waits, so that it still leaves its receipt.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextvars import ContextVar
from typing import Final, overload

from delego_agent.errors import DelegoAgentError
from delego_agent.gateway.downstream import Ticket
from delego_agent.gateway.wire import Message
from delego_spec.canonical import digest
from delego_spec.errors import CanonicalError
from delego_spec.gateway import BrokerOutcome, Executed, GatewayRequest, NotSent
from delego_spec.types import JSON

LATE: Final = 60.0  # seconds for which a late answer is still waited for


class Forwarding:
    """One guarded message: how it is sent, and the ticket it got once it was."""

    def __init__(self, send: Callable[[], Ticket]) -> None:
        self._send = send
        self.ticket: Ticket | None = None

    def send(self) -> Ticket:
        """Raises what sending it raises, and NotSent for a second time: one decision sends one message."""
        if self.ticket is not None:
            raise NotSent("this message was sent already")
        self.ticket = self._send()
        return self.ticket


def sent_with_others() -> Ticket:
    """Of one thing among those that a single message names: it is sent once all of them are decided."""
    ticket = Ticket({"jsonrpc": "2.0", "method": "subscriptions/listen"})
    ticket.begin()
    ticket.finish()
    return ticket


current: Final[ContextVar[Forwarding | None]] = ContextVar("delego_forwarding", default=None)


class ForwardBroker:
    """Sends the message of the current context."""

    def begin(self, request: GatewayRequest) -> _Sent:  # noqa: ARG002 - the message is in the context
        """As ``delego_authorizer.brokering.SendingBroker`` says."""
        forwarding = current.get()
        if forwarding is None:
            raise NotSent("no message belongs to this action")
        try:
            return _Sent(forwarding.send())
        except DelegoAgentError as error:
            raise NotSent(str(error)) from None

    def execute(self, request: GatewayRequest) -> BrokerOutcome:
        """``begin``, and the wait for a late answer."""
        return self.begin(request).outcome(None)

    def describe(self, outcome: Executed) -> str:
        """What the receipt of the execution says about the answer: its digest, never the answer."""
        return outcome.result if type(outcome.result) is str else ""


class _Sent:
    """A message that is on its way."""

    def __init__(self, ticket: Ticket) -> None:
        self._ticket = ticket

    @overload
    def outcome(self, timeout: None) -> BrokerOutcome: ...
    @overload
    def outcome(self, timeout: float | None) -> BrokerOutcome | None: ...
    def outcome(self, timeout: float | None) -> BrokerOutcome | None:
        """None: no answer within ``timeout`` seconds; without one it is a late answer. Raises NotSent."""
        ticket = self._ticket
        if not ticket.wait(LATE if timeout is None else timeout):
            if timeout is not None:
                return None
            ticket.abandon(f"no answer within another {LATE:g} s")  # an answer may come just now
        if ticket.failure is not None:
            if not ticket.written:
                raise NotSent(ticket.failure)
            return Executed(error=ticket.failure)
        return Executed(result=describe_answer(ticket.answer))


def describe_answer(answer: Message | None) -> JSON:
    """``result sha256:…`` over the canonical JSON of the result; where it has none (§3), over its JSON with
    sorted members and without blanks, and the words say so.
    """
    if answer is None:
        return "sent"
    if "error" in answer:
        what, value = "error answer", answer["error"]
    else:
        value = answer["result"]
        what = "result of a tool that failed," if value.get("isError") is True else "result"
    try:
        return f"{what} sha256:{digest(value, max_bytes=None)}"
    except CanonicalError:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return f"{what} (no canonical form) sha256:{hashlib.sha256(text.encode()).hexdigest()}"
