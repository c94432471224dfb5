"""Whole small files: read with a cap, written so that a name never stands for half a file.

A new file is written under a temporary name in the same directory, synced, then linked into place; a crash
at any moment leaves either no file under the final name or all of it. Linking refuses a name that is taken,
in one step, so that two writers cannot both believe that theirs is the file.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from delego_ledger.errors import AlreadyExists, StorageError, StrPath

PRIVATE: Final = 0o600
PUBLIC: Final = 0o644

_TEMPORARY: Final = ".delego-new-"  # hidden, so that no reader of a directory takes it for a key
_STALE: Final = 3600.0  # seconds; an older temporary file belongs to a writer that died
# What systems answer on storage without hard links: FAT, some network and user-space file systems.
_NO_LINKS: Final = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})
if sys.platform == "win32":
    _BINARY: Final = os.O_BINARY
else:
    _BINARY: Final = 0
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY


def write_atomically(path: StrPath, data: bytes, *, overwrite: bool = False, mode: int = PRIVATE) -> None:
    """Write ``data`` as the whole of ``path``, durable on return; readers see the old file or the new one.

    ``mode`` is subject to the umask. Without ``overwrite`` a name that is taken (by a dangling symbolic link
    too) raises AlreadyExists; with it the name is replaced, never written through a link. Any other failure
    is a StorageError, and leaves no temporary file behind.
    """
    target = Path(path)
    try:
        temporary = _write_temporary(target.parent, data, mode)
    except (OSError, ValueError) as error:
        raise StorageError("write", path, error, retry_safe=True) from error
    try:
        place_file(temporary, target, overwrite=overwrite)
    except FileExistsError as error:
        raise AlreadyExists(path) from error
    except (OSError, ValueError) as error:
        raise StorageError("write", path, error, retry_safe=True) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()  # after a rename it is gone already
    sync_directory(target.parent)


@contextlib.contextmanager
def new_file(path: StrPath, *, mode: int = PRIVATE) -> Iterator[BinaryIO]:
    """A stream whose bytes are all of ``path``, durable, once the block has ended without an exception.

    For what is too large to hold in memory; until then, and after an exception, there is no such file.
    Raises AlreadyExists (before the block, where the name is taken by then) or StorageError.
    """
    target = Path(path)
    temporary = target.parent / f"{_TEMPORARY}{secrets.token_hex(8)}"
    try:
        if os.path.lexists(target):
            raise AlreadyExists(path)
        try:
            with open(os.open(temporary, _NEW, mode), "wb") as file:  # noqa: PTH123 - a descriptor has no path
                yield file
                file.flush()
                os.fsync(file.fileno())
                now = os.fstat(file.fileno()).st_mtime
            _sweep(target.parent, now)
            place_file(temporary, target)
        finally:
            with contextlib.suppress(OSError, ValueError):
                temporary.unlink()
    except FileExistsError as error:
        raise AlreadyExists(path) from error
    except (OSError, ValueError) as error:
        raise StorageError("write", path, error, retry_safe=True) from error
    sync_directory(target.parent)


def read_file(path: StrPath, *, limit: int) -> tuple[bytes, os.stat_result]:
    """The bytes of a file of at most ``limit`` bytes, and its status as opened (not as named a moment ago).

    Raises StorageError, for a larger file too: a device or a wrong path must not fill the memory.
    """
    try:
        with Path(path).open("rb", buffering=0) as file:
            status = os.fstat(file.fileno())
            data = bytearray()
            while len(data) <= limit and (chunk := file.read(limit + 1 - len(data))):
                data += chunk
    except (OSError, ValueError) as error:
        raise StorageError("read", path, error, retry_safe=True) from error
    if len(data) > limit:
        raise StorageError("read", path, f"it is larger than {limit} bytes", retry_safe=True)
    return bytes(data), status


def sync_directory(directory: StrPath) -> None:
    """Make the names in a directory durable: without this, a synced file can lose its name in a power cut.

    Does nothing where a directory cannot be synced (Windows, some network storage). Raises StorageError.
    """
    if sys.platform == "win32":
        return
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise StorageError("sync the directory", directory, error, retry_safe=False) from error


def write_all(descriptor: int, data: bytes) -> None:
    """``os.write`` until everything is written; the system may take less at a time. Raises OSError."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _write_temporary(directory: Path, data: bytes, mode: int) -> Path:
    temporary = directory / f"{_TEMPORARY}{secrets.token_hex(8)}"
    descriptor = os.open(temporary, _NEW, mode)
    try:
        try:
            write_all(descriptor, data)
            os.fsync(descriptor)
            now = os.fstat(descriptor).st_mtime
        finally:
            os.close(descriptor)  # before linking: Windows moves no open file
        _sweep(directory, now)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    return temporary


def _sweep(directory: Path, now: float) -> None:
    """Remove what writers that were killed left behind: it may be a copy of a key.

    ``now`` is the new file's own time, so that both times come from the same clock, the file system's.
    """
    for leftover in directory.glob(f"{_TEMPORARY}*"):
        with contextlib.suppress(OSError):
            if leftover.lstat().st_mtime < now - _STALE:
                leftover.unlink()


def place_file(temporary: Path, target: Path, *, overwrite: bool = False) -> None:
    """Give a finished file its name, in one step. FileExistsError for a name that is taken, or OSError."""
    if overwrite:
        temporary.replace(target)
        return
    try:
        target.hardlink_to(temporary)
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # Without hard links POSIX has no rename that refuses a taken name: look first. Two writers within the
        # same instant could both pass; the later one wins, whole.
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from error
        temporary.rename(target)
