"""Nothing of SQLite crosses a fork.

SQLite counts its locks per process. A child that inherits an open connection believes to hold locks that it
does not hold; the parent may then remove the log that the child writes to (measured: acknowledged receipts
were gone). So writing connections are closed before a fork, and a child that inherited an open one all the
same must not open a ledger.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from delego_ledger.errors import StorageError, StrPath


class Writer(Protocol):
    """What holds a writing connection."""

    def before_fork(self) -> None:
        """Close the connection, and let nobody open it until ``after_fork``."""
        ...

    def after_fork(self, *, in_child: bool) -> sqlite3.Connection | None:
        """Go on. In the child: the connection that could not be closed, to be kept and never touched."""
        ...


_mutex = threading.Lock()
_writers: Final[weakref.WeakSet[Writer]] = weakref.WeakSet()
_reads = 0  # reading connections that are open now
_inherited: Final[list[sqlite3.Connection]] = []
_tainted = False  # this process inherited an open connection


def register(writer: Writer) -> None:
    """Have ``writer`` told of forks for as long as it lives."""
    with _mutex:
        _writers.add(writer)


@contextmanager
def counted_read() -> Iterator[None]:
    """Around the life of a reading connection."""
    global _reads
    with _mutex:
        _reads += 1
    try:
        yield
    finally:
        with _mutex:
            _reads -= 1


def check(path: StrPath) -> None:
    """Raises StorageError in a process that must not open a ledger."""
    if _tainted:
        reason = "this process was forked while a ledger was open in it; start it afresh"
        raise StorageError("open", path, reason, retry_safe=True)


def _before() -> None:
    with _mutex:
        writers = list(_writers)
    for writer in writers:
        writer.before_fork()
    _mutex.acquire()  # so that no count is half changed in the child


def _after_in_parent() -> None:
    _mutex.release()
    for writer in list(_writers):
        writer.after_fork(in_child=False)


def _after_in_child() -> None:
    global _mutex, _reads, _tainted
    _mutex = threading.Lock()
    left = [writer.after_fork(in_child=True) for writer in list(_writers)]
    _inherited.extend(connection for connection in left if connection is not None)
    _tainted = _tainted or _reads > 0 or bool(_inherited)
    _reads = 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
