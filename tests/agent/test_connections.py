"""Connections on loopback over which nothing comes: bounded in number and in time."""

from __future__ import annotations

import asyncio
import resource
import signal
import socket
from asyncio import StreamReader as Reader
from asyncio import StreamWriter as Writer
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from served import PATIENCE, http_server, new_home

pytest.importorskip("uvicorn", reason="the extra 'mcp' is not installed")

REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n"


def talk(patch: pytest.MonkeyPatch, script: Callable[[Reader, Writer], Awaitable[Any]]) -> Any:
    """What ``script`` makes of a connection to an application that answers after a little work."""
    from uvicorn import Config
    from uvicorn.server import ServerState

    from delego_agent import connections

    patch.setattr(connections, "HEAD_TIME", 0.05)

    async def app(_: Any, __: Any, send: Any) -> None:
        await asyncio.sleep(0.2)  # longer than a head may take
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def run() -> Any:
        config = Config(app, log_config=None, lifespan="off", interface="asgi3", timeout_keep_alive=60)
        state = ServerState()

        def connection() -> connections.Bounded:
            return connections.Bounded(config, state, {})

        server = await asyncio.get_running_loop().create_server(connection, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
        try:
            async with asyncio.timeout(PATIENCE):
                return await script(reader, writer)
        finally:
            writer.close()
            server.close()

    return asyncio.run(run())


async def rest(reader: Reader) -> bytes:
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""


@pytest.mark.parametrize("head", [b"", b"GET", REQUEST])
def test_a_head_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, head: bytes) -> None:
    async def script(reader: Reader, writer: Writer) -> bytes:
        writer.write(head)
        return await rest(reader)

    assert talk(monkeypatch, script) == b""


def test_a_head_that_drips_in_gets_no_new_time(monkeypatch: pytest.MonkeyPatch) -> None:
    async def script(reader: Reader, writer: Writer) -> bytes:
        async def drip() -> None:
            while not writer.is_closing():
                writer.write(b"X: y\r\n")
                await asyncio.sleep(0.01)

        writer.write(REQUEST)
        dripping = asyncio.create_task(drip())
        try:
            return await rest(reader)
        finally:
            dripping.cancel()

    assert talk(monkeypatch, script) == b""


def test_an_answer_may_take_longer_than_a_head_and_the_next_head_is_waited_for_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def script(reader: Reader, writer: Writer) -> list[bytes]:
        answers = []
        for ahead in (1, 2):
            writer.write((REQUEST + b"\r\n") * ahead)
            answers += [await reader.readuntil(b"\r\n\r\n") for _ in range(ahead)]
        return [*answers, await rest(reader)]

    *answers, end = talk(monkeypatch, script)
    assert [one.startswith(b"HTTP/1.1 204") for one in answers] == [True] * 3
    assert end == b""


def test_connections_that_say_nothing_are_bounded_and_the_server_outlives_them(tmp_path: Path) -> None:
    from delego_agent.connections import MAX_CONNECTIONS

    with http_server(new_home(tmp_path)) as server:
        address = ("127.0.0.1", server.port)
        with ExitStack() as opened:
            idle = [opened.enter_context(socket.create_connection(address)) for _ in range(MAX_CONNECTIONS)]
            one_more = opened.enter_context(socket.create_connection(address))
            one_more.settimeout(PATIENCE)
            with suppress(ConnectionResetError):
                assert one_more.recv(1) == b""
            idle[0].settimeout(PATIENCE)
            idle[0].sendall(b"GET /mcp HTTP/1.1\r\nHost: elsewhere\r\n\r\n")
            assert idle[0].recv(12) == b"HTTP/1.1 421"
        assert server.stop() == 0


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="another process's limits are set on Linux")
def test_a_burst_of_connections_does_not_take_all_descriptors(tmp_path: Path) -> None:
    with http_server(new_home(tmp_path)) as server:
        limits = (800, resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)[1])
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, limits)
        server.process.send_signal(signal.SIGSTOP)
        with ExitStack() as opened:
            for _ in range(950):
                one = opened.enter_context(socket.socket())
                one.setblocking(False)
                one.connect_ex(("127.0.0.1", server.port))
            server.process.send_signal(signal.SIGCONT)
            opened.pop_all().close()
        assert server.stop() == 0
    assert len(server.log) == 1  # where it listens; no accept failed
