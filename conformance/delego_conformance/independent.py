"""Tokens and chains checked with other libraries than those of the packages that we may have to judge.

What is checked comes from the implementation under test and may be anything: nothing here raises.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import Any, Final

import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from delego_conformance.strict_json import is_same, strict_json
from delego_conformance.vectors import JSONObject

PAYLOAD: Final = frozenset(
    [
        "seq",
        "ts",
        "phase",
        "outcome",
        "rule",
        "reasons",
        "intent_hash",
        "action_fingerprint",
        "action_summary",
        "approval_id",
        "prev_hash",
    ]
)
_SEAL: Final = frozenset({"entry_hash", "signature"})
_HEX: Final = re.compile(r"(?:[0-9a-f]{2})*")
_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]*")


def jws_problem(token: Any, header: JSONObject, claims: JSONObject, public_key_hex: str) -> str | None:
    """Why ``token`` is no compact JWS with exactly these header and claims, signed by this key; or None."""
    if not isinstance(token, str):
        return "the token is no text"
    parts = token.split(".")
    if len(parts) != 3:
        return f"the token has {len(parts)} parts, not 3"
    try:
        decoded = [_base64url(part) for part in parts]
        for name, wanted, data in (("header", header, decoded[0]), ("claims", claims, decoded[1])):
            found = _parsed(f"the token's {name}", data)
            if not is_same(wanted, found):
                return f"the token's {name} {_difference(wanted, found)}"
    except ValueError as error:
        return str(error)
    signed = f"{parts[0]}.{parts[1]}".encode("ascii")
    if not is_signed(public_key_hex, signed, decoded[2]):
        return "the token's signature does not verify"
    return None


def receipts_problem(jsonl_b64: Any, public_key_hex: Any, wanted: list[JSONObject]) -> str | None:
    """Why this is no sound chain of the receipts wanted (each with the members named); or None."""
    if not isinstance(jsonl_b64, str) or not isinstance(public_key_hex, str):
        return "jsonl_b64 or public_key_hex is no text"
    try:
        data = base64.b64decode(jsonl_b64.encode("ascii"), validate=True)
    except (ValueError, binascii.Error):
        return "jsonl_b64 is not base64"
    lines = data.split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    previous = "GENESIS"
    receipts: list[JSONObject] = []
    for seq, line in enumerate(lines):
        try:
            receipt = _parsed(f"receipt {seq}", line)
        except ValueError as error:
            return str(error)
        problem = _unsound(receipt, seq, previous, public_key_hex)
        if problem is not None:
            return f"receipt {seq} {problem}"
        previous = receipt["entry_hash"]
        receipts.append(receipt)
    if len(receipts) != len(wanted):
        return f"the chain has {len(receipts)} receipts, not {len(wanted)}"
    for seq, (members, receipt) in enumerate(zip(wanted, receipts, strict=True)):
        for name, value in members.items():
            if name not in receipt or not is_same(value, receipt[name]):
                return f"receipt {seq} has {name} {receipt.get(name)!r:.120}, not {value!r:.120}"
    return None


def is_signed(public_key_hex: str, message: bytes, signature: bytes) -> bool:
    """Whether this key made this Ed25519 signature. False for a key that is no key."""
    if _HEX.fullmatch(public_key_hex) is None:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key_hex)).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _unsound(receipt: Any, seq: int, previous: str, public_key_hex: str) -> str | None:
    if not isinstance(receipt, dict):
        return "is no object"
    names = receipt.keys()
    if (missing := (PAYLOAD | _SEAL) - names) or (unknown := names - PAYLOAD - _SEAL - {"context"}):
        return f"lacks {min(missing)}" if missing else f"has an unknown member {min(unknown)!r:.80}"
    if type(receipt["seq"]) is not int or receipt["seq"] != seq:
        return f"has seq {receipt['seq']!r:.40}"
    if receipt["prev_hash"] != previous:
        return "does not follow the one before"
    try:
        payload = rfc8785.dumps({name: receipt[name] for name in PAYLOAD})
    except (rfc8785.CanonicalizationError, ValueError) as error:
        return f"cannot be hashed: {error!s:.120}"
    if receipt["entry_hash"] != hashlib.sha256(payload).hexdigest():
        return "has another entry_hash than its payload"
    signature = receipt["signature"]
    if not isinstance(signature, str) or len(signature) != 128 or _HEX.fullmatch(signature) is None:
        return "has a signature that is not 128 lower-case hexadecimal digits"
    if not is_signed(public_key_hex, receipt["entry_hash"].encode(), bytes.fromhex(signature)):
        return "has a signature that does not verify"
    return None


def _parsed(what: str, data: bytes) -> Any:
    try:
        return strict_json(data)
    except ValueError as error:
        raise ValueError(f"{what} {error}") from None


def _base64url(part: str) -> bytes:
    # Without padding, and each octet string has one spelling: a second one would be a second token.
    if _BASE64URL.fullmatch(part) is not None and len(part) % 4 != 1:
        data = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
        if base64.urlsafe_b64encode(data).rstrip(b"=") == part.encode():
            return data
    raise ValueError("a part of the token is not base64url without padding")


def _difference(wanted: JSONObject, found: Any) -> str:
    if not isinstance(found, dict):
        return "is no object"
    for name in sorted(wanted.keys() | found.keys()):
        if name not in found:
            return f"lacks {name!r}"
        if name not in wanted:
            return f"has {name!r:.80}, which was not asked for"
        if not is_same(wanted[name], found[name]):
            return f"has {name} {found[name]!r:.120}, not {wanted[name]!r:.120}"
    return "differs"
