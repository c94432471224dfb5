"""Receipts, tokens and decisions, sound or broken on purpose, for the suites that need them.

Built with ``cryptography`` and ``rfc8785`` alone, so that what the vectors hold does not come from the code
that they judge. The keys are the published test keys of RFC 8032, section 7.1; nobody may use them.
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any, Final

import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from delego_conformance.vectors import JSONObject

LEDGER_SEED: Final = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
TOKEN_SEED: Final = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
ALICE_SEED: Final = bytes.fromhex("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7")
STRANGER_SEED: Final = bytes(range(1, 33))  # a key that nobody trusts

FINGERPRINT: Final = "4327df2637072bf058622d1f8baea6e431726f7332a50cd12ec970d6e43c2fd2"  # of the order
INTENT: Final = "76f8eef1b97e1213a59eec28cedf15bb999fdb00a3fd17f8343bc4676fdbb4f3"


def sign(seed: bytes, message: bytes) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(seed).sign(message)


def public_key(seed: bytes) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def key_id(seed: bytes) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of the raw public key (§7.3-3)."""
    return hashlib.sha256(public_key(seed)).hexdigest()[:16]


def canonical(value: Any) -> bytes:
    """The bytes of §3, for values on which there is no dispute."""
    return rfc8785.dumps(value)


def digest(value: Any) -> str:
    """``H`` of §3."""
    return hashlib.sha256(canonical(value)).hexdigest()


# --- receipts ---------------------------------------------------------------------------------------------

GENESIS: Final = "GENESIS"
PAYLOAD: Final[JSONObject] = {
    "seq": 0,
    "ts": "2026-01-01T12:00:00.000000+00:00",
    "phase": "decision",
    "outcome": "deny",
    "rule": None,
    "reasons": ["no rule matched; default = deny"],
    "intent_hash": INTENT,
    "action_fingerprint": FINGERPRINT,
    "action_summary": 'POST api.example.com/orders {"amount":2400,"currency":"USD","destination":"internal"}',
    "approval_id": None,
    "prev_hash": GENESIS,
}


def signed(payload: JSONObject, seed: bytes = LEDGER_SEED) -> JSONObject:
    """A receipt that is soundly hashed and signed, whatever it says."""
    entry_hash = digest(payload)
    return {**payload, "entry_hash": entry_hash, "signature": sign(seed, entry_hash.encode()).hex()}


def chain(*changes: JSONObject, seed: bytes = LEDGER_SEED) -> list[JSONObject]:
    """As many linked receipts as changes; a change may overrule ``seq`` and ``prev_hash`` as well."""
    receipts: list[JSONObject] = []
    for seq, change in enumerate(changes):
        prev_hash = receipts[-1]["entry_hash"] if receipts else GENESIS
        receipts.append(signed({**PAYLOAD, "seq": seq, "prev_hash": prev_hash, **change}, seed))
    return receipts


def line(receipt: JSONObject) -> bytes:
    """A receipt as one line of canonical JSON."""
    return canonical(receipt)


def lines(receipts: list[JSONObject]) -> bytes:
    return b"".join(line(one) + b"\n" for one in receipts)


# --- tokens -----------------------------------------------------------------------------------------------


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def compact(header: bytes | str, claims: bytes | str, seed: bytes = TOKEN_SEED) -> str:
    """A token that is soundly signed over these parts; bytes are encoded, text stands as it is."""
    head, body = (part if isinstance(part, str) else base64url(part) for part in (header, claims))
    return f"{head}.{body}.{base64url(sign(seed, f'{head}.{body}'.encode()))}"


def text(value: JSONObject) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


# --- decisions --------------------------------------------------------------------------------------------

SIGNED_PREFIX: Final = b"delego-approval-decision-v1\n"


def decision(members: JSONObject, bound: JSONObject, seed: bytes = ALICE_SEED) -> JSONObject:
    """A callback with its signature (§7.3-1); an absent note is signed as null. ``bound``: three hashes."""
    covered = {"decision_note": None, **members, **bound}
    return {**members, "signature": sign(seed, SIGNED_PREFIX + canonical(covered)).hex()}


def evidence_digest(callback: JSONObject, bound: JSONObject) -> str:
    """``H`` of the nine signed members and the signature."""
    return digest({"decision_note": None, **callback, **bound})
