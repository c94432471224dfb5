"""Many servers behind one gateway: one list, each call to its own server, nothing mixed."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from delego_agent.gateway.hub import Hub, _told_apart
from delego_agent.gateway.servers import ServersError, read_servers
from mcp_lines import HERE, Gateway, effects_of, make_home, person
from mcp_script import SERVER, client


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return make_home(tmp_path, "version: 1\ndefault: allow\n")


def config(folder: Path, **servers: list[str]) -> Path:
    path = folder / "servers.yaml"
    entries = {name: {"command": words[0], "args": words[1:]} for name, words in servers.items()}
    path.write_text(json.dumps({"servers": entries}), encoding="utf-8")
    return path


def evil(folder: Path, number: int) -> list[str]:
    return [sys.executable, str(HERE / "mcp_evil.py"), str(folder / f"effects-{number}")]


def gateway_of(home: Path, path: Path, *options: str) -> tuple[str, ...]:
    words = ("--home", str(home), "mcp-gateway", "--config", str(path), "--instruction", "go", *options)
    return (sys.executable, "-m", "delego_cli", *words)


@pytest.mark.parametrize("era", ["legacy", "auto", "2026-07-28"])
def test_one_client_sees_what_all_servers_offer_under_the_shortest_clear_names(
    home: Path, tmp_path: Path, era: str
) -> None:
    path = config(tmp_path, one=[*SERVER, str(tmp_path / "a")], two=[*SERVER, str(tmp_path / "b")])

    async def script() -> Any:
        async with client(gateway_of(home, path), era, cache=None) as both:
            names = [tool.name for tool in (await both.list_tools()).tools]
            total = await both.call_tool("two__add", {"a": 1, "b": 2})
            prompt = await both.get_prompt("one__greet", {"name": "Ada"})
            templates = await both.list_resource_templates()
            await both.list_resources()
            return names, total, prompt, templates, both.server_capabilities

    names, total, prompt, templates, capabilities = asyncio.run(script())
    assert {"one__add", "two__add", "delego_begin_task"} <= set(names)
    assert total.structured_content == {"total": 3}
    assert "Hello Ada" in prompt.messages[0].content.text
    assert len(templates.resource_templates) == 2
    assert capabilities.tools is not None or era == "2026-07-28"  # that client asks for none
    assert effects_of(tmp_path / "a") == []
    assert effects_of(tmp_path / "b") == ["add 1 2"]
    with person(home) as authorizer:
        lines = [line.decode() for line in authorizer.ledger.lines()]
    assert any("CALL two/add" in line for line in lines)


def test_servers_of_two_makes_and_only_equal_names_are_prefixed(home: Path, tmp_path: Path) -> None:
    path = config(tmp_path, good=[*SERVER, str(tmp_path / "a")], evil=evil(tmp_path, 0))

    async def script() -> Any:
        async with client(gateway_of(home, path), "legacy", cache=None) as both:
            before = await both.call_tool("echo", {"n": 1})
            static = await both.read_resource("test://static")
            item = await both.read_resource("test://items/7")
            return before, static, item, [tool.name for tool in (await both.list_tools()).tools]

    echo, static, item, names = asyncio.run(script())
    assert echo.content[0].text == '{"n": 1}'
    assert static.contents[0].text == "static text"
    assert item.contents[0].text == "item 7"
    assert {"add", "echo"} <= set(names)
    assert not any("__" in name for name in names)


def test_a_hundred_calls_to_three_servers_do_not_mix(home: Path, tmp_path: Path) -> None:
    path = config(tmp_path, a=evil(tmp_path, 0), b=evil(tmp_path, 1), c=evil(tmp_path, 2))
    gateway = Gateway(home, tmp_path / "x", (), command=gateway_of(home, path))
    gateway.begin()
    gateway.ask("tools/list")
    calls = {gateway.tool(f"{'abc'[number % 3]}__echo", n=number): number for number in range(100)}
    for one, number in calls.items():
        assert json.loads(gateway.answer(one)["result"]["content"][0]["text"]) == {"n": number}
    assert gateway.ended() == 0
    for place in range(3):
        found = effects_of(tmp_path / f"effects-{place}")
        assert sorted(found) == sorted(f'echo {{"n": {number}}}' for number in range(place, 100, 3))


def test_what_many_servers_ask_is_kept_apart_and_one_that_dies_ends_only_its_own(
    home: Path, tmp_path: Path
) -> None:
    path = config(tmp_path, a=evil(tmp_path, 0), b=evil(tmp_path, 1))
    gateway = Gateway(home, tmp_path / "x", (), command=gateway_of(home, path))
    gateway.begin()
    gateway.call("delego_begin_task", instruction="the task")
    for name in ("a__ask", "b__ask"):
        gateway.call(name)
    asked = [message["id"] for message in gateway.seen if message.get("method") == "elicitation/create"]
    assert len(set(asked)) == 2
    gateway.line(json.dumps({"jsonrpc": "2.0", "id": asked[1], "result": {"action": "decline"}}))
    gateway.line(json.dumps({"jsonrpc": "2.0", "id": "nobody", "result": {}}))
    while "answer q1" not in effects_of(tmp_path / "effects-1"):
        gateway.ask("ping")
    assert "answer q1" not in effects_of(tmp_path / "effects-0")
    assert "ended" in str(gateway.call("a__die_after"))
    assert "content" in gateway.call("b__echo")["result"]
    assert "has ended" in str(gateway.call("a__echo"))
    for method, params in (
        ("acme/do", {}),
        ("tools/call", {"name": "absent"}),
        ("tools/call", {}),
        ("tools/list", {"cursor": "x"}),
        ("resources/read", {"uri": "x://y"}),
        ("completion/complete", {"ref": {"type": "ref/prompt", "name": "x"}}),
        ("completion/complete", {"ref": {"type": "ref/resource", "uri": "x://y"}}),
    ):
        assert "error" in gateway.ask(method, params)
    assert gateway.ask("logging/setLevel", {"level": "info"})["result"] == {}
    gateway.line("[")
    gateway.until(lambda message: message.get("id", 0) is None)
    gateway.call("b__die_before")
    assert gateway.process.wait(60) == 1
    gateway.ended()


@pytest.mark.parametrize(
    ("items", "wanted"),
    [
        ([("a", "x"), ("b", "y")], ["x", "y"]),
        ([("a", "x"), ("b", "x")], ["a__x", "b__x"]),
        ([("a", "x"), ("b", "x"), ("c", "a__x")], ["a__x_", "b__x", "a__x"]),
        ([("a", "delego_begin_task")], ["a__delego_begin_task"]),
    ],
)
def test_names_are_prefixed_only_where_two_would_be_one(
    items: list[tuple[str, str]], wanted: list[str]
) -> None:
    assert _told_apart(items) == wanted


def test_a_clients_file_and_our_own_yaml_name_servers(tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.write_text(
        "servers:\n  My Time: { command: uvx, args: [t], env: { A: b }, cwd: sub }\n", encoding="utf-8"
    )
    (command,) = read_servers(path).values()
    assert (command.argv, command.env, command.cwd) == (["uvx", "t"], {"A": "b"}, tmp_path / "sub")
    path.write_text('{"mcpServers": {"time": {"command": "uvx", "other": 1}}, "x": 1}', encoding="utf-8")
    assert list(read_servers(path)) == ["time"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "servers: {}",
        "servers: {a: {url: x}}",
        "servers: {a: {command: x, args: [1]}}",
        "servers: {a: {command: x, env: {A: 1}}}",
        "servers: {a: {command: x, cwd: 1}}",
        "servers: {a: {command: x, odd: 1}}",
        "servers: {a: {command: x}, A: {command: x}}",
        "servers: {a: {command: x}, a: {command: x}}",
    ],
)
def test_a_file_that_names_no_servers_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "s"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ServersError):
        read_servers(path)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ServersError):
        read_servers(tmp_path / "absent")
    (tmp_path / "s").write_bytes(b"\xff")
    with pytest.raises(ServersError):
        read_servers(tmp_path / "s")


@pytest.mark.parametrize("words", [[], ["--config", "x", "--", "y"], ["--config", "absent"]])
def test_a_command_or_a_file_is_wanted(home: Path, tmp_path: Path, words: list[str]) -> None:
    command = (sys.executable, "-m", "delego_cli", "--home", str(home), "mcp-gateway", "run", *words)
    gateway = Gateway(home, tmp_path / "x", (), command=command)
    assert gateway.ended() in (1, 2)


def test_a_server_takes_back_what_it_asked_and_nothing_that_another_one_asked() -> None:
    seen: list[Any] = []
    hub = Hub(lambda message, _: seen.append(message), print, adds_task=False)
    one, two = hub.sink("one"), hub.sink("two")
    one({"jsonrpc": "2.0", "id": 5, "method": "elicitation/create"}, None)
    shown = seen.pop()["id"]
    for asked in (shown, 5, "5"):
        two({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": asked}}, None)
    assert seen == []
    one({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 5}}, None)
    assert [message["params"]["requestId"] for message in seen] == [shown]
