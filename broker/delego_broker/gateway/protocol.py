"""HTTP on a connection, with the limits that uvicorn does not have: how long a request may take to arrive and
its answer to be fetched, how many connections there may be, and one request on each."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

MAX_HEAD = 16 * 1024  # bytes of request line and headers
# On every answer. On a kept connection a second request could begin, and never end, behind the first one.
ONE_REQUEST = [("connection", "close")]


def bounded_protocol(receive_timeout: float, max_connections: int) -> type[asyncio.Protocol]:
    """A protocol class for uvicorn, for servers that send ``ONE_REQUEST``. ``receive_timeout``: seconds from
    the first moment to the last byte of a request, and for its answer to be taken; a connection that takes
    longer is cut."""

    class BoundedProtocol(H11Protocol):
        _deadline: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            if len(self.connections) > max_connections:
                transport.abort()
                return
            self._deadline = self.loop.call_later(receive_timeout, transport.abort)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.cycle is not None and not self.cycle.more_body:
                self._clear()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._clear()
            self._deadline = self.loop.call_later(receive_timeout, self.transport.abort)

        def send_400_response(self, msg: str) -> None:
            # What follows a whole request is junk, but the request is being executed: a status that says that
            # it was not taken would be a lie.
            if self.cycle is not None and not self.cycle.more_body:
                self.transport.abort()
            else:
                super().send_400_response(msg)

        def connection_lost(self, exc: Exception | None) -> None:
            self._clear()
            super().connection_lost(exc)

        def _clear(self) -> None:
            if self._deadline is not None:
                self._deadline.cancel()
                self._deadline = None

    return BoundedProtocol
