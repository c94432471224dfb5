"""What the crafted vectors are made of is what it says: sound where it claims to be, forged where not."""

from __future__ import annotations

import hashlib
import json

import pytest

import edwards
from delego_conformance.generate import forging
from delego_conformance.generate.suites import token
from delego_spec import PublicKey, SeedSigner, canonical, decode_line, verify_chain

SEEDS = [forging.LEDGER_SEED, forging.TOKEN_SEED, forging.ALICE_SEED]


@pytest.mark.parametrize("seed", SEEDS)
def test_keys_and_signatures_are_those_of_the_core(seed: bytes) -> None:
    signer = SeedSigner(seed)
    assert forging.public_key(seed) == signer.public_key.raw
    assert forging.key_id(seed) == signer.public_key.key_id
    assert forging.sign(seed, b"x") == signer.sign(b"x")


def test_a_forged_signature_with_an_honest_nonce_is_sound() -> None:
    seed = forging.LEDGER_SEED
    raw = forging.public_key(seed)
    r = forging.encode(forging.multiply(5, forging.BASE))
    signature = forging.forged(5, r, forging.secret_scalar(seed), raw, b"x")
    assert PublicKey(raw).verify(b"x", signature)
    assert not PublicKey(raw).verify(
        b"x", forging.forged(5, r, forging.secret_scalar(seed), raw, b"x", plus=forging.L)
    )


def test_the_small_order_encodings_are_all_fourteen_and_have_names_of_their_own() -> None:
    found = forging.small_order_encodings()
    assert sorted(raw for _, raw, _ in found) == edwards.small_order_encodings()
    assert len({name for name, _, _ in found}) == 14


@pytest.mark.parametrize(("name", "raw", "point"), forging.small_order_encodings())
def test_the_order_in_a_name_is_the_order_of_the_point(name: str, raw: bytes, point: forging.Point) -> None:
    order = int(name.split("-")[1])
    assert forging.multiply(order, point) == forging.IDENTITY
    assert order == 1 or forging.multiply(order // 2, point) != forging.IDENTITY
    assert int.from_bytes(raw, "little") % forging.SIGN_BIT % forging.P == point[1]


def test_a_chain_is_sound_and_its_overruled_members_stand() -> None:
    key = PublicKey(forging.public_key(forging.LEDGER_SEED))
    sound = forging.chain({}, {"rule": "a"}, {})
    lines = forging.lines(sound).splitlines()
    assert verify_chain(lines, key).valid
    assert [decode_line(one).payload.seq for one in lines] == [0, 1, 2]
    assert forging.chain({"seq": 9})[0]["seq"] == 9


def test_the_evidence_of_a_decision_is_its_nine_signed_members_and_the_signature() -> None:
    bound = {"action_fingerprint": "a", "intent_hash": "b", "display_hash": "c"}
    callback = forging.decision({"decision": "approve"}, bound)
    evidence = {**callback, **bound, "decision_note": None}
    assert forging.evidence_digest(callback, bound) == hashlib.sha256(canonical(evidence)).hexdigest()


def test_a_part_that_is_text_stands_in_a_token_as_it_is() -> None:
    assert forging.compact("head", b"{}").startswith("head.e30.")
    assert json.loads(forging.text({"a": "é"})) == {"a": "é"}


def test_no_token_of_a_size_that_base64_cannot_have_is_made_up() -> None:
    assert len(token.of_size(4000)[0]) == 4000
    with pytest.raises(ValueError, match="10 characters"):
        token.of_size(10)
