"""Names for the primitive values that travel through every room."""

from __future__ import annotations

import re
from typing import Final, NewType, TypeAlias

Digest = NewType("Digest", str)  # SHA-256, 64 lower-case hexadecimal digits
ApprovalId = NewType("ApprovalId", str)
Micros = NewType("Micros", int)  # microseconds since 1970-01-01T00:00:00Z
EpochSeconds = NewType("EpochSeconds", int)  # seconds since 1970-01-01T00:00:00Z
KeyId = NewType("KeyId", str)  # names one public key; see ed25519.PublicKey.key_id

JSON: TypeAlias = "bool | int | float | str | list[JSON] | dict[str, JSON] | None"
JSONObject: TypeAlias = "dict[str, JSON]"

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


def is_digest(value: object) -> bool:
    """True for 64 lower-case hexadecimal digits. (``$`` would also match before a trailing newline.)"""
    return type(value) is str and _DIGEST.fullmatch(value) is not None
