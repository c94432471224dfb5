"""A client's own ``.mcp.json`` with servers that nobody here wrote, all of them behind one gateway."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest

import foreign_places as places
import foreign_scripts as scripts
from foreign_servers import command
from mcp_lines import make_home, reader
from mcp_script import ALLOW_ALL, client

pytest.importorskip("mcp", reason="the extra 'mcp' is not installed")
pytestmark = pytest.mark.filterwarnings("ignore:.* as of 2026-07-28")  # not where it is spoken

CALLS = 34  # to each of three


@pytest.fixture
def gateway(tmp_path: Path) -> tuple[str, ...]:
    """The command of a gateway in front of three servers."""
    folder = tmp_path / "files"
    places.files(folder)
    for number in range(CALLS):
        (folder / f"{number}.txt").write_text(f"file {number}", encoding="utf-8")
    servers = {
        "Time": {"command": command("mcp-server-time"), "args": ["--local-timezone", "UTC"]},
        "files": {"type": "stdio", "command": command("mcp-server-filesystem"), "args": [str(folder)]},
        "everything": {"command": command("mcp-server-everything"), "args": [], "env": {"A": "b"}},
    }
    path = tmp_path / ".mcp.json"
    path.write_text(json.dumps({"mcpServers": servers}), encoding="utf-8")
    home = make_home(tmp_path, ALLOW_ALL)
    words = ("--home", str(home), "mcp-gateway", "--config", str(path), "--instruction", "do my work")
    return (sys.executable, "-m", "delego_cli", *words)


def test_a_hundred_calls_at_once_come_back_from_the_server_and_with_the_answer_that_they_wanted(
    gateway: tuple[str, ...], tmp_path: Path
) -> None:
    async def script() -> dict[str, str]:
        found: dict[str, str] = {}
        async with client(gateway, "auto", cache=None) as one:
            await one.list_tools()

            async def call(name: str, number: int, **arguments: Any) -> None:
                result = await one.call_tool(name, arguments)
                assert not result.is_error
                found[f"{name} {number}"] = result.content[0].text

            async with anyio.create_task_group() as group:
                for number in range(CALLS):
                    zones = {"source_timezone": "UTC", "target_timezone": "UTC"}
                    one_call = {"time": f"12:{number:02}", **zones}
                    group.start_soon(lambda n=number, a=one_call: call("convert_time", n, **a))
                    file = str(tmp_path / "files" / f"{number}.txt")
                    group.start_soon(lambda n=number, f=file: call("read_text_file", n, path=f))
                    group.start_soon(lambda n=number: call("echo", n, message=f"number {n}"))
        return found

    found = asyncio.run(asyncio.wait_for(script(), 2 * scripts.PATIENCE))
    assert len(found) == 3 * CALLS
    for number in range(CALLS):
        assert f"T12:{number:02}:00" in found[f"convert_time {number}"]
        assert found[f"read_text_file {number}"] == f"file {number}"
        assert found[f"echo {number}"] == f"Echo: number {number}"
    ledger = reader(tmp_path / "home")
    sent = [json.loads(line)["action_summary"] for line in ledger.lines() if b'"execution"' in line]
    ledger.close()
    for name in ("time/convert_time", "files/read_text_file", "everything/echo"):
        assert sum(one.startswith(f"CALL {name} ") for one in sent) == CALLS


def test_what_one_of_many_servers_asks_logs_and_reports_reaches_the_client(gateway: tuple[str, ...]) -> None:
    callbacks = {
        "elicitation_callback": scripts.elicited,
        "sampling_callback": scripts.sampled,
        "list_roots_callback": scripts.roots,
    }

    async def script() -> None:
        from mcp.types import PromptReference

        seen: list[Any] = []
        steps: list[float] = []

        async def progress(done: float, total: float | None, what: str | None) -> None:
            steps.append(done)

        async with client(gateway, "auto", seen, cache=None, **callbacks) as one:
            prompt = PromptReference(type="ref/prompt", name="completable-prompt")
            hints = await one.complete(prompt, {"name": "department", "value": "S"})
            assert hints.completion.values == ["Sales", "Support"]
            await scripts.until(seen, "notifications/message", about="Roots updated")
            model = await one.call_tool("trigger-sampling-request", {"prompt": "say it"})
            assert "an answer to" in model.content[0].text
            person = await one.call_tool("trigger-elicitation-request", {})
            assert "Name: Ada" in person.content[1].text
            long = {"duration": 0.1, "steps": 2}
            await one.call_tool("trigger-long-running-operation", long, progress_callback=progress)
            assert steps == [1, 2]
            text = "demo://resource/dynamic/text/7"
            assert "Resource 7" in (await one.read_resource(text)).contents[0].text
            await one.subscribe_resource(text)
            await one.call_tool("toggle-subscriber-updates", {})
            await scripts.until(seen, "notifications/resources/updated", about=text)

    asyncio.run(asyncio.wait_for(script(), 2 * scripts.PATIENCE))
