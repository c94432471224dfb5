"""The gateway between a client on its own standard streams and one server it starts."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from delego_agent.gateway.downstream import Command, Downstream
from delego_agent.gateway.gate import Gate, GateOptions
from delego_agent.gateway.pins import PinStore
from delego_agent.gateway.relay import Relay
from delego_agent.gateway.toolbook import Pinning, ToolBook
from delego_agent.gateway.wire import MAX_FROM_CLIENT, Message, encode, read_lines

LEAVE: Final = 1.5  # seconds for what is on its way when the client leaves; clients kill after two
DRAIN: Final = 10.0  # seconds for what has to be recorded at the end


@dataclass(frozen=True, slots=True)
class StdioOptions:
    """What an operator may set for one server."""

    server: str  # its name in actions: mcp://<server>/…
    command: Command
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
    """Serve until the client leaves (True) or the server ends (False).

    Raises ServerError where the server cannot be started, and what ``Home.authorizer`` raises.
    """
    stop = threading.Event()
    lost = threading.Event()
    gate = Gate(home, options.gate)
    try:
        store = PinStore(home)
        book = ToolBook(options.server, store, _log, pinning=options.pinning, adds_task=options.begin_task)
        relay = Relay(gate, book, _Writer(1, stop), _log, options.instruction)

        def ended(server: Downstream) -> None:
            if not stop.is_set():
                _log(f"server {server.name!r} {server.ended}")
                lost.set()
                stop.set()

        server = Downstream(options.server, options.command, relay.from_server, ended, _log)
        relay.server = server
        with _signals(stop):
            server.start()
            threading.Thread(
                target=_read_client, args=(relay, stop), name="delego-mcp-client", daemon=True
            ).start()
            stop.wait()
            relay.leave(DRAIN if lost.is_set() else LEAVE)
            server.close()
            relay.drain(DRAIN)
        return not lost.is_set()
    finally:
        gate.close()


def _read_client(relay: Relay, stop: threading.Event) -> None:
    # A stream of its own: the interpreter cannot end while a thread is reading from sys.stdin.
    with contextlib.suppress(OSError), open(0, "rb", closefd=False) as stream:
        for line in read_lines(stream, MAX_FROM_CLIENT):
            relay.from_client(line)
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
