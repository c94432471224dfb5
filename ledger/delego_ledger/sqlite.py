"""The SQLite ledger: one file, real durability, exact single use across threads and processes.

WAL with ``synchronous=FULL``, explicit ``BEGIN IMMEDIATE`` transactions behind a file lock that keeps
writers of several processes fair. Inside a process the thread that gets the writer's lock runs the steps of
all that wait in one commit, so that a lone caller pays for no hand-over and many callers share one fsync.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

from delego_ledger import forks, schema
from delego_ledger.clock import Clock, system_clock
from delego_ledger.connections import connect, create_database, identity, reading
from delego_ledger.contract import Execution, Step
from delego_ledger.errors import DamagedLedger, ReadOnlyLedger, StorageError
from delego_ledger.locks import FileLock
from delego_ledger.sqlerrors import SQLITE_FAILURE, storage_error
from delego_ledger.transaction import (
    SQLiteTransaction,
    decode,
    decode_approval,
    has_receipt,
    read_action,
    read_approval,
    read_evidence,
    read_executions,
    read_head,
)
from delego_spec.action import Action
from delego_spec.anchors import Anchor
from delego_spec.approvals import Approval, Status
from delego_spec.ed25519 import PublicKey, Signer
from delego_spec.errors import DelegoSpecError
from delego_spec.receipts import Receipt, decode_line
from delego_spec.types import Digest, JSONObject, is_digest

T = TypeVar("T")
_Files: TypeAlias = tuple[tuple[int, int] | None, tuple[int, int] | None]

MAX_STEPS: Final = 256  # in one commit: bounds how long the writer's lock is held
PAGE: Final = 512  # receipts read at once, so that no read transaction is held for long


# What `receipts.join_line` does, done by SQLite: it needs no Python and leaves the interpreter to others.
_LINES: Final = """
SELECT seq, CAST(
    CAST(substr(payload, 1, length(payload) - 1) AS TEXT)
    || ',"entry_hash":"' || entry_hash || '","signature":"' || signature || '"'
    || CASE WHEN context IS NULL THEN '' ELSE ',"context":' || CAST(context AS TEXT) END
    || '}' AS BLOB)
FROM receipts WHERE seq >= ? AND seq < ? ORDER BY seq LIMIT ?
"""


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
        self._newest: Anchor | None = None  # the newest receipt that is known to have been written
        self._reset()
        forks.register(self)

    @classmethod
    def create(
        cls, path: Path, signer: Signer, *, clock: Clock = system_clock, wait: float = 30.0
    ) -> SQLiteLedger:
        """A new, empty ledger whose receipts ``signer`` signs. ``wait``: seconds to wait for other writers.

        Raises AlreadyExists (the file is left as it is) or StorageError.
        """
        with FileLock(_lock_path(path), timeout=wait):
            create_database(path, signer.public_key.hex, clock())
        return cls(path, signer.public_key, signer, clock, wait)

    @classmethod
    def open(
        cls, path: Path, *, signer: Signer | None = None, clock: Clock = system_clock, wait: float = 30.0
    ) -> SQLiteLedger:
        """An existing ledger; without ``signer`` it can only be read.

        A missing file is an error, never a new ledger: deleting the evidence must not start a clean chain.
        Raises StorageError, DamagedLedger, NewerLedger, or ReadOnlyLedger when ``signer`` is not its key.
        """
        if identity(str(path)) is None:
            raise StorageError("open", path, "there is no such file", retry_safe=True)
        with reading(path, "open") as connection:
            public_key = schema.check(connection, str(path))
        if signer is not None and signer.public_key != public_key:
            raise ReadOnlyLedger(
                path, f"its receipts are signed by key {public_key.key_id}, not by {signer.public_key.key_id}"
            )
        return cls(path, public_key, signer, clock, wait)

    def _reset(self) -> None:
        self._connection: sqlite3.Connection | None = None
        self._log_path = ""  # SQLite keeps it beside the file itself, not beside a symbolic link to it
        self._files: _Files = (None, None)  # behind the connection: the database and its log
        self._held = False  # the writer's lock, over a fork
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
        self._check_not_inside()
        self._waiting.append(job)
        try:
            with self._as_writer():
                # Done already, if another thread ran it while this one waited.
                while not job.done and self._run_waiting():
                    pass
                if not job.done:  # taken out of the line by a thread that was interrupted in the middle
                    job.fail(self._interrupted())
        except BaseException as error:
            job.fail(error)  # interrupted while waiting: nobody shall run these steps at some later time
            raise
        return job.outcome()

    def _check_not_inside(self) -> None:
        if self._writing == threading.get_ident():
            raise RuntimeError("a step must not open a transaction of its own ledger")

    @contextmanager
    def _as_writer(self) -> Iterator[None]:
        self._check_not_inside()
        with self._writer:
            self._writing = threading.get_ident()
            try:
                yield
            finally:
                self._writing = None

    def before_fork(self) -> None:
        """See ``forks``. Waits for the transaction that runs; one of this very thread stays as it is."""
        if self._writing != threading.get_ident() and self._writer.acquire(timeout=self._wait):
            self._held = True
            self._discard()

    def after_fork(self, *, in_child: bool) -> sqlite3.Connection | None:
        """See ``forks``."""
        if in_child:
            left = self._connection
            self._reset()  # a lock may be held by a thread that is not here
            return left
        if self._held:
            self._held = False
            self._writer.release()
        return None

    def _run_waiting(self) -> bool:
        """Run what waits, as much as fits into one commit. False: nothing waits."""
        jobs: list[_Job] = []
        steps = 0
        try:
            while self._waiting and steps < MAX_STEPS:
                jobs.append(self._waiting.popleft())
                steps += len(jobs[-1].steps)
            jobs = [job for job in jobs if not job.done]
            try:
                if jobs:
                    self._run_together(jobs)
            except _StepFailed:
                for job in jobs:
                    self._run_alone(job)
        except Exception as error:  # noqa: BLE001 - handed to every caller whose step was in the transaction
            for job in jobs:
                job.fail(error)
        except BaseException:  # this thread was interrupted; the others are not, and must not hang
            for job in jobs:
                job.fail(self._interrupted())
            raise
        return bool(steps or jobs)

    def _interrupted(self) -> StorageError:
        return StorageError("write", self._path, "interrupted", retry_safe=False)

    def _run_together(self, jobs: Sequence[_Job]) -> None:
        results: list[list[Any]] = []
        with self._transaction() as transaction:
            for job in jobs:
                results.append([self._run_step(step, transaction) for step in job.steps])
        for job, result in zip(jobs, results, strict=True):
            job.succeed(result)

    def _run_alone(self, job: _Job) -> None:
        """Each step in its own transaction, after one of the lot raised: nobody pays for another's fault."""
        results: list[Any] = []
        failure: Exception | None = None
        for step in job.steps:
            try:
                with self._transaction() as transaction:
                    results.append(self._run_step(step, transaction))
            except _StepFailed as error:
                failure = failure or error.cause
            except Exception as error:  # noqa: BLE001 - handed to the caller whose step it was
                failure = failure or error
        if failure is None:
            job.succeed(results)
        else:
            job.fail(failure)

    def _run_step(self, step: Step[T], transaction: SQLiteTransaction) -> T:
        try:
            return step(transaction)
        except _OF_THE_STEP as error:
            raise _StepFailed(storage_error(error, self._path, "write")) from None
        except SQLITE_FAILURE:
            raise  # the storage failed: true for everybody in this transaction
        except Exception as error:  # noqa: BLE001 - carried to the caller whose step it was
            raise _StepFailed(error) from None

    @contextmanager
    def _transaction(self) -> Iterator[SQLiteTransaction]:
        if self._signer is None:
            raise ReadOnlyLedger(self._path, "it was opened without its signing key")
        with self._file_lock:
            connection = self._write_connection()
            committing = False
            transaction: SQLiteTransaction | None = None
            try:
                connection.execute("BEGIN IMMEDIATE")
                transaction = SQLiteTransaction(connection, self._signer, self._clock(), self._path)
                self._check_nothing_lost(connection, transaction.head)
                yield transaction
                if self._connection is not connection:
                    raise RuntimeError("a forked child must not end a transaction of its parent")
                transaction.flush()
                committing = True
                connection.execute("COMMIT")
                self._newest = transaction.head
            except BaseException as error:
                self._roll_back(connection, discard=isinstance(error, (*SQLITE_FAILURE, StorageError)))
                if isinstance(error, SQLITE_FAILURE):
                    raise storage_error(
                        error, self._path, "write", committing=committing, waited=self._wait
                    ) from None
                raise
            finally:
                if transaction is not None:
                    transaction.end()

    def _write_connection(self) -> sqlite3.Connection:
        # A ledger that was deleted or replaced under a running process, or its log: without this look,
        # receipts would go into a file that no longer has a name.
        found = self._look()
        if self._connection is not None and found != self._files:
            with contextlib.suppress(*SQLITE_FAILURE):  # what only the lost log holds is saved, if it can be
                self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
            self._discard()
        if self._connection is None:
            try:
                self._log_path = f"{os.path.realpath(self._path)}-wal"
                self._connection = connect(Path(self._path), "rw")
                if schema.check(self._connection, self._path) != self._public_key:
                    raise ReadOnlyLedger(self._path, "it was replaced by a ledger of another key")
            except SQLITE_FAILURE as error:
                self._discard()
                raise storage_error(error, self._path, "open") from None
            except BaseException:
                self._discard()
                raise
            self._files = self._look()
        return self._connection

    def _look(self) -> _Files:
        return identity(self._path), identity(self._log_path)

    def _check_nothing_lost(self, connection: sqlite3.Connection, head: Anchor | None) -> None:
        """The newest receipt that this process has written is still there. Without this look, a ledger that
        was cut or replaced by an older copy, in place too, would be signed on as if nothing had been there,
        and would allow again what was used up."""
        newest = self._newest
        if newest is not None and head != newest and not has_receipt(connection, newest):
            text = f"it was replaced by another one, or lost receipts: {newest.short} is not there"
            raise DamagedLedger(self._path, text)

    def _roll_back(self, connection: sqlite3.Connection, *, discard: bool) -> None:
        if self._connection is not connection:
            return  # it is the parent's, over a fork
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except SQLITE_FAILURE:
            discard = True
        if discard:  # after a failure of the storage, start over with what is on the disk
            self._discard()

    def _discard(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.close()

    # --- reading ----------------------------------------------------------------------------------------

    def head(self) -> Anchor | None:
        with self._reading() as connection:
            found = read_head(connection, self._path)
        return None if found is None else found[0]

    def lines(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        head = self.head()
        end = 0 if head is None else head.seq + 1
        return self._lines(max(start, 0), end if stop is None else min(stop, end))

    def _lines(self, start: int, stop: int) -> Iterator[bytes]:
        with self._reading() as connection:
            while start < stop:
                rows = connection.execute(_LINES, (start, stop, PAGE)).fetchall()
                if not rows:
                    return
                lines = [line for _, line in rows]
                if set(map(type, lines)) != {bytes}:
                    raise DamagedLedger(self._path, "a receipt lacks a part")
                yield from lines
                if rows[-1][0] < start:
                    raise DamagedLedger(self._path, "the receipts are not stored in order")
                start = rows[-1][0] + 1

    def receipt(self, seq: int) -> Receipt | None:
        for line in self.lines(seq, seq + 1):
            try:
                return decode_line(line)
            except DelegoSpecError as error:
                raise DamagedLedger(self._path, error) from None
        return None

    def approval(self, approval_id: str) -> Approval | None:
        with self._reading() as connection:
            return read_approval(connection, approval_id, self._path)

    def parked_action(self, approval_id: str) -> Action | None:
        with self._reading() as connection:
            return read_action(connection, approval_id, self._path)

    def approvals(self, status: Status | None = None) -> tuple[Approval, ...]:
        where, values = ("", ()) if status is None else (" WHERE status = ?", (status,))
        query = f"SELECT body, status FROM approvals{where} ORDER BY created_at, rowid"  # noqa: S608 - no outside text
        with self._reading() as connection:
            rows = connection.execute(query, values).fetchall()
        return tuple(decode_approval(body, stored, self._path) for body, stored in rows)

    def executions(self) -> tuple[Execution, ...]:
        with self._reading() as connection:
            return read_executions(connection, self._path)

    def evidence(self, evidence_hash: str) -> JSONObject | None:
        with self._reading() as connection:
            return read_evidence(connection, evidence_hash, self._path)

    def evidence_items(self) -> Iterator[tuple[Digest, JSONObject]]:
        after = ""
        with self._reading() as connection:
            while rows := connection.execute(
                "SELECT hash, body FROM evidence WHERE hash > ? ORDER BY hash LIMIT ?", (after, PAGE)
            ).fetchall():
                for key, body in rows:
                    if not is_digest(key) or key <= after:
                        raise DamagedLedger(self._path, "evidence is not stored under its hash, in order")
                    after = key
                    yield Digest(key), decode(body, dict[str, Any], self._path)

    def _reading(self) -> AbstractContextManager[sqlite3.Connection]:
        return reading(Path(self._path))

    def __del__(self) -> None:
        # Newer Pythons warn of a connection that is dropped open, and nobody must remember to close a ledger.
        connection = getattr(self, "_connection", None)  # none yet, where making it failed
        if connection is not None:
            connection.close()

    def close(self) -> None:
        """Close the writing connection. The ledger opens it again when it is used again."""
        with self._as_writer():
            self._discard()
            self._file_lock.close()


# What SQLite refuses in a statement for what the statement says; all else is said of the storage.
_OF_THE_STEP: Final = (
    sqlite3.IntegrityError,
    sqlite3.ProgrammingError,
    sqlite3.InterfaceError,
    sqlite3.DataError,
)


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
        self._error: BaseException | None = None

    def succeed(self, results: list[Any]) -> None:
        self._results, self.done = results, True

    def fail(self, error: BaseException) -> None:
        """Changes nothing for a job that is done: its caller learns what became of it."""
        if not self.done:
            self._error, self.done = error, True

    def outcome(self) -> list[Any]:
        if self._error is not None:
            raise self._error
        return self._results


def _lock_path(path: Path) -> Path:
    return path.with_name(path.name + ".lock")
