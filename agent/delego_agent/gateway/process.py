"""One MCP server behind the gateway, over the standard streams of a process of its own.

One thread reads it, one writes to it: a server that hangs, floods or dies holds up nobody but those who wait
for its answers, and each of them is told what is known: not sent, or sent and never answered.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Final

from delego_agent.gateway.downstream import Downstream, Log, OnMessage, ServerError, Ticket, Tickets
from delego_agent.gateway.wire import (
    MAX_FROM_SERVER,
    PARSE_ERROR,
    Message,
    Oversized,
    RequestId,
    WireError,
    encode,
    key_of,
    parse,
    read_lines,
)

MAX_QUEUED: Final = 32 * 1024 * 1024  # bytes that wait for a server that does not read
MAX_OPEN: Final = 1024  # requests without an answer
PATIENCE: Final = 2.0  # seconds for a server to end by itself, and again after it was asked to
_AT_ONCE: Final = sys.platform != "win32"  # where a pipe can be told not to block


@dataclass(frozen=True, slots=True)
class Command:
    """How a server is started."""

    argv: Sequence[str]
    env: Mapping[str, str]  # added to the gateway's own environment, from which DELEGO_… is taken out
    cwd: Path | None = None


class ProcessServer:
    """A running server. ``on_message`` gets what is no answer, ``on_end`` is told when it has ended."""

    def __init__(
        self,
        name: str,
        command: Command,
        on_message: OnMessage,
        on_end: Callable[[Downstream], None],
        log: Log,
    ) -> None:
        """Starts it. Raises ServerError."""
        self.name = name
        self._on_message = on_message
        self._on_end = on_end
        self._log = log
        self._mutex = threading.Lock()
        self._tickets = Tickets()
        self._queue: SimpleQueue[tuple[Ticket, memoryview, int] | None] = SimpleQueue()
        self._queued = 0
        self.ended: str | None = None  # why, once it has
        try:
            self._process = subprocess.Popen(  # noqa: S603 - the operator's own command, without a shell
                list(command.argv),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=_environment(command.env),
                cwd=command.cwd,
            )
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            shown = command.argv[0] if command.argv else ""
            raise ServerError(f"server {name!r}: cannot start {shown!r:.200}: {reason.lower()}") from None
        if _AT_ONCE:
            assert self._process.stdin is not None  # noqa: S101 - a pipe was asked for
            os.set_blocking(self._process.stdin.fileno(), False)
        self._threads = [
            threading.Thread(target=run, name=f"delego-mcp-{name}-{what}", daemon=True)
            for what, run in (("reader", self._read), ("writer", self._write))
        ]

    def start(self) -> None:
        """Begin to read and write."""
        for thread in self._threads:
            thread.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, message: Message, on_done: Callable[[Ticket], None] | None = None) -> Ticket:
        """Put a message in line. A request's ticket is done by its answer, any other by having been written.

        Raises ServerError where it surely is not sent: the server has ended, or has stopped reading.
        """
        ticket = Ticket(message, on_done)
        data = memoryview(encode(message))
        with self._mutex:
            if self.ended is not None:
                raise ServerError(f"server {self.name!r} {self.ended}")
            if self._queued + len(data) > MAX_QUEUED:
                raise ServerError(f"server {self.name!r} does not read what it is sent")
            if ticket.is_request:
                if len(self._tickets) >= MAX_OPEN:
                    raise ServerError(f"server {self.name!r} owes {MAX_OPEN} answers")
                self._tickets.add(ticket)
                ticket.abandon = partial(self.give_up, message["id"])
            rest = data if self._queued else self._write_some(ticket, data)
            if rest:  # in line before anybody else is: half of it may be written
                self._queued += len(data)
                self._queue.put((ticket, rest, len(data)))
        if not rest and not ticket.is_request:
            ticket.finish()
        return ticket

    def give_up(self, request_id: RequestId, why: str) -> None:
        """Wait no longer for an answer; one that comes later is dropped."""
        ticket = self._tickets.take(request_id)
        if ticket is not None:
            ticket.finish(failure=why)

    def asker(self, progress_token: object) -> RequestId | None:
        """The id of the request without an answer that has this progress token."""
        return self._tickets.asker(progress_token)

    def close(self) -> None:
        """End the server; whoever still waits is told that no answer came."""
        self._end("was ended with the gateway")
        self._queue.put(None)
        self._threads[1].join(PATIENCE)
        for end in (self._process.terminate, self._process.kill):
            try:
                self._process.wait(PATIENCE)
                break
            except subprocess.TimeoutExpired:
                end()
        self._process.wait()
        self._threads[0].join(PATIENCE)

    def _write_some(self, ticket: Ticket, data: memoryview) -> memoryview:
        """Write what the pipe takes at once, so that no message waits until a thread has woken up.

        Returns the rest. What goes wrong here is met again by the writer.
        """
        if not _AT_ONCE or not ticket.begin():
            return data
        assert self._process.stdin is not None  # noqa: S101 - a pipe was asked for
        try:
            return data[os.write(self._process.stdin.fileno(), data) :]
        except OSError:
            ticket.written = False
            return data

    # --- its two threads --------------------------------------------------------------------------------

    def _write(self) -> None:
        assert self._process.stdin is not None  # noqa: S101 - a pipe was asked for
        while (item := self._queue.get()) is not None:
            ticket, rest, size = item
            try:
                if len(rest) < size or ticket.begin():  # half a line would spoil the next one
                    _write_all(self._process.stdin.fileno(), rest)
            except OSError:  # without its last byte, the end of the line, a message is none
                ticket.written = False
                self._forget(ticket)
                ticket.finish(failure=f"server {self.name!r} {self.ended or 'has ended'}")
            else:
                if not ticket.is_request:
                    ticket.finish()
            with self._mutex:
                self._queued -= size
        with contextlib.suppress(OSError):
            self._process.stdin.close()

    def _read(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 - a pipe was asked for
        with contextlib.suppress(OSError, ValueError), self._process.stdout as stream:
            for line in read_lines(stream, MAX_FROM_SERVER):
                self._take(line)
        try:
            status = f"exit status {self._process.wait(PATIENCE)}"
        except subprocess.TimeoutExpired:
            status = "it closed its output"
        self._end(f"has ended ({status})")
        self._on_end(self)

    def _take(self, line: bytes | Oversized) -> None:
        try:
            if isinstance(line, Oversized):
                raise line.error()
            message = parse(line)
        except WireError as error:
            self._contain(error)
            return
        if "method" in message:
            self._on_message(self, message, None)
            return
        ticket = self._tickets.take(message["id"])
        if ticket is None:
            self._log(f"server {self.name!r} answered {message['id']!r:.80}, which nobody waits for; dropped")
        else:
            ticket.finish(answer=message)

    def _contain(self, error: WireError) -> None:
        """Something that is no message: whoever it was for, as far as one can see, waits no longer."""
        self._log(f"server {self.name!r} sent what is not passed on: {error.problem}")
        waiting = self._tickets.ids()
        keys = {key_of(one) for one in waiting}
        found = [one for one in error.ids if key_of(one) in keys]
        if error.ids == () and len(waiting) == 1 and error.code != PARSE_ERROR:
            found = waiting
        for request_id in found:
            self.give_up(request_id, f"the server's answer was refused: {error.problem}")

    def _end(self, why: str) -> None:
        with self._mutex:
            self.ended = self.ended or why
        for ticket in self._tickets.take_all():
            ticket.finish(failure=f"server {self.name!r} {self.ended} before it answered")

    def _forget(self, ticket: Ticket) -> None:
        if ticket.is_request:
            self._tickets.take(ticket.message["id"])


def _environment(added: Mapping[str, str]) -> dict[str, str]:
    """The gateway's own, without what is said to delego: a server is not told where the home is."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DELEGO_")}
    return {**kept, **added}


def _write_all(descriptor: int, data: memoryview) -> None:
    while data:
        try:
            data = data[os.write(descriptor, data) :]
        except BlockingIOError:
            ready = select.poll()
            ready.register(descriptor, select.POLLOUT)
            ready.poll()
