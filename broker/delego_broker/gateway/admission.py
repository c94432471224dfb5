"""Who may ask: whoever connects, where the socket or a certificate decides it; else who has the bearer.

The bearer is looked up for callers that nobody knows yet. A program or a keyring behind it is therefore asked
once in a while and once at a time, and only for a request that brings something to compare.
"""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Callable
from typing import Final

from delego_broker.errors import DelegoBrokerError
from delego_broker.gateway.secrets import read_secret
from delego_broker.gateway.settings import Source

KEPT: Final = 5.0  # seconds for which what a program or a keyring said counts, a failure too
_BEARER: Final = "bearer "


class Admission:
    """Compares callers' bearers with the one at ``source``; None: nobody needs one. For one event loop."""

    def __init__(self, source: Source | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._source = source
        self._clock = clock
        self._turn = asyncio.Lock()
        self._kept: tuple[float, str | DelegoBrokerError] | None = None

    async def problem(self, authorizations: list[str]) -> str | None:
        """Why a caller with these ``Authorization`` headers is not admitted; None if it is."""
        if self._source is None:
            return None
        if len(authorizations) != 1 or authorizations[0][: len(_BEARER)].lower() != _BEARER:
            return "send the gateway's bearer"
        expected = await self._expected(self._source)
        if isinstance(expected, DelegoBrokerError):
            return f"nobody can be admitted now: {expected}"
        given = authorizations[0][len(_BEARER) :]
        if not hmac.compare_digest(given.encode(errors="replace"), expected.encode()):
            return "this is not the gateway's bearer"
        return None

    async def _expected(self, source: Source) -> str | DelegoBrokerError:
        cheap = source.env is not None or source.file is not None
        async with self._turn:
            now = self._clock()
            if cheap or self._kept is None or now - self._kept[0] >= KEPT:
                try:
                    found: str | DelegoBrokerError = await asyncio.to_thread(read_secret, source)
                except DelegoBrokerError as error:
                    found = error
                self._kept = (self._clock(), found)
            return self._kept[1]
