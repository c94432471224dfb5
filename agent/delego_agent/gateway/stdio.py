"""The gateway between a client on its own standard streams and the servers behind it."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from delego_agent.gateway.backend import DRAIN, Backend, GatewayOptions, log_line
from delego_agent.gateway.crew import Crew
from delego_agent.gateway.gate import Gate
from delego_agent.gateway.wire import MAX_FROM_CLIENT, Message, Oversized, RequestId, encode, read_lines

LEAVE: Final = 1.5  # seconds for what is on its way when the client leaves; clients kill after two


class _Writer:
    """Writes whole messages to the client; what happens when it is gone is said once."""

    def __init__(self, descriptor: int, on_gone: threading.Event) -> None:
        self._descriptor = descriptor
        self._on_gone = on_gone
        self._mutex = threading.Lock()

    def __call__(self, message: Message, about: RequestId | None) -> None:  # noqa: ARG002 - one stream for all
        view = memoryview(encode(message))
        with self._mutex:
            try:
                while view:
                    view = view[os.write(self._descriptor, view) :]
            except OSError:
                self._on_gone.set()


def serve_stdio(home: Path, options: GatewayOptions) -> bool:
    """Serve until the client leaves (True) or the last server ends (False).

    Raises ServerError where a server cannot be started, and what ``Home.authorizer`` raises.
    """
    fill_closed_streams()
    stop, lost = threading.Event(), threading.Event()
    gate = Gate(home, options.gate)

    def on_lost() -> None:
        if not stop.is_set():
            lost.set()
            stop.set()

    try:
        backend = Backend(home, gate, options, _Writer(1, stop), on_lost, log_line)
        try:
            backend.start()
            with signals_to(stop):
                Crew(_lines_of_client(), backend.from_client, stop.set).start()
                stop.wait()
                backend.leave(DRAIN if lost.is_set() else LEAVE)
        finally:
            backend.close()
        return not lost.is_set()
    finally:
        gate.close()


def fill_closed_streams() -> None:
    """Point each standard stream that was closed at nothing, for servers that are started as well.

    Its descriptor would go to what is opened next: to a pipe of a server, or a file of the home; messages, or
    what a server logs, would be written there.
    """
    while (nothing := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(nothing, True)
    os.close(nothing)


def _lines_of_client() -> Iterator[bytes | Oversized]:
    # A stream of its own: the interpreter cannot end while a thread is reading from sys.stdin.
    with contextlib.suppress(OSError), open(0, "rb", closefd=False) as stream:
        yield from read_lines(stream, MAX_FROM_CLIENT)


@contextlib.contextmanager
def signals_to(stop: threading.Event) -> Iterator[None]:
    """SIGTERM and SIGINT set ``stop``; in a thread that is not the main one nothing is changed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {one: signal.signal(one, lambda *_: stop.set()) for one in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
