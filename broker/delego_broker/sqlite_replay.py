"""A replay store in a SQLite file: survives restarts and power cuts, shared by the processes of one host.

Each ``consume`` is one transaction, synced to the disk before it answers (WAL, synchronous FULL). Keep the
file on a local disk: SQLite's locks do not hold on most network storage. Keep it, too: whoever deletes it, or
restores an older copy, makes tokens that were used good again until they expire (at most 300 s + leeway).
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from pathlib import Path
from typing import Final, TypeAlias

from delego_broker.errors import ReplayStoreError, StrPath, why
from delego_broker.replay import Consumed, clock_went_back
from delego_ledger import forks
from delego_ledger.connections import connect, identity
from delego_ledger.errors import StorageError
from delego_ledger.files import PRIVATE, sync_directory
from delego_spec.types import EpochSeconds

WAIT: Final = 5.0  # seconds for other writers, before a token is refused
PURGE_EVERY: Final = 64  # tokens
PURGE_AT_MOST: Final = 256  # tokens, in passing: four times as fast as they come
_PURGE_STEP: Final = 2048  # tokens in one transaction of ``purge``

_APPLICATION_ID: Final = 0x64_6C_67_72  # "dlgr"
_VERSION: Final = 1
# Rows come in the order of their use, and live at most 360 s: the oldest are found without an index.
_SCHEMA: Final = (
    "CREATE TABLE used (place INTEGER PRIMARY KEY, keep_until INTEGER NOT NULL,"
    " jti TEXT NOT NULL UNIQUE, cns TEXT NOT NULL UNIQUE) STRICT",
    "CREATE TABLE forgotten (only INTEGER PRIMARY KEY CHECK (only = 0), until INTEGER NOT NULL) STRICT",
    "INSERT INTO forgotten VALUES (0, 0)",
    f"PRAGMA application_id = {_APPLICATION_ID}",
    f"PRAGMA user_version = {_VERSION}",
)
# One statement, which SQLite runs as one transaction: it takes the write lock before it reads anything.
_INSERT: Final = (
    "INSERT INTO used (keep_until, jti, cns) SELECT ?1, ?2, ?3"
    " WHERE ?1 > (SELECT until FROM forgotten) ON CONFLICT DO NOTHING"
)
_FOUND: Final = "SELECT EXISTS (SELECT 1 FROM used WHERE jti = ?), (SELECT until FROM forgotten)"
_OLDEST: Final = "SELECT place, keep_until FROM used ORDER BY place LIMIT ?"
_DEAD: Final = "SELECT place, keep_until FROM used WHERE keep_until <= ? LIMIT ?"

_Failure: TypeAlias = "sqlite3.Error | UnicodeError | StorageError | OSError"
_FAILURES: Final = (sqlite3.Error, UnicodeError, StorageError, OSError)


class SQLiteReplayStore:
    """Used tokens in one SQLite file. Threads share one store; each process opens its own.

    The connection is closed before a fork and opened again when it is needed, because SQLite's locks do not
    cross one.
    """

    def __init__(self, path: Path) -> None:
        """Use ``open``."""
        self._path = path
        self._name = str(path)
        self._mutex = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._until_purge = PURGE_EVERY
        self._closed = False
        forks.register(self)

    @classmethod
    def open(cls, path: StrPath, *, create: bool = True) -> SQLiteReplayStore:
        """The store in this file; made, readable by its owner alone, where there is none.

        With ``create`` false a missing file is refused: for a broker that has been set up once, so that a
        lost store is noticed instead of replaced by an empty one. Raises ReplayStoreError.
        """
        place = Path(path).absolute()
        try:
            if not place.exists():
                if not create:
                    raise ReplayStoreError(
                        f"there is no replay store {str(place)!r:.300}; restore or make one"
                    )
                _create(place)
            store = cls(place)
            with store._mutex:
                store._opened(create=create)
        except ValueError as error:
            raise ReplayStoreError(
                f"no replay store can be named {os.fspath(path)!r:.300}: {error}"
            ) from None
        except _FAILURES as error:
            raise _failed("open", str(place), error) from None
        return store

    def consume(self, jti: str, cns: str, *, keep_until: EpochSeconds, now: EpochSeconds) -> Consumed:
        """As ``ReplayStore`` says: one synced transaction. Waits at most 5 seconds for other writers.

        Raises ReplayStoreError when the file is missing, damaged, read-only or locked, and when the disk is
        full.
        """
        self._enter()
        try:
            return self._consume(self._opened(), jti, cns, keep_until, now)
        except BaseException as error:
            self._fail(error)
            raise
        finally:
            self._mutex.release()

    def purge(self, now: EpochSeconds) -> int:
        """As ``ReplayStore`` says; ``consume`` does a part of it every 64 tokens; nobody has to call it."""
        purged = 0
        while True:
            self._enter()
            try:
                step = self._purge(self._opened(), now)
            except BaseException as error:
                self._fail(error)
                raise
            finally:
                self._mutex.release()
            purged += step
            if step < _PURGE_STEP:
                return purged

    def close(self) -> None:
        """Close the file; a later call raises ReplayStoreError."""
        with self._mutex:
            self._closed = True
            self._close()

    def __enter__(self) -> SQLiteReplayStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- forks ------------------------------------------------------------------------------------------

    def before_fork(self) -> None:
        """Close the connection, and let nobody open it until ``after_fork``."""
        self._mutex.acquire()
        self._close()

    def after_fork(self, *, in_child: bool) -> sqlite3.Connection | None:
        """Go on. In the child: the connection that could not be closed; there is none."""
        if in_child:
            self._mutex = threading.Lock()
        else:
            self._mutex.release()
        return None

    # --- one at a time from here on ---------------------------------------------------------------------

    def _enter(self) -> None:
        if not self._mutex.acquire(timeout=2 * WAIT):
            raise ReplayStoreError(f"the replay store {self._name!r:.300} was busy for {2 * WAIT:g} s")

    def _fail(self, error: BaseException) -> None:
        """Close the connection, so that the next call opens another; a failure of the world gets its name."""
        self._close()
        if isinstance(error, _FAILURES):
            raise _failed("use", self._name, error) from None

    def _opened(self, *, create: bool = False) -> sqlite3.Connection:
        if self._closed:
            raise ReplayStoreError(f"the replay store {self._name!r:.300} was closed")
        found = identity(self._name)
        if found is None:
            self._close()
            raise ReplayStoreError(f"the replay store {self._name!r:.300} has gone; restore it")
        if self._connection is not None:
            # A store that was put in its place has not seen what this one has.
            if found == self._identity:
                return self._connection
            self._closed = True
            self._close()
            raise ReplayStoreError(
                f"the replay store {self._name!r:.300} was replaced; start again to use it"
            )
        if self._identity is not None and found != self._identity:
            raise ReplayStoreError(
                f"the replay store {self._name!r:.300} was replaced; start again to use it"
            )
        connection = connect(self._path, "rw")
        try:
            connection.execute(f"PRAGMA busy_timeout = {int(WAIT * 1000)}")
            connection.execute("PRAGMA wal_autocheckpoint = 4000")  # pages; 4 MB, as with pages of 4 KB
            _check(connection, self._name, create=create)
        except BaseException:
            connection.close()
            raise
        self._connection, self._identity = connection, found
        return connection

    def _consume(
        self, connection: sqlite3.Connection, jti: str, cns: str, keep_until: int, now: int
    ) -> Consumed:
        if connection.execute(_INSERT, (keep_until, jti, cns)).rowcount == 1:  # synced by now
            self._until_purge -= 1
            if self._until_purge <= 0:
                self._until_purge = PURGE_EVERY
                self._purge_some(connection, now)
            return "fresh"
        found, forgotten_to = connection.execute(_FOUND, (jti,)).fetchone()
        if keep_until <= forgotten_to and not found:
            raise clock_went_back(keep_until, forgotten_to)
        return "jti" if found else "cns"

    def _purge_some(self, connection: sqlite3.Connection, now: int) -> None:
        """In passing; a failure takes nothing back, and is left to the next time."""
        with contextlib.suppress(sqlite3.Error):
            connection.execute("BEGIN IMMEDIATE")
            _forget(
                connection, [row for row in connection.execute(_OLDEST, (PURGE_AT_MOST,)) if row[1] <= now]
            )
            connection.execute("COMMIT")
        if connection.in_transaction:
            connection.execute("ROLLBACK")

    def _purge(self, connection: sqlite3.Connection, now: int) -> int:
        connection.execute("BEGIN IMMEDIATE")
        rows = connection.execute(_DEAD, (now, _PURGE_STEP)).fetchall()
        _forget(connection, rows)
        connection.execute("COMMIT")
        return len(rows)

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()  # rolls back what is open


def _forget(connection: sqlite3.Connection, rows: list[tuple[int, int]]) -> None:
    if not rows:
        return
    connection.executemany("DELETE FROM used WHERE place = ?", [(place,) for place, _ in rows])
    latest = max(keep_until for _, keep_until in rows)
    connection.execute("UPDATE forgotten SET until = max(until, ?)", (latest,))


def _create(path: Path) -> None:
    """An empty file of the right mode; several processes may do so at the same moment."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE))
    except FileExistsError:
        return
    sync_directory(path.parent)


def _check(connection: sqlite3.Connection, name: str, *, create: bool) -> None:
    """Refuse a file that is no replay store; with ``create``, make the tables in an empty one."""
    if connection.execute("PRAGMA application_id").fetchone() == (_APPLICATION_ID,):
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version != _VERSION:
            raise ReplayStoreError(f"the replay store {name!r:.300} is of version {version}, not {_VERSION}")
        return
    if not create:  # it was one, and was emptied or put in another's place
        raise ReplayStoreError(f"{name!r:.300} is no replay store; restore it")
    connection.execute("PRAGMA page_size = 1024")  # a use changes three pages: less to write and to sync
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("BEGIN IMMEDIATE")
    if connection.execute("PRAGMA application_id").fetchone() != (_APPLICATION_ID,):
        if connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone() is not None:
            raise ReplayStoreError(f"{name!r:.300} is another kind of database; name a file of its own")
        for statement in _SCHEMA:
            connection.execute(statement)
    connection.execute("COMMIT")


def _failed(doing: str, name: str, error: _Failure) -> ReplayStoreError:
    return ReplayStoreError(f"cannot {doing} the replay store {name!r:.300}: {why(error)}")
