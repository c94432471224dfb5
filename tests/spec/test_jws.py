"""The envelope: what PyJWT does not check, and one verdict on signatures (§8 criterion, §9)."""

from __future__ import annotations

import hashlib
import json
import string
from collections import defaultdict
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from delego_spec import compact as writing
from delego_spec import jws
from delego_spec.ed25519 import PublicKey, SeedSigner
from delego_spec.errors import TokenError
from delego_spec.jws import JwsRefusal, Opened, open_jws, read_object, seal
from forge import HEADER, KEYS, KID, NOW, SEED, SIGNER, STRANGER_SEED, b64, claims, compact, header

L = 2**252 + 27742317777372353535851937790883648493  # the order of the group
IDENTITY = b"\x01" + bytes(31)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def code(outcome: object) -> str | None:
    return outcome.code if isinstance(outcome, JwsRefusal) else None


def test_a_sealed_payload_opens_with_the_same_members() -> None:
    opened = open_jws(seal(b'{"a":[1,2.5,"x"]}', SIGNER), KEYS)
    assert opened == Opened(KID, {"a": [1, 2.5, "x"]})


def test_the_header_is_exactly_alg_kid_and_typ() -> None:
    head = seal(b"{}", SIGNER).split(".")[0]
    assert head == b64(json.dumps(HEADER, separators=(",", ":")).encode())


def test_a_signer_that_answers_for_another_key_seals_nothing() -> None:
    class Confused:
        public_key = SIGNER.public_key

        def sign(self, message: bytes) -> bytes:
            return SeedSigner(STRANGER_SEED).sign(message)

    with pytest.raises(TokenError, match="does not fit its public key"):
        seal(b"{}", Confused())


def test_a_signer_that_returns_half_a_signature_seals_nothing() -> None:
    class Torn:
        public_key = SIGNER.public_key

        def sign(self, message: bytes) -> bytes:
            return SIGNER.sign(message)[:32]

    with pytest.raises(TokenError, match="does not fit its public key"):
        seal(b"{}", Torn())


def test_the_size_limit_is_the_same_on_both_sides() -> None:
    fits = b'{"x":"' + b"y" * 5990 + b'"}'
    while len(seal(fits, SIGNER)) < jws.MAX_BYTES - 1:
        fits = fits[:-2] + b'y"}'
    assert isinstance(open_jws(seal(fits, SIGNER), KEYS), Opened)
    longer = fits[:-2] + b'yyyy"}'
    with pytest.raises(TokenError, match="at most 8192"):
        seal(longer, SIGNER)
    assert code(open_jws(compact(body=longer), KEYS)) == "too_large"


def test_a_signature_that_openssl_accepts_and_the_criterion_refuses_does_not_count() -> None:
    # The holder of the key can sign with R = the identity: S = k*a. OpenSSL's equation holds for it.
    expanded = bytearray(hashlib.sha512(SEED).digest()[:32])
    expanded[0] &= 248
    expanded[31] = expanded[31] & 63 | 64
    scalar = int.from_bytes(expanded, "little")
    text = f"{b64(header())}.{b64(claims(exp=4_000_000_000))}"
    k = hashlib.sha512(IDENTITY + SIGNER.public_key.raw + text.encode()).digest()
    s = int.from_bytes(k, "little") * scalar % L
    token = f"{text}.{b64(IDENTITY + s.to_bytes(32, 'little'))}"
    openssl = jwt.PyJWK({"kty": "OKP", "crv": "Ed25519", "x": b64(SIGNER.public_key.raw)})
    assert jwt.api_jws.decode(token, openssl, algorithms=["EdDSA"])  # the control: PyJWT alone lets it in
    assert code(open_jws(token, KEYS)) == "signature"


def test_no_algorithm_but_the_one_can_be_reached() -> None:
    for algorithm in ("none", "HS256", "ES256", "Ed25519"):
        token = compact(head=header(alg=algorithm))
        assert code(open_jws(token, KEYS)) == "alg"
    assert writing._JWS.get_algorithms() == ["EdDSA"]


def test_keys_do_not_travel_in_tokens() -> None:
    algorithm = writing._JWS.get_algorithm_by_name("EdDSA")
    with pytest.raises(NotImplementedError):
        algorithm.to_jwk(SIGNER.public_key)
    with pytest.raises(NotImplementedError):
        algorithm.from_jwk("{}")


def test_pyjwt_gives_no_verdict_of_its_own() -> None:
    with pytest.raises(NotImplementedError):
        writing._JWS.decode(compact(), SIGNER.public_key, algorithms=["EdDSA"])  # type: ignore[arg-type]  # our key


def test_looking_for_a_key_does_not_create_one() -> None:
    keys: defaultdict[Any, PublicKey] = defaultdict(lambda: SeedSigner(STRANGER_SEED).public_key)
    assert code(open_jws(compact(seed=STRANGER_SEED), keys)) == "kid"
    assert not keys


def test_each_key_verifies_only_under_its_own_name() -> None:
    stranger = SeedSigner(STRANGER_SEED)
    keys = {**KEYS, stranger.public_key.key_id: stranger.public_key}
    assert isinstance(open_jws(seal(b"{}", stranger), keys), Opened)
    assert code(open_jws(compact(seed=STRANGER_SEED), keys)) == "signature"


def test_a_refusal_never_repeats_the_token() -> None:
    good = compact()
    for token in (good + "=", good[:-4] + "AAAA", good * 40, compact(head=header(kid="x")), good.encode()):
        outcome = open_jws(token, KEYS)
        assert isinstance(outcome, JwsRefusal)
        assert good.split(".")[1] not in outcome.message
        assert "\n" not in outcome.message


def test_a_segment_of_impossible_length_is_malformed() -> None:
    head, _, signature = compact().split(".")
    for length in range(1, 12):
        if length % 4 == 1:
            assert code(open_jws(f"{head}.{'A' * length}.{signature}", KEYS)) == "malformed"


@pytest.mark.parametrize("text", ["[" * 5000 + "]" * 5000, '{"x":' * 5000 + "1" + "}" * 5000, "9" * 5000])
def test_text_that_breaks_parsers_is_a_refusal(text: str) -> None:
    assert code(read_object(b'{"x":' + text.encode() + b"}", "claims")) == "claims"


@pytest.mark.parametrize("text", [b"5", b"null", b'"alg"', b"[]", b"true", b""])
def test_a_header_or_claims_that_are_no_object_are_refused(text: bytes) -> None:
    assert code(read_object(text, "header")) == "header"
    assert code(read_object(text, "claims")) == "claims"


def test_nesting_that_fits_into_a_token_is_a_refusal_too() -> None:
    deep = b'{"x":' + b"[" * 2900 + b"]" * 2900 + b"}"
    assert code(open_jws(compact(body=deep), KEYS)) == "claims"
    assert isinstance(open_jws(compact(body=b'{"x":' + b"[" * 60 + b"]" * 60 + b"}"), KEYS), Opened)


def test_a_duplicate_member_is_found_at_any_depth() -> None:
    assert code(read_object(b'{"x":[{"y":1,"y":1}]}', "claims")) == "duplicate_member"
    assert code(read_object(b'{"\\u0078":1,"x":1}', "claims")) == "duplicate_member"
    assert read_object(b'{"x":[{"y":1},{"y":1}]}', "claims") == {"x": [{"y": 1}, {"y": 1}]}


def test_the_claims_need_not_be_canonical_text() -> None:
    pretty = json.dumps({"b": 1, "a": NOW}, indent=2).encode()
    assert open_jws(compact(body=pretty), KEYS) == Opened(KID, {"a": NOW, "b": 1})


@given(st.one_of(st.text(), st.binary(), st.none(), st.integers(), st.lists(st.text()), st.floats()))
def test_any_object_is_refused_without_an_exception(token: object) -> None:
    assert isinstance(open_jws(token, KEYS), JwsRefusal)


@given(st.text(alphabet=string.ascii_letters + string.digits + "-_=. \n", max_size=60))
def test_anything_like_a_token_is_refused_without_an_exception(token: str) -> None:
    assert isinstance(open_jws(token, KEYS), JwsRefusal)


@given(st.binary(max_size=80))
def test_any_signed_bytes_are_claims_or_a_refusal(body: bytes) -> None:
    outcome = open_jws(compact(body=body), KEYS)
    assert isinstance(outcome, Opened) or outcome.code in ("claims", "malformed", "duplicate_member")


@given(st.dictionaries(st.sampled_from(["alg", "typ", "kid", "crit"]), json_values))
def test_any_header_is_opened_only_if_it_is_the_one_header(change: dict[str, object]) -> None:
    head = header(**change)
    outcome = open_jws(compact(head=head), KEYS)
    assert isinstance(outcome, Opened) == (head == header())


@given(st.data())
def test_every_change_of_one_character_is_refused(data: st.DataObject) -> None:
    token = compact()
    position = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(
        st.sampled_from(string.ascii_letters + string.digits + "-_.=/+ ").filter(
            lambda c: c != token[position]
        )
    )
    assert isinstance(open_jws(token[:position] + other + token[position + 1 :], KEYS), JwsRefusal)
