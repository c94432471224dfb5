"""Keeps an implementation running through its crashes and hangs, and knows when to give up."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from delego_conformance.errors import StartError
from delego_conformance.process import Adapter
from delego_conformance.replies import PROTOCOL, is_reply_to, read_hello
from delego_conformance.results import Implementation
from delego_conformance.vectors import DEFAULT_CTX, JSONObject

IN_A_ROW: Final = 20  # vectors without a usable reply, before nothing more is asked
LOST: Final = 300.0  # seconds that vectors without a usable reply and new starts may cost altogether
START: Final = 3  # times the time-out, for the first reply: some have a virtual machine to load


class Driver:
    """One implementation under test, restarted after trouble. ``close`` it in the end."""

    def __init__(self, command: Sequence[str], kit_version: str, *, timeout: float) -> None:
        self._command = tuple(command)
        self._kit_version = kit_version
        self._timeout = timeout
        self._adapter: Adapter | None = None
        self._troubles = 0  # in a row
        self._lost = 0.0
        self._was_trouble = False  # since the last start
        self._words = ""  # on the standard error of one that has ended
        self._implementation: Implementation | None = None
        self.restarts = 0  # after trouble
        self.gave_up: str | None = None
        self.late: str | None = None  # what came for the request before the last one, in its stead
        self._last_id = ""  # of the request before, if it went to this start

    def open(self) -> Implementation:
        """Start it and say hello. Raises StartError."""
        adapter = Adapter(self._command, timeout=self._timeout)
        adapter.start()
        self._adapter = adapter
        request = {
            "v": PROTOCOL,
            "id": "hello",
            "op": "hello",
            "args": {"protocol": [PROTOCOL], "kit": self._kit_version},
            "ctx": dict(DEFAULT_CTX),
        }
        try:
            reply, problem = adapter.ask(request, START * self._timeout)
            if reply is None or problem is not None:
                raise StartError(self._command[0], f"no usable hello: {problem}")
            implementation = read_hello(reply, self._command)
        except StartError as error:
            self.close()
            words = self.take_stderr().strip().splitlines()
            raise _with_words(error, words[-1]) if words else error from None
        before = self._implementation
        if before is not None and _claims(before) != _claims(implementation):
            self.close()
            raise StartError(self._command[0], "claims other roles or features than at its first start")
        self._implementation = implementation
        self._was_trouble = False
        return implementation

    def ask(self, request: JSONObject) -> tuple[JSONObject | None, str | None]:
        """The reply, and what was wrong. Started anew if it has to be."""
        begun = time.monotonic()
        if self._adapter is None:
            try:
                self.restarts += self._was_trouble
                self.open()
            except StartError as error:
                self._trouble(begun)
                return None, f"it cannot be started again: {error}"
            self._last_id = ""
        assert self._adapter is not None  # noqa: S101  # open() has just seen to it
        reply, problem = self._adapter.ask(request)
        if problem is None:
            self._troubles = 0
        else:
            if self._last_id and is_reply_to(self._adapter.last_line, self._last_id):
                problem = self.late = f"it answered {self._last_id} a second time"
            self.close()
            self._trouble(begun)
        self._last_id = request["id"]
        return reply, problem

    def stray(self) -> str | None:
        """What it wrote since its last reply, which is against the rules; it is ended then."""
        problem = self._adapter.stray() if self._adapter is not None else None
        if problem is not None:
            begun = time.monotonic()
            self.close()
            self._trouble(begun)
        return problem

    def take_stderr(self) -> str:
        """The end of what it wrote there since the last time."""
        words, self._words = self._words, ""
        return words + (self._adapter.take_stderr() if self._adapter is not None else "")

    def finish(self) -> str | None:
        """Take leave of it; what it had written unasked until then."""
        adapter, self._adapter = self._adapter, None
        return adapter.stop(politely=True) if adapter is not None else None

    def close(self) -> None:
        """End it without a word."""
        adapter, self._adapter = self._adapter, None
        if adapter is not None:
            adapter.stop(politely=False)
            self._words = adapter.take_stderr()

    def _trouble(self, begun: float) -> None:
        self._troubles += 1
        self._was_trouble = True
        self._lost += time.monotonic() - begun
        if self._troubles >= IN_A_ROW:
            self.gave_up = f"not asked: {self._troubles} requests in a row got no usable reply"
        elif self._lost >= LOST:
            self.gave_up = f"not asked: waiting for replies has cost {self._lost:.0f} s already"


def _claims(one: Implementation) -> tuple[tuple[str, ...], ...]:
    return one.roles, tuple(sorted(one.features)), tuple(sorted(one.spec))


def _with_words(error: StartError, words: str) -> StartError:
    command, _, problem = str(error).partition(": ")
    return StartError(command, f"{problem}; its standard error ends with {words[:200]!r}")
