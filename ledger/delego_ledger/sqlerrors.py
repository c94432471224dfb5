"""What SQLite reports, in this room's words: what failed, and whether anything can have been written."""

from __future__ import annotations

import sqlite3
from typing import Final

from delego_ledger.errors import DamagedLedger, LedgerBusy, ReadOnlyLedger, StorageError

# What a statement may raise for the storage. The module decodes SQLite's own messages, which quote a damaged
# file's bytes, and fails at those that are not UTF-8.
SQLITE_FAILURE: Final = (sqlite3.Error, UnicodeDecodeError)

_DAMAGE: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT})
_DENIED: Final = frozenset({sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH})


def storage_error(
    error: sqlite3.Error | UnicodeDecodeError,
    path: str,
    doing: str,
    *,
    committing: bool = False,
    waited: float = 0.0,
) -> StorageError:
    """The StorageError for what SQLite raised.

    ``committing``: the commit itself failed, so that after an input/output error nobody can say whether the
    last bytes reached the disk. Everywhere else the transaction was rolled back and a retry is safe.
    """
    if isinstance(error, UnicodeDecodeError):
        return DamagedLedger(path, "it holds text that is not UTF-8")
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF  # the low byte is the primary code
    if code in _DAMAGE or "decode to UTF-8" in str(error):  # the latter is Python's own, without a code
        return DamagedLedger(path, error)
    if code in _DENIED:
        return ReadOnlyLedger(path, error)
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return LedgerBusy(path, waited)
    # Of a full disk SQLite knows before the commit record is written.
    unsure = committing and code != sqlite3.SQLITE_FULL
    return StorageError(doing, path, error, retry_safe=not unsure)
