"""The HTTP front by itself, with servers that the test plays: whose a message is, and how sessions end."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from delego_agent.gateway import channels, http_front
from delego_agent.gateway.downstream import ServerError
from delego_agent.gateway.http_front import Front
from delego_agent.gateway.relay import Sink
from mcp_http import JSON_AND_EVENTS, MODERN, messages, request

PORT = 4711
HANDSHAKE = request(0, "initialize", {"protocolVersion": "2025-11-25"})


class Played:
    """What stands behind one channel: the test answers in its place."""

    def __init__(self, sink: Sink, on_lost: Callable[[], None]) -> None:
        self.sink, self.lost = sink, on_lost
        self.taken: list[Any] = []
        self.abandoned: list[Any] = []
        self.closed = 0
        self.starts = True

    def start(self) -> None:
        if not self.starts:
            raise ServerError("server 'a': cannot start 'a': no such file or directory")

    def take(self, message: Any) -> None:
        self.taken.append(message)
        if message.get("method") == "initialize":
            self.answer(message["id"], {"protocolVersion": "2025-11-25"})

    def answer(self, one: Any, result: Any) -> None:
        self.sink({"jsonrpc": "2.0", "id": one, "result": result}, one)

    def tell(self, method: str, about: Any = None, **params: Any) -> None:
        self.sink({"jsonrpc": "2.0", "method": method, "params": params}, about)

    def abandon(self, one: Any) -> None:
        self.abandoned.append(one)

    def leave(self, patience: float) -> None:
        """Nothing is on its way."""

    def close(self) -> None:
        self.closed += 1


class PlayedFront:
    """A front without a socket."""

    def __init__(self) -> None:
        self.played: list[Played] = []
        self.log: list[str] = []
        self.starts = True
        self.front = Front(self._make, self._make, PORT, None, self.log.append)

    def _make(self, sink: Sink, on_lost: Callable[[], None]) -> Any:
        self.played.append(Played(sink, on_lost))
        self.played[-1].starts = self.starts
        return self.played[-1]

    def ask(self, method: str, message: Any = None, **headers: str) -> Asked:
        return Asked(self.front, method, message, headers)

    async def session(self) -> tuple[str, Played]:
        asked = self.ask("POST", HANDSHAKE)
        await asked.done()
        return asked.headers["mcp-session-id"], self.played[-1]


class Asked:
    """One request, and what comes of it."""

    def __init__(self, front: Front, method: str, message: Any, headers: dict[str, str]) -> None:
        named = {"host": f"127.0.0.1:{PORT}", **JSON_AND_EVENTS}
        named |= {name.replace("_", "-"): value for name, value in headers.items()}
        raw = [(name.lower().encode(), value.encode()) for name, value in named.items()]
        self.inbox: asyncio.Queue[Any] = asyncio.Queue()
        if message != "slow":
            body = b"" if message is None else json.dumps(message).encode()
            self.inbox.put_nowait({"type": "http.request", "body": body})
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self.changed = asyncio.Event()
        scope = {"type": "http", "method": method, "path": "/mcp", "headers": raw}
        self.task = asyncio.create_task(front(scope, self.inbox.get, self.send))

    async def send(self, event: Any) -> None:
        if event["type"] == "http.response.start":
            self.status = event["status"]
            self.headers = {name.decode(): value.decode() for name, value in event["headers"]}
        else:
            self.body += event["body"]
        self.changed.set()

    def leave(self) -> None:
        self.inbox.put_nowait({"type": "http.disconnect"})

    async def done(self) -> Any:
        await asyncio.wait_for(self.task, 30)
        found = messages(self.body)
        return found[-1] if found else None

    async def until(self, text: bytes) -> None:
        while text not in self.body:
            self.changed.clear()
            await asyncio.wait_for(self.changed.wait(), 30)


async def until(wanted: Callable[[], Any]) -> None:
    for _ in range(3000):
        if wanted():
            return
        await asyncio.sleep(0.01)
    raise AssertionError


def run(script: Callable[[PlayedFront], Any]) -> None:
    async def main() -> None:
        front = PlayedFront()
        await script(front)
        await front.front.stop()
        assert all(one.closed == 1 for one in front.played)

    asyncio.run(main())


def test_what_belongs_to_a_request_comes_on_its_answer_and_the_rest_to_the_listener() -> None:
    async def script(front: PlayedFront) -> None:
        session, played = await front.session()
        played.tell("notifications/message", data="early")
        listening = front.ask("GET", mcp_session_id=session)
        await listening.until(b"early")
        calls = [front.ask("POST", request(one, "tools/call", {}), mcp_session_id=session) for one in (1, 2)]
        await until(lambda: len(played.taken) == 3)
        played.tell("notifications/progress", 1, progress=1)
        played.tell("notifications/message", data="of nobody")
        played.answer(1, {"n": 1})
        played.answer(2, {"n": 2})
        assert (await calls[0].done())["result"] == {"n": 1}
        assert [one.get("method") for one in messages(calls[0].body)] == ["notifications/progress", None]
        assert (
            messages(calls[1].body) == [{"jsonrpc": "2.0", "id": 2, "result": {"n": 2}}]
            or await calls[1].done()
        )
        assert calls[1].headers["content-type"] == "application/json"
        await listening.until(b"of nobody")
        assert len(messages(listening.body)) == 2
        listening.leave()
        await listening.done()
        late = front.ask("POST", request(3, "tools/call", {}), mcp_session_id=session)
        await until(lambda: len(played.taken) == 4)
        played.tell("notifications/message", data="nobody listens")
        await late.until(b"nobody listens")
        played.answer(3, {})
        await late.done()
        played.answer(9, {})
        await until(lambda: front.log)

    run(script)


def test_a_client_that_does_not_read_loses_notifications_and_no_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(channels, "MAX_WAITING", 2)

    async def main() -> None:
        outbox = channels.Outbox()
        taken = [outbox.put({"method": "x"}) for _ in range(3)]
        assert taken == [True, True, False]
        assert outbox.put({"id": 1, "result": {}})
        assert [await outbox.get(None) for _ in range(3)][2] == {"id": 1, "result": {}}
        assert await outbox.get(0.001) is None
        outbox.close()
        assert not outbox.put({"method": "x"})
        with pytest.raises(EOFError):
            await outbox.get(None)

    asyncio.run(main())


def test_what_waits_for_a_client_that_does_not_read_is_bounded_in_bytes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(channels, "MAX_HELD", 250)
    big = {"method": "x", "params": {"text": "y" * 100}}

    async def main() -> None:
        outbox = channels.Outbox()
        assert [outbox.put(big) for _ in range(4)] == [True, True, False, False]
        assert await outbox.get(None) == big
        assert await outbox.get(None) == big
        assert [outbox.put(big), outbox.put(big)] == [True, True]

        session = channels.Session("s", Played, lambda _: None, print)  # type: ignore[arg-type]
        for number in range(5):
            session._deliver({**big, "number": number}, None)
        stream = session.listen()
        assert stream is not None
        assert (await stream.get(None) or {})["number"] == 4

    asyncio.run(main())


def test_a_quiet_stream_is_kept_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_front, "QUIET", 0.01)

    async def script(front: PlayedFront) -> None:
        session, played = await front.session()
        call = front.ask("POST", request(1, "tools/call", {}), mcp_session_id=session)
        await call.until(b": ping")
        listening = front.ask("GET", mcp_session_id=session)
        await listening.until(b": ping")
        played.answer(1, {})
        assert (await call.done())["id"] == 1

    run(script)


def test_a_client_that_leaves_is_waited_for_no_longer() -> None:
    async def script(front: PlayedFront) -> None:
        session, played = await front.session()
        call = front.ask("POST", request(1, "tools/call", {}), mcp_session_id=session)
        await until(lambda: len(played.taken) == 2)
        call.leave()
        await call.done()
        assert played.abandoned == [1]
        gone = front.ask("POST", "slow", mcp_session_id=session)
        gone.leave()
        await gone.done()
        assert gone.status == 0

    run(script)


def test_a_client_that_leaves_in_its_handshake_leaves_no_session() -> None:
    async def script(front: PlayedFront) -> None:
        first = front.ask("POST", {**HANDSHAKE, "method": "initialize", "id": 5})
        first.leave()
        await first.done()
        if first.status == 0:
            await until(lambda: front.played[0].closed)

    run(script)


def test_a_message_that_does_not_arrive_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_front, "RECEIVE", 0.01)

    async def script(front: PlayedFront) -> None:
        asked = front.ask("POST", "slow")
        await asked.done()
        assert asked.status == 408

    run(script)


def test_a_session_whose_processes_still_end_counts_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else whoever opens and leaves in turns has more processes than sessions are allowed."""
    monkeypatch.setattr(http_front, "MAX_SESSIONS", 1)
    go = threading.Event()

    async def script(front: PlayedFront) -> None:
        session, played = await front.session()
        monkeypatch.setattr(played, "leave", lambda _: go.wait(30))
        ending = front.ask("DELETE", mcp_session_id=session)
        await until(lambda: front.front._ending)
        asked = front.ask("POST", HANDSHAKE)
        await asked.done()
        assert asked.status == 503
        go.set()
        await ending.done()
        await front.session()

    run(script)


def test_there_are_only_so_many_sessions_and_one_that_nobody_uses_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_front, "MAX_SESSIONS", 1)
    monkeypatch.setattr(http_front, "IDLE", 0.3)

    async def script(front: PlayedFront) -> None:
        session, played = await front.session()
        asked = front.ask("POST", HANDSHAKE)
        await asked.done()
        assert asked.status == 503
        watching = asyncio.create_task(front.front.watch())
        await until(lambda: played.closed)
        asked = front.ask("POST", request(1, "ping", {}), mcp_session_id=session)
        await asked.done()
        assert asked.status == 404
        watching.cancel()

    run(script)


def test_a_server_that_cannot_be_started_leaves_nothing_behind() -> None:
    async def script(front: PlayedFront) -> None:
        front.starts = False
        asked = front.ask("POST", HANDSHAKE)
        answer = await asked.done()
        assert (asked.status, "cannot start" in answer["error"]["message"]) == (502, True)
        meta = {"io.modelcontextprotocol/protocolVersion": MODERN}
        message = request(1, "tools/list", {"_meta": meta})
        named = {"mcp_protocol_version": MODERN, "mcp_method": "tools/list"}
        asked = front.ask("POST", message, **named)
        assert "cannot start" in (await asked.done())["error"]["message"]
        front.starts = True
        asked = front.ask("POST", message, **named)
        await until(lambda: len(front.played) == 3 and front.played[2].taken)
        front.played[2].answer(front.played[2].taken[0]["id"], {"tools": []})
        assert (await asked.done())["id"] == 1

    run(script)


def test_a_handshake_that_is_refused_leaves_no_session() -> None:
    async def script(front: PlayedFront) -> None:
        make = front.front._make_session

        def refusing(sink: Sink, on_lost: Callable[[], None]) -> Any:
            played: Any = make(sink, on_lost)
            error = {"code": -32602, "message": "no"}
            played.take = lambda message: sink({"jsonrpc": "2.0", "id": 0, "error": error}, 0)
            return played

        front.front._make_session = refusing
        asked = front.ask("POST", HANDSHAKE)
        assert (await asked.done())["error"]["message"] == "no"
        await until(lambda: front.played[0].closed)

    run(script)


def test_calls_without_a_session_get_what_is_theirs_when_their_servers_end() -> None:
    async def script(front: PlayedFront) -> None:
        meta = {"io.modelcontextprotocol/protocolVersion": MODERN, "progressToken": 7}
        named = {"mcp_protocol_version": MODERN, "mcp_method": "subscriptions/listen"}
        listens = front.ask("POST", request("s", "subscriptions/listen", {"_meta": meta}), **named)
        await until(lambda: front.played and front.played[0].taken)
        played = front.played[0]
        own = played.taken[0]["id"]
        subscribed = {"io.modelcontextprotocol/subscriptionId": own}
        played.tell("notifications/resources/updated", _meta=subscribed, uri="a:b")
        played.tell("notifications/progress", own, progressToken=own, progress=1)
        played.sink({"jsonrpc": "2.0", "id": 1, "method": "roots/list"}, None)
        await until(lambda: len(played.taken) == 2)
        assert played.taken[1]["error"]["code"] == -32601
        await listens.until(b"progressToken")
        seen = messages(listens.body)
        assert seen[0]["params"]["_meta"] == {"io.modelcontextprotocol/subscriptionId": "s"}
        assert seen[1]["params"]["progressToken"] == 7
        played.lost()
        assert "session has ended" in (await listens.done())["error"]["message"]
        assert front.front._stateless is None

    run(script)


def test_a_gateway_that_stops_answers_who_waits_and_takes_nothing_more() -> None:
    async def script(front: PlayedFront) -> None:
        session, played = await front.session()
        listening = front.ask("GET", mcp_session_id=session)
        call = front.ask("POST", request(1, "tools/call", {}), mcp_session_id=session)
        await until(lambda: len(played.taken) == 2 and listening.status)
        await front.front.stop()
        assert "has ended" in (await call.done())["error"]["message"]
        await listening.done()
        late = front.ask("POST", HANDSHAKE)
        await late.done()
        assert late.status == 503

    run(script)
