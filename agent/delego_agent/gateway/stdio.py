"""The gateway between a client on its own standard streams and the servers it starts."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from delego_agent.gateway.downstream import Command, Downstream
from delego_agent.gateway.gate import Gate, GateOptions
from delego_agent.gateway.hub import Hub
from delego_agent.gateway.pins import PinStore
from delego_agent.gateway.relay import Relay
from delego_agent.gateway.toolbook import Pinning, ToolBook
from delego_agent.gateway.wire import MAX_FROM_CLIENT, Message, encode, read_lines

LEAVE: Final = 1.5  # seconds for what is on its way when the client leaves; clients kill after two
DRAIN: Final = 10.0  # seconds for what has to be recorded at the end


@dataclass(frozen=True, slots=True)
class StdioOptions:
    """What an operator may set."""

    servers: Mapping[str, Command]  # by their names in actions: mcp://<server>/…
    gate: GateOptions = field(default_factory=GateOptions)
    instruction: str | None = None
    pinning: Pinning = "first"
    begin_task: bool = True


class _Writer:
    """Writes whole messages to the client; what happens when it is gone is said once."""

    def __init__(self, descriptor: int, on_gone: threading.Event) -> None:
        self._descriptor = descriptor
        self._on_gone = on_gone
        self._mutex = threading.Lock()

    def __call__(self, message: Message) -> None:
        view = memoryview(encode(message))
        with self._mutex:
            try:
                while view:
                    view = view[os.write(self._descriptor, view) :]
            except OSError:
                self._on_gone.set()


def serve_stdio(home: Path, options: StdioOptions) -> bool:
    """Serve until the client leaves (True) or the last server ends (False).

    Raises ServerError where a server cannot be started, and what ``Home.authorizer`` raises.
    """
    stop, lost = threading.Event(), threading.Event()
    gate = Gate(home, options.gate)
    started: list[Downstream] = []
    relays: dict[str, Relay] = {}
    try:
        many = len(options.servers) > 1
        to_client = _Writer(1, stop)
        hub = Hub(to_client, _log, adds_task=options.begin_task) if many else None
        for name in options.servers:
            book = ToolBook(
                name, PinStore(home), _log, pinning=options.pinning, adds_task=options.begin_task and not many
            )
            sink = to_client if hub is None else hub.sink(name)
            relays[name] = Relay(gate, book, sink, _log, options.instruction)
            if hub is not None:
                hub.add(name, relays[name])
        running = set(options.servers)

        def ended(server: Downstream) -> None:
            if stop.is_set():
                return
            _log(f"server {server.name!r} {server.ended}")
            running.discard(server.name)
            if not running:
                lost.set()
                stop.set()

        for name, command in options.servers.items():
            relays[name].server = Downstream(name, command, relays[name].from_server, ended, _log)
            started.append(relays[name].downstream())
            started[-1].start()
        front = hub if hub is not None else next(iter(relays.values()))
        with _signals(stop):
            threading.Thread(
                target=_read_client, args=(front, stop), name="delego-mcp-client", daemon=True
            ).start()
            stop.wait()
            deadline = time.monotonic() + (DRAIN if lost.is_set() else LEAVE)
            for relay in relays.values():
                relay.leave(max(0.0, deadline - time.monotonic()))
        return not lost.is_set()
    finally:
        for server in started:
            server.close()
        for relay in relays.values():
            relay.drain(DRAIN)
        gate.close()


def _read_client(front: Relay | Hub, stop: threading.Event) -> None:
    # A stream of its own: the interpreter cannot end while a thread is reading from sys.stdin.
    with contextlib.suppress(OSError), open(0, "rb", closefd=False) as stream:
        for line in read_lines(stream, MAX_FROM_CLIENT):
            front.from_client(line)
    stop.set()


@contextlib.contextmanager
def _signals(stop: threading.Event) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {one: signal.signal(one, lambda *_: stop.set()) for one in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _log(text: str) -> None:
    """One line to stderr; what comes from a server is escaped."""
    line = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
    with contextlib.suppress(OSError, ValueError):
        print(f"delego mcp-gateway: {line}", file=sys.stderr, flush=True)
