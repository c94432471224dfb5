"""What the HTTP front keeps of its clients: sessions, and requests that belong to none.

A session (the eras with a handshake) has servers and relays of its own, so that ids, tasks, and what servers
ask cannot reach another client. Requests without a handshake share theirs: each gets an id and a progress
token of the gateway's own on the way in, and its own back on the way out.

All of this runs on the event loop; relays call ``sink`` from their threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from delego_agent.gateway.backend import Backend
from delego_agent.gateway.downstream import Log
from delego_agent.gateway.naming import fields_of
from delego_agent.gateway.relay import Sink
from delego_agent.gateway.wire import (
    METHOD_NOT_FOUND,
    UNAVAILABLE,
    Message,
    RequestId,
    encode,
    error_answer,
    is_id,
    key_of,
)

MAX_WAITING: Final = 1000  # messages that wait for a client which does not read
MAX_HELD: Final = 32 * 1024 * 1024  # bytes of them, at least one message
LEAVE: Final = 1.5  # seconds for what is on its way when a session ends
SUBSCRIPTION: Final = "io.modelcontextprotocol/subscriptionId"
LOG_LEVEL: Final = "io.modelcontextprotocol/logLevel"

# Makes what stands behind a channel, not yet started; the second one is called when its servers have ended.
MakeBackend: TypeAlias = Callable[[Sink, Callable[[], None]], Backend]


class Outbox:
    """Messages for one HTTP answer, in their order."""

    def __init__(self) -> None:
        self._messages: deque[tuple[Message, int]] = deque()
        self._held = 0
        self._arrived = asyncio.Event()
        self.closed = False  # nobody reads any more, or nothing will come

    def put(self, message: Message) -> bool:
        """False where it cannot be taken: a notification for a client that does not read."""
        if self.closed:
            return False
        size = len(encode(message)) if self._messages and "method" in message else 0
        if size and (len(self._messages) >= MAX_WAITING or self._held + size > MAX_HELD):
            return False
        self._held += size
        self._messages.append((message, size))
        self._arrived.set()
        return True

    def close(self) -> None:
        self.closed = True
        self._arrived.set()

    async def get(self, timeout: float | None) -> Message | None:
        """The next message, None after ``timeout`` seconds without one. Raises EOFError once it is closed."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while not self._messages:
                    if self.closed:
                        raise EOFError
                    self._arrived.clear()
                    await self._arrived.wait()
                message, size = self._messages.popleft()
                self._held -= size
                return message
        return None


class Exchange:
    """One request of a client, from its POST to its answer. ``own``: its id behind the channel; ``streams``:
    more than the answer may be sent.
    """

    def __init__(self, message: Message, own: RequestId, *, streams: bool) -> None:
        self.message = message
        self.own = own
        self.outbox = Outbox()
        self.streams = streams

    @property
    def id(self) -> RequestId:
        request_id: RequestId = self.message["id"]
        return request_id


class Channel(ABC):
    """One client, or all those without a session."""

    def __init__(self, make: MakeBackend, on_lost: Callable[[Channel], None], log: Log) -> None:
        """To be made on the event loop; ``on_lost`` is called there when the last server has ended."""
        self._loop = asyncio.get_running_loop()
        self._log = log
        self._exchanges: dict[tuple[bool, RequestId], Exchange] = {}
        self._backend = make(self.sink, lambda: self._soon(on_lost, self))
        self.used_at = time.monotonic()

    async def start(self) -> None:
        """Raises ServerError; ``end`` has to follow all the same."""
        await asyncio.to_thread(self._backend.start)

    def sink(self, message: Message, about: RequestId | None) -> None:
        """For relays: one message for the client."""
        self._soon(self._deliver, message, about)

    def take(self, message: Message) -> None:
        """A message of the client that wants no answer."""
        self.used_at = time.monotonic()
        self._backend.take(message)

    async def end(self, why: str) -> None:
        """End its servers. What waits for a person still waits; whoever waits for an answer gets ``why``."""
        await asyncio.to_thread(self._close)
        for exchange in list(self._exchanges.values()):
            exchange.outbox.put(error_answer(exchange.id, UNAVAILABLE, why))
        self._exchanges.clear()

    @property
    def is_idle(self) -> bool:
        return not self._exchanges

    def _close(self) -> None:
        self._backend.leave(LEAVE)
        self._backend.close()

    def _soon(self, run: Callable[..., None], *arguments: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended, and with it whoever would want to know
            self._loop.call_soon_threadsafe(run, *arguments)

    @abstractmethod
    def _deliver(self, message: Message, about: RequestId | None) -> None:
        """Hand a message of the relays to whoever it is for; on the event loop."""


class Session(Channel):
    """One client that made the handshake."""

    def __init__(
        self, session_id: str, make: MakeBackend, on_lost: Callable[[Channel], None], log: Log
    ) -> None:
        super().__init__(make, on_lost, log)
        self.id = session_id
        self.version: str | None = None  # once it is settled
        self._stream: Outbox | None = None
        self._backlog: deque[tuple[Message, int]] = deque()  # what nobody listens to yet, the newest
        self._kept = 0  # bytes of it

    def take(self, message: Message) -> None:
        if message.get("method") == "notifications/cancelled":
            cancelled = fields_of(message.get("params")).get("requestId")
            exchange = self._exchanges.pop(key_of(cancelled), None) if is_id(cancelled) else None
            if exchange is not None:  # its POST is answered all the same
                exchange.outbox.put(error_answer(exchange.id, UNAVAILABLE, "the client cancelled it"))
        super().take(message)

    def ask(self, message: Message, *, streams: bool) -> Exchange | None:
        """Take a request; None where its id is in use."""
        key = key_of(message["id"])
        if key in self._exchanges:
            return None
        exchange = self._exchanges[key] = Exchange(message, message["id"], streams=streams)
        self.take(message)
        return exchange

    def left(self, exchange: Exchange) -> None:
        """The client has closed the connection on which it would get the answer."""
        if self._exchanges.pop(key_of(exchange.own), None) is not None:
            self._backend.abandon(exchange.id)

    def listen(self) -> Outbox | None:
        """What belongs to no request; None where somebody listens already."""
        if self._stream is not None and not self._stream.closed:
            return None
        self._stream = Outbox()
        for message, _ in self._backlog:
            self._stream.put(message)
        self._backlog.clear()
        self._kept = 0
        return self._stream

    async def end(self, why: str) -> None:
        await super().end(why)
        if self._stream is not None:
            self._stream.close()

    @property
    def is_idle(self) -> bool:
        return super().is_idle and (self._stream is None or self._stream.closed)

    def _deliver(self, message: Message, about: RequestId | None) -> None:
        if "method" not in message:
            self._answer(message)
            return
        related = None if about is None else self._exchanges.get(key_of(about))
        if related is not None and related.streams:
            related.outbox.put(message)
            return
        if self._stream is not None and self._stream.put(message):
            return
        for exchange in reversed(self._exchanges.values()):
            if exchange.streams and exchange.outbox.put(message):
                return
        size = len(encode(message))
        self._backlog.append((message, size))
        self._kept += size
        while len(self._backlog) > 1 and (self._kept > MAX_HELD or len(self._backlog) > MAX_WAITING):
            self._kept -= self._backlog.popleft()[1]

    def _answer(self, message: Message) -> None:
        exchange = self._exchanges.pop(key_of(message["id"]), None)
        self.used_at = time.monotonic()
        if exchange is None:
            self._log(f"the answer to {message['id']!r:.80} came when nobody waited any more")
            return
        if exchange.message["method"] == "initialize":
            version = fields_of(message.get("result")).get("protocolVersion")
            self.version = version if type(version) is str else None
        exchange.outbox.put(message)


class Stateless(Channel):
    """All requests without a handshake."""

    def __init__(self, make: MakeBackend, on_lost: Callable[[Channel], None], log: Log) -> None:
        super().__init__(make, on_lost, log)
        self._numbers = itertools.count(1)

    def ask(self, message: Message, *, streams: bool) -> Exchange:
        """Take a request under an id of the gateway's own."""
        own = f"delego-{next(self._numbers)}"
        exchange = self._exchanges[key_of(own)] = Exchange(message, own, streams=streams)
        params = fields_of(message.get("params"))
        meta = fields_of(params.get("_meta"))
        if "progressToken" in meta:
            meta = {**meta, "progressToken": own}
        self.take({**message, "id": own, "params": {**params, "_meta": meta}})
        return exchange

    def left(self, exchange: Exchange) -> None:
        """The client has closed the connection: that is how it cancels in this era."""
        if self._exchanges.pop(key_of(exchange.own), None) is not None:
            params = {"requestId": exchange.own, "reason": "the client closed the connection"}
            self.take({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params})

    def _deliver(self, message: Message, about: RequestId | None) -> None:
        if "method" not in message:
            exchange = self._exchanges.pop(key_of(message["id"]), None)
            if exchange is not None:
                exchange.outbox.put({**message, "id": exchange.id})
        elif "id" in message:
            text = f"{message['method']!r:.80} cannot be asked of a client without a session"
            self._backend.take(error_answer(message["id"], METHOD_NOT_FOUND, text))
        else:
            self._notice(message, about)

    def _notice(self, message: Message, about: RequestId | None) -> None:
        params = fields_of(message.get("params"))
        meta = fields_of(params.get("_meta"))
        for own in (about, params.get("progressToken"), meta.get(SUBSCRIPTION)):
            exchange = self._exchanges.get(key_of(own)) if type(own) is str else None
            if exchange is None:
                continue
            if params.get("progressToken") == own:
                given = fields_of(fields_of(exchange.message.get("params")).get("_meta"))
                params = {**params, "progressToken": given.get("progressToken")}
            if meta.get(SUBSCRIPTION) == own:
                params = {**params, "_meta": {**meta, SUBSCRIPTION: exchange.id}}
            if exchange.streams:
                exchange.outbox.put({**message, "params": params} if "params" in message else message)
            return
        if message["method"] == "notifications/message":
            # Servers log for those who ask for it, and on standard streams do not say for which of them.
            wanting = [one for one in self._exchanges.values() if _wants_log(one.message)]
            if len(wanting) == 1 and wanting[0].streams:
                wanting[0].outbox.put(message)


def _wants_log(message: Message) -> bool:
    """Whether a request without a handshake asks for log messages; what only listens leads to none."""
    meta = fields_of(fields_of(message.get("params")).get("_meta"))
    return LOG_LEVEL in meta and message["method"] != "subscriptions/listen"
