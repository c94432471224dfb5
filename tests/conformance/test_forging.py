"""What the crafted vectors are made of is what it says: sound where it claims to be, forged where not."""

from __future__ import annotations

import hashlib
import json

import pytest

from delego_conformance.generate import edwards, forging
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
    r = edwards.encode(edwards.multiply(5, edwards.BASE))
    signature = edwards.forged(5, r, edwards.secret_scalar(seed), raw, b"x")
    assert PublicKey(raw).verify(b"x", signature)
    assert not PublicKey(raw).verify(
        b"x", edwards.forged(5, r, edwards.secret_scalar(seed), raw, b"x", plus=edwards.L)
    )


def test_the_small_order_encodings_are_all_fourteen_and_have_names_of_their_own() -> None:
    ys = {y for _, y in edwards.TORSION}
    odd = [y + edwards.P for y in ys if y + edwards.P < edwards.SIGN_BIT]  # not reduced
    crafted = {y | sign for y in odd for sign in (0, edwards.SIGN_BIT)}
    crafted |= {y | edwards.SIGN_BIT for y in (1, edwards.P - 1)}  # x = 0, with a sign
    wanted = {*map(edwards.encode, edwards.TORSION), *(y.to_bytes(32, "little") for y in crafted)}
    found = edwards.small_order_encodings()
    assert {raw for _, raw, _ in found} == wanted
    assert len({name for name, _, _ in found}) == len(found) == 14


@pytest.mark.parametrize(("name", "raw", "point"), edwards.small_order_encodings())
def test_the_order_in_a_name_is_the_order_of_the_point(name: str, raw: bytes, point: edwards.Point) -> None:
    order = int(name.split("-")[1])
    assert edwards.multiply(order, point) == edwards.IDENTITY
    assert order == 1 or edwards.multiply(order // 2, point) != edwards.IDENTITY
    assert int.from_bytes(raw, "little") % edwards.SIGN_BIT % edwards.P == point[1]


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
