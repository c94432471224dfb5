"""What remembers used tokens (§9.1 steps 3 and 4): the contract, and a store in memory.

A store answers one question, once: were this ``jti`` and this ``cns`` both unused until now? The answer and
the insert of both are one step, so that of two callers with the same token one alone hears "fresh". What it
has answered it remembers until ``keep_until``, which the caller sets to exp + leeway.

A store that may have forgotten says so instead of guessing: what has been purged once is never "fresh" again,
even if the clock is set back.
"""

from __future__ import annotations

import heapq
import threading
from typing import Literal, Protocol, TypeAlias

from delego_broker.errors import ReplayStoreError
from delego_spec.types import EpochSeconds

Consumed: TypeAlias = Literal["fresh", "jti", "cns"]


class ReplayStore(Protocol):
    """Remembers what was used. Implementations are safe to share between threads."""

    def consume(self, jti: str, cns: str, *, keep_until: EpochSeconds, now: EpochSeconds) -> Consumed:
        """Use both, or neither: "fresh" if both were unused; else which one was not ("jti" before "cns").

        One atomic insert, durable before it returns (as far as the store says it is). ``keep_until``: the
        second from which both may be forgotten. Raises ReplayStoreError when the answer cannot be known;
        then they may or may not be used up, and the caller must send nothing.
        """
        ...

    def purge(self, now: EpochSeconds) -> int:
        """Forget what need not be kept at ``now``; how many tokens that were. Raises ReplayStoreError."""
        ...


class MemoryReplayStore:
    """A store in this process's memory: for tests, and for a single process that may forget.

    It does not survive a restart: a token that was used before one can be used once more until it expires
    (at most 300 s + leeway). It is not shared with other processes either, forked ones included; each would
    permit the token once. Where that matters, use ``SQLiteReplayStore`` or ``RedisReplayStore``.
    """

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._jtis: set[str] = set()
        self._cnss: set[str] = set()
        self._oldest: list[tuple[EpochSeconds, str, str]] = []
        self._forgotten_to = 0

    def consume(self, jti: str, cns: str, *, keep_until: EpochSeconds, now: EpochSeconds) -> Consumed:
        """As ``ReplayStore`` says. Raises ReplayStoreError when the clock was set back behind a purge."""
        with self._mutex:
            self._purge(now)
            if keep_until <= self._forgotten_to:
                raise clock_went_back(keep_until, self._forgotten_to)
            if jti in self._jtis:
                return "jti"
            if cns in self._cnss:
                return "cns"
            self._jtis.add(jti)
            self._cnss.add(cns)
            heapq.heappush(self._oldest, (keep_until, jti, cns))
            return "fresh"

    def purge(self, now: EpochSeconds) -> int:
        """As ``ReplayStore`` says; ``consume`` does it in passing."""
        with self._mutex:
            return self._purge(now)

    def _purge(self, now: EpochSeconds) -> int:
        purged = 0
        while self._oldest and self._oldest[0][0] <= now:
            kept_until, jti, cns = heapq.heappop(self._oldest)
            self._jtis.discard(jti)
            self._cnss.discard(cns)
            self._forgotten_to = max(self._forgotten_to, kept_until)
            purged += 1
        return purged


def clock_went_back(keep_until: int, forgotten_to: int) -> ReplayStoreError:
    """The refusal of a token that may have been used and forgotten: the clock was ahead, and is not now."""
    return ReplayStoreError(
        f"tokens to be kept until {keep_until} may have been forgotten already: those until {forgotten_to}"
        " were, when this host's clock was ahead; mint a new one"
    )
