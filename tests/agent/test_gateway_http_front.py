"""Who is answered over HTTP, and what a request has to be: by hand, against a running gateway."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from delego_authorizer import init_home
from mcp_http import JSON_AND_EVENTS, MODERN, Caller, http_gateway, messages, request
from mcp_lines import HERE, PATIENCE, POLICY, effects_of
from mcp_script import SERVER

pytest.importorskip("uvicorn", reason="the extra 'mcp' is not installed")

PING = request(1, "ping", {})


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return init_home(tmp_path_factory.mktemp("home") / "h", approver="alice", policy_text=POLICY).path


@pytest.fixture(scope="module")
def effects(home: Path) -> Path:
    return home.parent / "effects"


@pytest.fixture(scope="module")
def url(home: Path, effects: Path) -> Iterator[str]:
    """In front of the server that misbehaves, which knows the handshake alone."""
    evil = ("--server", "evil", "--", sys.executable, str(HERE / "mcp_evil.py"), str(effects))
    with http_gateway(home, "--hold", "0", "--instruction", "try it", *evil) as (url, _):
        yield url


@pytest.fixture(scope="module")
def modern_url(home: Path) -> Iterator[str]:
    with http_gateway(home, "--instruction", "try it", "--server", "everything", "--", *SERVER) as (url, _):
        yield url


@pytest.fixture
def caller(url: str) -> Caller:
    caller = Caller(url)
    caller.handshake()
    return caller


def refused(answer: tuple[int, Any], status: int, words: str) -> None:
    assert answer[0] == status, answer
    assert words in answer[1]["error"]["message"], answer


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1:1", "localhost", "127.1:{port}"]
)
def test_a_name_that_was_pointed_here_is_not_answered(url: str, host: str) -> None:
    port = urlsplit(url).port
    refused(Caller(url).post(PING, Host=host.format(port=port)), 421, "Host")


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1", "file://"])
def test_a_page_of_another_origin_is_not_answered(url: str, origin: str) -> None:
    refused(Caller(url).post(PING, Origin=origin), 403, "origins")


def test_localhost_and_its_own_origin_are_answered(url: str) -> None:
    port = urlsplit(url).port
    caller = Caller(url)
    status, answer = caller.post(
        request(0, "initialize", {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {}}),
        Host=f"localhost:{port}",
        Origin=f"http://localhost:{port}",
    )
    assert (status, answer["id"]) == (200, 0)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"jsonrpc":"2.0","id":1,"method":"ping","id":2}', "twice"),
        (b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]', "batches"),
        (b'{"jsonrpc":"2.0","id":1,"method"', "not JSON"),
        (b"\xff", "UTF-8"),
        (b"", "not JSON"),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":NaN}}', "NaN"),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":' + b"[" * 200 + b"]" * 200 + b"}}", "deep"),
    ],
)
def test_what_two_parsers_may_read_differently_is_refused(caller: Caller, body: bytes, words: str) -> None:
    refused(caller.post(body), 400, words)


def test_a_message_that_is_too_long_is_refused_before_it_is_read(url: str) -> None:
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE) as connection:
        head = f"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:{parts.port}\r\nContent-Type: application/json\r\n"
        connection.sendall(f"{head}Content-Length: {2**40}\r\n\r\n".encode())
        assert b" 413 " in connection.recv(4096)


def test_a_message_that_grows_too_long_is_refused(url: str) -> None:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=PATIENCE)
    pieces = iter([b'{"a":"'] + [b"x" * 2**20] * 5)
    try:
        connection.request("POST", "/mcp", pieces, JSON_AND_EVENTS, encode_chunked=True)
        status = connection.getresponse().status
    except OSError:  # it was closed while we wrote
        status = 413
    assert status == 413
    connection.close()


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("POST", {"Content-Type": "text/plain"}, 415),
        ("POST", {"Content-Type": "application/json", "Accept": "text/html"}, 406),
        ("PUT", {}, 405),
        ("OPTIONS", {}, 405),
        ("GET", {"Accept": "application/json"}, 406),
        ("GET", {"Accept": "text/event-stream"}, 405),
        ("GET", {"Accept": "text/event-stream", "Mcp-Session-Id": "unknown"}, 404),
        ("DELETE", {}, 400),
        ("DELETE", {"Mcp-Session-Id": "unknown"}, 404),
    ],
)
def test_what_a_request_has_to_be(url: str, method: str, headers: dict[str, str], status: int) -> None:
    assert Caller(url).request(method, b"{}" if method == "POST" else None, headers)[0] == status


def test_another_path_is_not_answered(url: str) -> None:
    assert Caller(url.replace("/mcp", "/other")).post(PING)[0] == 404


def test_a_session_begins_with_initialize_and_ends_with_delete(url: str) -> None:
    caller = Caller(url)
    refused(caller.post(PING), 400, "initialize")
    caller.handshake()
    assert caller.post(PING) == (200, {"jsonrpc": "2.0", "id": 1, "result": {}})
    refused(caller.post(PING, Mcp_Protocol_Version="2024-11-05"), 400, "session's")
    refused(caller.post(PING, MCP_Protocol_Version=MODERN), 400, "handshake")
    assert caller.request("DELETE", None, {"Mcp-Session-Id": str(caller.session)})[0] == 204
    refused(caller.post(PING), 404, "no such session")


def test_streams_are_not_resumed_and_have_one_listener(caller: Caller) -> None:
    headers = {"Accept": "text/event-stream", "Mcp-Session-Id": str(caller.session)}
    assert caller.request("GET", None, {**headers, "Last-Event-ID": "1"})[0] == 400
    first = http.client.HTTPConnection(str(caller.parts.hostname), caller.parts.port, timeout=PATIENCE)
    first.request("GET", "/mcp", None, headers)
    assert first.getresponse().status == 200
    assert caller.request("GET", None, headers)[0] == 409
    first.close()


def test_headers_that_stand_twice_are_refused(url: str) -> None:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=PATIENCE)
    connection.putrequest("POST", "/mcp")
    for name in ("a", "b"):
        connection.putheader("Mcp-Session-Id", name)
    connection.endheaders()
    assert connection.getresponse().status == 400
    connection.close()


@pytest.mark.parametrize(
    "headers",
    [
        {"Mcp_Name": "pay"},
        {"Mcp_Name": ""},
        {"Mcp_Name": "=?base64?!?="},
        {"Mcp_Method": "tools/list"},
        {"Mcp_Method": ""},
        {"MCP_Protocol_Version": "2025-11-25"},
        {"MCP_Protocol_Version": ""},
    ],
)
def test_headers_that_say_otherwise_than_the_message_are_refused(
    modern_url: str, headers: dict[str, str]
) -> None:
    caller = Caller(modern_url)
    params = {"name": "add", "arguments": {"a": 1, "b": 2}}
    status, answer = caller.modern("tools/call", params, 7, **headers)
    assert (status, answer["error"]["code"], answer["id"]) == (400, -32020, 7)


def test_the_name_may_come_in_base64(modern_url: str) -> None:
    params = {"name": "add", "arguments": {"a": 1, "b": 2}}
    status, answer = Caller(modern_url).modern("tools/call", params, Mcp_Name="=?base64?YWRk?=")
    assert (status, answer["result"]["structuredContent"]) == (200, {"total": 3})


def test_a_request_without_a_handshake_belongs_to_no_session(modern_url: str) -> None:
    caller = Caller(modern_url)
    refused(caller.modern("ping", {}, Mcp_Session_Id="a"), 400, "handshake")
    status, answer = caller.post(PING, MCP_Protocol_Version=MODERN)
    assert (status, answer["error"]["code"]) == (400, -32020)
    notice = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}
    assert caller.post(notice, MCP_Protocol_Version=MODERN, Mcp_Method="notifications/cancelled") == (
        202,
        None,
    )
    status, answer = caller.modern("acme/../x", {})
    assert status in (200, 400, 404)
    names = [tool["name"] for tool in caller.modern("tools/list", {})[1]["result"]["tools"]]
    assert "add" in names
    assert "delego_begin_task" not in names  # nothing tells one of these callers from another


def test_the_method_that_nobody_knows_has_the_status_of_its_era(modern_url: str) -> None:
    status, answer = Caller(modern_url).modern("tools/frob", {})
    assert (status, answer["error"]["code"]) == (404, -32601)


def test_a_client_without_streams_gets_one_answer(caller: Caller) -> None:
    body = json.dumps(request(5, "ping", {})).encode()
    session = {"Mcp-Session-Id": str(caller.session), "Content-Type": "application/json"}
    _, headers, data = caller.request("POST", body, {**session, "Accept": "application/json"})
    assert headers["content-type"] == "application/json"
    _, headers, events = caller.request("POST", body, {**session, "Accept": "text/event-stream"})
    assert headers["content-type"] == "text/event-stream"
    assert messages(data) == messages(events)


def test_an_id_that_is_in_use_is_refused_and_a_cancelled_request_is_answered(
    caller: Caller, effects: Path
) -> None:
    seen: list[Any] = []
    call = request(9, "tools/call", {"name": "hang"})
    waits = threading.Thread(target=lambda: seen.append(caller.post(call)))
    waits.start()
    while "hang {}" not in effects_of(effects):
        threading.Event().wait(0.02)
    refused(caller.post(request(9, "ping", {})), 400, "in use")
    cancelled = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 9}}
    assert caller.post(cancelled) == (202, None)
    waits.join(PATIENCE)
    assert "cancelled" in str(seen)


def test_sessions_have_tasks_of_their_own(url: str) -> None:
    callers = [Caller(url) for _ in range(2)]
    for one in callers:
        one.handshake()
    callers[0].tool("delego_begin_task", instruction="")
    answer = callers[0].tool("delego_begin_task", 2, instruction="only mine")
    assert answer["result"]["structuredContent"] == {"accepted": True}
    assert callers[0].post(PING)[0] == callers[1].post(PING)[0] == 200


def test_a_token_is_wanted_where_one_is_set(home: Path, effects: Path, tmp_path: Path) -> None:
    evil = ("--server", "evil", "--", sys.executable, str(HERE / "mcp_evil.py"), str(effects))
    token = "correct-horse-battery"
    with http_gateway(home, "--token-env", "GATEWAY_TOKEN", *evil, GATEWAY_TOKEN=token) as (url, _):
        caller = Caller(url)
        for given in ("", "Bearer", "Bearer wrong", f"Basic {token}", f"Bearer {token}x", "Bearer \xe9"):
            refused(caller.post(PING, **({"Authorization": given} if given else {})), 401, "bearer")
        refused(caller.post(PING, Authorization=f"Bearer {token}"), 400, "initialize")


def test_it_listens_for_this_machine_alone_and_says_plainly_what_is_wrong(home: Path, tmp_path: Path) -> None:
    def said(*words: str) -> str:
        options = ("--server", "x", "--url", "http://127.0.0.1:9/")
        done = subprocess.run(
            [sys.executable, "-m", "delego_cli", "--home", str(home), "mcp-gateway", *words, *options],
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        assert done.returncode in (1, 2), done
        assert done.stderr.count("\n") == 1
        return done.stderr

    assert "not loopback" in said("--http", "0.0.0.0:0")
    assert "no address" in said("--http", "x")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert "cannot listen" in said("--http", str(taken.getsockname()[1]))
    token = tmp_path / "token"
    token.write_text("a" * 20)
    token.chmod(0o644)
    assert "0600" in said("--http", "0", "--token-file", str(token))
    assert "both name a token" in said("--http", "0", "--token-file", str(token), "--token-env", "A")
    assert "no token" in said("--http", "0", "--token-env", "NOT_SET")
    assert "for --http" in said("--token-env", "NOT_SET")


def test_a_token_is_read_strictly_and_no_server_inherits_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from delego_agent.bearer import BearerError, read_token, token_of

    token = tmp_path / "token"
    with pytest.raises(BearerError, match="cannot read"):
        read_token(token)
    token.touch(mode=0o600)
    token.write_text("correct-horse-battery\n")
    assert read_token(token) == "correct-horse-battery"
    monkeypatch.setenv("GATEWAY_TOKEN", "correct-horse-battery")
    assert token_of("GATEWAY_TOKEN") == "correct-horse-battery"
    assert "GATEWAY_TOKEN" not in os.environ
    token.write_text("two words are none")
    with pytest.raises(BearerError, match="one word"):
        read_token(token)


def test_the_words_of_the_command_fit_together(home: Path) -> None:
    from click.testing import CliRunner

    from delego_cli.mcp_gateway import command

    for words, problem in {
        ("--url", "https://a.example/", "--", "x"): "not both",
        ("--config", "x", "--url", "https://a.example/"): "leave out",
        (): "is missing",
        ("--server", "A B", "--url", "https://a.example/"): "no name for actions",
    }.items():
        done = CliRunner().invoke(command, ["run", "--home", str(home), *words])
        assert problem in str(done.output) + str(done.exception), words


def test_http_without_its_library_is_one_plain_line(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from delego_agent.gateway.backend import GatewayOptions
    from delego_agent.gateway.http_serve import HttpOptions, MissingExtra, serve_http

    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(MissingExtra, match=r"delego-spec\[mcp\]"):
        serve_http(home, GatewayOptions({}), HttpOptions(), print)


def test_an_answer_without_a_session_is_taken_and_waited_for_by_nobody(modern_url: str) -> None:
    meta = {"io.modelcontextprotocol/protocolVersion": MODERN, "io.modelcontextprotocol/logLevel": "info"}
    answer = {"jsonrpc": "2.0", "id": 1, "result": {}, "params": {"_meta": meta}}
    assert Caller(modern_url).post(answer) == (202, None)
