"""The file of known failures: one vector a line, each with its reason.

# what stands behind '#' at the start of a line is not read
FP-0042  the query is not sorted yet, our issue 17
"""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path
from typing import Final

from delego_conformance.errors import KnownFailuresError

MAX_BYTES: Final = 4 * 1024 * 1024  # of a file


def load_known(path: Path, ids: Container[str]) -> dict[str, str]:
    """Vector id → reason. ``ids`` are those that exist. Raises KnownFailuresError."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:  # a device, or the wrong file
            raise KnownFailuresError(str(path), f"is larger than {MAX_BYTES} bytes")
        text = data.decode("utf-8-sig")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise KnownFailuresError(str(path), f"cannot be read: {reason}") from None
    except UnicodeDecodeError:
        raise KnownFailuresError(str(path), "is not UTF-8") from None
    return read_known(text, ids, source=str(path))


def read_known(text: str, ids: Container[str], *, source: str) -> dict[str, str]:
    """The same, of a text. An id that is unknown or stands twice is an error, and one without a reason."""
    known: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        one, _, reason = line.replace("\t", " ").partition(" ")
        where = f"{source}:{number}"
        if one not in ids:
            raise KnownFailuresError(where, f"there is no vector {one!r:.60}")
        if one in known:
            raise KnownFailuresError(where, f"{one} stands twice")
        if not reason.strip():
            raise KnownFailuresError(where, f"{one} has no reason; write '{one}  why it fails'")
        known[one] = reason.strip()
    return known
