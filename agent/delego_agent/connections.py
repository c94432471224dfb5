"""Connections to a server on loopback, of which no caller can hold as many or as long as it likes.

uvicorn waits without end for a request that does not come, and takes any number of connections: a program of
any user of this machine would take all descriptors of the server by connecting and saying nothing.
"""

from __future__ import annotations

import asyncio
from typing import Final

from uvicorn.protocols.http.h11_impl import H11Protocol

MAX_CONNECTIONS: Final = 512
BACKLOG: Final = 128  # connections that are taken before the first of them is looked at
HEAD_TIME: Final = 10.0  # seconds in which a whole request line and all headers have to be there


class Bounded(H11Protocol):
    """uvicorn's connection, closed when there are too many, or when no request comes on it."""

    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            transport.abort()
            return
        self._expect()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._busy:
            self._stop_waiting()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._stop_waiting()
        if not self._busy:  # a request that was sent ahead is being answered already
            self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    @property
    def _busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _expect(self) -> None:
        """One time for the whole head: bytes that drip in do not begin it anew."""
        self._waiting = self.loop.call_later(HEAD_TIME, self._close)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _close(self) -> None:
        if not self._busy:
            self.transport.abort()
