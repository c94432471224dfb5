"""The error family of ``delego_ledger``: every public function raises from here, and nothing else.

Two families under one root. *The input is wrong*: a key file, an anchor file, a path that is taken. *The
world failed*: disk, lock, database; each ``StorageError`` says whether anything can have been written.
Misuse of the API is a ``TypeError``, ``ValueError`` or ``RuntimeError``.
"""

from __future__ import annotations

import os
from typing import Any, TypeAlias

StrPath: TypeAlias = "str | os.PathLike[str]"

_SHOWN = 300  # characters of a path in a message


def _quoted(path: StrPath) -> str:
    """The path as one printable line; what an attacker puts into a file name stays escaped."""
    text = os.fspath(path)
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")


def _rebuild(kind: type[DelegoLedgerError], message: str, state: dict[str, Any]) -> DelegoLedgerError:
    error = kind.__new__(kind, message)
    error.__dict__.update(state)
    return error


class DelegoLedgerError(Exception):
    """Root of the family; catch this to catch all of it."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Errors cross process borders whole (the default would call ``__init__`` with the message alone)."""
        return _rebuild, (type(self), str(self), self.__dict__)


# --- the input is wrong ---------------------------------------------------------------------------------


class KeyFileError(DelegoLedgerError):
    """A key file cannot be read as an Ed25519 key. ``path`` names it, ``problem`` says what was found."""

    def __init__(self, path: StrPath, problem: str) -> None:
        self.path = os.fspath(path)
        self.problem = problem
        super().__init__(f"key file {_quoted(path)}: {problem}")


class WrongPassphrase(KeyFileError):  # noqa: N818 - reads as what happened
    """The passphrase does not open the key file; asking once more is reasonable."""

    def __init__(self, path: StrPath) -> None:
        super().__init__(path, "wrong passphrase")
        self.args = (f"wrong passphrase for {_quoted(path)}",)


class AnchorFileError(DelegoLedgerError):
    """An anchor file is not what this program wrote. ``line`` counts from 1; None is the file as a whole."""

    def __init__(self, path: StrPath, problem: str, *, line: int | None = None) -> None:
        self.path = os.fspath(path)
        self.problem = problem
        self.line = line
        where = "" if line is None else f", line {line}"
        super().__init__(f"anchor file {_quoted(path)}{where}: {problem}")


class EvidenceFileError(DelegoLedgerError):
    """A line of an evidence file is not what ``export_evidence`` writes. ``line`` counts from 1."""

    def __init__(self, path: StrPath, problem: str, *, line: int) -> None:
        self.path = os.fspath(path)
        self.problem = problem
        self.line = line
        super().__init__(f"evidence file {_quoted(path)}, line {line}: {problem}")


class AlreadyExists(DelegoLedgerError):  # noqa: N818 - reads as what happened
    """A new file was to be written where one is already; it was left as it is."""

    def __init__(self, path: StrPath) -> None:
        self.path = os.fspath(path)
        super().__init__(f"{_quoted(path)} already exists and was left as it is; choose another path")


# --- the world failed -----------------------------------------------------------------------------------


class StorageError(DelegoLedgerError):
    """Disk, lock or database failed.

    ``retry_safe`` is True when nothing can have been written, so that the same call, made again once the
    cause is gone, cannot do a thing twice. ``reason`` is what the operating system or the database said.
    """

    def __init__(self, doing: str, path: StrPath, reason: str | BaseException, *, retry_safe: bool) -> None:
        """``doing``: a verb, "write" or "open"."""
        self.path = os.fspath(path)
        self.reason = os_reason(reason) if isinstance(reason, BaseException) else reason
        self.retry_safe = retry_safe
        then = (
            "nothing was changed"
            if retry_safe
            else "it may or may not have been done, look before trying again"
        )
        super().__init__(f"cannot {doing} {_quoted(path)}: {self.reason}; {then}")


class LedgerBusy(StorageError):  # noqa: N818 - reads as what happened
    """Another process or thread held the lock for the whole time-out. Trying again is safe."""

    def __init__(self, path: StrPath, waited: float) -> None:
        """``waited``: seconds."""
        self.waited = waited
        super().__init__("lock", path, f"another writer held it for {waited:g} s", retry_safe=True)


class ReadOnlyLedger(StorageError):  # noqa: N818 - reads as what happened
    """The ledger, or the storage it lies on, cannot be written by this process."""

    def __init__(self, path: StrPath, reason: str | BaseException) -> None:
        super().__init__("write", path, reason, retry_safe=True)


class DamagedLedger(StorageError):  # noqa: N818 - reads as what happened
    """The stored bytes are not a ledger, or no longer one. Nothing is repaired by guessing."""

    def __init__(self, path: StrPath, problem: str | BaseException) -> None:
        super().__init__("use", path, problem, retry_safe=False)
        self.args = (f"{_quoted(path)} is damaged: {self.reason}; keep the file and restore from a copy",)


class NewerLedger(StorageError):  # noqa: N818 - reads as what happened
    """The ledger was written by a later version of this program."""

    def __init__(self, path: StrPath, found: int, known: int) -> None:
        """``found``: the schema version in the file. ``known``: the newest that this program knows."""
        self.found = found
        self.known = known
        reason = (
            f"it has schema version {found}, this program knows up to {known}; install a newer delego-spec"
        )
        super().__init__("open", path, reason, retry_safe=True)


def os_reason(error: BaseException) -> str:
    """What the system said, as a lower-case phrase without the path: ``no space left on device``."""
    text = (error.strerror if isinstance(error, OSError) else None) or str(error)
    line = " ".join(text.split())
    if not line:
        return type(error).__name__
    return line[0].lower() + line[1:] if line[1:2].islower() else line  # "SQLite …" and "I/O …" stay
