"""Opening SQLite files: for writing, for reading (from read-only storage, too), and making a new one."""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from delego_ledger import forks, schema
from delego_ledger.errors import AlreadyExists, ReadOnlyLedger, StorageError
from delego_ledger.files import PRIVATE, place_file, sync_directory
from delego_ledger.sqlerrors import SQLITE_FAILURE, storage_error
from delego_spec.types import Micros


def connect(path: Path, mode: str) -> sqlite3.Connection:
    """``mode``: ro or rw; the file must exist. Raises sqlite3.Error, and StorageError after a bad fork."""
    forks.check(path)
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        isolation_level=None,  # explicit transactions only: Python's own deferred BEGIN fails under load
        check_same_thread=False,  # one thread at a time, guarded by the writer's lock
        timeout=30.0,
    )
    try:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA fullfsync = ON")  # macOS: ask the drive, too; no effect elsewhere
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1")  # fails here and not in the caller's hands
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def reading(path: Path, doing: str = "read") -> Iterator[sqlite3.Connection]:
    """A connection that can only read, closed at the end of the block. What SQLite raises in it becomes a
    StorageError."""
    try:
        with forks.counted_read(), closing(_read_connection(path)) as connection:
            yield connection
    except SQLITE_FAILURE as error:
        raise storage_error(error, str(path), doing) from None


def _read_connection(path: Path) -> sqlite3.Connection:
    try:
        return connect(path, "ro")
    except sqlite3.OperationalError:
        # On read-only storage WAL's shared memory cannot be made. With no writer's log beside the file it
        # holds everything, and may be read as it is.
        # Neither the folder nor the log of a symbolic link is the ledger's.
        path = Path(os.path.realpath(path))
        log = Path(f"{path}-wal")
        if os.access(path.parent, os.W_OK) or (log.exists() and log.stat().st_size):
            raise
        return connect(path, "ro&immutable=1")


def create_database(path: Path, public_key: str, created_at: Micros) -> None:
    """Make an empty ledger, whole or not at all: a name never stands for half a ledger.

    Raises AlreadyExists, ReadOnlyLedger or StorageError.
    """
    # SQLite would replay a log that a deleted ledger left behind into the new one.
    for taken in (path, Path(f"{path}-wal")):
        if os.path.lexists(taken):
            raise AlreadyExists(taken)
    temporary = path.with_name(f".delego-new-{secrets.token_hex(8)}")
    try:
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE))
        with closing(connect(temporary, "rw")) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("BEGIN IMMEDIATE")
            schema.create(connection, public_key, created_at)
            connection.execute("COMMIT")
        place_file(temporary, path)
    except FileExistsError:
        raise AlreadyExists(path) from None
    except PermissionError as error:
        raise ReadOnlyLedger(path, error) from None
    except sqlite3.Error as error:
        raise storage_error(error, str(path), "create") from None
    except (OSError, ValueError) as error:
        raise StorageError("create", path, error, retry_safe=True) from None
    finally:
        for leftover in (temporary, Path(f"{temporary}-wal"), Path(f"{temporary}-shm")):
            with contextlib.suppress(OSError):
                leftover.unlink()
    sync_directory(path.parent)


def identity(path: str) -> tuple[int, int] | None:
    """Device and inode behind a name; None where there is nothing."""
    try:
        status = os.stat(path)  # noqa: PTH116 - a few microseconds less than Path.stat, in every transaction
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino
