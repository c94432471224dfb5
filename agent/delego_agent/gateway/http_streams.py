"""Streams that a server with a URL is asked for: what it says by itself, and the rest of one that broke off.

Both are GET requests of a session and have no effect; nothing is sent again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from delego_agent.gateway.downstream import Log
from delego_agent.gateway.endpoint import Endpoint
from delego_agent.gateway.headers import LAST_EVENT, SESSION, VERSION
from delego_agent.gateway.links import Cut, Link, Links, Unsent
from delego_agent.gateway.sse import KIND, EventReader, StreamError
from delego_agent.gateway.wire import MAX_FROM_SERVER, Message

AGAIN: Final = 1.0  # seconds before a stream is asked for again, where the server does not say
MIN_AGAIN: Final = 0.1
MAX_AGAIN: Final = 30.0
RESUMPTIONS: Final = 5  # of one stream in a row


@dataclass(frozen=True, slots=True)
class Handshake:
    """What ``initialize`` has settled."""

    id: str | None
    version: str
    initialize: Message

    @property
    def headers(self) -> dict[str, str]:
        known = {VERSION: self.version}
        return known if self.id is None else {**known, SESSION: self.id}


class Streams:
    """Those of one server. ``hear`` gets each message that belongs to no request."""

    def __init__(
        self, name: str, endpoint: Endpoint, links: Links, hear: Callable[[bytes], None], log: Log
    ) -> None:
        self._name = name
        self._endpoint = endpoint
        self._links = links
        self._hear = hear
        self._log = log
        self._mutex = threading.Lock()
        self._used: set[Link] = set()
        self._session: Handshake | None = None
        self._heard_on: Link | None = None  # the stream of the session
        self._closed = threading.Event()

    def listen_to(self, session: Handshake) -> None:
        """Listen for as long as this is the session, and to the one before no longer. One without an id has
        nothing to listen to.
        """
        with self._mutex:
            if self._session is session:  # a client may say 'initialized' as often as it likes
                return
            self._session, before = session, self._heard_on
        if before is not None:
            before.abort()
        if session.id is not None:
            threading.Thread(
                target=self._listen, args=(session,), name=f"delego-mcp-{self._name}-stream", daemon=True
            ).start()

    def resume(
        self,
        session: Handshake | None,
        events: EventReader,
        take: Callable[[bytes], None],
        is_done: Callable[[], bool],
    ) -> None:
        """Ask for the rest of a stream until ``take`` has had what makes it done. Raises Cut."""
        last_id, retry = events.last_id, events.retry
        if last_id is None or session is None:
            raise Cut("its stream ended without the answer")
        for _ in range(RESUMPTIONS):
            if self._closed.wait(min(retry or AGAIN, MAX_AGAIN)) or is_done():
                break
            rest = EventReader(MAX_FROM_SERVER)
            try:
                self._read(self._get(session, last_id), rest, take, is_done)
            except (Unsent, Cut, StreamError):
                continue
            finally:
                last_id, retry = rest.last_id or last_id, rest.retry or retry
            if is_done():
                return
        raise Cut("its stream ended without the answer, and could not be resumed")

    def close(self) -> None:
        self._closed.set()
        with self._mutex:
            used = list(self._used)
        for link in used:
            link.abort()

    def _listen(self, session: Handshake) -> None:
        """In a thread of its own."""
        last_id, failures = None, 0
        while self._session is session and not self._closed.is_set():
            events = EventReader(MAX_FROM_SERVER)
            try:
                link = self._get(session, last_id)
            except Unsent:
                failures += 1
            except Cut:
                return  # it has no such stream
            else:
                failures = 0
                with self._mutex:
                    if self._session is session:
                        self._heard_on = link
                try:
                    self._read(link, events, self._hear, lambda: self._session is not session)
                except (Cut, StreamError) as error:
                    if self._session is session and not self._closed.is_set():
                        self._log(f"server {self._name!r}: its stream ended: {error}")
            last_id = events.last_id or last_id
            pause = AGAIN if events.retry is None else events.retry
            self._closed.wait(min(max(pause, MIN_AGAIN, 2.0 ** min(failures, 10) - 1), MAX_AGAIN))

    def _read(
        self, link: Link, events: EventReader, take: Callable[[bytes], None], is_done: Callable[[], bool]
    ) -> None:
        """Raises Cut, StreamError."""
        try:
            while not is_done() and (data := link.piece()):
                for event in events.feed(data):
                    if event.data:
                        take(event.data.encode())
        finally:
            self._end(link)

    def _get(self, session: Handshake, last_id: str | None) -> Link:
        """A stream that has begun. Raises Unsent where it can be tried again, Cut where not."""
        headers = {**self._endpoint.headers, "Accept": KIND, "Accept-Encoding": "identity", **session.headers}
        headers |= {} if last_id is None else {LAST_EVENT: last_id}
        link = self._links.open()
        with self._mutex:
            self._used.add(link)
        try:
            link.request("GET", self._endpoint.target, headers, None, None)
            status, answered = link.answer()
            if status != 200 or answered.get("content-type", "").partition(";")[0].strip().lower() != KIND:
                raise Cut(f"HTTP {status} is no stream")
        except (Unsent, Cut):
            self._end(link)
            raise
        return link

    def _end(self, link: Link) -> None:
        with self._mutex:
            self._used.discard(link)
        link.close()
