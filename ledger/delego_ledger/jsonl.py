"""Receipts as JSON Lines: a file that any implementation of the protocol can verify by itself (§8.1).

Lines are split on LF alone. Other characters that editors take for line ends (U+2028, VT, NEL) may stand in a
receipt, and splitting on them would break a sound chain, or hide a broken one.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, Final

from delego_ledger.contract import Ledger
from delego_ledger.errors import EvidenceFileError, StorageError, StrPath
from delego_ledger.files import new_file
from delego_spec.canonical import canonical, parse_json
from delego_spec.errors import CanonicalError
from delego_spec.receipts import MAX_LINE_BYTES
from delego_spec.types import JSONObject

STDIN: Final = "-"

_EVERY: Final = 1024  # lines between two calls of a progress callback


def read_lines(path: StrPath) -> Iterator[bytes]:
    """The lines of a file, or of standard input for ``-``, as ``verify_lines`` takes them.

    Without their LF and one CR in front of it. A last line needs no LF. Of a line longer than a receipt may
    be, only its beginning is given, one byte more than is allowed, so that verification reports it and the
    memory stays small. Nothing else is interpreted: an empty line, or a byte order mark, is no receipt.
    Raises StorageError.
    """
    try:
        with _open(path) as stream:
            yield from lines_of(stream)
    except (OSError, ValueError) as error:
        raise StorageError("read", path, error, retry_safe=True) from error


def lines_of(stream: BinaryIO) -> Iterator[bytes]:
    """The lines of an open binary stream, as ``read_lines`` gives them. Raises what the stream raises."""
    longest = MAX_LINE_BYTES + len(b"\r\n")
    read = stream.readline
    while line := read(longest):
        if line.endswith(b"\n"):
            yield line[:-2] if line.endswith(b"\r\n") else line[:-1]
        elif len(line) < longest:
            yield line
        else:
            yield line[: MAX_LINE_BYTES + 1]
            while line and not line.endswith(b"\n"):
                line = read(longest)


def export_receipts(
    ledger: Ledger,
    to: StrPath | BinaryIO,
    *,
    start: int = 0,
    stop: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> int:
    """Write the receipts with ``start <= seq < stop`` as JSON Lines: the stored bytes, unchanged.

    ``to``: a path that must not be taken, which then holds all of them or does not exist, or an open binary
    stream, which is neither synced nor closed. ``progress`` gets the number written so far. Returns how many
    were written. Raises StorageError, and AlreadyExists for a path that is taken.
    """
    return _write((line + b"\n" for line in ledger.lines(start, stop)), to, progress)


def export_evidence(
    ledger: Ledger, to: StrPath | BinaryIO, *, progress: Callable[[int], None] | None = None
) -> int:
    """Write the signed evidence of all approvals, one canonical JSON object a line, in the order of hashes.

    The SHA-256 of a line, without its newline, is what a receipt's ``approval evidence sha256:…`` names. With
    this file, the receipts and the approvers' public keys, an auditor can check every yes without the
    ledger. See ``export_receipts`` for ``to``, ``progress`` and what is raised.
    """
    return _write((canonical(item) + b"\n" for _, item in ledger.evidence_items()), to, progress)


def read_evidence(path: StrPath) -> dict[str, JSONObject]:
    """The evidence in a file that ``export_evidence`` wrote (``-``: standard input), by hash.

    The hashes are computed here, never taken from the file. Raises StorageError when the file cannot be read,
    EvidenceFileError for a line that is not a canonical JSON object.
    """
    found: dict[str, JSONObject] = {}
    for number, line in enumerate(read_lines(path), 1):
        try:
            item = parse_json(line, name="evidence", max_bytes=MAX_LINE_BYTES)
            is_canonical = canonical(item, name="evidence") == line
        except CanonicalError as error:
            raise EvidenceFileError(path, str(error), line=number) from None
        if type(item) is not dict or not is_canonical:
            raise EvidenceFileError(path, "is not one object in canonical JSON", line=number)
        found[hashlib.sha256(line).hexdigest()] = item
    return found


def _open(path: StrPath) -> AbstractContextManager[BinaryIO]:
    if path == STDIN:
        # Not sys.stdin: a thread that is still reading it when the program ends would stop the shutdown.
        return open(0, "rb", closefd=False)
    return Path(path).open("rb")


def _write(lines: Iterable[bytes], to: StrPath | BinaryIO, progress: Callable[[int], None] | None) -> int:
    if isinstance(to, str | os.PathLike):
        with new_file(to) as file:
            return _copy(lines, file, progress)
    try:
        count = _copy(lines, to, progress)
        to.flush()  # the count is of receipts that have arrived
    except OSError as error:
        raise StorageError("write", "the output", error, retry_safe=False) from error
    return count


def _copy(lines: Iterable[bytes], to: BinaryIO, progress: Callable[[int], None] | None) -> int:
    count = 0
    for line in lines:
        rest = line
        while (written := to.write(rest)) < len(rest):  # an unbuffered stream may take less at a time
            rest = rest[written:]
        count += 1
        if progress is not None and count % _EVERY == 0:
            progress(count)
    if progress is not None:
        progress(count)
    return count
