"""A client of the gateway that speaks in raw lines, for what no library would send or survive."""

from __future__ import annotations

import itertools
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from delego_authorizer import Authorizer, Home, init_home
from delego_ledger.sqlite import SQLiteLedger

HERE: Final = Path(__file__).parent
PATIENCE: Final = 60.0  # seconds; a limit for hangs, not a wait
POLICY: Final = """
version: 1
default: allow
forbidden:
  - { name: never, description: Never batch, match: { method: CALL, path_contains: /never } }
rules:
  - { name: asked, decision: needs_approval, match: { method: CALL, path: /slow } }
  - { name: pays, decision: allow, match: { method: CALL, path: /constant },
      constraints: { amount: { field: amount, max: 10 } } }
"""


class Gateway:
    """A running gateway in front of the server that misbehaves."""

    def __init__(
        self, home: Path, effects: Path, options: Sequence[str], *, command: Sequence[str] | None = None
    ) -> None:
        words = [sys.executable, "-m", "delego_cli", "--home", str(home), "mcp-gateway", "--server", "evil"]
        server = ["--", sys.executable, str(HERE / "mcp_evil.py"), str(effects)]
        self.home = home
        self.process = subprocess.Popen(
            list(command) if command is not None else [*words, *options, *server],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        self.ids = itertools.count(1)
        self.seen: list[Any] = []
        self.log: list[str] = []
        self._arrived: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._read, daemon=True),
            threading.Thread(target=self._read_log, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def line(self, text: str | bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text if isinstance(text, bytes) else text.encode())
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()

    def send(self, method: str, params: Any = None, **more: Any) -> int:
        one = next(self.ids)
        self.line(json.dumps({"jsonrpc": "2.0", "id": one, "method": method, "params": params or {}, **more}))
        return one

    def tool(self, name: str, *, meta: Any = None, **arguments: Any) -> int:
        params = {"name": name, "arguments": arguments, **({"_meta": meta} if meta else {})}
        return self.send("tools/call", params)

    def notify(self, method: str, **params: Any) -> None:
        self.line(json.dumps({"jsonrpc": "2.0", "method": method, "params": params}))

    def until(self, wanted: Callable[[Any], bool]) -> Any:
        """The first message, of those seen and those to come, that is wanted."""
        for message in self.seen:
            if wanted(message):
                return message
        while True:
            message = self._arrived.get(timeout=PATIENCE)
            if message is None:
                raise AssertionError(f"the gateway has ended: {self.log}")
            self.seen.append(message)
            if wanted(message):
                return message

    def answer(self, one: int) -> Any:
        return self.until(lambda message: message.get("id") == one and "method" not in message)

    def ask(self, method: str, params: Any = None) -> Any:
        return self.answer(self.send(method, params))

    def call(self, name: str, **arguments: Any) -> Any:
        return self.answer(self.tool(name, **arguments))

    def begin(self) -> None:
        self.ask("initialize", {"protocolVersion": "2025-11-25"})
        self.notify("notifications/initialized")

    def ended(self) -> int:
        if self.process.stdin is not None and not self.process.stdin.closed:
            self.process.stdin.close()
        status = self.process.wait(PATIENCE)
        for thread in self._threads:
            thread.join(PATIENCE)
        return status

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as stream:
            for line in stream:
                self._arrived.put(json.loads(line))
        self._arrived.put(None)

    def _read_log(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as stream:
            self.log += [line.decode() for line in stream]


@contextmanager
def running(home: Path, effects: Path, *options: str, begun: bool = True) -> Iterator[Gateway]:
    """A gateway, ended with the block."""
    gateway = Gateway(home, effects, options)
    try:
        if begun:
            gateway.begin()
        yield gateway
        gateway.ended()
    finally:
        gateway.process.kill()
        gateway.ended()


def make_home(folder: Path, policy: str = POLICY) -> Path:
    return init_home(folder / "home", approver="alice", policy_text=policy).path


@contextmanager
def person(home: Path) -> Iterator[Authorizer]:
    """The person's side of a home."""
    authorizer = Home(home).authorizer()
    try:
        yield authorizer
    finally:
        authorizer.ledger.close()


def reader(home: Path) -> SQLiteLedger:
    return Home(home).ledger()


def decide(home: Path, decision: Any = "approve") -> str:
    """Wait until something waits, and decide it; its id."""
    with person(home) as authorizer:
        for _ in range(int(PATIENCE / 0.02)):
            if waiting := authorizer.pending():
                assert authorizer.decide(waiting[0].id, decision, "alice").accepted
                return str(waiting[0].id)
            threading.Event().wait(0.02)
    raise AssertionError("nothing waits")


def reasons(home: Path, phase: str = "execution") -> list[str]:
    """The last reason of each receipt of a phase."""
    ledger = reader(home)
    try:
        lines = [json.loads(line) for line in ledger.lines()]
    finally:
        ledger.close()
    found = [line.get("payload", line) for line in lines]
    return [" | ".join(one["reasons"]) for one in found if one["phase"] == phase]


def effects_of(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []
