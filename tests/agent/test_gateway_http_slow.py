"""Servers behind the gateway that trickle, ask to be asked again, or are greeted often: none holds it up."""

from __future__ import annotations

import contextlib
import itertools
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from delego_agent.gateway import http_downstream, http_streams
from delego_agent.gateway.endpoint import endpoint
from delego_agent.gateway.headers import written
from delego_agent.gateway.http_downstream import HttpServer
from delego_agent.gateway.links import Links, Unsent
from delego_agent.gateway.sse import EventReader
from mcp_http_evil import EvilServer, until

PATIENCE = 20.0
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
SESSION = b'{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-11-25"}}'


def whole_request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        if not (more := connection.recv(65536)):
            return data
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", head)
    while length is not None and len(body) < int(length[1]):
        body += connection.recv(65536)
    return head + body


@contextmanager
def speaking(answer: Callable[[bytes, socket.socket], None]) -> Iterator[int]:
    """A server that answers each connection's first request as ``answer`` does; its port."""
    listener = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []

    def serve(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):  # the gateway has closed it
            answer(whole_request(connection), connection)

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threads.append(threading.Thread(target=serve, args=(connection,), daemon=True))
            threads[-1].start()

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        accepting.join(PATIENCE)
        for thread in threads:
            thread.join(PATIENCE)


def trickle(connection: socket.socket) -> None:
    """Until the other end has closed: never silent for as long as any limit of a socket."""
    while True:
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        time.sleep(0.01)


def server_at(port: int) -> HttpServer:
    server = HttpServer("slow", endpoint(f"http://127.0.0.1:{port}/mcp", {}), lambda *_: None, lambda _: None)
    server.start()
    return server


def begin(server: HttpServer) -> None:
    initialize = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {}}
    assert server.send(initialize).wait(PATIENCE)


def with_session(rest: Callable[[bytes, socket.socket], None]) -> Callable[[bytes, socket.socket], None]:
    def answer(data: bytes, connection: socket.socket) -> None:
        if b'"initialize"' in data:
            connection.sendall(HEAD + b"Mcp-Session-Id: s\r\nConnection: close\r\n\r\n" + SESSION)
        else:
            rest(data, connection)

    return answer


def test_a_server_that_trickles_its_goodbye_does_not_hold_up_the_gateways_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_downstream, "GOODBYE", 0.2)
    with speaking(with_session(lambda _, connection: trickle(connection))) as port:
        server = server_at(port)
        begin(server)
        closing = threading.Thread(target=server.close, daemon=True)
        closing.start()
        closing.join(PATIENCE)
        assert not closing.is_alive()


def test_a_notice_whose_answer_trickles_holds_up_no_other_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_downstream, "NOTICE", 0.2)
    monkeypatch.setattr(http_downstream, "GOODBYE", 0.2)
    with speaking(with_session(lambda _, connection: trickle(connection))) as port:
        server = server_at(port)
        begin(server)
        for _ in range(2):
            assert server.send({"jsonrpc": "2.0", "method": "notifications/progress"}).wait(PATIENCE)
        server.close()


def test_an_answer_that_ends_with_its_connection_is_closed_when_nobody_waits_for_it() -> None:
    ended = threading.Event()

    def endless(_: bytes, connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
        begun.set()
        try:
            while True:
                connection.sendall(b": still here\n\n")
                time.sleep(0.01)
        except OSError:
            ended.set()

    begun = threading.Event()
    with speaking(endless) as port:
        server = server_at(port)
        ticket = server.send({"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": {"name": "x"}})
        assert begun.wait(PATIENCE)
        until(lambda: any(link._response is not None for link in list(server._used.values())))
        ticket.abandon("nobody waits")
        assert ended.wait(PATIENCE)
        server.close()


def test_a_rest_that_trickles_is_not_waited_for_to_use_its_connection_again() -> None:
    def chunks(_: bytes, connection: socket.socket) -> None:
        connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n")
        while True:
            connection.sendall(b"0")
            time.sleep(0.01)

    with speaking(chunks) as port:
        link = Links(endpoint(f"http://127.0.0.1:{port}/", {})).open()
        link.request("POST", "/", {}, b"{}", PATIENCE)
        assert link.answer()[0] == 200
        assert link.piece() == b"{}"
        assert not link.finish(0.2)
        link.close()


def test_without_threads_a_limit_is_an_error_before_anything_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_more(_: Any) -> None:
        raise RuntimeError("can't start new thread")

    with speaking(lambda *_: None) as port:
        link = Links(endpoint(f"http://127.0.0.1:{port}/", {})).open()
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", no_more)
            with pytest.raises(Unsent, match="thread"), link.at_most(1.0):
                pass
        link.close()


def test_a_stream_is_opened_once_for_a_session_however_often_a_client_says_initialized() -> None:
    evil = EvilServer()
    server = HttpServer("evil", endpoint(evil.url, {}), lambda *_: None, lambda _: None)
    server.start()
    try:
        begin(server)
        for _ in range(5):
            assert server.send({"jsonrpc": "2.0", "method": "notifications/initialized"}).wait(PATIENCE)
        until(lambda: any(method == "GET" for method, _, _ in evil.requests))
        assert server.send({"jsonrpc": "2.0", "method": "notifications/progress"}).wait(PATIENCE)
        assert [method for method, _, _ in evil.requests].count("GET") == 1
    finally:
        server.close()
        evil.end()


def test_the_stream_of_a_session_that_was_replaced_is_closed() -> None:
    numbers = itertools.count(1)
    opened, ended = threading.Semaphore(0), threading.Semaphore(0)

    def answer(data: bytes, connection: socket.socket) -> None:
        if data.startswith(b"GET"):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n: hello\n\n")
            opened.release()
            connection.recv(1)
            ended.release()
        elif b'"initialize"' in data:
            session = b"Mcp-Session-Id: s%d\r\n" % next(numbers)
            connection.sendall(HEAD + session + b"Connection: close\r\n\r\n" + SESSION)
        else:
            connection.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    with speaking(answer) as port:
        server = server_at(port)
        for _ in range(2):
            begin(server)
            assert server.send({"jsonrpc": "2.0", "method": "notifications/initialized"}).wait(PATIENCE)
            assert opened.acquire(timeout=PATIENCE)
            until(lambda: server._streams._heard_on is not None)
        assert ended.acquire(timeout=PATIENCE)
        server.close()


def test_a_server_that_wants_to_be_asked_again_at_once_is_not_asked_without_a_pause(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[float] = []
    evil = EvilServer()
    evil.say = [b"1\nretry: 1"]
    server = HttpServer("evil", endpoint(evil.url, {}), lambda *_: None, lambda _: None)
    server.start()
    wait = server._streams._closed.wait

    def noted(seconds: float) -> bool:
        pauses.append(seconds)
        return wait(seconds)

    monkeypatch.setattr(server._streams._closed, "wait", noted)
    try:
        begin(server)
        assert server.send({"jsonrpc": "2.0", "method": "notifications/initialized"}).wait(PATIENCE)
        until(lambda: bool(pauses))
        assert pauses[0] == http_streams.MIN_AGAIN
    finally:
        server.close()
        evil.end()


def test_a_version_with_a_line_break_adds_no_header() -> None:
    meta = {"io.modelcontextprotocol/protocolVersion": "2026-07-28\n Authorization: x"}
    headers = written({"method": "ping", "params": {"_meta": meta}}, None)
    assert not any("\n" in value or "\r" in value for value in headers.values())


def test_an_event_is_complete_with_its_blank_line_whatever_ends_the_lines() -> None:
    reader = EventReader(1000)
    assert [reader.feed(data) for data in (b"data: x\r", b"\n")] == [[], []]
    assert [event.data for event in reader.feed(b"\n")] == ["x"]
