"""Connections to one server, kept between requests. Nothing here sends anything twice.

A connection that was kept may have been closed by the server meanwhile. It is looked at before it is used,
and not used after a short rest: what is sent on a connection that just dies may have arrived.
"""

from __future__ import annotations

import contextlib
import http.client
import select
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Final

from delego_agent.gateway.endpoint import Endpoint

CONNECT: Final = 10.0  # seconds for a connection, TLS included
MAX_IDLE: Final = 2.0  # seconds; servers close after five and more
MAX_KEPT: Final = 32
CHUNK: Final = 65536


class Unsent(Exception):  # noqa: N818 - reads as what happened
    """The server surely has not got the request, or says that it did nothing with it."""


class Cut(Exception):  # noqa: N818 - reads as what happened
    """The request was sent, and its answer did not come whole."""


class Link:
    """One connection."""

    def __init__(self, connection: http.client.HTTPConnection) -> None:
        self._connection = connection
        # The connection forgets it where the server says "Connection: close", and it still has to be ended.
        self._sock: socket.socket | None = connection.sock
        self._aborted = False
        self.rested_at = 0.0
        self._response: http.client.HTTPResponse | None = None

    def request(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | None, timeout: float | None
    ) -> None:
        """Send it. Raises Unsent: without its last byte it is no request."""
        try:
            self._limit(timeout)
            self._connection.request(method, target, body, dict(headers))
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Unsent(f"the connection failed while it was sent: {in_words(error)}") from None

    def answer(self) -> tuple[int, Mapping[str, str]]:
        """Status and headers. Raises Cut."""
        try:
            self._response = self._connection.getresponse()
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Cut(f"no answer came: {in_words(error)}") from None
        names: dict[str, str] = {}
        for name, value in self._response.getheaders():
            names.setdefault(name.lower(), value)
        return self._response.status, names

    def piece(self) -> bytes:
        """What has come of the body, at least one byte; none at its end. Raises Cut."""
        assert self._response is not None  # noqa: S101 - after ``answer``
        try:
            data = self._response.read1(CHUNK)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Cut(f"the answer broke off: {in_words(error)}") from None
        if not data:
            if self._response.length:
                raise Cut("the answer broke off")
            self._response.close()  # the connection stays
        return data

    def body(self, limit: int) -> bytes:
        """All of it. Raises Cut."""
        pieces, size = [], 0
        while data := self.piece():
            size += len(data)
            if size > limit:
                raise Cut(f"an answer of more than {limit} bytes is not passed on")
            pieces.append(data)
        return b"".join(pieces)

    @contextlib.contextmanager
    def at_most(self, seconds: float) -> Iterator[None]:
        """End it after ``seconds`` in all: a socket's limit begins anew with each byte. Raises Unsent."""
        timer = threading.Timer(seconds, self.abort)
        timer.daemon = True
        try:
            timer.start()
        except RuntimeError as error:  # no more threads
            raise Unsent(str(error)) from None
        try:
            yield
        finally:
            timer.cancel()

    def finish(self, patience: float) -> bool:
        """Whether the body is at its end, or soon comes to it, so that the connection can be used again."""
        if self._response is None or self._response.will_close:
            return False
        if self._response.isclosed():
            return True
        try:
            self._limit(patience)
            with self.at_most(patience):
                for _ in range(4):
                    if not self.piece():
                        return not self._aborted
        except (OSError, Cut, Unsent):
            pass
        return False

    def is_fresh(self) -> bool:
        """Whether nothing has come on it while it was kept: its end, or an answer that nobody asked for."""
        sock: socket.socket | None = self._connection.sock
        if sock is None or time.monotonic() - self.rested_at > MAX_IDLE:
            return False
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        return not poll.poll(0)

    def abort(self) -> None:
        """End it at once; whoever reads or writes on it meets an error."""
        self._aborted = True
        if self._sock is not None:
            with contextlib.suppress(OSError):
                self._sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            if self._response is not None:
                self._response.close()
            self._connection.close()

    def _limit(self, timeout: float | None) -> None:
        sock: socket.socket | None = self._connection.sock
        if sock is None:
            raise OSError("it is closed")
        sock.settimeout(timeout)
        if timeout is None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


class Links:
    """The connections to one endpoint. Safe for use by many threads."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._tls = ssl.create_default_context() if endpoint.tls else None
        self._mutex = threading.Lock()
        self._kept: list[Link] = []
        self._closed = False

    def open(self) -> Link:
        """A connection for one request. Raises Unsent."""
        while True:
            with self._mutex:
                link = self._kept.pop() if self._kept else None
            if link is None:
                return self._new()
            if link.is_fresh():
                return link
            link.close()

    def give_back(self, link: Link) -> None:
        """It may be used again."""
        link.rested_at = time.monotonic()
        with self._mutex:
            if not self._closed and len(self._kept) < MAX_KEPT:
                self._kept.append(link)
                return
        link.close()

    def close(self) -> None:
        with self._mutex:
            self._closed = True
            kept, self._kept = self._kept, []
        for link in kept:
            link.close()

    def _new(self) -> Link:
        where = self._endpoint
        connection = (
            http.client.HTTPConnection(where.host, where.port, timeout=CONNECT)
            if self._tls is None
            else http.client.HTTPSConnection(where.host, where.port, timeout=CONNECT, context=self._tls)
        )
        connection.auto_open = 0  # it would connect again, and send again
        try:
            connection.connect()
        except (OSError, ValueError) as error:
            connection.close()
            raise Unsent(f"cannot connect to {where.origin}: {in_words(error)}") from None
        return Link(connection)


def in_words(error: Exception) -> str:
    """One line, without what a server may have put into it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message})"
    if isinstance(error, TimeoutError):
        return "it took too long"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return {
        "RemoteDisconnected": "the server closed the connection",
        "IncompleteRead": "the server closed the connection",
    }.get(type(error).__name__, type(error).__name__)
