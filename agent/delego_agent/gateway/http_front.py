"""The gateway as an MCP server over streamable HTTP, for clients on this machine.

POST takes one message; a request is answered with JSON, or with a stream of events where there is more to say
than the answer. GET listens to what belongs to no request of a session, DELETE ends it. Nothing is taken from
a request's headers but what is checked here; none of them goes to a server.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from delego_agent.errors import DelegoAgentError
from delego_agent.gateway.channels import Channel, Exchange, MakeBackend, Outbox, Session, Stateless
from delego_agent.gateway.downstream import Log
from delego_agent.gateway.headers import (
    HANDSHAKE_VERSIONS,
    LAST_EVENT,
    SESSION,
    SINGLE,
    VERSION,
    disagreement,
    era_of,
)
from delego_agent.gateway.relay import refuse_line
from delego_agent.gateway.sse import KIND, PING, written_event
from delego_agent.gateway.wire import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    MAX_FROM_CLIENT,
    METHOD_NOT_FOUND,
    PARSE_ERROR,
    UNAVAILABLE,
    Message,
    RequestId,
    WireError,
    encode,
    error_answer,
    parse,
)
from delego_agent.loopback import host_allowed, origin_allowed

PATH: Final = "/mcp"
MAX_SESSIONS: Final = 100
IDLE: Final = 1800.0  # seconds after which a session that nobody uses ends
RECEIVE: Final = 30.0  # seconds for a message to arrive
QUIET: Final = 15.0  # seconds without an event after which a ping is sent
HEADER_MISMATCH: Final = -32020
_STATUS: Final = {  # of answers without a handshake, by the code of their error
    PARSE_ERROR: 400,
    INVALID_REQUEST: 400,
    INVALID_PARAMS: 400,
    METHOD_NOT_FOUND: 404,
    -32020: 400,
    -32021: 400,
    -32022: 400,
}

Scope: TypeAlias = dict[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]


class _Refused(Exception):  # noqa: N818 - an answer, carried out of the checks
    def __init__(
        self,
        status: int,
        text: str,
        *,
        code: int = INVALID_REQUEST,
        about: RequestId | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(text)
        self.status = status
        self.body = error_answer(about, code, text)
        self.headers = headers or {}


class _Gone(Exception):  # noqa: N818 - reads as what happened
    """The client has closed the connection."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the headers of one request say, checked."""

    method: str
    headers: Mapping[str, str]
    json: bool  # the client takes one answer
    events: bool  # the client takes a stream

    @property
    def session(self) -> str | None:
        return self.headers.get(SESSION)


class Front:
    """The ASGI application. ``port``: where it listens; ``token``: what callers have to know, if anything."""

    def __init__(
        self, make_session: MakeBackend, make_stateless: MakeBackend, port: int, token: str | None, log: Log
    ) -> None:
        self._make_session = make_session
        self._make_stateless = make_stateless
        self._port = port
        self._token = None if token is None else hashlib.sha256(token.encode()).digest()
        self._log = log
        self._sessions: dict[str, Session] = {}
        self._stateless: Stateless | None = None
        self._making = asyncio.Lock()
        self._ending: dict[Channel, asyncio.Task[None]] = {}
        self._stopping = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            asked = self._check(scope)
            if asked.method == "POST":
                await self._post(asked, receive, send)
            elif asked.method == "GET":
                await self._get(asked, receive, send)
            else:
                await self._delete(asked, send)
        except _Refused as refused:
            await _answer(send, refused.status, refused.body, refused.headers)
        except _Gone:
            pass

    async def watch(self) -> None:
        """End sessions that nobody uses, for as long as it is awaited."""
        while True:
            await asyncio.sleep(IDLE / 30)
            for session in list(self._sessions.values()):
                if session.is_idle and time.monotonic() - session.used_at > IDLE:
                    self._drop(session)

    async def stop(self) -> None:
        """Take nothing more, and end all sessions."""
        self._stopping = True
        for channel in (*self._sessions.values(), *([self._stateless] if self._stateless else [])):
            self._drop(channel)
        if self._ending:
            await asyncio.wait(self._ending.values())

    # --- what a request must be -------------------------------------------------------------------------

    def _check(self, scope: Scope) -> _Asked:
        """Raises _Refused. In this order: who may ask at all, then whether it is understood."""
        headers: dict[str, str] = {}
        for raw, value in scope["headers"]:
            name = raw.decode("latin-1").lower()
            if name in headers and name in SINGLE:
                raise _Refused(400, f"the header {name!r:.60} stands there twice")
            headers[name] = (
                f"{headers[name]}, {value.decode('latin-1')}" if name in headers else value.decode("latin-1")
            )
        if not host_allowed(headers.get("host"), self._port):
            raise _Refused(421, "the Host header names another server")
        if not origin_allowed(headers.get("origin"), self._port):
            raise _Refused(403, "web pages of other origins get no answer")
        if self._token is not None:
            scheme, _, given = headers.get("authorization", "").partition(" ")
            known = hashlib.sha256(given.strip().encode("latin-1")).digest()
            if scheme.lower() != "bearer" or not hmac.compare_digest(known, self._token):
                raise _Refused(
                    401, "a bearer token is missing or wrong", headers={"WWW-Authenticate": "Bearer"}
                )
        if scope["path"] != PATH:
            raise _Refused(404, f"MCP is served at {PATH}")
        method = scope["method"]
        if method not in ("POST", "GET", "DELETE"):
            raise _Refused(
                405, "only POST, GET and DELETE have a meaning", headers={"Allow": "POST, GET, DELETE"}
            )
        if self._stopping:
            raise _Refused(503, "the gateway is stopping", code=UNAVAILABLE)
        kinds = [kind.partition(";")[0].strip().lower() for kind in headers.get("accept", "*/*").split(",")]
        takes_json = any(kind in ("application/json", "application/*", "*/*") for kind in kinds)
        return _Asked(method, headers, takes_json, any(kind in (KIND, "text/*", "*/*") for kind in kinds))

    def _session_of(self, asked: _Asked) -> Session:
        if asked.session is None:
            raise _Refused(400, f"{SESSION} is missing; a session begins with 'initialize'")
        session = self._sessions.get(asked.session)
        if session is None:
            raise _Refused(404, "there is no such session; begin a new one with 'initialize'")
        version = asked.headers.get(VERSION)
        if version is not None and (
            version not in HANDSHAKE_VERSIONS or session.version not in (None, version)
        ):
            raise _Refused(400, f"{VERSION} {version!r:.40} is not this session's")
        return session

    # --- POST -------------------------------------------------------------------------------------------

    async def _post(self, asked: _Asked, receive: Receive, send: Send) -> None:
        if asked.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise _Refused(415, "a message is sent as application/json")
        if not asked.json and not asked.events:
            raise _Refused(406, f"an answer is application/json or {KIND}")
        message = await self._message(asked, receive)
        if "method" in message and (wrong := disagreement(message, asked.headers)) is not None:
            raise _Refused(400, wrong, code=HEADER_MISMATCH, about=message.get("id"))
        if era_of(message) is not None or asked.headers.get(VERSION, "2025-11-25") not in HANDSHAKE_VERSIONS:
            await self._without_session(asked, message, receive, send)
        elif asked.session is None and message.get("method") == "initialize" and "id" in message:
            await self._initialize(asked, message, receive, send)
        else:
            session = self._session_of(asked)
            if "method" not in message or "id" not in message:
                session.take(message)
                await _answer(send, 202, None, {})
                return
            exchange = session.ask(message, streams=asked.events)
            if exchange is None:
                text = f"the id {message['id']!r:.80} is in use by a request without an answer"
                raise _Refused(400, text)
            await self._serve(session, exchange, asked, receive, send)

    async def _message(self, asked: _Asked, receive: Receive) -> Message:
        length = asked.headers.get("content-length", "0")
        too_long = _Refused(
            413,
            f"a message of more than {MAX_FROM_CLIENT} bytes is not passed on",
            headers={"Connection": "close"},
        )
        if not length.isascii() or not length.isdigit() or int(length) > MAX_FROM_CLIENT:
            raise too_long
        body = bytearray()
        try:
            async with asyncio.timeout(RECEIVE):
                while True:
                    event = await receive()
                    if event["type"] == "http.disconnect":
                        raise _Gone
                    body += event.get("body", b"")
                    if len(body) > MAX_FROM_CLIENT:
                        raise too_long
                    if not event.get("more_body"):
                        break
        except TimeoutError:
            raise _Refused(
                408, "the message did not arrive in time", headers={"Connection": "close"}
            ) from None
        try:
            return parse(bytes(body))
        except WireError as error:
            answer = refuse_line(error, ())
            raise _Refused(400, answer["error"]["message"], code=error.code, about=answer["id"]) from None

    async def _initialize(self, asked: _Asked, message: Message, receive: Receive, send: Send) -> None:
        if len(self._sessions) + len(self._ending) >= MAX_SESSIONS:  # both have processes
            raise _Refused(503, f"{MAX_SESSIONS} sessions are open", code=UNAVAILABLE, about=message["id"])
        session_id = secrets.token_hex(16)
        session = Session(session_id, self._make_session, self._lost, self._log)
        self._sessions[session_id] = session
        try:
            await session.start()
            exchange = session.ask(message, streams=False)
            assert exchange is not None  # noqa: S101 - the first request of all
            answer = await self._serve(session, exchange, asked, receive, send, {SESSION: session_id})
            if "result" not in answer:
                self._drop(session)
        except DelegoAgentError as error:
            self._drop(session)
            raise _Refused(502, str(error), code=UNAVAILABLE, about=message["id"]) from None
        except _Gone:  # nobody knows the session's id
            self._drop(session)
            raise

    async def _without_session(self, asked: _Asked, message: Message, receive: Receive, send: Send) -> None:
        if asked.session is not None:
            raise _Refused(400, f"a request without a handshake has no {SESSION}", about=message.get("id"))
        if "method" not in message or "id" not in message:
            await _answer(send, 202, None, {})  # neither notices nor answers say anything in this era
            return
        if era_of(message) is None:
            text = "a request without a handshake names its version in '_meta'"
            raise _Refused(400, text, code=HEADER_MISMATCH, about=message.get("id"))
        async with self._making:
            if self._stateless is None:
                self._stateless = Stateless(self._make_stateless, self._lost, self._log)
                try:
                    await self._stateless.start()
                except DelegoAgentError as error:
                    self._drop(self._stateless)
                    raise _Refused(502, str(error), code=UNAVAILABLE, about=message["id"]) from None
            channel = self._stateless
        exchange = channel.ask(message, streams=asked.events)
        await self._serve(channel, exchange, asked, receive, send)

    async def _serve(
        self,
        channel: Session | Stateless,
        exchange: Exchange,
        asked: _Asked,
        receive: Receive,
        send: Send,
        headers: Mapping[str, str] | None = None,
    ) -> Message:
        """Answer a request: with JSON, or with events once there is something to say before the answer."""
        begun = False
        watcher = asyncio.create_task(_closes(receive, exchange.outbox))
        try:
            while True:
                message = await exchange.outbox.get(QUIET if exchange.streams else None)
                answer = message if message is not None and "method" not in message else None
                if answer is not None and asked.json and not begun:
                    await _answer(send, _status(answer, exchange.message), answer, headers or {})
                    return answer
                if not begun:
                    await _begin_events(send, headers or {})
                    begun = True
                data = PING if message is None else written_event(message)
                await send({"type": "http.response.body", "body": data, "more_body": answer is None})
                if answer is not None:
                    return answer
        except EOFError:
            channel.left(exchange)
            raise _Gone from None
        finally:
            watcher.cancel()

    # --- GET and DELETE ---------------------------------------------------------------------------------

    async def _get(self, asked: _Asked, receive: Receive, send: Send) -> None:
        if not asked.events:
            raise _Refused(406, f"what is listened to is {KIND}")
        if asked.session is None:
            raise _Refused(405, "there is nothing to listen to without a session", headers={"Allow": "POST"})
        session = self._session_of(asked)
        if LAST_EVENT in asked.headers:
            raise _Refused(400, f"streams are not resumed here; leave out {LAST_EVENT}")
        outbox = session.listen()
        if outbox is None:
            raise _Refused(409, "somebody listens to this session already")
        watcher = asyncio.create_task(_closes(receive, outbox))
        try:
            await _begin_events(send, {})
            while True:
                message = await outbox.get(QUIET)
                data = PING if message is None else written_event(message)
                await send({"type": "http.response.body", "body": data, "more_body": True})
        except EOFError:
            with contextlib.suppress(OSError):
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            outbox.close()
            watcher.cancel()

    async def _delete(self, asked: _Asked, send: Send) -> None:
        session = self._session_of(asked)
        await self._drop(session)
        await _answer(send, 204, None, {})

    # --- ends -------------------------------------------------------------------------------------------

    def _lost(self, channel: Channel) -> None:
        self._drop(channel)

    def _drop(self, channel: Channel) -> asyncio.Task[None]:
        """Forget a channel at once, and end what stands behind it."""
        if isinstance(channel, Session):
            self._sessions.pop(channel.id, None)
        elif channel is self._stateless:
            self._stateless = None
        why = "the session has ended; begin a new one, and make the call again if it waited for a person"
        if channel not in self._ending:
            task = self._ending[channel] = asyncio.create_task(channel.end(why))
            task.add_done_callback(lambda _: self._ending.pop(channel, None))
        return self._ending[channel]


async def _closes(receive: Receive, outbox: Outbox) -> None:
    """Close the outbox when the client closes its connection."""
    while (await receive())["type"] != "http.disconnect":
        pass
    outbox.close()


def _status(answer: Message, request: Message) -> int:
    error = answer.get("error")
    return 200 if error is None or era_of(request) is None else _STATUS.get(error.get("code"), 200)


async def _begin_events(send: Send, headers: Mapping[str, str]) -> None:
    more = {"content-type": KIND, "cache-control": "no-cache, no-transform", **headers}
    raw = [(name.lower().encode(), value.encode()) for name, value in more.items()]
    await send({"type": "http.response.start", "status": 200, "headers": raw})


async def _answer(send: Send, status: int, body: Message | None, headers: Mapping[str, str]) -> None:
    data = b"" if body is None else encode(body)[:-1]
    more = {**headers, "cache-control": "no-store"}
    if status != 204:
        more |= {"content-length": str(len(data))}
    if body is not None:
        more |= {"content-type": "application/json"}
    raw = [(name.lower().encode(), value.encode()) for name, value in more.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": data})
