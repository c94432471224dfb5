"""Real processes for the fault tests: forked in milliseconds, spoken to in lines, killed without mercy."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from delego_authorizer import Home, init_home
from delego_spec.chain import verify_chain
from delego_spec.receipts import Payload, decode_line

CHILDREN = Path(__file__).parent / "faults" / "children"
sys.path.insert(0, str(CHILDREN))

from fault_workers import action, effect  # noqa: E402 - found beside the workers

__all__ = [
    "LONG",
    "Nursery",
    "Worker",
    "action",
    "effect",
    "effects",
    "make_home",
    "nursery",
    "verified_receipts",
]

LONG = 120.0  # seconds; a wait that working code never uses up

POLICY = """
default: deny
rules:
  - { name: work, decision: allow, match: { method: POST, host: api.example.com, path: /work } }
  - { name: limited, decision: allow, match: { method: POST, host: api.example.com, path: /limited },
      constraints: { rate_limit: { max: %(max)d, per: day } } }
  - { name: order, decision: needs_approval, match: { method: POST, host: api.example.com, path: /order } }
  - { name: limited-order, decision: needs_approval,
      match: { method: POST, host: api.example.com, path: /limited-order },
      constraints: { rate_limit: { max: %(max)d, per: day } } }
"""
CONFIG = """
version = 1
[approvals]
approvers = [{approver}]
[broker]
timeout_seconds = %(timeout)s
"""


def make_home(path: Path, *, limit: int = 1000, timeout: float = 60.0) -> Home:
    """A home whose rule ``limited`` allows ``limit`` a day; brokers may take ``timeout`` seconds."""
    return init_home(
        path,
        approver="alice",
        policy_text=POLICY % {"max": limit},
        config_text=CONFIG % {"timeout": timeout},
    )


class Worker:
    """One forked process, spoken to in lines of JSON."""

    def __init__(self, nursery: Nursery, pid: int, to: int, back: int) -> None:
        self.pid = pid
        self._nursery = nursery
        self._to = os.fdopen(to, "wb", buffering=0)
        self._back = back
        self._buffer = b""
        self._reaped: int | None = None

    def tell(self, message: object) -> None:
        self._to.write(json.dumps(message).encode() + b"\n")

    def hear(self) -> Any:
        """The next line. Raises EOFError when the process ended without one."""
        while b"\n" not in self._buffer:
            if not select.select([self._back], [], [], LONG)[0]:
                raise TimeoutError(f"worker {self.pid} said nothing for {LONG:g} s")
            chunk = os.read(self._back, 65536)
            if not chunk:
                raise EOFError(f"worker {self.pid} ended")
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        return json.loads(line)

    def rest(self) -> list[Any]:
        """All whole lines until the process ends."""
        lines = []
        while True:
            try:
                lines.append(self.hear())
            except EOFError:
                return lines

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self.signal(signal.SIGKILL)
        assert self.reap() == -signal.SIGKILL

    def finish(self) -> None:
        """No more orders: the worker ends by itself, well."""
        self._to.close()
        assert self.reap() == 0

    def reap(self) -> int:
        if self._reaped is None:
            self._reaped = self._nursery.reap(self.pid)
        return self._reaped

    def close(self) -> None:
        if self._reaped is None:
            os.kill(self.pid, signal.SIGKILL)
            self.reap()
        self._to.close()
        os.close(self._back)


class Nursery:
    """Starts workers (see ``faults/children``), and leaves none behind."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._workers: list[Worker] = []

    def start(self, worker: str, **arguments: object) -> Worker:
        """``worker``: a function of ``children/fault_workers.py``."""
        inside, to = os.pipe()
        back, outside = os.pipe()
        order = {"worker": worker, "arguments": {key: _plain(value) for key, value in arguments.items()}}
        socket.send_fds(self._control, [json.dumps(order).encode()], [inside, outside])
        os.close(inside)
        os.close(outside)
        pid = json.loads(self._control.recv(100))
        started = Worker(self, pid, to, back)
        self._workers.append(started)
        return started

    def reap(self, pid: int) -> int:
        self._control.send(json.dumps({"reap": pid}).encode())
        status: int = json.loads(self._control.recv(100))
        return status

    def close(self) -> None:
        for worker in self._workers:
            worker.close()


@contextmanager
def nursery() -> Iterator[Nursery]:
    """A nursery, whose workers are killed at the end."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    arguments = [sys.executable, str(CHILDREN / "nursery.py"), str(theirs.fileno())]
    with ours, subprocess.Popen(arguments, pass_fds=[theirs.fileno()]) as process:
        theirs.close()
        opened = Nursery(ours)
        try:
            yield opened
        finally:
            opened.close()
            ours.close()
            process.wait(LONG)


def effects(path: Path) -> list[dict[str, Any]]:
    """What the workers' brokers did, in order, as ``fault_workers.effect`` writes it."""
    return [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []


def verified_receipts(home: Home) -> list[Payload]:
    """The receipts of a chain in which nothing is wrong."""
    ledger = home.ledger()
    head = ledger.head()  # first: others may go on writing
    lines = [] if head is None else list(ledger.lines(stop=head.seq + 1))
    report = verify_chain(lines, home.public_key(), expected_head=head)
    assert report.valid, report.problems[:5]
    return [decode_line(line).payload for line in lines]


def _plain(value: object) -> object:
    return str(value) if isinstance(value, Path) else value
