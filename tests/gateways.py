"""A gateway as its tests meet it: an upstream that can misbehave in every way, tokens, and the process.

The upstream is a few lines of asyncio, not an HTTP server: a server would refuse to send the junk that is
wanted here. What it does is chosen by the path; what it got is kept as it came.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import ipaddress
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from delego_broker.gateway.addresses import Resolver, system_resolver
from delego_broker.gateway.sending import Sender
from delego_broker.gateway.service import Gateway
from delego_broker.gateway.settings import Route
from delego_broker.replay import MemoryReplayStore, ReplayStore
from delego_broker.verifier import TokenVerifier
from delego_spec.action import Action
from delego_spec.ed25519 import SeedSigner
from delego_spec.gateway import Executed, GatewayRequest, Refused, response_from_json
from delego_spec.globs import Glob
from delego_spec.tokens import Claims, mint
from delego_spec.types import EpochSeconds

SIGNER = SeedSigner(bytes(range(32)))
AUDIENCE = "https://broker.example"
SECRET = 'sk-live/"q+7&=%é'  # each encoding writes it in its own way
HEADER_SECRET = "sk-live-4242424242424242"


class Upstream:
    """A service on loopback. ``requests``: the raw bytes of what arrived, head and body."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[bytes] = []
        self.arrived = threading.Event()
        self.connections = 0
        self._tls = tls
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._thread = threading.Thread(target=self._run, daemon=True)
        ready = threading.Event()
        self._ready = ready
        self._thread.start()
        assert ready.wait(10)

    @property
    def authority(self) -> str:
        return f"127.0.0.1:{self.port}"

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)

        async def begin() -> None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
            self.port = self._server.sockets[0].getsockname()[1]
            self._ready.set()

        self._loop.run_until_complete(begin())
        self._loop.run_forever()

    def close(self) -> None:
        async def end() -> None:
            self._server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._loop.stop()

        asyncio.run_coroutine_threadsafe(end(), self._loop)
        self._thread.join(10)
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = 0
            for line in head.split(b"\r\n"):
                if line.lower().startswith(b"content-length:"):
                    length = int(line.partition(b":")[2])
            body = await reader.readexactly(length)
            self.requests.append(head + body)
            self.arrived.set()
            path = head.split(b" ")[1].partition(b"?")[0].decode().strip("/").partition("/")[0]
            await getattr(self, f"_{path}", self._echo)(writer, head, body)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _echo(self, writer: asyncio.StreamWriter, head: bytes, body: bytes) -> None:
        lines = head.decode("latin-1").split("\r\n")
        method, target, _ = lines[0].split(" ")
        headers = dict(line.split(": ", 1) for line in lines[1:] if line)
        send_json(
            writer, {"method": method, "target": target, "headers": headers, "body": body.decode("latin-1")}
        )
        await writer.drain()

    async def _silent(self, writer: asyncio.StreamWriter, *_: bytes) -> None:
        await asyncio.sleep(60)

    async def _drip(self, writer: asyncio.StreamWriter, *_: bytes) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    async def _until_closed(self, writer: asyncio.StreamWriter, *_: bytes) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    async def _informational(self, writer: asyncio.StreamWriter, *_: bytes) -> None:
        while True:
            writer.write(b"HTTP/1.1 103 Early Hints\r\n\r\n")
            await writer.drain()
            await asyncio.sleep(0.005)

    async def _huge(self, writer: asyncio.StreamWriter, *_: bytes) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()

    async def _endless(self, writer: asyncio.StreamWriter, *_: bytes) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")
            await writer.drain()

    async def _headers(self, writer: asyncio.StreamWriter, *_: bytes) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(b"X-A: " + b"x" * 4000 + b"\r\n")
            await writer.drain()

    async def _redirect(self, writer: asyncio.StreamWriter, *_: bytes) -> None:
        writer.write(
            b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/latest/\r\nContent-Length: 0\r\n\r\n"
        )

    async def _cut(self, writer: asyncio.StreamWriter, *_: bytes) -> None:
        writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"half":')
        await writer.drain()

    async def _early(self, writer: asyncio.StreamWriter, *_: bytes) -> None:
        writer.close()

    async def _junk(self, writer: asyncio.StreamWriter, *_: bytes) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nX: a\r\n b\rc: d\r\n\n\r\n\r\nHTTP/1.1 200 OK\r\n\r\n")

    async def _switch(self, writer: asyncio.StreamWriter, *_: bytes) -> None:
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")
        await asyncio.sleep(60)

    async def _cookie(self, writer: asyncio.StreamWriter, *_: bytes) -> None:
        send_body(writer, b"{}", "application/json", "Set-Cookie: session=1\r\nX-Request-Id: 7\r\n")

    async def _gzip(self, writer: asyncio.StreamWriter, *_: bytes) -> None:
        send_body(writer, b"\x1f\x8b\x08\x00", "text/plain", "Content-Encoding: gzip\r\n")

    async def _text(self, writer: asyncio.StreamWriter, *_: bytes) -> None:
        send_body(writer, "grüße".encode(), "text/plain; charset=utf-8")

    async def _bytes(self, writer: asyncio.StreamWriter, *_: bytes) -> None:
        send_body(writer, b"\x00\x01\xff", "application/octet-stream")

    async def _mirror(self, writer: asyncio.StreamWriter, head: bytes, _: bytes) -> None:
        send_body(writer, b"\xff" + head, "application/octet-stream")

    async def _odd(self, writer: asyncio.StreamWriter, *_: bytes) -> None:
        send_body(writer, b'{"n": 1e400}', "application/json")

    async def _deep(self, writer: asyncio.StreamWriter, *_: bytes) -> None:
        send_body(writer, b"[" * 63 + b"]" * 63, "application/json")

    async def _nothing(self, writer: asyncio.StreamWriter, *_: bytes) -> None:
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")

    async def _teapot(self, writer: asyncio.StreamWriter, *_: bytes) -> None:
        send_body(writer, b'{"short":"stout"}', "application/problem+json", status="418 Teapot")


def send_body(
    writer: asyncio.StreamWriter, body: bytes, kind: str, more: str = "", status: str = "200 OK"
) -> None:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{more}\r\n"
    writer.write(head.encode() + body)


def send_json(writer: asyncio.StreamWriter, value: object) -> None:
    send_body(writer, json.dumps(value).encode(), "application/json")


_serial = iter(range(1_000_000_000))


def token_for(action: Action, *, now: int | None = None, **changes: Any) -> str:
    """A token for this action, fresh, with whatever is changed."""
    begun = EpochSeconds(int(time.time()) if now is None else now)
    number = f"{os.getpid()}-{next(_serial)}"
    members: dict[str, Any] = {
        "iss": "delego",
        "aud": AUDIENCE,
        "iat": begun,
        "exp": EpochSeconds(begun + 45),
        "jti": f"jti-{number}",
        "cns": f"cns-{number}",
        "fpr": action.fingerprint,
        "iht": action.intent_hash,
    }
    return mint(Claims(**(members | changes)), SIGNER)


def request_for(
    method: str, url: str, params: dict[str, Any] | None = None, **changes: Any
) -> GatewayRequest:
    """An authorised request; ``token`` replaces its token."""
    action = Action("do it", method, url, params or {})
    token = changes.pop("token", None) or token_for(action, **changes)
    return GatewayRequest.of(action, token)


def route_to(authority: str, **changes: Any) -> Route:
    """A route to a loopback service, with whatever is changed."""
    members: dict[str, Any] = {
        "name": "svc",
        "host": authority,
        "path": Glob("*"),
        "methods": frozenset({"GET", "POST", "PUT", "DELETE", "HEAD"}),
        "plain_http": True,
        "allow_networks": (ipaddress.ip_network("127.0.0.0/8"),),
        "total_timeout": 10.0,
    }
    return Route(**(members | changes))


def execute_all(
    requests: Sequence[GatewayRequest],
    *routes: Route,
    resolver: Resolver = system_resolver,
    store: ReplayStore | None = None,
    log: list[Any] | None = None,
) -> list[Executed | Refused]:
    """What a gateway in this process makes of the requests, one after the other."""

    async def run() -> list[Executed | Refused]:
        verifier = TokenVerifier(
            {SIGNER.public_key.key_id: SIGNER.public_key}, AUDIENCE, store or MemoryReplayStore()
        )
        lines: list[Any] = [] if log is None else log
        gateway = Gateway(routes, verifier, Sender(routes, resolver=resolver), log=lines.append)
        try:
            return [response_from_json(await gateway.execute(request)) for request in requests]
        finally:
            await gateway.aclose()

    return asyncio.run(run())


def execute(request: GatewayRequest, *routes: Route, **more: Any) -> Executed | Refused:
    """``execute_all`` for one request."""
    return execute_all([request], *routes, **more)[0]


def keys_folder(folder: Path) -> Path:
    """A folder with the token key of these tests as token.pub."""
    from delego_ledger.keyfiles import write_public_key

    write_public_key(folder / "token.pub", SIGNER.public_key)
    return folder


class BrokerProcess:
    """``delego broker`` in a process of its own."""

    def __init__(self, folder: Path, config: str, **environment: str) -> None:
        self.folder = folder
        self.config = folder / "broker.yaml"
        self.config.write_text(config, encoding="utf-8")
        self.output = folder / "stdout.log"
        self.errors = folder / "stderr.log"
        self.arguments = [
            sys.executable,
            "-m",
            "delego_cli",
            "broker",
            "--config",
            str(self.config),
            "--json",
        ]
        self.environment = {**os.environ, **environment}
        self.start()

    def start(self) -> None:
        with self.output.open("ab") as output, self.errors.open("ab") as errors:
            begin = output.tell()
            self.process = subprocess.Popen(
                self.arguments, stdout=output, stderr=errors, env=self.environment, cwd=self.folder
            )
        until = time.monotonic() + 20
        while b'"listening"' not in self.output.read_bytes()[begin:]:
            assert self.process.poll() is None, self.errors.read_text()
            assert time.monotonic() < until
            time.sleep(0.01)
        first = json.loads(self.output.read_bytes()[begin:].splitlines()[0])
        self.address: str = first["address"]

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.output.read_text().splitlines()]

    def post(self, data: bytes, **headers: str) -> tuple[int, Any]:
        """The status and the JSON of the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        with contextlib.closing(connection):
            names = {"Content-Type": "application/json"} | {
                name.replace("_", "-"): value for name, value in headers.items()
            }
            connection.request("POST", "/v1/execute", data, names)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())

    def raw(self, data: bytes, *, more: Iterable[bytes] = ()) -> bytes:
        """What comes back for these bytes until the gateway closes the connection."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            with contextlib.suppress(OSError):
                connection.sendall(data)
                for piece in more:
                    connection.sendall(piece)
            found = b""
            with contextlib.suppress(OSError):
                while piece := connection.recv(65536):
                    found += piece
            return found

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(20)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
