"""The anchor file (§8.3): where an operator keeps the heads of a ledger, best on storage of its own.

One anchor a line, ``SEQ:HASH TS``, oldest first, only ever appended to. An anchor shows that receipts up to
it were there: who cuts the tail off a ledger must cut here too. What this module cannot see is a file that
was cut at a line's end; that is why it belongs where the ledger's writer can only append.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from delego_ledger.errors import AnchorFileError, StorageError, StrPath
from delego_ledger.files import PUBLIC, sync_directory, write_all
from delego_ledger.locks import FileLock
from delego_spec.anchors import Anchor
from delego_spec.errors import DelegoSpecError
from delego_spec.timestamps import format_ts, parse_ts
from delego_spec.types import Digest, Micros

LOCK_SECONDS: Final = 10.0  # how long an append waits for another one

_LINE: Final = re.compile(
    rb"(0|[1-9][0-9]{0,15}):([0-9a-f]{64}) "
    rb"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}\+00:00)"
)
# What an interrupted append can leave: the beginning of a line, then the zeros of a block never written.
_TORN: Final = re.compile(rb"(?:[0-9]{1,16}(?::[0-9a-f]{0,64}(?: [0-9T:.+-]{0,32})?)?)?\0{0,128}")
_TAIL_BYTES: Final = 1024  # more than the longest line and the longest torn one together

if sys.platform == "win32":
    _BINARY: Final = os.O_BINARY
else:
    _BINARY: Final = 0


@dataclass(frozen=True, slots=True)
class AnchorLine:
    """One line: the anchor, and when it was written down."""

    anchor: Anchor
    ts: Micros

    def __str__(self) -> str:
        return f"{self.anchor} {format_ts(self.ts)}"


def append_anchor(path: StrPath, anchor: Anchor, ts: Micros, *, timeout: float | None = LOCK_SECONDS) -> bool:
    """Add one anchor, durable on return; True when it was added, False when the file is as new already.

    Writers of all processes take turns (a lock beside the file, ``<name>.lock``); the cost does not grow with
    the file. Half a line that a crash left is cut off first. Raises AnchorFileError when the file's end is
    not an anchor line, or names another hash for the same seq (two histories of one ledger); LedgerBusy;
    StorageError, after which the same call may be made again; ValueError when ``anchor`` or ``ts`` is none.
    """
    try:
        data = str(AnchorLine(anchor, ts)).encode("ascii")
    except (DelegoSpecError, UnicodeEncodeError) as error:
        raise ValueError(f"not an anchor and a time: {error}") from error
    if _LINE.fullmatch(data) is None:
        raise ValueError(f"not an anchor: {str(anchor)!r:.100}")
    target = Path(path)
    with FileLock(target.with_name(f"{target.name}.lock"), timeout=timeout):
        try:
            return _append(target, anchor, data)
        except OSError as error:
            raise StorageError("append to", path, error, retry_safe=True) from error


def read_anchors(path: StrPath) -> tuple[AnchorLine, ...]:
    """Every anchor, oldest first, each line checked. An empty file gives an empty tuple.

    Raises AnchorFileError for a missing file (who asks for anchors must not be told that there are none) and
    for any line that is not one or does not come after the one before; StorageError when it cannot be read.
    """
    return tuple(_read(path))


def latest_anchor(path: StrPath) -> AnchorLine | None:
    """The newest anchor, or None for an empty file. Checks the whole file; raises as read_anchors."""
    newest = None
    for line in _read(path):
        newest = line
    return newest


def _read(path: StrPath) -> Iterator[AnchorLine]:
    try:
        with Path(path).open("rb") as file:
            yield from _checked(path, file)
    except FileNotFoundError as error:
        raise AnchorFileError(path, "there is no such file") from error
    except (OSError, ValueError) as error:
        raise StorageError("read", path, error, retry_safe=True) from error


def _checked(path: StrPath, file: BinaryIO) -> Iterator[AnchorLine]:
    previous: AnchorLine | None = None
    number = 0
    while raw := file.readline(_TAIL_BYTES):
        number += 1
        if _is_torn(raw):
            return  # never acknowledged, and nothing follows: a torn line has no newline
        line = _parse(path, raw.removesuffix(b"\n"), number)
        if previous is not None and line.anchor.seq <= previous.anchor.seq:
            raise AnchorFileError(path, _disorder(previous.anchor, line.anchor), line=number)
        previous = line
        yield line


def _disorder(previous: Anchor, found: Anchor) -> str:
    if found.seq == previous.seq and found.entry_hash != previous.entry_hash:
        return f"two hashes for seq {found.seq}: {previous.entry_hash[:12]}… and {found.entry_hash[:12]}…"
    return f"seq {found.seq} comes after seq {previous.seq}; each must be greater than the one before"


def _is_torn(raw: bytes) -> bool:
    """True for half a line. A whole one without its newline counts: an editor may have saved the file."""
    return _TORN.fullmatch(raw) is not None and _LINE.fullmatch(raw) is None


def _parse(path: StrPath, raw: bytes, number: int | None) -> AnchorLine:
    match = _LINE.fullmatch(raw)
    if match is None:
        shown = ascii(raw[:80].decode("latin-1"))
        raise AnchorFileError(path, f"{shown} is not an anchor line; SEQ:HASH TIME is wanted", line=number)
    try:
        ts = parse_ts(match[3].decode("ascii"))
    except DelegoSpecError as error:
        raise AnchorFileError(path, str(error), line=number) from error
    return AnchorLine(Anchor(int(match[1]), Digest(match[2].decode("ascii"))), ts)


def _append(target: Path, anchor: Anchor, data: bytes) -> bool:
    descriptor = os.open(target, os.O_RDWR | os.O_CREAT | os.O_APPEND | _BINARY, PUBLIC)
    try:
        end = os.fstat(descriptor).st_size
        tail = _read_tail(descriptor, end)
        whole, newline, rest = tail.rpartition(b"\n")
        if _is_torn(rest):
            end -= len(rest)
            os.ftruncate(descriptor, end)
            rest = b""
        newest = _parse(target, rest or whole.rpartition(b"\n")[2], None) if rest or newline else None
        is_newer = newest is None or _is_newer(target, newest.anchor, anchor)
        if is_newer:
            _write(descriptor, (b"\n" if rest else b"") + data + b"\n", end)
        os.fsync(descriptor)  # where nothing is added too: the newest line may be another's, not yet synced
    finally:
        os.close(descriptor)
    if newest is None:
        sync_directory(target.parent)
    return is_newer


def _is_newer(target: Path, newest: Anchor, anchor: Anchor) -> bool:
    if anchor.seq == newest.seq and anchor.entry_hash != newest.entry_hash:
        raise AnchorFileError(target, _disorder(newest, anchor))
    return anchor.seq > newest.seq


def _read_tail(descriptor: int, size: int) -> bytes:
    os.lseek(descriptor, -min(size, _TAIL_BYTES), os.SEEK_END)
    data = b""
    while chunk := os.read(descriptor, _TAIL_BYTES):
        data += chunk
    return data


def _write(descriptor: int, data: bytes, end: int) -> None:
    try:
        write_all(descriptor, data)
    except OSError:
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, end)  # a full disk took part of the line
        raise
