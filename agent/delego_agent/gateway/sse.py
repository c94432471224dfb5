"""Server-sent events, as streamable HTTP uses them: read as they arrive, and written."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from typing import Final

from delego_agent.gateway.wire import Message, encode

KIND: Final = "text/event-stream"
PING: Final = b": ping\r\n\r\n"


class StreamError(Exception):
    """What comes is no stream of events, or one event is longer than allowed."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event. ``id``: the last one that the stream has given, until then None."""

    data: str
    id: str | None
    kind: str


class EventReader:
    """Makes events of bytes as they come. ``limit``: bytes of one event."""

    def __init__(self, limit: int) -> None:
        self.last_id: str | None = None
        self.retry: float | None = None  # seconds after which the server wants to be asked again
        self._limit = limit
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._rest: list[str] = []  # of a line without its end
        self._size = 0
        self._data: list[str] = []
        self._kind = ""
        self._after_cr = False

    def feed(self, data: bytes) -> list[Event]:
        """The events that these bytes complete. Raises StreamError."""
        try:
            text = self._decoder.decode(data)
        except UnicodeDecodeError:
            raise StreamError("a stream of events that is not UTF-8 is not passed on") from None
        if text:
            rest = text.removeprefix("\n") if self._after_cr else text
            self._after_cr = text.endswith("\r")
            text = rest
        lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        events: list[Event] = []
        for line in lines[:-1]:
            self._count(line)
            whole = "".join([*self._rest, line])
            self._rest = []
            if (event := self._line(whole)) is not None:
                events.append(event)
        if lines[-1]:
            self._count(lines[-1])
            self._rest.append(lines[-1])
        return events

    def _count(self, text: str) -> None:
        self._size += len(text)  # characters: never more than there are bytes
        if self._size > self._limit:
            raise StreamError(f"an event of more than {self._limit} bytes is not passed on")

    def _line(self, line: str) -> Event | None:
        if not line:
            event = (
                Event("\n".join(self._data), self.last_id, self._kind or "message") if self._data else None
            )
            self._data, self._kind, self._size = [], "", 0
            return event
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._kind = value
        elif name == "id" and "\0" not in value:
            self.last_id = value
        elif name == "retry" and value.isascii() and value.isdigit() and len(value) < 10:
            self.retry = int(value) / 1000
        return None


def written_event(message: Message) -> bytes:
    """A message as an event."""
    return b"event: message\r\ndata: " + encode(message)[:-1] + b"\r\n\r\n"
