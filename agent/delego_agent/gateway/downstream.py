"""A server behind the gateway, whatever it is reached by, and the messages that are on their way to it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol, TypeAlias

from delego_agent.errors import DelegoAgentError
from delego_agent.gateway.wire import Message, RequestId, key_of

Log: TypeAlias = Callable[[str], None]


class ServerError(DelegoAgentError):
    """A server cannot be started, or has ended."""


class Downstream(Protocol):
    """One server, as a relay meets it. Safe for use by many threads."""

    @property
    def name(self) -> str:
        """In actions: ``mcp://<name>/…``."""
        ...

    @property
    def ended(self) -> str | None:
        """Why it takes no more messages; None while it does."""
        ...

    def start(self) -> None:
        """Begin to take messages, and to give those of the server."""
        ...

    def send(self, message: Message, on_done: Callable[[Ticket], None] | None = None) -> Ticket:
        """Have a message sent, once. A request's ticket is done by its answer, any other by having been sent.

        Raises ServerError where it surely is not sent.
        """
        ...

    def give_up(self, request_id: RequestId, why: str) -> None:
        """Wait no longer for an answer; one that comes later is dropped."""
        ...

    def asker(self, progress_token: object) -> RequestId | None:
        """The id of the request without an answer that has this progress token."""
        ...

    def close(self) -> None:
        """End it; whoever still waits is told that no answer came."""
        ...


# A message of a server that is no answer; and the id of the request that it came along with, if one can tell.
OnMessage: TypeAlias = Callable[[Downstream, Message, RequestId | None], None]


class Ticket:
    """One message on its way to a server, and what became of it. Done once, by whoever is first."""

    def __init__(self, message: Message, on_done: Callable[[Ticket], None] | None = None) -> None:
        self.message = message
        self.answer: Message | None = None
        self.failure: str | None = None
        self.written = False  # from when on the server may have it
        self.abandon: Callable[[str], None] = lambda why: self.finish(failure=why)
        self._on_done = on_done
        self._mutex = threading.Lock()
        self._is_done = False
        self._latch = threading.Lock()  # held until it is done: a third of an Event's cost
        self._latch.acquire()

    def wait(self, timeout: float) -> bool:
        """Whether it is done after at most ``timeout`` seconds."""
        if self._is_done:
            return True
        if not self._latch.acquire(timeout=max(0.0, min(timeout, threading.TIMEOUT_MAX))):
            return False
        self._latch.release()  # for the next one who waits
        return True

    def begin(self) -> bool:
        """Whether it may be written now; from then on the server may have it. False once it is done."""
        with self._mutex:
            self.written = not self._is_done
            return self.written

    def finish(self, *, answer: Message | None = None, failure: str | None = None) -> None:
        """End it with an answer, or with what went wrong."""
        with self._mutex:
            if self._is_done:
                return
            self.answer, self.failure = answer, failure
            self._is_done = True
            self._latch.release()
        if self._on_done is not None:
            self._on_done(self)

    @property
    def is_done(self) -> bool:
        return self._is_done

    @property
    def is_request(self) -> bool:
        return "id" in self.message and "method" in self.message


class Tickets:
    """The requests of one server that have no answer yet."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._open: dict[tuple[bool, RequestId], Ticket] = {}

    def add(self, ticket: Ticket) -> None:
        """Raises ServerError where its id is in use."""
        key = key_of(ticket.message["id"])
        with self._mutex:
            if key in self._open:
                raise ServerError(f"the id {ticket.message['id']!r:.80} is in use")
            self._open[key] = ticket

    def get(self, request_id: RequestId) -> Ticket | None:
        with self._mutex:
            return self._open.get(key_of(request_id))

    def take(self, request_id: RequestId) -> Ticket | None:
        """The ticket with this id, which is waited for no longer."""
        with self._mutex:
            return self._open.pop(key_of(request_id), None)

    def take_all(self) -> list[Ticket]:
        with self._mutex:
            tickets = list(self._open.values())
            self._open.clear()
        return tickets

    def __len__(self) -> int:
        return len(self._open)

    def ids(self) -> list[RequestId]:
        with self._mutex:
            return [ticket.message["id"] for ticket in self._open.values()]

    def asker(self, progress_token: object) -> RequestId | None:
        """The id of the request with this progress token."""
        with self._mutex:
            tickets = list(self._open.values())
        for ticket in tickets:
            meta = ticket.message.get("params", {}).get("_meta")
            if type(meta) is dict and "progressToken" in meta:
                token = meta["progressToken"]
                if type(token) is type(progress_token) and token == progress_token:
                    request_id: RequestId = ticket.message["id"]
                    return request_id
        return None
