"""The server as streamable HTTP on loopback, for the programs of this machine alone.

In front of the library stands a guard: Host and Origin have to be this server's own (DNS rebinding), a bearer
token where one is wanted, a whole body of a bounded size in bounded time, parsed strictly and written anew,
so that what is decided is what any other parser would have read.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import uvicorn
from mcp.server import Server
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from delego_agent.connections import BACKLOG, Bounded
from delego_agent.gateway.wire import MAX_FROM_CLIENT, WireError, encode, error_answer, parse
from delego_agent.loopback import host_allowed, origin_allowed
from delego_agent.server.door import Log
from delego_agent.server.errors import ServingError

PATH: Final = "/mcp"
BODY_TIME: Final = 30.0  # seconds in which a body has to be there
ANSWER_TIME: Final = 0.5  # seconds at the end in which calls that wait for a person come back
STOP_TIME: Final = 10  # seconds for what is on its way behind that


@dataclass(frozen=True, slots=True)
class HttpOptions:
    """What an operator may set."""

    host: str = "127.0.0.1"  # an address, as ``check_bind`` gives it
    port: int = 0  # 0: a free one
    token: str | None = None  # wanted as "Authorization: Bearer …"


class Guard:
    """Answers what is refused, and hands the rest on."""

    def __init__(self, app: ASGIApp, port: int, token: str | None) -> None:
        self._app = app
        self._port = port
        self._token = None if token is None else f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        refusal = self._refusal(request)
        if refusal is None:
            try:
                body = await _whole_body(request)
            except ClientDisconnect:
                return  # nobody is there to be answered, and nothing was decided
            if isinstance(body, Response):
                refusal = body
            else:
                await self._app(scope, _Replayed(body, receive), send)
                return
        await refusal(scope, receive, send)

    def _refusal(self, request: Request) -> Response | None:
        host, origin = request.headers.getlist("host"), request.headers.getlist("origin")
        if len(host) != 1 or not host_allowed(host[0], self._port):
            return _plain(421, "this server answers to its loopback address alone")
        if len(origin) > 1 or not origin_allowed(origin[0] if origin else None, self._port):
            return _plain(403, "web pages are not answered")
        if self._token is not None:
            given = [one.encode("latin-1", "replace") for one in request.headers.getlist("authorization")]
            if len(given) != 1 or not hmac.compare_digest(given[0], self._token):
                return _plain(401, "a bearer token is wanted", {"WWW-Authenticate": "Bearer"})
        if request.url.path != PATH:
            return _plain(404, f"there is only {PATH}")
        if request.method != "POST":  # no session to end, and nothing to listen to
            return _plain(405, "send POST", {"Allow": "POST"})
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json" or "content-encoding" in request.headers:
            return _plain(415, "send application/json, without a content encoding")
        return None


class _Replayed:
    """``receive`` with the body that was read, and what comes behind it."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> Message:
        body, self._body = self._body, None
        if body is None:
            return await self._receive()
        return {"type": "http.request", "body": body, "more_body": False}


async def _whole_body(request: Request) -> bytes | Response:
    """The request's message, written anew; or why it is none."""
    data = bytearray()
    try:
        async with asyncio.timeout(BODY_TIME):
            async for piece in request.stream():
                data += piece
                if len(data) > MAX_FROM_CLIENT:
                    return _plain(
                        413, f"a message has at most {MAX_FROM_CLIENT} bytes", {"Connection": "close"}
                    )
    except TimeoutError:
        return _plain(408, "the body did not come in time", {"Connection": "close"})
    try:
        return encode(parse(bytes(data)))
    except WireError as error:
        answer = error_answer(error.ids[0] if error.ids else None, error.code, error.problem)
        return JSONResponse(answer, status_code=400)


def _plain(status: int, text: str, headers: dict[str, str] | None = None) -> Response:
    return PlainTextResponse(f"{text}\n", status, headers)


async def serve_http(
    server: Server[Any], options: HttpOptions, log: Log, on_stop: Callable[[], None]
) -> None:
    """Serve until SIGTERM or SIGINT; then call ``on_stop`` and finish what is on its way.

    Raises ServingError.
    """
    bound = _bind(options)
    try:
        port = bound.getsockname()[1]
        # Without sessions: no client can take over another one's, and a restart is not noticed.
        app = server.streamable_http_app(streamable_http_path=PATH, stateless_http=True, host=options.host)
        config = uvicorn.Config(
            Guard(app, port, options.token),
            http=Bounded,
            backlog=BACKLOG,
            ws="none",
            loop="asyncio",
            lifespan="on",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=STOP_TIME,
        )
        name = f"[{options.host}]" if ":" in options.host else options.host
        ready = f"listens on http://{name}:{port}{PATH}"
        await _Uvicorn(config, lambda: log(ready), on_stop).serve(sockets=[bound])
    finally:
        bound.close()


class _Uvicorn(uvicorn.Server):
    """uvicorn's server, which after a signal returns instead of killing its process with it."""

    def __init__(
        self, config: uvicorn.Config, on_ready: Callable[[], None], on_stop: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._on_ready = on_ready
        self._on_stop = on_stop
        self._stopping = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        signals = (signal.SIGTERM, signal.SIGINT)
        for one in signals:
            loop.add_signal_handler(one, self._stop)
        try:
            yield
        finally:
            for one in signals:
                loop.remove_signal_handler(one)

    def _stop(self) -> None:
        if self._stopping:  # the second time nothing is waited for
            self.force_exit = True
            self._leave()
            return
        self._stopping = True
        self._on_stop()
        asyncio.get_running_loop().call_later(ANSWER_TIME, self._leave)

    def _leave(self) -> None:
        self.should_exit = True


def _bind(options: HttpOptions) -> socket.socket:
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((options.host, options.port))
        bound.listen()
    except (OSError, OverflowError) as error:
        bound.close()
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise ServingError(f"cannot listen on {options.host} port {options.port}: {reason.lower()}") from None
    return bound
