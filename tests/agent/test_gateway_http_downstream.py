"""A server that is reached by URL: what it gets, and what is known when no answer comes."""

from __future__ import annotations

import itertools
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from certificates import make
from delego_agent.gateway import http_downstream
from delego_agent.gateway.downstream import ServerError, Ticket
from delego_agent.gateway.endpoint import EndpointError, endpoint, endpoint_of
from delego_agent.gateway.http_downstream import HttpServer
from mcp_http_evil import EvilServer, until

PATIENCE = 60.0
_numbers = itertools.count(1)


@pytest.fixture
def evil() -> Iterator[EvilServer]:
    server = EvilServer()
    yield server
    server.end()


@pytest.fixture
def log() -> list[str]:
    return []


@pytest.fixture
def heard() -> list[tuple[Any, Any]]:
    return []


@pytest.fixture
def server(evil: EvilServer, log: list[str], heard: list[tuple[Any, Any]]) -> Iterator[HttpServer]:
    to = endpoint(evil.url, {"X-Own": "secret"})
    server = HttpServer("evil", to, lambda _, message, about: heard.append((message, about)), log.append)
    server.start()
    ask(server, "initialize", {"protocolVersion": "2025-11-25"})
    assert server.send({"jsonrpc": "2.0", "method": "notifications/initialized"}).wait(PATIENCE)
    yield server
    server.close()


def send(server: HttpServer, method: str, params: Any) -> Ticket:
    return server.send({"jsonrpc": "2.0", "id": next(_numbers), "method": method, "params": params})


def ask(server: HttpServer, method: str, params: Any) -> Ticket:
    ticket = send(server, method, params)
    assert ticket.wait(PATIENCE)
    return ticket


def call(server: HttpServer, name: str, **arguments: Any) -> Ticket:
    return ask(server, "tools/call", {"name": name, "arguments": arguments})


def modern(server: HttpServer, method: str, **params: Any) -> Ticket:
    meta = {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}
    return ask(server, method, {**params, "_meta": meta})


def test_a_call_gets_its_answer_and_the_headers_of_the_session(evil: EvilServer, server: HttpServer) -> None:
    ticket = call(server, "echo")
    assert ticket.answer is not None
    assert ticket.answer["result"] == {"content": [], "isError": False}
    _, headers, _ = next(one for one in evil.requests if one[2] and one[2].get("method") == "tools/call")
    assert headers["x-own"] == "secret"
    assert headers["mcp-session-id"] == "session-1"
    assert headers["mcp-protocol-version"] == "2025-11-25"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("close", "closed the connection"),
        ("cut", "broke off|closed"),
        ("stream_ends", "without the answer"),
        ("teapot", "418"),
        ("fails", "500"),
        ("huge", "more than 16777216 bytes"),
        ("big_event", "more than 16777216 bytes"),
        ("gzip", "encoding"),
        ("other_id", "is none"),
        ("invalid", "not JSON"),
        ("double", "twice"),
        ("batch", "batches"),
        ("accepted", "202"),
        ("html", "text/html"),
        ("bad_event", "jsonrpc"),
        ("lone", "UTF-8"),
        ("never", "could not be resumed"),
    ],
)
def test_an_answer_that_never_came_is_unknown_and_nothing_is_sent_again(
    evil: EvilServer, server: HttpServer, name: str, words: str
) -> None:
    ticket = call(server, name)
    assert ticket.answer is None
    assert ticket.written
    assert any(word in str(ticket.failure) for word in words.split("|")), ticket.failure
    assert evil.calls == [name]
    assert call(server, "echo").answer is not None


@pytest.mark.parametrize(
    ("name", "words"),
    [("redirect", "another place"), ("unauthorized", "credentials"), ("not_found", "405")],
)
def test_what_a_server_refuses_at_its_door_was_not_sent(
    evil: EvilServer, server: HttpServer, name: str, words: str
) -> None:
    ticket = call(server, name)
    assert not ticket.written
    assert words in str(ticket.failure)
    assert evil.calls == [name]


def test_an_error_may_come_with_a_status_and_without_an_id(server: HttpServer) -> None:
    ticket = call(server, "error_in_status")
    assert ticket.answer == {
        "jsonrpc": "2.0",
        "id": ticket.message["id"],
        "error": {"code": -32602, "message": "odd"},
    }


def test_what_comes_along_with_a_call_belongs_to_it(
    server: HttpServer, heard: list[tuple[Any, Any]], log: list[str]
) -> None:
    ticket = call(server, "notes")
    assert ticket.answer is not None
    assert [(message["method"], about) for message, about in heard] == [
        ("notifications/message", ticket.message["id"])
    ]
    assert any("nobody waits for" in line for line in log)


def test_a_stream_that_breaks_off_is_asked_for_again_where_the_server_keeps_it(
    evil: EvilServer, server: HttpServer
) -> None:
    assert call(server, "resumed").answer is not None
    assert evil.calls == ["resumed"]


def test_an_answer_that_nobody_asked_for_is_never_the_next_ones(evil: EvilServer, server: HttpServer) -> None:
    assert call(server, "rude").answer is not None
    ticket = call(server, "echo")  # on a new connection, if the stray answer has come by now
    assert ticket.answer is None or ticket.answer["id"] == ticket.message["id"]
    ticket = call(server, "echo")
    assert ticket.answer is not None
    assert ticket.answer["id"] == ticket.message["id"]


def test_a_session_that_was_forgotten_is_begun_anew_and_the_call_is_not_repeated(
    evil: EvilServer, server: HttpServer, log: list[str]
) -> None:
    evil.known, evil.session = False, "session-2"
    ticket = call(server, "echo")
    assert not ticket.written
    assert "forgotten the session" in str(ticket.failure)
    assert call(server, "echo").answer is not None
    assert evil.calls == ["echo"]
    assert any("new one has begun" in line for line in log)


def test_a_session_that_cannot_be_begun_anew_costs_no_call(evil: EvilServer, server: HttpServer) -> None:
    evil.known = False
    assert "forgotten" in str(call(server, "echo").failure)
    evil.refuses = True
    ticket = call(server, "echo")
    assert not ticket.written
    assert "begins no new one" in str(ticket.failure)
    evil.refuses = False
    assert call(server, "echo").answer is not None
    assert evil.calls == ["echo"]


def test_notices_that_do_not_arrive_are_said(evil: EvilServer, server: HttpServer, log: list[str]) -> None:
    evil.known = False
    assert server.send({"jsonrpc": "2.0", "method": "notifications/roots/list_changed"}).wait(PATIENCE)
    assert any("forgotten the session" in line for line in log)


def test_a_call_that_is_given_up_before_it_is_sent_is_not_sent(evil: EvilServer, server: HttpServer) -> None:
    gate = threading.Event()
    opens = server._links.open
    server._links.open = lambda: gate.wait(PATIENCE) and opens()  # type: ignore[method-assign,return-value]
    ticket = send(server, "tools/call", {"name": "echo", "arguments": {}})
    ticket.abandon("too slow")
    gate.set()
    server._links.open = opens  # type: ignore[method-assign]
    assert call(server, "notes").answer is not None
    assert not ticket.written
    assert evil.calls == ["notes"]


def test_what_a_server_says_by_itself_is_heard(
    evil: EvilServer, log: list[str], heard: list[tuple[Any, Any]]
) -> None:
    changed = {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}
    evil.say = [changed, b"{", {"jsonrpc": "2.0", "id": 77, "result": {}}]
    server = HttpServer(
        "evil", endpoint(evil.url, {}), lambda _, message, about: heard.append((message, about)), log.append
    )
    server.start()
    ask(server, "initialize", {})
    server.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
    until(lambda: (changed, None) in heard and any("nobody waits" in line for line in log))
    assert any("not JSON" in line for line in log)
    server.close()
    assert evil.requests[-1][0] == "DELETE"


def test_a_call_that_is_given_up_closes_its_connection(evil: EvilServer, server: HttpServer) -> None:
    ticket = send(server, "tools/call", {"name": "hang", "arguments": {}})
    until(lambda: evil.calls == ["hang"])
    with pytest.raises(ServerError, match="in use"):
        server.send({**ticket.message})
    ticket.abandon("no patience")
    assert ticket.failure == "no patience"
    assert ticket.written


def test_the_end_of_the_gateway_leaves_an_unknown_outcome(evil: EvilServer, server: HttpServer) -> None:
    ticket = send(server, "tools/call", {"name": "hang", "arguments": {}})
    until(lambda: evil.calls == ["hang"])
    server.close()
    assert ticket.wait(PATIENCE)
    assert ticket.written
    assert "before it answered" in str(ticket.failure)
    with pytest.raises(ServerError, match="ended"):
        send(server, "ping", {})


def test_a_server_that_is_not_there_was_sent_nothing(log: list[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        server = HttpServer(
            "none", endpoint(f"http://127.0.0.1:{taken.getsockname()[1]}/", {}), lambda *_: None, log.append
        )
        server.start()
        ticket = ask(server, "ping", {})
        server.close()
    assert not ticket.written
    assert "cannot connect" in str(ticket.failure)


def test_a_certificate_is_checked(tmp_path: Path, log: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    files = make(tmp_path, "localhost")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(files.certificate, files.key)
    evil = EvilServer(sessions=False, tls=tls)

    def answer_of(url: str) -> Ticket:
        server = HttpServer("evil", endpoint(url, {}), lambda *_: None, log.append)
        server.start()
        ticket = ask(server, "ping", {})
        server.close()
        return ticket

    stranger = answer_of(evil.url)
    assert not stranger.written
    assert "certificate is not trusted" in str(stranger.failure)
    assert not answer_of(evil.url.replace("https", "http")).answer
    monkeypatch.setenv("SSL_CERT_FILE", str(files.ca))
    assert answer_of(evil.url).answer is not None
    assert answer_of(evil.url.replace("127.0.0.1", "localhost")).answer is not None
    assert [body["method"] for _, _, body in evil.requests] == ["ping", "ping"]
    evil.end()


def test_more_than_a_server_can_owe_is_refused(
    evil: EvilServer, server: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_downstream, "MAX_OPEN", 1)
    ticket = send(server, "tools/call", {"name": "hang", "arguments": {}})
    with pytest.raises(ServerError, match="owes"):
        send(server, "ping", {})
    evil.let_go.set()
    assert ticket.wait(PATIENCE)


def test_many_calls_at_once_get_their_own_answers(server: HttpServer) -> None:
    tickets = [send(server, "tools/call", {"name": "echo", "arguments": {}}) for _ in range(40)]
    for ticket in tickets:
        assert ticket.wait(PATIENCE)
        assert ticket.answer is not None
        assert ticket.answer["id"] == ticket.message["id"]


@pytest.fixture
def free(log: list[str]) -> Iterator[tuple[EvilServer, HttpServer]]:
    """A server without sessions."""
    evil = EvilServer(sessions=False)
    server = HttpServer("evil", endpoint(evil.url, {}), lambda *_: None, log.append)
    server.start()
    yield evil, server
    server.close()
    evil.end()


def test_headers_repeat_the_message_that_was_decided(free: tuple[EvilServer, HttpServer]) -> None:
    evil, server = free
    modern(server, "tools/list")
    arguments = {"place": "Zürich ", "deep": {"on": True}}
    assert modern(server, "tools/call", name="declared", arguments=arguments).answer is not None
    headers = evil.requests[-1][1]
    assert headers["mcp-method"] == "tools/call"
    assert headers["mcp-name"] == "declared"
    assert headers["mcp-protocol-version"] == "2026-07-28"
    assert headers["mcp-param-place"] == "=?base64?WsO8cmljaCA=?="
    assert headers["mcp-param-on"] == "true"
    assert "mcp-session-id" not in headers


def test_a_call_without_a_session_is_cancelled_by_closing_its_connection(
    free: tuple[EvilServer, HttpServer],
) -> None:
    evil, server = free
    meta = {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}
    ticket = send(server, "tools/call", {"name": "hang", "_meta": meta})
    until(lambda: evil.calls == ["hang"])
    cancelled = {"method": "notifications/cancelled", "params": {"requestId": ticket.message["id"]}}
    server.send({"jsonrpc": "2.0", **cancelled})
    assert ticket.wait(PATIENCE)
    assert "cancelled" in str(ticket.failure)
    with pytest.raises(ServerError, match="no notifications"):
        server.send({"jsonrpc": "2.0", "method": "acme/note"})
    assert [one[2]["method"] for one in evil.requests if one[2]] == ["tools/call"]


def test_a_stream_of_this_era_is_not_resumed(free: tuple[EvilServer, HttpServer]) -> None:
    assert "without the answer" in str(modern(free[1], "tools/call", name="never", arguments={}).failure)


def test_a_server_that_accepts_and_is_silent_holds_nobody_else(log: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        to = endpoint(f"http://127.0.0.1:{silent.getsockname()[1]}/", {})
        server = HttpServer("silent", to, lambda *_: None, log.append)
        server.start()
        ticket = send(server, "ping", {})
        connection = silent.accept()[0]
        assert connection.recv(4096)
        done = threading.Thread(target=server.close)
        done.start()
        done.join(PATIENCE)
        assert not done.is_alive()
        assert ticket.wait(PATIENCE)
        connection.close()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ftp://a.example/", "https"),
        ("http://a.example/mcp", "plain_http"),
        ("https://user:word@a.example/", "URL is wrong"),
        ("https://a.example/#x", "fragment"),
        ("https://a.example/a b", "ASCII"),
        ("https://[::1/", "cannot be read"),
        ("https:///mcp", "empty"),
    ],
)
def test_a_url_that_is_not_used(url: str, words: str) -> None:
    with pytest.raises(EndpointError, match=words):
        endpoint(url, {})


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({"Host": "a"}, "gateway's own"),
        ({"Mcp-Name": "a"}, "gateway's own"),
        ({"X": "a\r\nY: b"}, "one line"),
        ({"X Y": "a"}, "no name"),
        ({"X": "é"}, "ASCII"),
        ({"X": "1", "x": "2"}, "twice"),
    ],
)
def test_a_header_that_is_not_sent(headers: dict[str, str], words: str) -> None:
    with pytest.raises(EndpointError, match=words):
        endpoint("https://a.example/", headers)


def test_the_environment_fills_in_url_and_headers() -> None:
    entry = {
        "type": "http",
        "url": "https://${HOST:-a.example}/${PATH_}",
        "headers": {"Authorization": "Bearer ${KEY}"},
    }
    found = endpoint_of(entry, {"PATH_": "mcp", "KEY": "k"})
    assert (found.host, found.target, found.port) == ("a.example", "/mcp", 443)
    assert found.headers == {"Authorization": "Bearer k"}
    with pytest.raises(EndpointError, match="no KEY"):
        endpoint_of(entry, {"PATH_": "mcp"})
    with pytest.raises(EndpointError, match="filled in"):
        endpoint_of({"url": "https://a.example/", "headers": {"A": "${input:key}"}}, {})


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"type": "sse", "url": "https://a.example/"}, "streamable HTTP"),
        ({"url": 1}, "'url'"),
        ({"url": "https://a.example/", "headers": {"A": 1}}, "'headers'"),
        ({"url": "http://a.example/", "plain_http": "yes"}, "'plain_http'"),
    ],
)
def test_an_entry_that_is_no_endpoint(entry: dict[str, Any], words: str) -> None:
    with pytest.raises(EndpointError, match=words):
        endpoint_of(entry, {})


def test_plain_http_to_another_machine_has_to_be_said() -> None:
    assert endpoint_of({"url": "http://a.example:8080/mcp", "plain_http": True}, {}).port == 8080
