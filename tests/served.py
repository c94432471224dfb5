"""The server that agents ask: with the official client in one process, or as a process of its own."""

from __future__ import annotations

import asyncio
import os
import queue
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final

from jsonschema import Draft202012Validator

from agents import make_home
from delego_agent.server.desk import Desk
from delego_agent.server.door import Door, OpenAuthorizer
from delego_agent.server.schemas import TOOLS
from delego_authorizer import Home
from delego_spec.types import JSONObject

ERAS: Final = ("legacy", "2026-07-28")
PATIENCE: Final = 60.0  # seconds; a limit for hangs, not a wait
POLICY: Final = """
version: 1
default: deny
forbidden:
  - { name: never, description: Nothing is deleted, match: { method: DELETE } }
rules:
  - { name: reads, decision: allow, match: { method: GET, host: api.example.com, path: /accounts/* } }
  - { name: pays, decision: allow, match: { method: POST, host: api.example.com, path: /pay },
      constraints: { amount: { field: amount, max: 100, currency: USD },
                     allow_list: { field: to, in: [ann, bob] } } }
  - { name: few, decision: allow, match: { method: POST, host: api.example.com, path: /few },
      constraints: { rate_limit: { max: 1, per: day } } }
  - { name: orders, description: A person looks at orders, decision: needs_approval,
      match: { method: POST, host: api.example.com, path: /orders } }
"""

READ: Final = {
    "instruction": "read my account",
    "method": "GET",
    "url": "https://api.example.com/accounts/me",
}
ORDER: Final[JSONObject] = {
    "instruction": "buy a lamp",
    "method": "POST",
    "url": "https://api.example.com/orders",
    "params": {"amount": 24.5, "currency": "USD"},
}


def new_home(folder: Path, policy: str = POLICY) -> Path:
    return make_home(folder / "home", policy)


@contextmanager
def desk_of(
    home: Path,
    principal: str = "agent",
    *,
    instruction: str | None = None,
    opens: OpenAuthorizer = Home.authorizer,
    log: list[str] | None = None,
) -> Iterator[Desk]:
    """A desk on a home that may not be there."""
    lines: list[str] = [] if log is None else log
    door = Door(home, principal, lines.append, opens=opens)
    try:
        yield Desk(door, lines.append, instruction=instruction)
    finally:
        door.close()


def fits(name: str, document: Any) -> Any:
    """``document``, if it is what the tool's output schema says."""
    problems = [error.message for error in validator(name).iter_errors(document)]
    assert problems == [], (name, document)
    return document


@cache
def validator(name: str) -> Draft202012Validator:
    schema = TOOLS[name].output
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def ask(desk: Desk, name: str, arguments: Any = None, **more: Any) -> Any:
    """The object that a tool answers, which fits its schema."""
    return fits(name, desk.call(name, arguments, **more).document)


def with_client(
    server: Any, script: Callable[[Any], Awaitable[Any]], era: str = "legacy", **more: Any
) -> Any:
    """Run ``script(client)`` with the official client, on a server in this process or what leads to one."""
    from mcp import Client

    async def run() -> Any:
        async with asyncio.timeout(PATIENCE), Client(server, mode=era, **more) as client:
            return await script(client)

    return asyncio.run(run())


def command(home: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "delego_cli", "--home", str(home), "mcp", *options]


class HttpServer:
    """``delego mcp --http`` as a process of its own."""

    def __init__(self, home: Path, *options: str) -> None:
        self.process = subprocess.Popen(
            command(home, "--http", "0", *options),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        self.home = home
        self.log: list[str] = []
        self._said: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        line = self._said.get(timeout=PATIENCE)
        found = re.search(r"http://\S+", line or "")
        if found is None:
            self.process.kill()
            raise AssertionError((line, self.stop()))
        self.url = found[0]
        self.port = int(self.url.rpartition(":")[2].removesuffix("/mcp"))

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as stream:
            for line in stream:
                self.log.append(line.decode())
                self._said.put(self.log[-1])
        self._said.put(None)

    def stop(self, number: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        assert self.process.stdout is not None
        if not self.process.stdout.closed:
            with self.process.stdout as stream:
                assert stream.read() == b""
        return status


@contextmanager
def http_server(home: Path, *options: str) -> Iterator[HttpServer]:
    server = HttpServer(home, *options)
    try:
        yield server
    finally:
        server.stop()
