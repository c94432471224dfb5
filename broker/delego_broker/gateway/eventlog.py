"""The gateway's log, written by a thread of its own: a reader that stops reading stops no request.

What was done stands in the authorizer's ledger and in the replay store. The log is for operators: lines may
be dropped, which is then said.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable
from typing import Final

from delego_spec.timestamps import format_ts
from delego_spec.types import JSONObject, Micros

Events = Callable[[JSONObject], None]

LINES: Final = 10_000  # that may wait for a reader
LEAVE: Final = 2.0  # seconds for a reader to take what waits at the end


class EventLog:
    """Hands events to ``on_event``, in order, from one thread. Calling it never waits and never raises."""

    def __init__(self, on_event: Events, *, lines: int = LINES) -> None:
        self._on_event = on_event
        self._waiting: queue.Queue[JSONObject | None] = queue.Queue(lines)
        self._dropped = 0
        self._mutex = threading.Lock()
        self._thread = threading.Thread(target=self._write, name="delego-log", daemon=True)
        self._thread.start()

    def __call__(self, members: JSONObject) -> None:
        """One event; the time is added. Where too many wait it is dropped, and a later line says how many."""
        with self._mutex:
            if self._dropped:
                self._offer({"event": "dropped", "lines": self._dropped})
            self._offer(members)

    def close(self) -> None:
        """Write what waits, for two seconds at most."""
        with contextlib.suppress(queue.Full):
            self._waiting.put(None, timeout=LEAVE)
        self._thread.join(LEAVE)

    def _offer(self, members: JSONObject) -> None:
        try:
            self._waiting.put_nowait({"ts": format_ts(Micros(time.time_ns() // 1000)), **members})
        except queue.Full:
            self._dropped += members["event"] != "dropped"
        else:
            self._dropped = 0 if members["event"] == "dropped" else self._dropped

    def _write(self) -> None:
        while (event := self._waiting.get()) is not None:
            with contextlib.suppress(Exception):
                self._on_event(event)
