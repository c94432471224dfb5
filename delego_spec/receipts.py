"""Receipts (§8): one signed, hash-linked record of one decision or execution.

    entry_hash = H(payload)        signature = hex(Ed25519(key, UTF8(entry_hash)))

A receipt travels as one line: the payload's own canonical bytes, with ``entry_hash`` and ``signature``
added behind them, so that what was hashed is what is stored and what is exported. Not here: checking a
chain of them (``chain``).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import msgspec

from delego_spec.anchors import Anchor
from delego_spec.canonical import MAX_BYTES, MAX_INTEGER, canonical, parse_json
from delego_spec.ed25519 import Signer
from delego_spec.errors import CanonicalError, ReceiptError
from delego_spec.timestamps import format_ts
from delego_spec.types import ApprovalId, Digest, JSONObject, Micros, is_digest

Phase: TypeAlias = Literal["decision", "execution"]
Outcome: TypeAlias = Literal["allow", "deny", "needs_approval"]

GENESIS: Final = "GENESIS"  # prev_hash of the first receipt
MAX_PAYLOAD_BYTES: Final = MAX_BYTES  # a payload is canonical JSON and shares its limit (§3)
MAX_LINE_BYTES: Final = 1024 * 1024  # of one receipt as a line, context included

PAYLOAD_FIELDS: Final = frozenset(
    {
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
    }
)
RECEIPT_FIELDS: Final = PAYLOAD_FIELDS | {"entry_hash", "signature"}


class Payload(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """The eleven signed fields. Declared in alphabetical order, so that encoding it is canonical."""

    action_fingerprint: str
    action_summary: str
    approval_id: str | None
    intent_hash: str
    outcome: Outcome
    phase: Phase
    prev_hash: str
    reasons: tuple[str, ...]
    rule: str | None
    seq: int
    ts: str


class Line(Payload, frozen=True, forbid_unknown_fields=True, gc=False):
    """A payload and what ``encode_line`` adds to it, in the same order."""

    entry_hash: str
    signature: str
    context: dict[str, str] | msgspec.UnsetType = msgspec.UNSET  # any other object is read the slow way


_encode: Final = msgspec.json.Encoder(order="deterministic").encode
_encode_lines: Final = msgspec.json.Encoder(order="deterministic").encode_lines
_decode_payload: Final = msgspec.json.Decoder(Payload).decode
_decode_lines: Final = msgspec.json.Decoder(Line).decode_lines
# What `encode_line` adds to a payload when there is no context, with the closing brace that it takes off.
_TAIL_BYTES: Final = len(b',"entry_hash":""') + 64 + len(b',"signature":""}') + 128
_SIGNATURE: Final = re.compile(r"[0-9a-f]{128}")
_NOT_READ: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


@dataclass(frozen=True, slots=True)
class Entry:
    """What a receipt says; the ledger adds place, time, link, hash and signature."""

    phase: Phase
    outcome: Outcome
    rule: str | None
    reasons: tuple[str, ...]
    intent_hash: Digest
    action_fingerprint: Digest
    action_summary: str
    approval_id: ApprovalId | None = None


@dataclass(frozen=True, slots=True)
class Sealed:
    """An entry in its place in the chain: the bytes that are hashed, and their hash. Not signed yet."""

    seq: int
    payload: bytes
    entry_hash: Digest


@dataclass(frozen=True, slots=True)
class Receipt:
    """One signed receipt. ``context`` is unsigned (§8.4) and never read by a decision or by verification."""

    payload: Payload
    payload_bytes: bytes
    entry_hash: Digest
    signature: str
    context: JSONObject | None = None

    @property
    def anchor(self) -> Anchor:
        """Its place and hash: what a later check can look for (§8.3)."""
        return Anchor(self.payload.seq, self.entry_hash)

    @property
    def line(self) -> bytes:
        """The receipt as one line of JSON Lines, without the newline."""
        return encode_line(self.payload_bytes, self.entry_hash, self.signature, self.context)


def seal(entry: Entry, *, seq: int, ts: Micros, prev_hash: str) -> Sealed:
    """Put an entry in its place: build the payload and hash it (§8).

    ``prev_hash`` is the entry_hash before it, or ``GENESIS``. Raises ReceiptError for what verification would
    refuse (a hash or a place that is none, a lone surrogate, more bytes than canonical JSON may have),
    TimestampError for a time outside the years 1970–9999.
    """
    for name in ("intent_hash", "action_fingerprint"):
        if not is_digest(getattr(entry, name)):
            raise ReceiptError(f"receipt: {name!r} is not 64 lower-case hexadecimal digits")
    if not 0 <= seq <= MAX_INTEGER:
        raise ReceiptError(f"receipt: seq is {seq!r:.40}; it must be from 0 to 2^53-1")
    try:
        payload = _encode(
            Payload(
                action_fingerprint=entry.action_fingerprint,
                action_summary=entry.action_summary,
                approval_id=entry.approval_id,
                intent_hash=entry.intent_hash,
                outcome=entry.outcome,
                phase=entry.phase,
                prev_hash=prev_hash,
                reasons=entry.reasons,
                rule=entry.rule,
                seq=seq,
                ts=format_ts(ts),
            )
        )
    except UnicodeEncodeError:
        raise ReceiptError("receipt: contains a lone surrogate") from None
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise ReceiptError(f"a receipt of {len(payload)} bytes is too large; at most {MAX_PAYLOAD_BYTES}")
    return Sealed(seq, payload, Digest(hashlib.sha256(payload).hexdigest()))


def sign(entry_hash: Digest, signer: Signer) -> str:
    """The receipt's signature: 128 lower-case hexadecimal digits over the 64 of the hash (§8)."""
    return signer.sign(entry_hash.encode()).hex()


def encode_line(payload: bytes, entry_hash: str, signature: str, context: JSONObject | None = None) -> bytes:
    """One receipt as one line, without the newline: the hashed bytes unchanged, then what was added.

    Raises CanonicalError for a context that is not canonical JSON.
    """
    extra = None if context is None else canonical(context, name="context")
    return join_line(payload, entry_hash, signature, extra)


def join_line(payload: bytes, entry_hash: str, signature: str, context: bytes | None) -> bytes:
    """``encode_line`` for a context that is canonical bytes already."""
    tail = f',"entry_hash":"{entry_hash}","signature":"{signature}"'.encode()
    if context is not None:
        tail += b',"context":' + context
    return payload[:-1] + tail + b"}"


def read_lines(lines: Sequence[bytes]) -> list[Line] | None:
    """Consecutive lines, if all are spelled as ``encode_line`` spells them and hold no more than strings in
    their context; else None.

    Equal bytes after a round trip leave no room for duplicate members, for a second spelling or for members
    that nobody knows.
    """
    text = b"\n".join((*lines, b""))
    try:
        found = _decode_lines(text)
    except _NOT_READ:
        return None
    return found if len(found) == len(lines) and _encode_lines(found) == text else None


def payload_of(line: bytes, found: Line) -> bytes:
    """The payload's bytes in a line that ``read_lines`` read, whose hash and signature have their lengths.

    Inside a JSON string the quotes are escaped, and the context holds no object, so that what is looked for
    stands in one place.
    """
    end = len(line) if found.context is msgspec.UNSET else line.rindex(b',"context":{') + 1
    return line[: end - _TAIL_BYTES] + b"}"


def _in_domain(line: bytes, payload: bytes, found: Line) -> bool:
    """Whether a line that ``read_lines`` read keeps to the limits of canonical JSON (§3) and to its form."""
    return (
        -MAX_INTEGER <= found.seq <= MAX_INTEGER
        and is_digest(found.entry_hash)
        and _SIGNATURE.fullmatch(found.signature) is not None
        and len(payload) <= MAX_PAYLOAD_BYTES
        and len(line) <= MAX_LINE_BYTES
        and (found.context is msgspec.UNSET or has_plain_keys(found.context))
    )


def has_plain_keys(context: dict[str, str]) -> bool:
    """False where the order of the keys may be disputed (§3), which is then looked at the slow way."""
    return all(map(str.isascii, context))


def decode_members(line: bytes) -> JSONObject:
    """The members of one line, strictly read: UTF-8, no duplicates, an object. Raises ReceiptError."""
    try:
        members = parse_json(line, name="receipt", max_bytes=MAX_LINE_BYTES)
    except CanonicalError as error:
        raise ReceiptError(str(error)) from None
    if type(members) is not dict:
        raise ReceiptError("receipt: is not an object")
    return members


def decode_line(line: bytes) -> Receipt:
    """Read one line in any JSON spelling. Raises ReceiptError. The receipt is read, *not* verified."""
    read = read_lines((line,))
    if read and _in_domain(line, payload := payload_of(line, read[0]), found := read[0]):
        extra: JSONObject | None = None if found.context is msgspec.UNSET else {**found.context}
        return Receipt(decode_payload(payload), payload, Digest(found.entry_hash), found.signature, extra)
    members = decode_members(line)
    context = members.pop("context", None)
    missing = sorted(RECEIPT_FIELDS - members.keys())
    unknown = sorted(members.keys() - RECEIPT_FIELDS)
    if missing or unknown:
        raise ReceiptError(f"receipt: missing field(s) {missing}, unknown field(s) {unknown}")
    entry_hash, signature = members.pop("entry_hash"), members.pop("signature")
    if type(entry_hash) is not str or type(signature) is not str or not isinstance(context, dict | None):
        raise ReceiptError("receipt: 'entry_hash' and 'signature' are strings, 'context' is an object")
    try:
        payload_bytes = canonical(members, name="receipt")
    except CanonicalError as error:
        raise ReceiptError(str(error)) from None
    return Receipt(decode_payload(payload_bytes), payload_bytes, Digest(entry_hash), signature, context)


def decode_payload(payload: bytes) -> Payload:
    """Read the eleven fields and check their types. Raises ReceiptError."""
    try:
        return _decode_payload(payload)
    except _NOT_READ as error:
        raise ReceiptError(f"receipt: {str(error)[:200].lower()}") from None
