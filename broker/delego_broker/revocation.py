"""Tokens that their operator took back before they expired (§9.2): a file that verifiers consult.

JSON Lines, ``{"jti":"…","until":1767268907}``: the token with this jti is refused; from the second ``until``
on it is dead anyway, and the line may go. An empty file revokes nothing. A file that is missing, unreadable
or wrong in any line proves nothing about any token: every token is refused until it is put right.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from delego_broker.errors import RevocationError, StrPath, why
from delego_spec._members import Members
from delego_spec.canonical import canonical
from delego_spec.errors import CanonicalError, DelegoSpecError
from delego_spec.tokens import MAX_LEEWAY, MAX_LIFETIME
from delego_spec.types import EpochSeconds

MAX_BYTES: Final = 16 * 1024 * 1024
MAX_JTI: Final = 8 * 1024  # bytes; no token has a longer one
# A token that exists now was issued at most a leeway ahead, lives 300 s, and is accepted a leeway longer.
DEAD_AFTER: Final = MAX_LIFETIME + 2 * MAX_LEEWAY  # seconds


@dataclass(frozen=True, slots=True)
class Revoked:
    """One entry."""

    jti: str
    until: EpochSeconds  # from then on the token has expired for every verifier


class _ReadError(Exception):
    """Carries why a line cannot be read."""


class RevocationList:
    """A list in a file. Reading it costs one ``stat`` for each token, and a read when it has changed.

    Threads may share it. Writers of several processes take turns by a lock file beside it.
    """

    def __init__(self, path: StrPath) -> None:
        """Reads nothing yet."""
        self._path = Path(path)
        self._mutex = threading.Lock()
        self._seen: tuple[int, ...] | None = None
        self._revoked: frozenset[str] = frozenset()

    @property
    def path(self) -> Path:
        return self._path

    def is_revoked(self, jti: str) -> bool:
        """Whether this token was taken back. Raises RevocationError when the list cannot be read."""
        looks = self._looks()
        with self._mutex:
            if looks != self._seen:
                self._seen = None  # until it has been read: a failure must not leave the old list in force
                self._revoked = frozenset(entry.jti for entry in self._read())
                self._seen = looks
            return jti in self._revoked

    def entries(self) -> tuple[Revoked, ...]:
        """What stands in the file, oldest first. Raises RevocationError."""
        return tuple(self._read())

    def revoke(self, jti: str, until: EpochSeconds) -> bool:
        """Add a token, durably; the file is made where there is none. False if it stood there already.

        ``until``: not before its exp plus every verifier's leeway; an entry is never shortened. Raises
        RevocationError, ValueError for a jti that no token can have.
        """
        if type(jti) is not str or not jti or len(jti.encode(errors="replace")) > MAX_JTI:
            raise ValueError("a jti is a string of 1 to 8192 bytes")
        if type(until) is not int or until < 0:
            raise ValueError(f"until is {until!r:.60}; whole seconds since 1970 are wanted")

        def add(entries: list[Revoked]) -> list[Revoked]:
            for place, entry in enumerate(entries):
                if entry.jti == jti:
                    entries[place] = Revoked(jti, max(until, entry.until))
                    return entries
            return [*entries, Revoked(jti, until)]

        return self._change(add) > 0

    def purge(self, now: EpochSeconds) -> int:
        """Remove the tokens that are dead at ``now``; how many. Raises RevocationError."""
        return -self._change(lambda entries: [entry for entry in entries if entry.until > now])

    def _change(self, change: Callable[[list[Revoked]], list[Revoked]]) -> int:
        # Only who writes needs the ledger's files and locks.
        from delego_ledger.errors import DelegoLedgerError
        from delego_ledger.files import PRIVATE, write_atomically
        from delego_ledger.locks import FileLock

        try:
            with FileLock(self._path.with_name(f"{self._path.name}.lock"), timeout=10.0):
                before = self._read() if os.path.lexists(self._path) else None
                after = change(list(before or ()))
                if before != after:
                    # Under its old mode: a gateway of another user has to read it, or refuses every token.
                    mode = PRIVATE if before is None else stat.S_IMODE(self._path.stat().st_mode)
                    write_atomically(self._path, _text(after), overwrite=True, mode=mode)
                return len(after) - len(before or ())
        except (DelegoLedgerError, OSError, ValueError) as error:  # ValueError: a path without a name
            raise RevocationError(f"the revocation list cannot be changed: {why(error)}") from None

    def _read(self) -> list[Revoked]:
        try:
            with self._path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        except (OSError, ValueError) as error:
            raise self._unreadable(why(error)) from None
        if len(data) > MAX_BYTES:
            raise self._unreadable(f"it has more than {MAX_BYTES} bytes; purge it")
        if data and not data.endswith(b"\n"):
            raise self._unreadable("its last line is cut off")
        entries = []
        for number, line in enumerate(data.split(b"\n")[:-1], 1):
            try:
                entries.append(_entry(line))
            except (_ReadError, DelegoSpecError) as error:
                raise self._unreadable(f"line {number}: {why(error)}") from None
        return entries

    def _unreadable(self, problem: str) -> RevocationError:
        return RevocationError(
            f"the revocation list {str(self._path)!r:.300} cannot be read, so no token is accepted: {problem}"
        )

    def _looks(self) -> tuple[int, ...]:
        try:
            status = os.stat(self._path)  # noqa: PTH116 - a few microseconds less, for every token
        except (OSError, ValueError) as error:
            raise self._unreadable(why(error)) from None
        return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino, status.st_dev


def _entry(line: bytes) -> Revoked:
    members = Members.parse(line, "entry", _ReadError)
    entry = Revoked(members.text("jti"), EpochSeconds(members.integer("until", least=0)))
    members.close()
    return entry


def _text(entries: list[Revoked]) -> bytes:
    try:
        return b"".join(canonical({"jti": e.jti, "until": e.until}) + b"\n" for e in entries)
    except CanonicalError as error:
        raise RevocationError(f"the token's name cannot be written down: {error}") from None
