"""Builds chains of receipts for tests, sound or broken, with a fixed key and fixed times."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from delego_spec.canonical import canonical
from delego_spec.ed25519 import SeedSigner
from delego_spec.receipts import GENESIS, Entry, encode_line, seal, sign
from delego_spec.types import ApprovalId, Digest, JSONObject, Micros

SIGNER = SeedSigner(bytes(range(32)))
STRANGER = SeedSigner(bytes(range(1, 33)))
KEY = SIGNER.public_key
START = Micros(1_767_225_600_000_000)  # 2026-01-01T00:00:00Z

ENTRY = Entry(
    phase="execution",
    outcome="allow",
    rule="small orders",
    reasons=("amount: 2400 within max 5000", "executed via broker"),
    intent_hash=Digest("ab" * 32),
    action_fingerprint=Digest("cd" * 32),
    action_summary='POST api.example.com/orders {"amount":2400,"note":"näh \\u2028 \\"x\\""}',
    approval_id=None,
)
DENIED = replace(ENTRY, phase="decision", outcome="deny", rule=None, approval_id=ApprovalId("a-1"))


def chain(count: int, *, context: JSONObject | None = None, signer: SeedSigner = SIGNER) -> list[bytes]:
    """A sound chain of ``count`` lines; every third receipt is a refusal without context."""
    lines: list[bytes] = []
    prev_hash = GENESIS
    for seq in range(count):
        entry, extra = (DENIED, None) if seq % 3 == 2 else (ENTRY, context)
        sealed = seal(entry, seq=seq, ts=Micros(START + seq), prev_hash=prev_hash)
        prev_hash = sealed.entry_hash
        lines.append(encode_line(sealed.payload, prev_hash, sign(sealed.entry_hash, signer), extra))
    return lines


def payload(seq: int = 0, prev_hash: str = GENESIS, **change: Any) -> dict[str, Any]:
    """The eleven members of one payload, with some of them changed."""
    return {
        "seq": seq,
        "ts": "2026-01-01T00:00:00.000000+00:00",
        "phase": "decision",
        "outcome": "deny",
        "rule": None,
        "reasons": ["no rule matched; default = deny"],
        "intent_hash": "ab" * 32,
        "action_fingerprint": "cd" * 32,
        "action_summary": "GET api.example.com/",
        "approval_id": None,
        "prev_hash": prev_hash,
        **change,
    }


def signed(members: dict[str, Any], **change: Any) -> dict[str, Any]:
    """A payload, soundly hashed and signed whatever it says; then changed."""
    entry_hash = hashlib.sha256(canonical(members)).hexdigest()
    return {
        **members,
        "entry_hash": entry_hash,
        "signature": SIGNER.sign(entry_hash.encode()).hex(),
        **change,
    }


def line(members: dict[str, Any]) -> bytes:
    return canonical(members)


def own_line(members: dict[str, Any]) -> bytes:
    """A signed receipt as this project spells it: the hashed bytes, then what was added."""
    added = {name: members[name] for name in ("entry_hash", "signature")}
    hashed = {name: value for name, value in members.items() if name not in (*added, "context")}
    return encode_line(canonical(hashed), added["entry_hash"], added["signature"], members.get("context"))


def texts(problems: Sequence[object]) -> list[str]:
    return [str(problem) for problem in problems]
