"""What ``delego mcp-gateway`` costs over stdio: the same call to the same server, directly and through it."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from benchmarks.material import ROW, TRANSFER_POLICY, bare_database
from benchmarks.measure import Figure, in_turns
from delego_authorizer import init_home

ROUNDS: Final = 1000
WARM: Final = 1500  # commits before anything is timed: logs have come round once, and grow no more
SERVER: Final = [sys.executable, "-m", "benchmarks.mcp_child"]


def mcp_stdio(folder: Path, _: int) -> list[Figure]:
    """An allowed call through the gateway (two durable receipts) and directly, against a bare commit."""
    home = init_home(folder / "home", approver="user:owner", policy_text=TRANSFER_POLICY).path
    gateway = [sys.executable, "-m", "delego_cli", "mcp-gateway", "--home", str(home), "--server", "bank"]
    with ExitStack() as stack:
        direct = stack.enter_context(_client(SERVER))
        through = stack.enter_context(_client([*gateway, "--instruction", "pay my rent", "--", *SERVER]))
        bare = bare_database(folder / "bare.db")

        def commit() -> None:
            bare.execute("BEGIN IMMEDIATE")
            bare.execute("INSERT INTO rows (body) VALUES (?)", (ROW,))
            bare.execute("COMMIT")

        for _round in range(WARM):
            commit()
        for _round in range(WARM // 2):  # two commits each
            direct.call()
            through.call()
        direct_s, through_s, ping_s, commit_s = in_turns(
            ROUNDS, direct.call, through.call, through.ping, commit
        )
        bare.close()
    added = through_s - direct_s
    detail = (
        f"added / bare commit ({added * 1e6:.0f} / {commit_s * 1e6:.0f} µs; directly {direct_s * 1e6:.0f};"
        f" {(ping_s - direct_s) * 1e6:.0f} are added to a ping, which is not decided)"
    )
    return [Figure("allowed call over stdio", added / commit_s, "x", 4.0, True, detail)]


class _Client:
    """Writes a line, reads a line."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._writes, self._reads = process.stdin, process.stdout
        self._numbers = itertools.count()
        self.ask("initialize", {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {}})
        self.ask("tools/list", {})

    def ask(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        number = next(self._numbers)
        request = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        self._writes.write(json.dumps(request).encode() + b"\n")
        self._writes.flush()
        answer = json.loads(self._reads.readline())
        if answer.get("id") != number or "result" not in answer:
            raise RuntimeError(f"{method} was answered by {answer!r:.300}")
        return dict(answer["result"])

    def call(self) -> None:
        arguments = {"amount": 2400, "currency": "USD", "destination": "internal"}
        result = self.ask("tools/call", {"name": "transfer", "arguments": arguments})
        if result["isError"]:
            raise RuntimeError(f"the call came to {result!r:.300}")

    def ping(self) -> None:
        self.ask("ping", {})


@contextmanager
def _client(command: Sequence[str]) -> Iterator[_Client]:
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield _Client(process)
        finally:
            process.stdin.close() if process.stdin else None
            process.wait(30)
