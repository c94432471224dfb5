"""Far ends for tests of the authorizer's side: sockets that answer what they were told, and count."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from delego_broker.client import GatewayBroker
from delego_spec.gateway import GatewayRequest
from delego_spec.tokens import Claims, mint
from delego_spec.types import EpochSeconds
from houses import TOKEN_KEY, order

AUDIENCE = "https://broker.example"
NOW = 1_760_000_000
PATIENCE = 30.0  # seconds; a limit for hangs, not a wait

Talk = Callable[[socket.socket, bytes], None]  # the connection, and what came in on it


def token(jti: str = "j-1", *, audience: str = AUDIENCE) -> str:
    """A token for ``order()``, of the second ``NOW``."""
    action = order()
    claims = Claims(
        iss="delego",
        aud=audience,
        iat=EpochSeconds(NOW),
        exp=EpochSeconds(NOW + 45),
        jti=jti,
        cns=f"c-{jti}",
        fpr=action.fingerprint,
        iht=action.intent_hash,
    )
    return mint(claims, TOKEN_KEY)


def request(jti: str = "j-1") -> GatewayRequest:
    return GatewayRequest.of(order(), token(jti))


def http(body: bytes, status: str = "200 OK", **headers: str) -> bytes:
    """An answer with its length, as a gateway gives it."""
    lines = {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}
    text = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {status}\r\n{text}\r\n".encode() + body


def says(answer: bytes) -> Talk:
    """A far end that says this, whatever it was asked."""
    return lambda connection, _: connection.sendall(answer)


@dataclass
class FarEnd:
    """A server on a socket of its own; ``talk`` answers each connection, once its request is whole."""

    talk: Talk
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)
    url: str = ""
    socket_path: str | None = None
    tls: ssl.SSLContext | None = None

    def broker(self, *, timeout: float = PATIENCE, bearer: str | None = None) -> GatewayBroker:
        url = None if self.socket_path is not None else self.url
        return GatewayBroker(url, AUDIENCE, timeout=timeout, bearer=bearer, socket_path=self.socket_path)

    def serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.settimeout(PATIENCE)
            if self.tls is None:
                self._answer(connection)
                return
            with self.tls.wrap_socket(connection, server_side=True) as wrapped:
                self._answer(wrapped)

    def _answer(self, connection: socket.socket) -> None:
        came = read_request(connection)
        self.requests.append(came)
        self.talk(connection, came)


def read_request(connection: socket.socket) -> bytes:
    """One whole request, by its Content-Length."""
    came = b""
    while b"\r\n\r\n" not in came and (part := connection.recv(65536)):
        came += part
    if not came:
        raise OSError("nothing came")
    head, _, body = came.partition(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    wanted = int(lengths[0].split(b":")[1]) if lengths else 0
    while len(body) < wanted and (part := connection.recv(65536)):
        body += part
    return head + b"\r\n\r\n" + body


@contextlib.contextmanager
def far_end(
    talk: Talk, *, unix: Path | None = None, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> Iterator[FarEnd]:
    """A far end on loopback, or on a Unix socket; ended with the block."""
    end = FarEnd(talk, tls=tls)
    if unix is None:
        listener = socket.create_server((host, 0))
        end.url = f"http{'s' if tls else ''}://{host}:{listener.getsockname()[1]}"
    else:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(unix))
        listener.listen()
        end.socket_path = str(unix)
    threads: list[threading.Thread] = []

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            end.connections += 1
            threads.append(threading.Thread(target=end.serve, args=(connection,), daemon=True))
            threads[-1].start()

    acceptor = threading.Thread(target=accept, daemon=True)
    acceptor.start()
    try:
        yield end
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for thread in (acceptor, *threads):
            thread.join(PATIENCE)
