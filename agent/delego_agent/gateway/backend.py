"""What stands behind one client: its servers, a relay for each, and a hub where there are many."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

from delego_agent.gateway.downstream import Downstream, Log, ServerError
from delego_agent.gateway.endpoint import Endpoint
from delego_agent.gateway.gate import Gate, GateOptions
from delego_agent.gateway.hub import Hub
from delego_agent.gateway.pins import PinStore
from delego_agent.gateway.process import Command, ProcessServer
from delego_agent.gateway.relay import Relay, Sink
from delego_agent.gateway.toolbook import Pinning, ToolBook
from delego_agent.gateway.wire import Message, Oversized, RequestId

DRAIN: Final = 10.0  # seconds for what has to be recorded at the end

Target: TypeAlias = Command | Endpoint


@dataclass(frozen=True, slots=True)
class GatewayOptions:
    """What an operator may set."""

    servers: Mapping[str, Target]  # by their names in actions: mcp://<server>/…
    gate: GateOptions = field(default_factory=GateOptions)
    instruction: str | None = None
    pinning: Pinning = "first"
    begin_task: bool = True


class Backend:
    """The servers of one client. ``on_lost`` is called once, when the last of them has ended by itself."""

    def __init__(
        self,
        home: Path,
        gate: Gate,
        options: GatewayOptions,
        to_client: Sink,
        on_lost: Callable[[], None],
        log: Log,
    ) -> None:
        """Starts nothing yet; ``start`` does."""
        self._options = options
        self._on_lost = on_lost
        self._log = log
        self._closing = False
        self._mutex = threading.Lock()
        self._running = set(options.servers)
        self._started: list[Downstream] = []
        self._replaced: list[Downstream] = []
        self._relays: dict[str, Relay] = {}
        many = len(options.servers) > 1
        hub = Hub(to_client, log, adds_task=options.begin_task, renew=self._renew) if many else None
        for name in options.servers:
            adds_task = options.begin_task and not many
            book = ToolBook(name, PinStore(home), log, pinning=options.pinning, adds_task=adds_task)
            sink = to_client if hub is None else hub.sink(name)
            self._relays[name] = Relay(gate, book, sink, log, options.instruction)
            if hub is not None:
                hub.add(name, self._relays[name])
        self._front: Relay | Hub = hub if hub is not None else next(iter(self._relays.values()))

    def start(self) -> None:
        """Raises ServerError where a server cannot be started; ``close`` has to follow all the same."""
        for name in self._options.servers:
            self._start(name)

    def _start(self, name: str) -> None:
        target, relay = self._options.servers[name], self._relays[name]
        server: Downstream
        with self._mutex:
            if self._closing:
                raise ServerError("the gateway ends")
            if isinstance(target, Command):
                server = ProcessServer(name, target, relay.from_server, self._ended, self._log)
            else:
                from delego_agent.gateway.http_downstream import HttpServer  # TLS takes its time to load

                server = HttpServer(name, target, relay.from_server, self._log)
            relay.server = server
            self._started.append(server)
        server.start()

    def _renew(self, name: str) -> None:
        """End a server's process and start another one; a server that is reached by URL is left as it is."""
        before = self._relays[name].server
        if isinstance(before, ProcessServer) and before.ended is None:
            self._replaced.append(before)
            before.close()
            try:
                self._start(name)
            except ServerError as error:
                self._replaced.remove(before)
                self._log(str(error))
                self._ended(before)

    def from_client(self, line: bytes | Oversized) -> None:
        """One line that the client sent."""
        self._front.from_client(line)

    def take(self, message: Message) -> None:
        """One message that the client sent, as it was read."""
        self._front.take(message)

    def abandon(self, request_id: RequestId) -> None:
        """Nobody waits for this answer any more."""
        self._front.abandon(request_id)

    def leave(self, patience: float) -> None:
        """The client has gone; what was sent gets a moment to end."""
        self._closing = True
        deadline = time.monotonic() + patience
        for relay in self._relays.values():
            relay.leave(max(0.0, deadline - time.monotonic()))

    def close(self) -> None:
        """End the servers, and wait until every call has been recorded."""
        with self._mutex:
            self._closing = True
        for server in self._started:
            server.close()
        for relay in self._relays.values():
            relay.drain(DRAIN)

    def _ended(self, server: Downstream) -> None:
        if self._closing or server in self._replaced:
            return
        self._log(f"server {server.name!r} {server.ended}")
        with self._mutex:
            self._running.discard(server.name)
            lost = not self._running
        if lost:
            self._on_lost()


def log_line(text: str) -> None:
    """One line to stderr; what comes from a server is escaped."""
    if sys.stderr is None:  # closed; print would take standard output, where messages alone belong
        return
    line = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
    with contextlib.suppress(OSError, ValueError):
        print(f"delego mcp-gateway: {line}", file=sys.stderr, flush=True)
