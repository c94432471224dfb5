"""Where a verifier's own keys come from: a mapping, a JWKS file, a JWKS URL of the operator's own choice.

A source is asked for the table in which a token's ``kid`` is looked up. It never follows anything in a token.
It fails closed: without keys that it may still trust it raises KeySourceError, and the verifier refuses.

- A file is looked at for each token, so that a change counts at once. A file that has become unreadable or
  wrong leaves the last good keys in use for 60 s (somebody may be writing it); then nothing is permitted.
- A URL is fetched again after ``refresh`` seconds (300). While that fails, the last good keys stay in use
  until they are ``trust`` seconds old (3600); then nothing is permitted. So whoever can keep a broker from
  its JWKS URL can delay the withdrawal of a key by an hour at most; to withdraw one at once, restart the
  broker or use a file.
- A kid that is not in the table has the source read again, at most once in 60 s: tokens with invented kids
  must not become requests. So a new key is published a minute before it signs.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, Protocol, TypeAlias

from delego_broker.errors import KeySourceError, StrPath, why
from delego_broker.fetching import fetch_jwks
from delego_spec.ed25519 import PublicKey
from delego_spec.errors import JwksError
from delego_spec.jwks import MAX_BYTES, read_jwks
from delego_spec.types import KeyId

Table: TypeAlias = "Mapping[KeyId, PublicKey]"
Stopwatch: TypeAlias = Callable[[], float]  # seconds from any origin, never set back

UNKNOWN_KID: Final = 60.0  # seconds between two reads that tokens with an unknown kid may cause
FILE_GRACE: Final = 60.0  # seconds for which a file may be unreadable
REFRESH: Final = 300.0  # seconds
TRUST: Final = 3600.0  # seconds
RETRY: Final = 5.0  # seconds between two attempts while there are no keys at all
_WAIT: Final = 10.0  # seconds for another thread's read
_KEY_ID: Final = re.compile(r"[0-9a-f]{16}")


class KeySource(Protocol):
    """The verifier's own keys. Implementations are safe to share between threads."""

    def table(self, kid: str | None) -> Table:
        """The keys that count now. ``kid``: what a token names, or None; a source may look again for it.

        Raises KeySourceError when there are none that may be trusted.
        """
        ...


class StaticKeys:
    """Keys that stay as they are given."""

    def __init__(self, keys: Table) -> None:
        """Raises ValueError for a key under another name than its key id, TypeError for what is no key."""
        for kid, key in keys.items():
            if not isinstance(key, PublicKey):
                raise TypeError(f"a PublicKey is wanted for {kid!r:.60}, not {type(key).__name__}")
            if kid != key.key_id:
                raise ValueError(f"the key {key.key_id!r} stands under the name {kid!r:.60}")
        self._table: Table = MappingProxyType(dict(keys))

    def table(self, kid: str | None) -> Table:  # noqa: ARG002 - the protocol's signature
        return self._table


class JwksFile:
    """The keys of a JWKS file, read again whenever it changes (see the module for how it fails)."""

    def __init__(self, path: StrPath, *, stopwatch: Stopwatch = time.monotonic) -> None:
        """Reads nothing yet."""
        self._path = Path(path)
        self._stopwatch = stopwatch
        self._mutex = threading.Lock()
        self._table: Table | None = None
        self._seen: tuple[int, ...] | None = None  # what the file looked like when it was read
        self._bad_since: float | None = None
        self._asked = -UNKNOWN_KID + stopwatch()

    def table(self, kid: str | None) -> Table:
        """As ``KeySource`` says."""
        table = self._table
        looks = self._looks()
        unchanged = looks == self._seen and self._bad_since is None
        if table is not None and unchanged and not _is_missing(kid, table):
            return table
        with self._mutex:
            now = self._stopwatch()
            again = _is_missing(kid, self._table) and now - self._asked >= UNKNOWN_KID
            if again:
                self._asked = now
            if again or looks is None or looks != self._seen or self._bad_since is not None:
                self._read(now)
            if self._table is None:
                raise KeySourceError(f"there are no keys: {self._problem}")
            return self._table

    def _read(self, now: float) -> None:
        try:
            looks = self._looks()
            with self._path.open("rb") as file:
                self._table = MappingProxyType(read_jwks(file.read(MAX_BYTES + 1)))
            self._seen, self._bad_since = looks, None
        except (OSError, ValueError, JwksError) as error:
            self._problem = f"the JWKS file {str(self._path)!r:.300}: {why(error)}"
            if self._bad_since is None:
                self._bad_since = now
            if now - self._bad_since >= FILE_GRACE:
                self._table = None

    def _looks(self) -> tuple[int, ...] | None:
        try:
            status = os.stat(self._path)  # noqa: PTH116 - a few microseconds less, for every token
        except (OSError, ValueError):
            return None
        return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino, status.st_dev

    _problem = "not read yet"


class JwksUrl:
    """The keys of a JWKS URL, kept for a while (see the module for how long, and how it fails).

    ``fetch(url)`` returns the document's bytes, of at most 64 KiB, or raises; the default is an HTTPS GET
    without redirects, bounded to 5 seconds (plain HTTP on loopback only). ``refresh``, ``trust``: seconds.
    """

    def __init__(
        self,
        url: str,
        *,
        fetch: Callable[[str], bytes] = fetch_jwks,
        refresh: float = REFRESH,
        trust: float = TRUST,
        stopwatch: Stopwatch = time.monotonic,
    ) -> None:
        """Fetches nothing yet. Raises ValueError unless 0 < refresh <= trust."""
        if not 0 < refresh <= trust:
            raise ValueError(f"refresh is {refresh!r}, trust {trust!r}; 0 < refresh <= trust is wanted")
        self._url = url
        self._fetch = fetch
        self._refresh = refresh
        self._trust = trust
        self._stopwatch = stopwatch
        self._reading = threading.Lock()
        start = stopwatch()
        self._current: tuple[Table, float] | None = None  # and when its fetch began
        self._tried = start - UNKNOWN_KID  # the last attempt
        self._asked = start - UNKNOWN_KID  # the last attempt that an unknown kid caused
        self._problem = "not fetched yet"

    def table(self, kid: str | None) -> Table:
        """As ``KeySource`` says. A thread whose kid is known never waits for another's fetch."""
        now = self._stopwatch()
        table = self._trusted(now)
        if table is not None and not _is_missing(kid, table):
            if self._is_due(now) and self._reading.acquire(blocking=False):
                try:
                    if self._is_due(now):
                        self._read(now)
                finally:
                    self._reading.release()
            return self._required(self._stopwatch())
        self._look_again(kid)
        return self._required(self._stopwatch())

    def _look_again(self, kid: str | None) -> None:
        """For a token whose key is not there: fetch, or wait for the thread that does."""
        if not self._reading.acquire(timeout=_WAIT):
            raise KeySourceError(f"the JWKS URL {self._url!r:.300} has not answered for {_WAIT:g} s")
        try:
            now = self._stopwatch()
            table = self._trusted(now)
            if table is None:
                if now - self._tried >= RETRY:
                    self._read(now)
            elif _is_missing(kid, table) and now - self._asked >= UNKNOWN_KID:
                self._asked = now
                self._read(now)
        finally:
            self._reading.release()

    def _read(self, now: float) -> None:
        self._tried = now
        try:
            self._current = MappingProxyType(read_jwks(self._fetch(self._url))), now
        except JwksError as error:
            self._problem = str(error)
        except Exception as error:  # noqa: BLE001 - `fetch` is the caller's; whatever it raises, there are no keys
            self._problem = why(error)

    def _is_due(self, now: float) -> bool:
        current = self._current
        if current is None:
            return False
        return now - current[1] >= self._refresh and now - self._tried >= min(UNKNOWN_KID, self._refresh)

    def _trusted(self, now: float) -> Table | None:
        current = self._current
        return current[0] if current is not None and now - current[1] < self._trust else None

    def _required(self, now: float) -> Table:
        table = self._trusted(now)
        if table is None:
            raise KeySourceError(f"there are no keys from {self._url!r:.300}: {self._problem}")
        return table


def _is_missing(kid: str | None, table: Table | None) -> bool:
    """Whether it is worth looking again; a text that can be no key id is not."""
    return kid is not None and (table is None or kid not in table) and _KEY_ID.fullmatch(kid) is not None
