"""What servers of the official library ask, log, announce and take back passes through the gateway."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest

import foreign_scripts as scripts
from delego_agent.gateway.gate import Gate, GateOptions
from delego_agent.gateway.pins import PinStore
from delego_agent.gateway.process import Command, ProcessServer
from delego_agent.gateway.relay import Relay
from delego_agent.gateway.toolbook import ToolBook
from mcp_http import http_gateway
from mcp_lines import HERE, decide, effects_of, make_home, reasons
from mcp_script import ALLOW_ALL, client, gateway

pytest.importorskip("mcp", reason="the extra 'mcp' is not installed")
pytestmark = pytest.mark.filterwarnings("ignore:.* as of 2026-07-28")  # not where it is spoken

ERAS = ("legacy", "2026-07-28")
URI = "note://one"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return make_home(tmp_path, ALLOW_ALL)


def features(tmp_path: Path) -> tuple[str, ...]:
    return (sys.executable, str(HERE / "mcp_features.py"), str(tmp_path / "effects"))


def through(home: Path, server: Sequence[str], era: str, script: Any, *options: str, **more: Any) -> Any:
    """What ``script(client, messages)`` returns behind a gateway."""

    async def run() -> Any:
        seen: list[Any] = []
        words = gateway(home, server, "--instruction", "do my work", *options, name="features")
        async with client(words, era, seen, cache=None, **more) as one:
            return await script(one, seen)

    return asyncio.run(asyncio.wait_for(run(), 2 * scripts.PATIENCE))


async def everything(one: Any, seen: list[Any]) -> None:
    """All that needs no second side."""
    from mcp.types import PromptReference, ResourceTemplateReference

    modern = one.protocol_version >= "2026-07-28"
    for listing in (one.list_tools, one.list_prompts, one.list_resource_templates, one.list_resources):
        await listing()
    for name in ("models", "folders", "hears"):
        await one.call_tool(name)
    await one.call_tool("order", {"what": "shoes"})
    if not modern:
        await scripts.wrong(one.set_logging_level("warning"))
    await one.call_tool("says", {"words": "hällo"})
    prompt = PromptReference(type="ref/prompt", name="greet")
    await one.complete(prompt, {"name": "name", "value": "A"})
    await one.complete(prompt, {"name": "name", "value": "Al"}, {"tone": "cold"})
    await one.complete(
        ResourceTemplateReference(type="ref/resource", uri="note://{name}"), {"name": "name", "value": ""}
    )
    await one.get_prompt("greet", {"name": "Ada", "tone": "cold"})
    await one.read_resource(URI)
    await scripts.wrong(one.read_resource("absent://x"))
    if modern:
        await _listens(one, seen)
    else:
        await one.call_tool("touch", {"uri": URI})
        await one.call_tool("grow", {"name": "grown"})
        await scripts.until(seen, "notifications/tools/list_changed")
        await scripts.wrong(one.subscribe_resource(URI))
        await one.send_ping()
    await one.list_tools()
    await one.call_tool("grown", {"n": 7})


async def _listens(one: Any, seen: list[Any]) -> None:
    from mcp.client.subscriptions import ResourceUpdated, ToolsListChanged

    async with one.listen(tools_list_changed=True, resource_subscriptions=[URI]) as events:
        await one.call_tool("touch", {"uri": "note://other"})
        await one.call_tool("touch", {"uri": URI})
        assert await anext(events) == ResourceUpdated(uri=URI)
        await one.call_tool("grow", {"name": "grown"})
        assert await anext(events) == ToolsListChanged()


@pytest.mark.parametrize("era", ERAS)
def test_what_a_server_asks_logs_and_announces_is_the_same_as_without_the_gateway(
    home: Path, tmp_path: Path, era: str
) -> None:
    server = features(tmp_path)
    words = gateway(home, server, *PLAIN, name="features")
    direct, behind = asyncio.run(_all_runs(era, server, words))
    assert behind == direct
    methods = {message.get("method") for message in direct}
    assert {"notifications/message", "notifications/tools/list_changed"} <= methods
    assert ({"sampling/createMessage", "roots/list", "elicitation/create"} <= methods) is (era == "legacy")
    assert sorted(effects_of(tmp_path / "effects")) == ["grown 7"] * 2 + ["order shoes decline"] * 2


def test_a_log_on_standard_streams_reaches_the_one_caller_over_http_who_wants_it(
    home: Path, tmp_path: Path
) -> None:
    """Without a handshake nothing said whose it was, and it was dropped."""
    server = features(tmp_path)
    with http_gateway(home, *PLAIN, "--server", "features", "--", *server) as (url, _):
        direct, behind = asyncio.run(_all_runs("2026-07-28", server, url))
    assert behind == direct
    assert "notifications/message" in {message.get("method") for message in behind}


PLAIN = ("--instruction", "do my work", "--no-begin-task", "--pin", "off")


async def _all_runs(era: str, *servers: Any) -> list[list[Any]]:
    """What the client sees of each of them."""
    more = {
        "elicitation_callback": _declined,
        "sampling_callback": scripts.sampled,
        "list_roots_callback": scripts.roots,
        "logging_callback": _heard,
        "log_level": "warning",
    }
    return list(await asyncio.gather(*(scripts.run(one, era, everything, **more) for one in servers)))


async def _declined(context: Any, params: Any) -> Any:
    from mcp.types import ElicitResult

    return ElicitResult(action="decline")


async def _heard(params: Any) -> None:
    """Wanted, and seen as a message."""


@pytest.mark.parametrize("era", ERAS)
def test_a_call_that_is_cancelled_is_cancelled_at_the_server_and_its_outcome_is_unknown(
    home: Path, tmp_path: Path, era: str
) -> None:
    async def script(one: Any, seen: list[Any]) -> Any:
        async with anyio.create_task_group() as group:

            async def call() -> None:
                await one.call_tool("waits", {}, progress_callback=scripts.progressed)

            group.start_soon(call)
            await scripts.until(seen, "notifications/progress", about="begun")
            group.cancel_scope.cancel()
        while "cancelled" not in effects_of(tmp_path / "effects"):
            await anyio.sleep(0.02)
        return await one.call_tool("hears")

    assert not through(home, features(tmp_path), era, script).is_error
    assert effects_of(tmp_path / "effects") == ["begun", "cancelled"]
    assert any("outcome unknown" in one for one in reasons(home))


@pytest.mark.parametrize("era", ERAS)
def test_a_tool_that_appears_in_mid_session_is_announced_and_held_until_a_person_trusts_it(
    home: Path, tmp_path: Path, era: str
) -> None:
    async def script(one: Any, seen: list[Any]) -> Any:
        before = await _names(one)
        if era == "legacy":
            await one.call_tool("grow", {"name": "grown"})
        else:
            async with one.listen(tools_list_changed=True) as events:
                await one.call_tool("grow", {"name": "grown"})
                await anext(events)
        await scripts.until(seen, "notifications/tools/list_changed")
        assert await _names(one) == before
        refused = await one.call_tool("grown", {"n": 1})
        assert refused.is_error
        assert "held until a person trusts it" in refused.content[0].text
        words = ("--home", str(home), "tools", "trust", "features", "grown")
        await anyio.run_process([sys.executable, "-m", "delego_cli", *words])
        assert await _names(one) == before | {"grown"}
        return await one.call_tool("grown", {"n": 2})

    assert through(home, features(tmp_path), era, script).content[0].text == "grown 2"
    assert effects_of(tmp_path / "effects") == ["grown 2"]


async def _names(one: Any) -> set[str]:
    return {tool.name for tool in (await one.list_tools()).tools}


def test_a_newer_server_beside_an_older_one_keeps_its_tools_when_the_client_probes_for_the_newer_era(
    home: Path, tmp_path: Path
) -> None:
    """It took the probe as its connection's era, and refused the handshake that followed."""
    older = (sys.executable, str(HERE / "mcp_evil.py"), str(tmp_path / "older"))
    servers = {"newer": features(tmp_path), "older": older}
    path = tmp_path / "servers.json"
    entries = {name: {"command": words[0], "args": words[1:]} for name, words in servers.items()}
    path.write_text(json.dumps({"servers": entries}), encoding="utf-8")
    words = ("--home", str(home), "mcp-gateway", "--config", str(path), "--instruction", "do my work")

    async def script() -> Any:
        from mcp.types import PromptReference

        command = (sys.executable, "-m", "delego_cli", *words)
        async with client(command, "auto", cache=None) as one:
            assert one.protocol_version < "2026"
            hints = await one.complete(
                PromptReference(type="ref/prompt", name="greet"), {"name": "name", "value": "Al"}
            )
            assert hints.completion.values == [
                "Alan"
            ]  # of a prompt that the client has not asked the list of
            assert {"hears", "echo"} <= await _names(one)
            return await one.call_tool("hears"), await one.call_tool("echo", {"n": 1})

    for result in asyncio.run(asyncio.wait_for(script(), 2 * scripts.PATIENCE)):
        assert not result.is_error


def test_what_is_not_to_be_subscribed_to_is_not_listened_to_either(tmp_path: Path) -> None:
    """The newer era's ``subscriptions/listen`` went past the rule about ``resources/subscribe``."""
    home = make_home(
        tmp_path,
        """
        version: 1
        default: allow
        forbidden:
          - { name: secret, match: { method: SUBSCRIBE, path: "/resource/note:/~/secret*" } }
        rules:
          - { name: asked, decision: needs_approval, match: { method: SUBSCRIBE, path: "*/asked" } }
        """,
    )

    async def script(one: Any, seen: list[Any]) -> None:
        from mcp import MCPError
        from mcp.client.subscriptions import ResourceUpdated

        for uri in ("note://secret", ""):
            with pytest.raises(MCPError):
                async with one.listen(resource_subscriptions=["note://one", uri]):
                    raise AssertionError(f"{uri} is listened to")
        async with anyio.create_task_group() as group:
            group.start_soon(_approve, home)
            async with one.listen(resource_subscriptions=["note://one", "note://asked"]) as events:
                await one.call_tool("touch", {"uri": "note://asked"})
                assert await anext(events) == ResourceUpdated(uri="note://asked")
        async with one.listen(tools_list_changed=True) as events:  # names no resource
            await one.call_tool("grow", {"name": "grown"})
            await anext(events)

    through(home, features(tmp_path), "auto", script)
    assert sum("human approved by 'alice'" in one for one in reasons(home)) == 1


async def _approve(home: Path) -> None:
    await anyio.to_thread.run_sync(decide, home)


def test_a_list_that_the_client_cancelled_does_not_hold_a_thread_for_ever(home: Path) -> None:
    """Servers do not answer what was cancelled, and 256 such requests left no room for calls."""
    gate = Gate(home, GateOptions())
    book = ToolBook("silent", PinStore(home), print, pinning="off")
    relay = Relay(gate, book, lambda *_: None, print, "go")
    command = Command([sys.executable, "-c", "import sys; sys.stdin.read()"], {})
    relay.server = ProcessServer("silent", command, relay.from_server, lambda _: None, print)
    relay.server.start()
    relay.take({"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
    cancelled = {"method": "notifications/cancelled", "params": {"requestId": 1}}
    relay.take({"jsonrpc": "2.0", **cancelled})
    relay.drain(scripts.PATIENCE)
    assert relay._calls == 0
    relay.server.close()
    gate.close()
