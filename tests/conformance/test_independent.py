"""Tokens and chains are checked by other means than ours, and nothing they hold makes the check raise."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any, Final

import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from delego_conformance.independent import is_signed, jws_problem, receipts_problem

KEY: Final = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC: Final = KEY.public_key().public_bytes_raw().hex()
HEADER: Final = {"alg": "EdDSA", "kid": "k", "typ": "JWT"}
CLAIMS: Final = {"exp": 60, "apr": None}


def b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def token(header: bytes | None = None, claims: bytes | None = None) -> str:
    parts = [json.dumps(HEADER).encode() if header is None else header]
    parts.append(json.dumps(CLAIMS).encode() if claims is None else claims)
    signed = ".".join(map(b64url, parts))
    return f"{signed}.{b64url(KEY.sign(signed.encode()))}"


def test_a_signed_token_with_these_claims_is_sound() -> None:
    assert jws_problem(token(), HEADER, CLAIMS, PUBLIC) is None


def last_changed(text: str) -> str:
    return text[:-4] + ("AAAA" if text[-4:] != "AAAA" else "BBBB")


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (None, "the token is no text"),
        ("a.b", "the token has 2 parts, not 3"),
        (token(claims=b'{"exp": 60.0, "apr": null}'), "claims has exp 60.0, not 60"),
        (token(claims=b'{"exp": 60}'), "claims lacks 'apr'"),
        (token(claims=b'{"exp": 60, "apr": null, "x": 1}'), "claims has 'x', which was not asked for"),
        (token(claims=b'{"exp": 1, "exp": 60, "apr": null}'), 'claims has the member "exp" twice'),
        (token(claims=b"[]"), "claims is no object"),
        (token(header=b'{"alg":"none","kid":"k","typ":"JWT"}'), "header has alg 'none', not 'EdDSA'"),
        (token(header=b"\xff"), "header is not UTF-8 at byte 0"),
        (last_changed(token()), "signature does not verify"),
        (token() + "=", "base64url"),
        (token().replace(".", "é.", 1), "base64url"),
    ],
)
def test_a_token_that_is_not_so_is_found_out(found: Any, said: str) -> None:
    assert said in str(jws_problem(found, HEADER, CLAIMS, PUBLIC))


def test_a_second_spelling_of_the_same_octets_is_refused() -> None:
    signed, _, signature = token().rpartition(".")
    assert signature[-1] in "AQgw"  # 64 octets leave four unused bits in the last character
    after = chr(ord(signature[-1]) + 1)
    assert "base64url" in str(jws_problem(f"{signed}.{signature[:-1]}{after}", HEADER, CLAIMS, PUBLIC))


@pytest.mark.parametrize("key", ["", "zz", PUBLIC.upper(), PUBLIC[:-2], "00" * 31 + "80", f"{PUBLIC}\n"])
def test_a_key_that_is_no_key_has_signed_nothing(key: str) -> None:
    assert not is_signed(key, b"m", KEY.sign(b"m"))


def receipt(seq: int, previous: str, **changed: Any) -> dict[str, Any]:
    payload: dict[str, Any] = {
        "seq": seq,
        "ts": "2026-01-01T12:00:00.000000+00:00",
        "phase": "decision",
        "outcome": "allow",
        "rule": None,
        "reasons": ["é"],
        "intent_hash": "0" * 64,
        "action_fingerprint": "0" * 64,
        "action_summary": "GET api.example.com/",
        "approval_id": None,
        "prev_hash": previous,
        **changed,
    }
    entry_hash = hashlib.sha256(rfc8785.dumps(payload)).hexdigest()
    return {**payload, "entry_hash": entry_hash, "signature": KEY.sign(entry_hash.encode()).hex()}


def chain(*outcomes: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    previous = "GENESIS"
    for seq, outcome in enumerate(outcomes):
        found.append(receipt(seq, previous, outcome=outcome))
        previous = found[-1]["entry_hash"]
    return found


def packed(receipts: list[dict[str, Any]]) -> str:
    return base64.b64encode("".join(json.dumps(one) + "\n" for one in receipts).encode()).decode()


WANTED: Final = [{"outcome": "allow", "seq": 0}, {"outcome": "deny"}]


def test_a_sound_chain_of_the_receipts_wanted_is_sound() -> None:
    assert receipts_problem(packed(chain("allow", "deny")), PUBLIC, WANTED) is None
    assert receipts_problem("", PUBLIC, []) is None


def test_context_may_stand_beside_the_payload() -> None:
    first, second = chain("allow", "deny")
    assert receipts_problem(packed([{**first, "context": {"a": 1}}, second]), PUBLIC, WANTED) is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"outcome": "deny"}, "receipt 0 has another entry_hash than its payload"),
        ({"seq": False}, "receipt 0 has seq False"),
        ({"seq": 0.0}, "receipt 0 has seq 0.0"),
        ({"prev_hash": "0" * 64}, "receipt 0 does not follow the one before"),
        ({"note": 1}, "receipt 0 has an unknown member 'note'"),
        ({"signature": "0" * 128}, "receipt 0 has a signature that does not verify"),
        ({"signature": "AA" * 64}, "receipt 0 has a signature that is not 128 lower-case"),
        ({"signature": None}, "receipt 0 has a signature that is not 128 lower-case"),
        ({"reasons": [2**60]}, "receipt 0 cannot be hashed"),
        ({"entry_hash": None}, "receipt 0 has another entry_hash"),
    ],
)
def test_a_receipt_that_is_changed_is_found_out(change: dict[str, Any], said: str) -> None:
    first, second = chain("allow", "deny")
    assert said in str(receipts_problem(packed([{**first, **change}, second]), PUBLIC, WANTED))


def test_chains_that_are_not_those_wanted_are_found_out() -> None:
    first, second = chain("allow", "deny")
    del first["rule"]
    assert "receipt 0 lacks rule" in str(receipts_problem(packed([first, second]), PUBLIC, WANTED))
    assert "has 1 receipts, not 2" in str(receipts_problem(packed(chain("allow")), PUBLIC, WANTED))
    said = str(receipts_problem(packed(chain("allow", "allow")), PUBLIC, WANTED))
    assert said == "receipt 1 has outcome 'allow', not 'deny'"
    assert "does not verify" in str(receipts_problem(packed(chain("allow", "deny")), "0" * 64, WANTED))


@pytest.mark.parametrize("data", [b"[]", b"{", b"\xff", b"\n", b'{"seq":0,"seq":0}', b"[" * 100_000])
def test_lines_that_are_no_receipts_are_said_so(data: bytes) -> None:
    assert "receipt 0" in str(receipts_problem(base64.b64encode(data).decode(), PUBLIC, WANTED))


@pytest.mark.parametrize("data", [None, 1, "é", "AAA", "====", ["AAAA"]])
def test_what_is_no_base64_is_said_so(data: Any) -> None:
    assert "jsonl_b64" in str(receipts_problem(data, PUBLIC, WANTED))


@given(st.text() | st.binary().map(b64url), st.text() | st.just(PUBLIC))
def test_nothing_makes_the_checks_raise(text: str, key: str) -> None:
    assert jws_problem(text, HEADER, CLAIMS, key) is not None
    assert jws_problem(f"{text}.{text}.{text}", HEADER, CLAIMS, key) is not None
    assert receipts_problem(text, key, WANTED) is not None


@given(st.binary())
def test_no_bytes_of_a_chain_make_the_check_raise(data: bytes) -> None:
    assert receipts_problem(base64.b64encode(data).decode(), PUBLIC, WANTED) is not None
