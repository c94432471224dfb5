"""The same script directly and through a gateway that allows everything: what the client sees is the same."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from delego_authorizer import init_home
from mcp_script import ALLOW_ALL, SERVER, client, everything, gateway

pytest.importorskip("mcp", reason="the extra 'mcp' is not installed")

ERAS = ("legacy", "2026-07-28", "auto")
# An unlisted tool is refused by the gateway and not by the server; docs/mcp.md lists it.
UNLISTED = "lists no tool 'nothing'"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return init_home(tmp_path / "home", approver="alice", policy_text=ALLOW_ALL).path


def differences(direct: list[Any], through: list[Any]) -> list[tuple[Any, Any]]:
    assert len(direct) == len(through)
    return [pair for pair in zip(direct, through, strict=True) if pair[0] != pair[1]]


@pytest.mark.parametrize("era", ERAS)
def test_every_message_is_the_same(home: Path, era: str) -> None:
    direct = asyncio.run(everything(SERVER, era))
    options = ("--instruction", "try everything", "--no-begin-task")
    through = asyncio.run(everything(gateway(home, SERVER, *options), era))
    ((there, here),) = differences(direct, through)
    assert "Unknown tool" in str(there)
    assert UNLISTED in str(here)
    assert len(direct) > 15


@pytest.mark.parametrize("era", ["legacy", "auto"])
def test_an_agent_says_the_persons_words_with_the_added_tool(home: Path, era: str) -> None:
    async def script() -> tuple[Any, Any, Any]:
        async with client(gateway(home, SERVER, "--hold", "0"), era) as one:
            names = [tool.name for tool in (await one.list_tools()).tools]
            before = await one.call_tool("add", {"a": 1, "b": 2})
            await one.call_tool("delego_begin_task", {"instruction": "add one and two"})
            return names, before, await one.call_tool("add", {"a": 1, "b": 2})

    names, before, after = asyncio.run(script())
    assert names[-1] == "delego_begin_task"
    assert before.is_error
    assert before.meta["delego/decision"]["status"] == "pending"
    assert after.structured_content == {"total": 3}
