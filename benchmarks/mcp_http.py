"""What ``delego mcp-gateway`` leaves of a server's rate over HTTP: eight callers with the official client,
directly and through it, in turns.
"""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks.material import TRANSFER_POLICY
from benchmarks.measure import Figure
from delego_authorizer import init_home

CALLERS: Final = 8
ROUNDS: Final = 25
CALLS: Final = 10  # of each caller in a round
SERVER: Final = [sys.executable, "-m", "benchmarks.mcp_http_child"]


def mcp_http(folder: Path, _: int) -> list[Figure]:
    """Eight concurrent callers through the gateway, each call with its two durable receipts, and directly."""
    home = init_home(folder / "home", approver="user:owner", policy_text=TRANSFER_POLICY).path
    with ExitStack() as stack:
        port = int(stack.enter_context(_process(SERVER)))
        direct = f"http://127.0.0.1:{port}/mcp"
        words = ["mcp-gateway", "run", "--home", str(home), "--json", "--http", "0", "--server", "bank"]
        words += ["--url", direct, "--instruction", "pay my rent"]
        line = stack.enter_context(_process([sys.executable, "-m", "delego_cli", *words]))
        rates = asyncio.run(_rates(direct, json.loads(line)["url"]))
    through, directly = rates[1], rates[0]
    detail = f"{through:.0f} calls/s / {directly:.0f} directly; {CALLERS} callers, two receipts a call"
    return [Figure("calls over HTTP", 100 * through / directly, "%", 40.0, False, detail)]


async def _rates(*urls: str) -> list[float]:
    """Calls per second at each address, the median of rounds that take turns."""
    from mcp import Client

    taken: list[list[float]] = [[] for _ in urls]
    async with AsyncExitStack() as stack:
        callers = [[await stack.enter_async_context(Client(url)) for _ in range(CALLERS)] for url in urls]
        for clients in callers:  # the first calls make connections, and list tools
            await _round(clients)
        gc.disable()
        for _ in range(ROUNDS):
            for clients, seconds in zip(callers, taken, strict=True):
                seconds.append(await _round(clients))
        gc.enable()
    return [CALLERS * CALLS / median(seconds) for seconds in taken]


async def _round(clients: Sequence[Any]) -> float:
    start = time.perf_counter()
    await asyncio.gather(*(_calls(client) for client in clients))
    return time.perf_counter() - start


async def _calls(client: Any) -> None:
    for _ in range(CALLS):
        arguments = {"amount": 2400, "currency": "USD", "destination": "internal"}
        result = await client.call_tool("transfer", arguments)
        if result.is_error:
            raise RuntimeError(f"the call came to {result!r:.300}")


@contextmanager
def _process(words: Sequence[str]) -> Iterator[str]:
    """The first line that a process writes; the process ends with the block."""
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline()
        finally:
            process.terminate()
            process.wait(30)
