"""Calls through the gateway over HTTP: whose they are, what a server gets of them, and what faults leave."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from delego_authorizer import init_home
from delego_spec.action import Action
from mcp_http import (
    HERE,
    JSON_AND_EVENTS,
    MODERN,
    Caller,
    Process,
    http_gateway,
    messages,
    request,
    seen_headers,
    served,
)
from mcp_http_evil import EvilServer, until
from mcp_lines import PATIENCE, decide, effects_of, person, reader, reasons

pytest.importorskip("mcp", reason="the extra 'mcp' is not installed")

POLICY = """
version: 1
default: allow
rules:
  - { name: asked, decision: needs_approval, match: { method: CALL, host: evil, path: /echo } }
"""
SECRETS = {
    "Authorization": "Bearer correct-horse-battery",
    "Cookie": "session=secret",
    "X-Api-Key": "secret",
    "Proxy-Authorization": "Basic secret",
    "X-Forwarded-For": "secret",
    "Mcp-Param-Place": "secret",
    "X-Anything": "secret",
}
EXPECTED = {"accept", "accept-encoding", "content-length", "content-type", "host", "x-own"}
OF_MCP = {"mcp-protocol-version", "mcp-session-id", "mcp-method", "mcp-name"}
WORDS = ("--instruction", "try it")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return init_home(tmp_path / "home", approver="alice", policy_text=POLICY).path


@pytest.fixture
def evil() -> Iterator[EvilServer]:
    server = EvilServer()
    yield server
    server.end()


def config_of(folder: Path, servers: Any) -> str:
    path = folder / "servers.yaml"
    path.write_text(json.dumps({"servers": servers}))
    return str(path)


def test_nothing_of_the_callers_headers_reaches_a_server(home: Path, tmp_path: Path) -> None:
    with served(tmp_path) as server:
        entry = {"url": server, "headers": {"X-Own": "${OWN_KEY}"}}
        options = ("--config", config_of(tmp_path, {"everything": entry}), "--token-env", "TOKEN", *WORDS)
        environment = {"OWN_KEY": "mine", "TOKEN": "correct-horse-battery"}
        with http_gateway(home, *options, **environment) as (url, _):
            caller = Caller(url)
            more = {name.replace("-", "_"): value for name, value in SECRETS.items()}
            caller.default = SECRETS
            caller.handshake()
            assert caller.tool("add", a=1, b=2)["result"]["structuredContent"] == {"total": 3}
            caller.request("DELETE", None, {"Mcp-Session-Id": str(caller.session), **SECRETS})
            free = Caller(url)
            status, _ = free.modern("tools/call", {"name": "add", "arguments": {"a": 1, "b": 2}}, **more)
            assert status == 200
        seen = seen_headers(tmp_path)
    assert {one["method"] for one in seen} >= {"POST", "GET", "DELETE"}
    for one in seen:
        names = {name for name, _ in one["headers"]}
        assert names <= EXPECTED | OF_MCP
        assert ["x-own", "mine"] in one["headers"]
        assert not any("secret" in value or "horse" in value for _, value in one["headers"])


def test_a_hundred_calls_of_many_callers_do_not_mix(home: Path, tmp_path: Path) -> None:
    """Ten sessions with tasks of their own and twenty callers without, all with the same ids."""
    with served(tmp_path) as server, http_gateway(home, "--server", "sums", "--url", server) as (url, _):
        callers = [Caller(url) for _ in range(10)]
        for number, caller in enumerate(callers):
            caller.handshake()
            caller.tool("delego_begin_task", instruction=f"task {number}")

        def of_session(number: int, call: int) -> None:
            answer = callers[number].tool("add", call, a=number, b=call)
            assert answer["id"] == call
            assert answer["result"]["structuredContent"] == {"total": number + call}

        def of_none(number: int) -> None:
            meta = {"delego/instruction": f"task {number}", "progressToken": 1}
            params = {"name": "add", "arguments": {"a": number, "b": 1000}, "_meta": meta}
            _, answer = Caller(url).modern("tools/call", params, 1)
            assert answer["id"] == 1
            assert answer["result"]["structuredContent"] == {"total": number + 1000}

        with ThreadPoolExecutor(100) as pool:
            calls = [pool.submit(of_session, one, call) for one in range(10) for call in range(8)]
            calls += [pool.submit(of_none, number) for number in range(100, 120)]
            for call in calls:
                call.result(PATIENCE)
    expected = [(number, call) for number in range(10) for call in range(8)]
    expected += [(number, 1000) for number in range(100, 120)]
    assert sorted(effects_of(tmp_path / "effects")) == sorted(f"add {a} {b}" for a, b in expected)
    wanted = {
        (action.action_fingerprint, action.intent_hash)
        for action in (_Expected(f"task {a}", {"a": a, "b": b}) for a, b in expected)
    }
    assert set(_receipts(home)) == wanted


class _Expected:
    def __init__(self, words: str, arguments: dict[str, int]) -> None:
        action = Action(words, "CALL", "mcp://sums/add", dict(arguments))
        self.action_fingerprint, self.intent_hash = action.fingerprint, action.intent_hash


def _receipts(home: Path) -> list[tuple[str, str]]:
    ledger = reader(home)
    try:
        lines = [json.loads(line) for line in ledger.lines()]
    finally:
        ledger.close()
    found = [line.get("payload", line) for line in lines]
    return [(one["action_fingerprint"], one["intent_hash"]) for one in found if one["phase"] == "execution"]


def test_a_call_that_is_held_runs_when_a_person_approves_it(home: Path, evil: EvilServer) -> None:
    with http_gateway(home, *WORDS, "--server", "evil", "--url", evil.url) as (url, _):
        caller = Caller(url)
        caller.handshake()
        with ThreadPoolExecutor(1) as pool:
            call = pool.submit(caller.request, "POST", *echo(caller, 5))
            decide(home)
            status, answered, data = call.result(PATIENCE)
    assert (status, answered["content-type"]) == (200, "text/event-stream")
    *progress, last = messages(data)
    assert {one["params"]["progressToken"] for one in progress} == {5}
    assert last["result"]["isError"] is False
    assert evil.calls == ["echo"]


@pytest.mark.parametrize("era", ["session", "modern"])
def test_a_client_that_leaves_takes_nothing_from_the_person(home: Path, evil: EvilServer, era: str) -> None:
    evil.sessions = era == "session"
    with http_gateway(home, *WORDS, "--server", "evil", "--url", evil.url) as (url, _):
        caller = Caller(url)
        if era == "session":
            caller.handshake()
        first = caller.events("POST", *echo(caller, 1))
        assert next(first)["method"] == "notifications/progress"
        first.close()
        second = caller.events("POST", *echo(caller, 2))
        assert next(second)["method"] == "notifications/progress"
        with person(home) as authorizer:
            assert len(authorizer.pending()) == 1  # they wait for one yes
        decide(home)
        assert [*second][-1]["result"]["isError"] is False
    assert evil.calls == ["echo"]


def echo(caller: Caller, one: int) -> tuple[bytes, dict[str, str]]:
    """A call that waits for a person, as body and headers of a POST: in the caller's session, or without."""
    meta: dict[str, Any] = {"progressToken": one}
    headers = {**JSON_AND_EVENTS}
    if caller.session is not None:
        headers["Mcp-Session-Id"] = caller.session
    else:
        meta |= {"io.modelcontextprotocol/protocolVersion": MODERN}
        headers |= {"Mcp-Protocol-Version": MODERN, "Mcp-Method": "tools/call", "Mcp-Name": "echo"}
    params = {"name": "echo", "arguments": {}, "_meta": meta}
    return json.dumps(request(one, "tools/call", params)).encode(), headers


def test_a_gateway_that_is_killed_while_a_call_is_held_loses_nothing(home: Path, evil: EvilServer) -> None:
    options = (*WORDS, "--server", "evil", "--url", evil.url)
    with http_gateway(home, *options) as (url, process):
        caller = Caller(url)
        caller.handshake()
        with ThreadPoolExecutor(1) as pool:
            call = pool.submit(caller.tool, "echo")
            with person(home) as authorizer:
                until(authorizer.pending)
            process.kill()
            assert call.exception(PATIENCE) is not None
    assert evil.calls == []
    decide(home)
    with http_gateway(home, *options, "--hold", "0") as (url, _):
        caller = Caller(url)
        caller.handshake()
        assert caller.tool("echo")["result"]["isError"] is False
        assert "pending" in json.dumps(caller.tool("echo"))
    assert evil.calls == ["echo"]


def test_a_server_that_is_killed_in_a_call_leaves_an_unknown_outcome(home: Path) -> None:
    server = Process((sys.executable, str(HERE / "mcp_http_evil.py")))
    try:
        url = f"http://127.0.0.1:{int(server.first)}/"
        with http_gateway(home, *WORDS, "--server", "evil", "--url", url) as (front, _):
            caller = Caller(front)
            caller.handshake()
            with ThreadPoolExecutor(1) as pool:
                call = pool.submit(caller.tool, "hang")
                assert server.process.stdout is not None
                assert server.process.stdout.readline() == b"hang\n"
                server.kill()
                answer = call.result(PATIENCE)
            assert answer["result"]["structuredContent"]["delego/decision"]["status"] == "outcome_unknown"
            answer = caller.tool("html")
            assert answer["result"]["structuredContent"]["delego/decision"]["status"] == "not_sent"
    finally:
        server.stop()
    found = reasons(home)
    assert "outcome unknown" in found[0]
    assert "did not execute" in found[1]


def test_a_session_ends_with_its_own_server_and_a_new_one_begins(home: Path, tmp_path: Path) -> None:
    command = (sys.executable, str(HERE / "mcp_evil.py"), str(tmp_path / "effects"))
    with http_gateway(home, *WORDS, "--server", "dies", "--", *command) as (url, _):
        callers = [Caller(url), Caller(url)]
        for caller in callers:
            caller.handshake()
        answer = callers[0].tool("die_after")
        assert "outcome_unknown" in json.dumps(answer)
        until(lambda: callers[0].post(request(2, "ping", {}))[0] == 404)
        assert callers[1].post(request(2, "ping", {}))[0] == 200
        callers[0].session = None
        callers[0].handshake()
        assert callers[0].tool("echo", say="again")["result"]["content"]


def test_many_servers_of_both_kinds_stand_behind_one_address(
    home: Path, tmp_path: Path, evil: EvilServer
) -> None:
    evil.sessions = False
    command = [str(HERE / "mcp_evil.py"), str(tmp_path / "effects")]
    servers = {"local": {"command": sys.executable, "args": command}, "far": {"url": evil.url}}
    options = (*WORDS, "--config", config_of(tmp_path, servers))
    with http_gateway(home, *options) as (url, _):
        caller = Caller(url)
        caller.handshake()
        _, answer = caller.post(request(1, "tools/list", {}))
        names = {tool["name"] for tool in answer["result"]["tools"]}
        assert {"far__echo", "local__echo", "slow", "notes", "delego_begin_task"} <= names
        assert caller.tool("notes", 2)["result"]["isError"] is False
        assert "content" in caller.tool("local__echo", 3, say="it")["result"]
        free = Caller(url)
        for one in range(2):
            _, answer = free.modern("tools/call", {"name": "notes", "arguments": {}}, one)
            assert (answer["id"], answer["result"]["isError"]) == (one, False)
        _, answer = free.modern("tools/call", {"name": "local__echo", "arguments": {"say": "more"}}, 1)
        assert "content" in answer["result"]
    assert evil.calls == ["notes"] * 3
    assert effects_of(tmp_path / "effects") == ['echo {"say": "it"}', 'echo {"say": "more"}']


def test_what_a_session_is_told_goes_to_its_listener_alone(home: Path, tmp_path: Path) -> None:
    """A server over standard streams asks its own client, and gets the answer."""
    command = (sys.executable, str(HERE / "mcp_evil.py"), str(tmp_path / "effects"))
    with http_gateway(home, *WORDS, "--server", "asks", "--", *command) as (url, _):
        callers = [Caller(url), Caller(url)]
        for caller in callers:
            caller.handshake()
        listening = callers[0].listen()
        with ThreadPoolExecutor(1) as pool:
            body = request(4, "tools/call", {"name": "ask", "arguments": {}})
            call = pool.submit(callers[0].post, body, Accept="application/json")
            asked = next(listening)
            assert asked["method"] == "elicitation/create"
            reply = {"jsonrpc": "2.0", "id": asked["id"], "result": {"action": "accept", "content": {}}}
            assert callers[1].post(reply) == (202, None)  # of another session: nobody asked it
            assert callers[0].post(reply) == (202, None)
            assert call.result(PATIENCE)[1]["id"] == 4
        listening.close()


def test_a_gateway_that_is_told_to_end_answers_who_waits_and_leaves_the_approval(
    home: Path, evil: EvilServer
) -> None:
    with http_gateway(home, *WORDS, "--server", "evil", "--url", evil.url) as (url, process):
        caller = Caller(url)
        caller.handshake()
        held = caller.events("POST", *echo(caller, 1))
        assert next(held)["method"] == "notifications/progress"
        with ThreadPoolExecutor(1) as pool:
            sent = pool.submit(caller.tool, "hang", 2)
            until(lambda: "hang" in evil.calls)
            process.process.terminate()
            assert "has ended" in [*held][-1]["error"]["message"]
            assert "outcome_unknown" in json.dumps(sent.result(PATIENCE)) or sent.result()["error"]
        assert process.process.wait(PATIENCE) == 0
    with person(home) as authorizer:
        assert len(authorizer.pending()) == 1
    assert [line for line in reasons(home) if "outcome unknown" in line]
    assert ("DELETE" in [method for method, _, _ in evil.requests], evil.calls) == (True, ["hang"])


def test_a_gateway_that_is_killed_in_a_call_leaves_an_unknown_outcome_and_sends_nothing_again(
    home: Path, evil: EvilServer
) -> None:
    options = (*WORDS, "--server", "evil", "--url", evil.url)
    with http_gateway(home, *options) as (url, process):
        caller = Caller(url)
        caller.handshake()
        with ThreadPoolExecutor(1) as pool:
            call = pool.submit(caller.tool, "hang")
            until(lambda: "hang" in evil.calls)
            process.kill()
            assert call.exception(PATIENCE) is not None
    with http_gateway(home, *options) as (url, _):
        caller = Caller(url)
        caller.handshake()
        assert caller.tool("notes")["result"]["isError"] is False
    assert evil.calls == ["hang", "notes"]
    assert len([line for line in reasons(home) if "outcome unknown" in line]) == 1
