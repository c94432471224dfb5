"""One writer at a time, across threads and processes.

An advisory lock on a side file: ``flock`` on POSIX, a locked byte on Windows. The operating system drops it
when its holder dies, so a crash never leaves it behind. It keeps waiting writers in line, which the retries
of a database do not.
"""

from __future__ import annotations

import errno
import os
import sys
import threading
import time
import weakref
from pathlib import Path
from types import TracebackType
from typing import Final

from delego_ledger.errors import LedgerBusy, ReadOnlyLedger, StorageError, StrPath

_NOT_WRITABLE: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})

if sys.platform == "win32":  # pragma: no cover - the suite's coverage is taken on POSIX
    import msvcrt

    _POLL: Final = 0.005  # seconds; Windows has no wait without an end of its own

    def _try_lock(descriptor: int) -> bool:
        os.lseek(descriptor, 0, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True

    def _wait_lock(descriptor: int) -> None:
        while not _try_lock(descriptor):
            time.sleep(_POLL)

    def _unlock(descriptor: int) -> None:
        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _wait_lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX)

    def _unlock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


class _PlaceInLine:
    """Stands in the system's queue, in a thread of its own, for a caller that will not wait for ever.

    A wait without end cannot be broken off, and asking again and again lets others past (measured with eight
    writers: a worst wait of 0.5 to 2 s, against 0.2 s in line). A caller whose time is up leaves its place
    standing and may come back to it, so that a lock has one such thread at most.
    """

    __slots__ = ("_error", "_mutex", "_turn", "_wanted", "descriptor", "identity")

    def __init__(self, descriptor: int, identity: tuple[int, int]) -> None:
        """Takes over ``descriptor``; a caller whose ``wait`` answers True takes it back, locked."""
        self.descriptor = descriptor
        self.identity = identity
        self._mutex = threading.Lock()
        self._turn = threading.Event()
        self._wanted = True
        self._error: OSError | None = None
        try:
            threading.Thread(target=self._stand, name="delego-lock", daemon=True).start()
        except RuntimeError:
            self.let_go()
            raise

    def wait(self, deadline: float) -> bool:
        """True when the lock is had, False when the time is up. Raises the OSError of the system call."""
        try:
            self._turn.wait(max(0.0, deadline - time.monotonic()))
        except BaseException:
            with self._mutex:
                self._wanted = False
                if self._turn.is_set():
                    self.let_go()
            raise
        with self._mutex:
            if self._error is not None:
                self.let_go()
                raise self._error
            self._wanted = self._turn.is_set()
            return self._wanted

    def rejoin(self) -> bool:
        """Stand for a caller again; False when the turn came meanwhile, and went."""
        with self._mutex:
            self._wanted = not self._turn.is_set()
            return self._wanted

    def let_go(self) -> None:
        """Close the descriptor, and with it the lock."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor != -1:
            os.close(descriptor)

    def _stand(self) -> None:
        try:
            _wait_lock(self.descriptor)
        except OSError as error:
            self._error = error
        with self._mutex:
            self._turn.set()
            if not self._wanted:
                self.let_go()


class FileLock:
    """An exclusive lock on ``path`` (a file of its own, made when missing, never removed).

    A context manager, not re-entrant; one object may be shared by all threads of a process, and several
    objects on one path exclude each other as well. After a fork the child holds nothing and can release
    nothing of its parent's.
    """

    __slots__ = (
        "__weakref__",
        "_descriptor",
        "_identity",
        "_inherited",
        "_inside",
        "_owner",
        "_path",
        "_place",
        "_timeout",
    )

    def __init__(self, path: StrPath, *, timeout: float | None = None) -> None:
        """``timeout``: seconds to wait at most, 0 to try once; None waits as long as it takes."""
        self._path: Final = Path(path)
        self._descriptor: int | None = None  # kept open between uses: opening costs more than locking
        self._identity = (0, 0)  # device and inode of what is open
        self._place: _PlaceInLine | None = None
        self._inside = threading.Lock()  # between the threads of this process
        self._owner: int | None = None  # the thread that holds the lock
        self._inherited = False  # this process began as a fork of a thread that held the lock
        if timeout is not None and not 0 <= timeout <= threading.TIMEOUT_MAX:
            raise ValueError(
                f"timeout must be None or 0 to {threading.TIMEOUT_MAX:g} seconds, not {timeout!r}"
            )
        self._timeout: Final = timeout
        _all_locks.add(self)

    def acquire(self) -> None:
        """Wait for the lock.

        Raises LedgerBusy after the time-out, ReadOnlyLedger or StorageError when the file cannot be opened
        or locked, and RuntimeError when this thread has the lock already (it would wait for itself).
        """
        me = threading.get_ident()
        if self._owner == me:
            raise RuntimeError(f"this thread holds the lock {str(self._path)!r} already")
        deadline = None if self._timeout is None else time.monotonic() + self._timeout
        if not self._inside.acquire(timeout=-1 if self._timeout is None else self._timeout):
            raise LedgerBusy(self._path, self._timeout or 0)
        try:
            self._lock_file(deadline)
        except BaseException:
            self._close()  # an interrupt may have come just after the lock did
            self._inside.release()
            raise
        self._owner = me

    def release(self) -> None:
        """Let the next one in. RuntimeError when this thread does not hold the lock."""
        if self._owner != threading.get_ident():
            if self._inherited:  # the end of a `with` block that a fork copied into this process
                self._inherited = False
                return
            raise RuntimeError(f"this thread does not hold the lock {str(self._path)!r}")
        self._owner = None
        try:
            if self._descriptor is not None:
                _unlock(self._descriptor)
        except OSError as error:
            self._close()  # closing releases as well
            raise StorageError("unlock", self._path, error, retry_safe=False) from error
        finally:
            self._inside.release()

    def close(self) -> None:
        """Close the file; a later ``acquire`` opens it again. RuntimeError while this object is in use."""
        if not self._inside.acquire(blocking=False):
            raise RuntimeError(f"the lock {str(self._path)!r} is in use")
        self._place = None  # whoever stands in line closes its own descriptor when its turn comes
        self._close()
        self._inside.release()

    def __enter__(self) -> FileLock:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def __del__(self) -> None:
        self._close()

    def _lock_file(self, deadline: float | None) -> None:
        try:
            while True:
                if not self._get_in_line(deadline):
                    raise LedgerBusy(self._path, self._timeout or 0)
                if self._still_named():
                    return
                self._close()
        except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: no more threads
            if isinstance(error, OSError) and error.errno in _NOT_WRITABLE:
                raise ReadOnlyLedger(self._path, error) from error
            raise StorageError("lock", self._path, error, retry_safe=True) from error

    def _get_in_line(self, deadline: float | None) -> bool:
        if deadline is None:
            _wait_lock(self._open())
            return True
        place = self._place
        if place is None or not place.rejoin():
            self._place = None
            descriptor = self._open()
            if _try_lock(descriptor):
                return True
            if time.monotonic() >= deadline:
                return False
            self._descriptor = None  # from here on it belongs to the place in line
            place = self._place = _PlaceInLine(descriptor, self._identity)
        if not place.wait(deadline):
            return False  # the place is kept: the next try goes on from there
        self._descriptor, self._identity = place.descriptor, place.identity
        self._place = None
        return True

    def _open(self) -> int:
        if self._descriptor is None:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            status = os.fstat(self._descriptor)
            self._identity = (status.st_dev, status.st_ino)
        return self._descriptor

    def _still_named(self) -> bool:
        """False when the file was removed meanwhile: others then lock a new one, and we exclude nobody."""
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return False
        return (status.st_dev, status.st_ino) == self._identity

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _forked(self) -> None:
        """In the child: forget the parent's descriptors (closing a copy releases nothing) and its threads."""
        self._inherited = self._owner == threading.get_ident()
        self._owner = None
        self._inside = threading.Lock()
        self._close()
        place, self._place = self._place, None
        if place is not None:
            place.let_go()


_all_locks: Final[weakref.WeakSet[FileLock]] = weakref.WeakSet()


def _after_fork() -> None:
    for lock in list(_all_locks):
        lock._forked()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_after_fork)
