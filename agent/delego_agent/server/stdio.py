"""The server on this process's standard streams: one message a line, read strictly, and nothing else written.

Lines are parsed as the gateway parses them: a duplicate member, NaN or a lone surrogate never becomes an
argument that another parser would have read differently.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from typing import Any, Final

import anyio
import mcp_types as types
from mcp.server import Server
from mcp.shared.message import SessionMessage
from pydantic import ValidationError

from delego_agent.gateway.wire import (
    INVALID_REQUEST,
    MAX_FROM_CLIENT,
    UNAVAILABLE,
    Oversized,
    RequestId,
    WireError,
    encode,
    error_answer,
    key_of,
    parse,
    read_lines,
)

LEAVE: Final = 1.5  # seconds for what is on its way when the client leaves; clients kill after two
MAX_OPEN: Final = 256  # requests without an answer; held calls are among them
MAX_UNREAD: Final = 256  # answers that wait for a client that does not read, before it is read no more
_LOOK: Final = 0.01  # seconds between two looks at what is on its way


class _Wire:
    """The two streams. Standard output itself points to standard error meanwhile: a stray print of any
    library, or of a broker, is no message."""

    def __init__(self, source: int, sink: int, on_end: Callable[[], None]) -> None:
        """``on_end``: called, in another thread, when nobody reads the answers any more."""
        self._source = source
        self._sink = sink
        self._on_end = on_end
        self._mutex = threading.Lock()
        self._asked: set[tuple[bool, RequestId]] = set()
        self._out: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._room = threading.Condition()
        self._unread = 0
        self._ended = False
        self._writer = threading.Thread(target=self._write, name="delego-mcp-writer", daemon=True)
        self._writer.start()

    @property
    def unanswered(self) -> bool:
        with self._mutex:
            return bool(self._asked) and self._writer.is_alive()

    def lines(self) -> Iterator[bytes | Oversized]:
        """Read no faster than the answers are read, or a client that only writes would fill the memory."""
        with contextlib.suppress(OSError), open(self._source, "rb", closefd=False) as stream:
            for line in read_lines(stream, MAX_FROM_CLIENT):
                with self._room:
                    self._room.wait_for(lambda: self._ended or self._unread < MAX_UNREAD)
                    if self._ended:
                        return
                yield line

    def read(self, line: bytes | Oversized) -> SessionMessage | None:
        """A message; None for a line that is none, which is answered here."""
        try:
            if isinstance(line, Oversized):
                raise line.error()
            message = parse(line)
            try:
                typed = types.jsonrpc_message_adapter.validate_python(message, by_name=False)
            except ValidationError:
                raise WireError("is no message of MCP", INVALID_REQUEST) from None
        except WireError as error:
            ids: tuple[RequestId | None, ...] = error.ids or (None,)
            for one in ids:
                self.write(error_answer(one, error.code, error.problem))
            return None
        if isinstance(typed, types.JSONRPCRequest):
            if not self._open(typed.id):
                return None
        elif isinstance(typed, types.JSONRPCNotification) and typed.method == "notifications/cancelled":
            self._settled((typed.params or {}).get("requestId"))  # it gets no answer
        return SessionMessage(typed)

    def _open(self, request_id: RequestId) -> bool:
        """Whether a request is taken; if not, it is answered."""
        with self._mutex:
            taken, full = key_of(request_id) in self._asked, len(self._asked) >= MAX_OPEN
            if not taken and not full:
                self._asked.add(key_of(request_id))
                return True
        if taken:  # an answer with this id would be taken for the first one's
            text = f"the id {request_id!r:.80} is in use by a request without an answer"
            self.write(error_answer(None, INVALID_REQUEST, text))
        else:
            text = f"{MAX_OPEN} requests wait already; try again when one has ended"
            self.write(error_answer(request_id, UNAVAILABLE, text))
        return False

    def write(self, message: dict[str, Any]) -> None:
        """Hand a message to the thread that writes: a client that does not read holds nothing else up."""
        with self._room:
            if not self._ended:
                self._unread += 1
                self._out.put(message)

    def close(self) -> None:
        """Write what was handed over, if the client still reads."""
        self._out.put(None)
        self._writer.join(LEAVE)

    def _write(self) -> None:
        while (message := self._out.get()) is not None:
            view = memoryview(encode(message))
            try:
                while view:
                    view = view[os.write(self._sink, view) :]
            except OSError:
                break  # nobody reads any more
            self._settled(message.get("id"))
            with self._room:
                self._unread -= 1
                self._room.notify_all()
        with self._room:
            self._ended = True
            self._room.notify_all()
        self._on_end()

    def _settled(self, request_id: object) -> None:
        if isinstance(request_id, str | int):
            with self._mutex:
                self._asked.discard(key_of(request_id))


async def serve_streams(
    server: Server[Any], source: int, sink: int, left: asyncio.Event, on_leave: Callable[[], None]
) -> None:
    """Serve until the client leaves, or ``left`` is set; then call ``on_leave`` and finish the rest."""
    loop = asyncio.get_running_loop()

    def leave() -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(left.set)

    wire = _Wire(source, sink, leave)
    inbox, incoming = anyio.create_memory_object_stream[SessionMessage | Exception](16)
    outgoing, outbox = anyio.create_memory_object_stream[SessionMessage](16)

    def read() -> None:
        """In a thread of its own, which blocks in ``read`` and is left behind when the server ends."""
        for line in wire.lines():
            message = wire.read(line)
            if message is not None and not deliver(message):
                return
        leave()

    def deliver(message: SessionMessage) -> bool:
        """Wait until there is room; False once the server has ended."""
        sending = inbox.send(message)
        try:
            asyncio.run_coroutine_threadsafe(sending, loop).result()
        except RuntimeError:  # the loop has ended
            sending.close()
            return False
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, CancelledError):
            return False
        return True

    async def end() -> None:
        await left.wait()
        on_leave()
        with anyio.move_on_after(LEAVE):
            while wire.unanswered:
                await anyio.sleep(_LOOK)
        inbox.close()

    async def write() -> None:
        async with outbox:
            async for item in outbox:
                wire.write(item.message.model_dump(by_alias=True, exclude_unset=True))

    try:
        async with anyio.create_task_group() as group:
            group.start_soon(write)
            group.start_soon(end)
            threading.Thread(target=read, name="delego-mcp-client", daemon=True).start()
            await server.run(incoming, outgoing, server.create_initialization_options())
            group.cancel_scope.cancel()
    finally:
        inbox.close()
        wire.close()


@contextlib.contextmanager
def standard_streams() -> Iterator[tuple[int, int]]:
    """Descriptors of this process's standard streams, kept for messages alone."""
    while (nothing := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass  # it takes the place of a stream that was closed, which nothing else gets then
    source, sink = os.dup(0), os.dup(1)
    try:
        os.dup2(nothing, 0)
        os.dup2(2, 1)
        yield source, sink
    finally:
        os.dup2(sink, 1)
        os.dup2(source, 0)
        os.close(nothing)
        os.close(sink)
        # ``source`` stays open: a thread may still be reading from it.
