"""The gateway's broker: executing a decided call is sending it to its server, once.

The authorizer calls ``execute`` in a thread of its own, after the write-ahead receipt is durable, with the
context of the thread that proposed: from there the broker knows which message it is to send. It waits a
little longer than the authorizer does, so that a late answer still leaves its receipt.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextvars import ContextVar
from typing import Final

from delego_agent.gateway.downstream import ServerError, Ticket
from delego_agent.gateway.wire import Message
from delego_spec.canonical import digest
from delego_spec.errors import CanonicalError
from delego_spec.gateway import Executed, GatewayRequest, NotSent
from delego_spec.types import JSON

LATE: Final = 60.0  # seconds for which a late answer is still waited for


class Forwarding:
    """One guarded message: how it is sent, and the ticket it got once it was."""

    def __init__(self, send: Callable[[], Ticket]) -> None:
        self._send = send
        self.ticket: Ticket | None = None

    def send(self) -> Ticket:
        """Raises ServerError, and NotSent for a second time: one decision sends one message."""
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

    def __init__(self, timeout: float) -> None:
        """``timeout``: seconds that the authorizer waits."""
        self._timeout = timeout

    def execute(self, request: GatewayRequest) -> Executed:  # noqa: ARG002 - the message is in the context
        forwarding = current.get()
        if forwarding is None:
            raise NotSent("no message belongs to this action")
        try:
            ticket = forwarding.send()
        except ServerError as error:
            raise NotSent(str(error)) from None
        if not ticket.wait(self._timeout + LATE):
            ticket.abandon(f"no answer within {self._timeout + LATE:g} s")  # an answer may come just now
        if ticket.failure is not None:
            if not ticket.written:
                raise NotSent(ticket.failure)
            return Executed(error=ticket.failure)
        return Executed(result=describe_answer(ticket.answer))

    def describe(self, outcome: Executed) -> str:
        """What the receipt of the execution says about the answer: its digest, never the answer."""
        return outcome.result if type(outcome.result) is str else ""


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
