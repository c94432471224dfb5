"""Receipts: the hashed bytes are what is stored, and one line is read strictly."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chains import ENTRY, KEY, SIGNER, START, chain, line, payload, signed
from delego_spec.anchors import Anchor
from delego_spec.canonical import canonical
from delego_spec.errors import CanonicalError, DelegoSpecError, ReceiptError, TimestampError
from delego_spec.receipts import (
    GENESIS,
    MAX_LINE_BYTES,
    MAX_PAYLOAD_BYTES,
    Entry,
    Receipt,
    decode_line,
    decode_payload,
    encode_line,
    join_line,
    seal,
    sign,
)
from delego_spec.types import ApprovalId, Digest, Micros

ENTRIES = st.builds(
    Entry,
    phase=st.sampled_from(["decision", "execution"]),
    outcome=st.sampled_from(["allow", "deny", "needs_approval"]),
    rule=st.none() | st.text(max_size=20),
    reasons=st.lists(st.text(max_size=20), max_size=3).map(tuple),
    intent_hash=st.just(Digest("ab" * 32)),
    action_fingerprint=st.just(Digest("cd" * 32)),
    action_summary=st.text(max_size=60),
    approval_id=st.none() | st.text(max_size=9).map(ApprovalId),
)
CONTEXTS = st.none() | st.dictionaries(st.text(max_size=5), st.text(max_size=5) | st.booleans(), max_size=3)


def sealed_line(entry: Entry, context: dict[str, Any] | None = None) -> bytes:
    sealed = seal(entry, seq=3, ts=START, prev_hash=GENESIS)
    return encode_line(sealed.payload, sealed.entry_hash, sign(sealed.entry_hash, SIGNER), context)


def test_a_sealed_payload_is_canonical_json_of_exactly_the_eleven_members() -> None:
    sealed = seal(replace(ENTRY, approval_id=ApprovalId("a-1")), seq=7, ts=START, prev_hash="00" * 32)
    members = {
        "seq": 7,
        "ts": "2026-01-01T00:00:00.000000+00:00",
        "phase": "execution",
        "outcome": "allow",
        "rule": "small orders",
        "reasons": list(ENTRY.reasons),
        "intent_hash": "ab" * 32,
        "action_fingerprint": "cd" * 32,
        "action_summary": ENTRY.action_summary,
        "approval_id": "a-1",
        "prev_hash": "00" * 32,
    }
    assert sealed.payload == canonical(members)
    assert sealed.entry_hash == hashlib.sha256(canonical(members)).hexdigest()
    assert sealed.seq == 7


@given(ENTRIES)
def test_any_payload_is_encoded_as_the_canonicalizer_encodes_it(entry: Entry) -> None:
    encoded = seal(entry, seq=0, ts=START, prev_hash=GENESIS).payload
    assert encoded == canonical(json.loads(encoded))


def test_the_signature_is_over_the_digits_of_the_hash() -> None:
    sealed = seal(ENTRY, seq=0, ts=START, prev_hash=GENESIS)
    signature = sign(sealed.entry_hash, SIGNER)
    assert len(signature) == 128
    assert KEY.verify(sealed.entry_hash.encode("ascii"), bytes.fromhex(signature))


@pytest.mark.parametrize("seq", [-1, 2**53])
def test_a_place_that_verification_would_refuse_is_not_sealed(seq: int) -> None:
    with pytest.raises(ReceiptError, match="seq is"):
        seal(ENTRY, seq=seq, ts=START, prev_hash="00" * 32)


@pytest.mark.parametrize("name", ["intent_hash", "action_fingerprint"])
@pytest.mark.parametrize("value", ["", "AB" * 32, "ab" * 31, "ab" * 32 + "\n"])
def test_an_entry_whose_hash_is_none_is_not_sealed(name: str, value: str) -> None:
    with pytest.raises(ReceiptError, match=f"'{name}' is not 64 lower-case"):
        seal(replace(ENTRY, **{name: value}), seq=0, ts=START, prev_hash=GENESIS)


def test_an_entry_with_a_lone_surrogate_is_not_sealed() -> None:
    with pytest.raises(ReceiptError, match="lone surrogate"):
        seal(replace(ENTRY, rule="\ud800"), seq=0, ts=START, prev_hash=GENESIS)


def test_a_payload_may_be_as_large_as_canonical_json_and_no_larger() -> None:
    room = MAX_PAYLOAD_BYTES - len(seal(replace(ENTRY, rule=""), seq=0, ts=START, prev_hash=GENESIS).payload)
    assert len(seal(replace(ENTRY, rule="x" * room), seq=0, ts=START, prev_hash=GENESIS).payload) == 262144
    with pytest.raises(ReceiptError, match="a receipt of 262145 bytes is too large; at most 262144"):
        seal(replace(ENTRY, rule="x" * (room + 1)), seq=0, ts=START, prev_hash=GENESIS)


def test_a_time_outside_the_protocol_is_not_sealed() -> None:
    with pytest.raises(TimestampError):
        seal(ENTRY, seq=0, ts=Micros(-1), prev_hash=GENESIS)


@given(ENTRIES, CONTEXTS)
def test_a_line_is_read_back_as_it_was_written(entry: Entry, context: dict[str, Any] | None) -> None:
    try:
        text = sealed_line(entry, context)
    except CanonicalError:
        return  # keys whose order is disputed
    receipt = decode_line(text)
    assert receipt.line == text
    assert receipt.context == context
    assert receipt.payload_bytes == seal(entry, seq=3, ts=START, prev_hash=GENESIS).payload
    assert receipt.payload.action_summary == entry.action_summary
    assert receipt.anchor == Anchor(3, receipt.entry_hash)


@given(st.sampled_from(chain(3, context={"principal": "agent-1"})))
def test_another_spelling_is_read_as_the_same_receipt(text: bytes) -> None:
    assert decode_line(json.dumps(json.loads(text), indent=2).encode()) == decode_line(text)


def test_a_context_of_canonical_bytes_is_joined_unchanged() -> None:
    sealed = seal(ENTRY, seq=3, ts=START, prev_hash=GENESIS)
    signature = sign(sealed.entry_hash, SIGNER)
    joined = join_line(sealed.payload, sealed.entry_hash, signature, b'{"a":1}')
    assert joined == encode_line(sealed.payload, sealed.entry_hash, signature, {"a": 1})


def test_a_context_that_is_not_json_is_refused() -> None:
    with pytest.raises(CanonicalError, match="context"):
        sealed_line(ENTRY, {"a": {1, 2}})


def test_text_that_looks_like_the_tail_of_a_line_stays_in_its_string() -> None:
    text = sealed_line(
        replace(ENTRY, rule=',"entry_hash":"' + "0" * 64), {"entry_hash": ',"entry_hash":"', "signature": "x"}
    )
    receipt = decode_line(text)
    assert receipt.line == text
    assert hashlib.sha256(receipt.payload_bytes).hexdigest() == receipt.entry_hash


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"", "is not JSON"),
        (b"[]", "is not an object"),
        (b"\xff", "is not UTF-8"),
        (b" " * (MAX_LINE_BYTES + 1), "at most 1048576 are allowed"),
        (b'{"a":1,"a":2}', "twice"),
        (b"\n".join(chain(2)), "is not JSON"),
        (b"{}", "missing field(s) ['action_fingerprint', "),
        (line(signed(payload()) | {"x": 1}), "missing field(s) [], unknown field(s) ['x']"),
        (line(signed(payload()) | {"signature": 7}), "'entry_hash' and 'signature' are strings"),
        (line(signed(payload()) | {"entry_hash": None}), "'entry_hash' and 'signature' are strings"),
        (line(signed(payload()) | {"context": "x"}), "'context' is an object"),
        (line(signed(payload(phase="banana"))), "invalid enum value 'banana'"),
        (line(signed(payload())).replace(b"GET", b"G" * 300_000), "at most 262144 are allowed"),
        (line(signed(payload())).replace(b'"seq":0', b'"seq":9007199254740992'), "2^53-1"),
    ],
)
def test_a_line_that_is_no_receipt_is_refused(text: bytes, problem: str) -> None:
    with pytest.raises(ReceiptError) as caught:
        decode_line(text)
    assert problem in str(caught.value)


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_but_this_packages_errors(data: bytes) -> None:
    for read in (decode_line, decode_payload):
        with pytest.raises(DelegoSpecError):
            read(data)


@pytest.mark.parametrize("context", [None, {"context": "x"}, {"a": ',"context":{', "entry_hash": "x"}])
@pytest.mark.parametrize("entry_hash", ["", "0" * 64, 'x",\\"é', "0" * 100])
@pytest.mark.parametrize("signature", ["", "0" * 128, 'x",\\"é', "0" * 129])
def test_a_hash_or_signature_of_another_length_does_not_move_the_payload(
    context: dict[str, Any] | None, entry_hash: str, signature: str
) -> None:
    sealed = seal(ENTRY, seq=3, ts=START, prev_hash=GENESIS)
    added = canonical({"entry_hash": entry_hash, "signature": signature})[1:-1]
    extra = b"" if context is None else b',"context":' + canonical(context)
    receipt = decode_line(sealed.payload[:-1] + b"," + added + extra + b"}")
    assert receipt.payload_bytes == sealed.payload
    assert (receipt.entry_hash, receipt.signature, receipt.context) == (entry_hash, signature, context)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"seq":3', b'"seq":9007199254740992'),
        (b'"small orders"', b'"' + b"x" * MAX_PAYLOAD_BYTES + b'"'),
        (b'{"k":"v"}', b'{"k":"' + b"v" * MAX_LINE_BYTES + b'"}'),
        (b'{"k":"v"}', '{"\ue000":"v","\U00010000":"v"}'.encode()),
    ],
)
def test_our_own_spelling_keeps_to_the_limits_of_any_other(old: bytes, new: bytes) -> None:
    text = sealed_line(ENTRY, {"k": "v"})
    assert old in text
    with pytest.raises(ReceiptError):
        decode_line(text.replace(old, new))


def test_a_receipt_is_a_value() -> None:
    first, second = decode_line(sealed_line(ENTRY)), decode_line(sealed_line(ENTRY))
    assert first == second
    assert isinstance(first, Receipt)
    with pytest.raises(AttributeError):
        first.signature = ""  # type: ignore[misc]  # that is the point
