"""HTTP on a connection, with the limits that uvicorn does not have: how long a request may take to arrive and
its answer to be fetched, and how many connections there may be."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

MAX_HEAD = 16 * 1024  # bytes of request line and headers


def bounded_protocol(receive_timeout: float, max_connections: int) -> type[asyncio.Protocol]:
    """A protocol class for uvicorn. ``receive_timeout``: seconds for a request to arrive, from the first
    moment or the end of the answer before it to its last byte, and for what is written to be taken; a
    connection that takes longer is cut."""

    class BoundedProtocol(H11Protocol):
        _deadline: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            if len(self.connections) > max_connections:
                transport.abort()
                return
            self._settle()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._settle()

        def on_response_complete(self) -> None:
            self._clear()
            super().on_response_complete()  # a request that stands behind it begins here
            self._settle()

        def pause_writing(self) -> None:
            super().pause_writing()
            self._settle()

        def resume_writing(self) -> None:
            super().resume_writing()
            self._settle()

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

        def _settle(self) -> None:
            """Time runs except while a whole request is executed."""
            cycle = self.cycle
            executing = cycle is not None and not cycle.more_body and not cycle.response_complete
            if executing and not self.flow.write_paused:
                self._clear()
            elif self._deadline is None:
                self._deadline = self.loop.call_later(receive_timeout, self.transport.abort)

        def _clear(self) -> None:
            if self._deadline is not None:
                self._deadline.cancel()
                self._deadline = None

    return BoundedProtocol
