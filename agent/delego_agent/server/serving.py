"""``delego mcp`` as a process: opens nothing before it is asked, ends when its client or a signal says so."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from delego_agent.bearer import read_token
from delego_agent.loopback import check_bind
from delego_agent.server.desk import Desk
from delego_agent.server.door import Door, OpenAuthorizer
from delego_agent.server.errors import McpMissing
from delego_authorizer import Home

_LIBRARIES: Final = {"anyio", "mcp", "mcp_types", "pydantic", "starlette", "uvicorn"}
_TALKATIVE: Final = ("mcp", "uvicorn", "asyncio")


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """What an operator may set."""

    principal: str = "agent"  # who proposes, in receipts
    instruction: str | None = None  # the person's words, for calls that come without
    hold: float = 0.0  # seconds that a call waits for a person


def serve_stdio(home: Path, options: ServerOptions, *, opens: OpenAuthorizer = Home.authorizer) -> None:
    """Serve one client on this process's standard streams until it leaves.

    ``opens``: makes the authorizer, with the broker that the home names. Raises McpMissing, PrincipalError.
    """
    with _needs_mcp():
        from delego_agent.server.protocol import Front
        from delego_agent.server.stdio import serve_streams, standard_streams

    with _desk(home, options, opens) as desk, standard_streams() as (source, sink), _logging():
        front = Front(desk, hold=options.hold)

        async def serve() -> None:
            left = asyncio.Event()
            task = asyncio.ensure_future(serve_streams(front.server(), source, sink, left, front.leave))
            loop = asyncio.get_running_loop()

            signals = itertools.count()

            def stop() -> None:
                if next(signals):  # the second signal; that the client has left as well is none
                    task.cancel()
                left.set()

            for one in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(one, stop)
            with contextlib.suppress(asyncio.CancelledError):
                await task

        asyncio.run(serve())


def serve_loopback(
    home: Path,
    options: ServerOptions,
    host: str,
    port: int,
    *,
    token_file: Path | None = None,
    opens: OpenAuthorizer = Home.authorizer,
) -> None:
    """Serve streamable HTTP on a loopback address until a signal comes.

    ``port`` 0 is a free one; where it listens is said on standard error. Raises NotLoopback, BearerError,
    ServingError, McpMissing, PrincipalError.
    """
    address = check_bind(host)
    with _needs_mcp():
        from delego_agent.server.http import HttpOptions, serve_http
        from delego_agent.server.protocol import Front

    token = None if token_file is None else read_token(token_file)
    with _desk(home, options, opens) as desk, _logging():
        front = Front(desk, hold=options.hold)
        asyncio.run(serve_http(front.server(), HttpOptions(address, port, token), log, front.leave))


def log(text: str) -> None:
    """One line to standard error; what comes from elsewhere is escaped."""
    if sys.stderr is None:  # closed; print would take standard output
        return
    line = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
    with contextlib.suppress(OSError, ValueError):
        print(f"delego mcp: {line}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def _desk(home: Path, options: ServerOptions, opens: OpenAuthorizer) -> Iterator[Desk]:
    door = Door(home, options.principal, log, opens=opens)
    try:
        yield Desk(door, log, instruction=options.instruction)
    finally:
        door.close()


@contextlib.contextmanager
def _needs_mcp() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        if library not in _LIBRARIES:
            raise
        raise McpMissing(library) from None


class _OneLine(logging.Handler):
    """What libraries log, as one line without a traceback."""

    def emit(self, record: logging.LogRecord) -> None:
        log(record.getMessage())


@contextlib.contextmanager
def _logging() -> Iterator[None]:
    handler = _OneLine(logging.WARNING)
    loggers = [logging.getLogger(name) for name in (*_TALKATIVE, "delego")]
    before = [(one.level, one.propagate) for one in loggers]
    for one in loggers:
        one.addHandler(handler)
        one.propagate = False
    try:
        yield
    finally:
        for one, (level, propagate) in zip(loggers, before, strict=True):
            one.removeHandler(handler)
            one.setLevel(level)
            one.propagate = propagate
