"""Serving the gateway over HTTP on loopback, until a signal ends it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from delego_agent.errors import DelegoAgentError
from delego_agent.gateway.backend import Backend, GatewayOptions, log_line
from delego_agent.gateway.gate import Gate
from delego_agent.gateway.http_front import PATH, Front
from delego_agent.gateway.relay import Sink
from delego_agent.gateway.stdio import fill_closed_streams, signals_to
from delego_agent.loopback import check_bind

MAX_HEAD: Final = 32 * 1024  # bytes of request line and headers
THREADS: Final = 64
STOP: Final = 20.0  # seconds for all sessions to end


class ListenError(DelegoAgentError):
    """The gateway cannot listen."""


class MissingExtra(DelegoAgentError):  # noqa: N818 - reads as what happened
    """What HTTP needs is not installed."""


@dataclass(frozen=True, slots=True)
class HttpOptions:
    """Where to listen, and for whom."""

    host: str = "127.0.0.1"
    port: int = 0  # 0: a free one
    token: str | None = None  # what callers have to send as bearer


def serve_http(
    home: Path, options: GatewayOptions, http: HttpOptions, on_listen: Callable[[str], None]
) -> None:
    """Serve until SIGTERM or SIGINT. ``on_listen`` gets the URL.

    Raises ListenError, NotLoopback, MissingExtra, and what ``Home.authorizer`` raises.
    """
    try:
        import uvicorn
    except ModuleNotFoundError:
        raise MissingExtra("--http needs uvicorn; install delego-spec[mcp]") from None
    from delego_agent.connections import BACKLOG, Bounded

    fill_closed_streams()
    bound = _bind(check_bind(http.host), http.port)
    with contextlib.closing(bound), contextlib.closing(Gate(home, options.gate)) as gate:
        port: int = bound.getsockname()[1]
        stop = threading.Event()

        def behind(begin_task: bool) -> Callable[[Sink, Callable[[], None]], Backend]:
            own = replace(options, begin_task=begin_task and options.begin_task)
            return lambda sink, on_lost: Backend(home, gate, own, sink, on_lost, log_line)

        async def serve() -> None:
            # Servers are started and ended in these threads; a slow one must not hold up the others.
            asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS))
            # Whoever has no session has no task either: nothing tells one of them from another.
            front = Front(behind(True), behind(False), port, http.token, log_line)
            server = uvicorn.Server(
                uvicorn.Config(
                    front,
                    http=Bounded,
                    backlog=BACKLOG,
                    ws="none",
                    loop="asyncio",
                    lifespan="off",
                    interface="asgi3",
                    log_config=None,
                    access_log=False,
                    proxy_headers=False,
                    server_header=False,
                    h11_max_incomplete_event_size=MAX_HEAD,
                    timeout_graceful_shutdown=2,
                )
            )
            serving = asyncio.create_task(server.serve(sockets=[bound]))
            serving.add_done_callback(lambda _: stop.set())
            watching = asyncio.create_task(front.watch())
            try:
                await asyncio.to_thread(stop.wait)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(STOP):
                        await front.stop()
            finally:
                watching.cancel()
                server.should_exit = True
                await serving

        def run() -> None:
            try:
                asyncio.run(serve())
            finally:
                stop.set()

        logging.getLogger("uvicorn").disabled = True
        logging.getLogger("uvicorn.error").disabled = True
        with signals_to(stop):
            thread = threading.Thread(target=run, name="delego-mcp-http")
            thread.start()
            on_listen(f"http://{_shown(bound)}{PATH}")
            stop.wait()
            thread.join()


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.listen(256)
    except OSError as error:
        bound.close()
        reason = (error.strerror or str(error)).lower()
        raise ListenError(f"cannot listen on {host} port {port}: {reason}") from None
    return bound


def _shown(bound: socket.socket) -> str:
    host, port = bound.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
