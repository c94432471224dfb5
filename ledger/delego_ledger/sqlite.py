"""The SQLite ledger: one file, real durability, exact single use across threads and processes.

WAL with ``synchronous=FULL``, explicit ``BEGIN IMMEDIATE`` transactions behind a file lock that keeps
writers of several processes fair. Inside a process the thread that gets the writer's lock runs the steps of
all that wait in one commit, so that a lone caller pays for no hand-over and many callers share one fsync.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

from delego_ledger import schema
from delego_ledger.clock import Clock, system_clock
from delego_ledger.contract import Execution, Step
from delego_ledger.errors import AlreadyExists, DamagedLedger, ReadOnlyLedger, StorageError
from delego_ledger.locks import FileLock
from delego_ledger.sqlerrors import storage_error
from delego_ledger.transaction import (
    SQLiteTransaction,
    decode,
    decode_approval,
    read_action,
    read_approval,
    read_executions,
)
from delego_spec.action import Action
from delego_spec.anchors import Anchor
from delego_spec.approvals import Approval, Status
from delego_spec.ed25519 import PublicKey, Signer
from delego_spec.errors import DelegoSpecError
from delego_spec.receipts import Receipt, decode_line, encode_line
from delego_spec.types import Digest, JSONObject

T = TypeVar("T")

MAX_STEPS: Final = 256  # in one commit: bounds how long the writer's lock is held
PAGE: Final = 512  # receipts read at once, so that no read transaction is held for long


class SQLiteLedger:
    """Implements ``contract.Ledger``. Make one with ``create`` or ``open``."""

    def __init__(
        self, path: Path, public_key: PublicKey, signer: Signer | None, clock: Clock, wait: float
    ) -> None:
        self._path = str(path)
        self._public_key = public_key
        self._signer = signer
        self._clock = clock
        self._wait = wait
        self._reset()

    @classmethod
    def create(
        cls, path: Path, signer: Signer, *, clock: Clock = system_clock, wait: float = 30.0
    ) -> SQLiteLedger:
        """A new, empty ledger whose receipts ``signer`` signs. ``wait``: seconds to wait for other writers.

        Raises AlreadyExists (the file is left as it is) or StorageError.
        """
        with FileLock(_lock_path(path), timeout=wait):
            if path.exists():
                raise AlreadyExists(path)
            try:
                with closing(_connect(path, "rwc")) as connection:
                    connection.execute("PRAGMA journal_mode = WAL")
                    connection.execute("BEGIN IMMEDIATE")
                    schema.create(connection, signer.public_key.hex, clock())
                    connection.execute("COMMIT")
            except sqlite3.Error as error:
                raise storage_error(error, str(path), "create") from None
        return cls(path, signer.public_key, signer, clock, wait)

    @classmethod
    def open(
        cls, path: Path, *, signer: Signer | None = None, clock: Clock = system_clock, wait: float = 30.0
    ) -> SQLiteLedger:
        """An existing ledger; without ``signer`` it can only be read.

        A missing file is an error, never a new ledger: deleting the evidence must not start a clean chain.
        Raises StorageError, DamagedLedger, NewerLedger, or ReadOnlyLedger when ``signer`` is not its key.
        """
        if not path.is_file():
            raise StorageError("open", path, "there is no such file", retry_safe=True)
        try:
            with closing(_read_connection(path)) as connection:
                public_key = _public_key(schema.check(connection, str(path)), path)
        except sqlite3.Error as error:
            raise storage_error(error, str(path), "open") from None
        if signer is not None and signer.public_key != public_key:
            raise ReadOnlyLedger(
                path, f"its receipts are signed by key {public_key.key_id}, not by {signer.public_key.key_id}"
            )
        return cls(path, public_key, signer, clock, wait)

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None  # device and inode behind the connection
        self._writer = threading.Lock()
        self._writing: int | None = None  # the thread that holds the writer's lock
        self._waiting: deque[_Job] = deque()
        self._file_lock = FileLock(_lock_path(Path(self._path)), timeout=self._wait)

    @property
    def path(self) -> Path:
        return Path(self._path)

    @property
    def public_key(self) -> PublicKey:
        return self._public_key

    # --- writing ----------------------------------------------------------------------------------------

    @contextmanager
    def transaction(self) -> Iterator[SQLiteTransaction]:
        with self._as_writer(), self._transaction() as transaction:
            yield transaction

    def submit(self, steps: Sequence[Step[T]]) -> list[T]:
        job = _Job(steps)
        self._survive_fork()
        self._waiting.append(job)
        with self._as_writer():
            while not job.done:  # done already, if another thread ran it while this one waited
                self._run_waiting()
        return job.outcome()

    @contextmanager
    def _as_writer(self) -> Iterator[None]:
        self._survive_fork()
        if self._writing == threading.get_ident():
            raise RuntimeError("a step must not open a transaction of its own ledger")
        with self._writer:
            self._writing = threading.get_ident()
            try:
                yield
            finally:
                self._writing = None

    def _survive_fork(self) -> None:
        # A SQLite connection carried over a fork corrupts the database; a lock may be held by nobody.
        if self._pid != os.getpid():
            self._reset()

    def _run_waiting(self) -> None:
        jobs: list[_Job] = []
        while self._waiting and sum(len(job.steps) for job in jobs) < MAX_STEPS:
            jobs.append(self._waiting.popleft())
        try:
            self._run_together(jobs)
        except _StepFailed:
            for job in jobs:
                self._run_alone(job)
        except Exception as error:  # noqa: BLE001 - handed to every caller whose step was in the transaction
            for job in jobs:
                job.fail(error)
        except BaseException:  # this thread was interrupted; the others are not, and must not hang
            for job in jobs:
                job.fail(StorageError("write", self._path, "interrupted", retry_safe=False))
            raise

    def _run_together(self, jobs: Sequence[_Job]) -> None:
        results: list[list[Any]] = []
        with self._transaction() as transaction:
            for job in jobs:
                results.append([_run_step(step, transaction) for step in job.steps])
        for job, result in zip(jobs, results, strict=True):
            job.succeed(result)

    def _run_alone(self, job: _Job) -> None:
        """Each step in its own transaction, after one of the lot raised: nobody pays for another's fault."""
        results: list[Any] = []
        failure: Exception | None = None
        for step in job.steps:
            try:
                with self._transaction() as transaction:
                    results.append(_run_step(step, transaction))
            except _StepFailed as error:
                failure = failure or error.cause
            except Exception as error:  # noqa: BLE001 - handed to the caller whose step it was
                failure = failure or error
        if failure is None:
            job.succeed(results)
        else:
            job.fail(failure)

    @contextmanager
    def _transaction(self) -> Iterator[SQLiteTransaction]:
        if self._signer is None:
            raise ReadOnlyLedger(self._path, "it was opened without its signing key")
        with self._file_lock:
            connection = self._write_connection()
            committing = False
            try:
                connection.execute("BEGIN IMMEDIATE")
                transaction = SQLiteTransaction(connection, self._signer, self._clock(), self._path)
                yield transaction
                transaction.flush()
                committing = True
                connection.execute("COMMIT")
            except BaseException as error:
                self._roll_back(connection, discard=isinstance(error, sqlite3.Error | StorageError))
                if isinstance(error, sqlite3.Error):
                    raise storage_error(
                        error, self._path, "write", committing=committing, waited=self._wait
                    ) from None
                raise

    def _write_connection(self) -> sqlite3.Connection:
        # A ledger that was deleted or replaced under a running process: without this look, receipts would go
        # into a file that no longer has a name.
        identity = _identity(self._path)
        if self._connection is not None and identity != self._file:
            self._discard()
        if self._connection is None:
            try:
                self._connection = _connect(Path(self._path), "rw")
                found = schema.check(self._connection, self._path)
            except sqlite3.Error as error:
                self._discard()
                raise storage_error(error, self._path, "open") from None
            self._file = identity
            if found != self._public_key.hex:
                self._discard()
                raise ReadOnlyLedger(self._path, "it was replaced by a ledger of another key")
        return self._connection

    def _roll_back(self, connection: sqlite3.Connection, *, discard: bool) -> None:
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error:
            discard = True
        if discard:  # after a failure of the storage, start over with what is on the disk
            self._discard()

    def _discard(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.close()

    # --- reading ----------------------------------------------------------------------------------------

    def head(self) -> Anchor | None:
        row = self._read(
            lambda db: db.execute("SELECT seq, entry_hash FROM receipts ORDER BY seq DESC LIMIT 1").fetchone()
        )
        return None if row is None else Anchor(row[0], Digest(row[1]))

    def lines(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        head = self.head()
        end = 0 if head is None else head.seq + 1
        return self._lines(start, end if stop is None else min(stop, end))

    def _lines(self, start: int, stop: int) -> Iterator[bytes]:
        query = (
            "SELECT seq, payload, entry_hash, signature, context FROM receipts"
            " WHERE seq >= ? AND seq < ? ORDER BY seq LIMIT ?"
        )
        try:
            with closing(_read_connection(Path(self._path))) as connection:
                while start < stop:
                    rows = connection.execute(query, (start, stop, PAGE)).fetchall()
                    if not rows:
                        return
                    for _, payload, entry_hash, signature, context in rows:
                        extra = None if context is None else _context(context, self._path)
                        yield encode_line(payload, entry_hash, signature, extra)
                    start = rows[-1][0] + 1
        except sqlite3.Error as error:
            raise storage_error(error, self._path, "read") from None

    def receipt(self, seq: int) -> Receipt | None:
        for line in self.lines(seq, seq + 1):
            return decode_line(line)
        return None

    def approval(self, approval_id: str) -> Approval | None:
        return self._read(lambda db: read_approval(db, approval_id, self._path))

    def parked_action(self, approval_id: str) -> Action | None:
        return self._read(lambda db: read_action(db, approval_id, self._path))

    def approvals(self, status: Status | None = None) -> tuple[Approval, ...]:
        where, values = ("", ()) if status is None else (" WHERE status = ?", (status,))
        query = f"SELECT body, status FROM approvals{where} ORDER BY created_at, id"  # noqa: S608 - no outside text
        rows = self._read(lambda db: db.execute(query, values).fetchall())
        return tuple(decode_approval(body, stored, self._path) for body, stored in rows)

    def executions(self) -> tuple[Execution, ...]:
        return self._read(lambda db: read_executions(db, self._path))

    def evidence(self, evidence_hash: str) -> JSONObject | None:
        row = self._read(
            lambda db: db.execute("SELECT body FROM evidence WHERE hash = ?", (evidence_hash,)).fetchone()
        )
        return None if row is None else decode(row[0], dict[str, Any], self._path)

    def _read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        try:
            with closing(_read_connection(Path(self._path))) as connection:
                return query(connection)
        except sqlite3.Error as error:
            raise storage_error(error, self._path, "read") from None

    def close(self) -> None:
        """Close the writing connection. The ledger opens it again when it is used again."""
        with self._as_writer():
            self._discard()


class _StepFailed(Exception):  # noqa: N818 - carries another exception, is none itself
    def __init__(self, cause: Exception) -> None:
        self.cause = cause


class _Job:
    """The steps of one ``submit`` call, waiting for a writer."""

    __slots__ = ("_error", "_results", "done", "steps")

    def __init__(self, steps: Sequence[Step[Any]]) -> None:
        self.steps = tuple(steps)
        self.done = False
        self._results: list[Any] = []
        self._error: Exception | None = None

    def succeed(self, results: list[Any]) -> None:
        self._results, self.done = results, True

    def fail(self, error: Exception) -> None:
        self._error, self.done = error, True

    def outcome(self) -> list[Any]:
        if self._error is not None:
            raise self._error
        return self._results


def _run_step(step: Step[T], transaction: SQLiteTransaction) -> T:
    try:
        return step(transaction)
    except sqlite3.Error:
        raise  # the storage failed: true for everybody in this transaction
    except Exception as error:  # noqa: BLE001 - carried to the caller whose step it was
        raise _StepFailed(error) from None


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    """``mode``: ro, rw or rwc. Nothing is created unless it is rwc."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        isolation_level=None,  # explicit transactions only: Python's own deferred BEGIN fails under load
        check_same_thread=False,  # one thread at a time, guarded by the writer's lock
        timeout=30.0,
    )
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA fullfsync = ON")  # macOS: ask the drive, too; no effect elsewhere
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA trusted_schema = OFF")
    return connection


def _read_connection(path: Path) -> sqlite3.Connection:
    try:
        connection = _connect(path, "ro")
        connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1")
    except sqlite3.OperationalError:
        # On read-only storage WAL's shared memory cannot be made. With no writer's log beside the file it
        # holds everything, and may be read as it is.
        log = Path(f"{path}-wal")
        if os.access(path.parent, os.W_OK) or (log.exists() and log.stat().st_size):
            raise
        connection = _connect(path, "ro&immutable=1")
    return connection


def _lock_path(path: Path) -> Path:
    return path.with_name(path.name + ".lock")


def _identity(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)  # noqa: PTH116 - a few microseconds less than Path.stat, in every transaction
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _public_key(text: str, path: Path) -> PublicKey:
    try:
        return PublicKey.from_hex(text)
    except DelegoSpecError as error:
        raise DamagedLedger(path, error) from None


def _context(body: bytes, path: str) -> JSONObject:
    return decode(body, dict[str, Any], path)
