"""One script of an MCP client, run with the official library, and every message that it saw."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import anyio

HERE: Final = Path(__file__).parent
SERVER: Final = (sys.executable, str(HERE / "mcp_server.py"))
ALLOW_ALL: Final = "version: 1\ndefault: allow\n"


def gateway(home: Path, server: Sequence[str], *options: str, name: str = "everything") -> tuple[str, ...]:
    """The command of a gateway in front of ``server``."""
    words = ("--home", str(home), "mcp-gateway", "run", "--server", name, *options)
    return (sys.executable, "-m", "delego_cli", *words, "--", *server)


@asynccontextmanager
async def client(
    command: Sequence[str] | str, mode: str = "auto", seen: list[Any] | None = None, **more: Any
) -> Any:
    """The official client of a command or a URL; ``seen`` gets each raw message that it receives."""
    from mcp import Client, StdioServerParameters
    from mcp.client.stdio import stdio_client
    from mcp.client.streamable_http import streamable_http_client

    def connect() -> Any:
        if isinstance(command, str):
            return streamable_http_client(command)
        parameters = StdioServerParameters(command=command[0], args=list(command[1:]), env={**_coverage()})
        return stdio_client(parameters)

    @asynccontextmanager
    async def transport() -> Any:
        async with connect() as (read, write):
            out, into = anyio.create_memory_object_stream[Any](100)
            async with anyio.create_task_group() as group:

                async def listen() -> None:
                    async with out:
                        async for item in read:
                            if seen is not None and hasattr(item, "message"):
                                seen.append(item.message.model_dump(by_alias=True, mode="json"))
                            await out.send(item)

                group.start_soon(listen)
                yield into, write
                group.cancel_scope.cancel()

    async with Client(transport(), mode=mode, **more) as connected:
        yield connected


def _coverage() -> dict[str, str]:
    """What a measured process needs: the official client passes hardly anything on."""
    import os

    return {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}


async def everything(command: Sequence[str] | str, mode: str) -> list[Any]:
    """Use all that the test server has; the messages received, ids and times left out."""
    from mcp import MCPError
    from mcp.types import ElicitResult

    seen: list[Any] = []

    async def elicit(context: Any, params: Any) -> Any:
        return ElicitResult(action="accept", content={"yes": True})

    async def progress(done: float, total: float | None, text: str | None) -> None:
        """Wanted, and seen as a message."""

    async with client(command, mode, seen, elicitation_callback=elicit, cache=None) as one:
        await one.list_tools()
        await one.call_tool("add", {"a": 1, "b": 2})
        await one.call_tool("fails", {})
        await one.call_tool("picture", {})
        await one.call_tool("steps", {}, progress_callback=progress)
        await one.call_tool("asks", {})
        await one.call_tool("add", {"a": "x"})
        for wrong in ("nothing",):
            try:
                await one.call_tool(wrong, {})
            except MCPError as error:
                seen.append(str(error))
        await one.list_resources()
        await one.list_resource_templates()
        await one.read_resource("test://static")
        await one.read_resource("test://items/7")
        await one.list_prompts()
        await one.get_prompt("greet", {"name": "Ada"})
        try:
            await one.get_prompt("none", {})
        except MCPError as error:
            seen.append(str(error))
    return [_settled(message) for message in seen]


def _settled(message: Any) -> Any:
    """Without what differs from run to run."""
    if isinstance(message, dict):
        return {
            name: _settled(value)
            for name, value in message.items()
            if name not in ("requestState", "io.modelcontextprotocol/serverInfo")
        }
    if isinstance(message, list):
        return [_settled(one) for one in message]
    return re.sub(r"0x[0-9a-f]+", "0x", message) if isinstance(message, str) else message
