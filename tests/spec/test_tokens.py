"""Authorization tokens (§9, §9.1): minting, time, audience, binding. The known shapes: test_token_shapes."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import jsonschema
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from delego_spec.action import Action
from delego_spec.errors import TokenError
from delego_spec.tokens import (
    MAX_LEEWAY,
    MAX_LIFETIME,
    Claims,
    TokenRefusal,
    check_binding,
    consume_until,
    mint,
    verify_token,
)
from delego_spec.types import Digest, EpochSeconds
from forge import AUDIENCE, ISSUER, KEYS, KID, NOW, SEED, SIGNER, compact
from forge import claims as raw_claims
from support import shared

ACTION = Action("place an order", "POST", "https://api.example.com/orders?a=1", {"amount": 2400})
FULL = Claims(
    iss=ISSUER,
    aud=AUDIENCE,
    iat=NOW,
    exp=EpochSeconds(NOW + 45),
    jti="token-1",
    cns="release-1",
    fpr=ACTION.fingerprint,
    iht=ACTION.intent_hash,
    apr="approval-1",
    sub="agent-1",
    pol=(1, "small orders"),
)
BARE = replace(FULL, apr=None, sub=None, pol=None)

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
digests = st.text("0123456789abcdef", min_size=64, max_size=64).map(Digest)
all_claims = st.builds(
    lambda claims, lifetime: replace(claims, exp=EpochSeconds(claims.iat + lifetime)),
    st.builds(
        Claims,
        iss=texts,
        aud=st.just(AUDIENCE),
        iat=st.integers(0, 2**40).map(EpochSeconds),
        exp=st.just(EpochSeconds(0)),
        jti=texts,
        cns=texts,
        fpr=digests,
        iht=digests,
        apr=st.none() | texts,
        sub=st.none() | texts,
        pol=st.none() | st.tuples(st.integers(1, 2**31), st.none() | texts),
    ),
    st.integers(1, MAX_LIFETIME),
)


def verdict(token: object, now: int = NOW, **options: Any) -> Claims | TokenRefusal:
    return verify_token(token, keys=KEYS, audience=AUDIENCE, now=EpochSeconds(now), **options)


def code(outcome: object) -> str | None:
    return outcome.code if isinstance(outcome, TokenRefusal) else None


@given(all_claims)
def test_what_is_minted_verifies_to_the_same_claims(claims: Claims) -> None:
    assert verdict(mint(claims, SIGNER), now=claims.iat, issuer=claims.iss) == claims


@pytest.mark.parametrize("claims", [FULL, BARE], ids=["full", "bare"])
def test_a_minted_token_is_what_pyjwt_makes_with_the_private_key(claims: Claims) -> None:
    token = mint(claims, SIGNER)
    members = jwt.decode(token, options={"verify_signature": False})
    private = Ed25519PrivateKey.from_private_bytes(SEED)
    ordered = dict(sorted(members.items()))
    assert token == jwt.encode(ordered, private, algorithm="EdDSA", headers={"kid": KID})


def test_text_beyond_ascii_is_minted_as_canonical_json() -> None:
    token = mint(replace(FULL, sub="Zoë 😀"), SIGNER)
    payload = base64.urlsafe_b64decode(token.split(".")[1] + "==")
    assert '"sub":"Zoë 😀"'.encode() in payload
    private = Ed25519PrivateKey.from_private_bytes(SEED)
    assert token == jwt.api_jws.encode(payload, private, "EdDSA", headers={"kid": KID})


def test_an_independent_verifier_accepts_a_minted_token() -> None:
    public = Ed25519PrivateKey.from_private_bytes(SEED).public_key()
    members = jwt.decode(
        mint(FULL, SIGNER),
        public,
        algorithms=["EdDSA"],
        audience=AUDIENCE,
        issuer=ISSUER,
        options={
            "verify_exp": False,
            "verify_iat": False,
            "require": ["exp", "iat", "jti", "cns", "fpr", "iht"],
        },
    )
    assert members["pol"] == {"version": 1, "rule": "small orders"}


@pytest.mark.parametrize(
    "claims", [FULL, BARE, replace(FULL, pol=(2, None))], ids=["full", "bare", "no rule"]
)
def test_minted_claims_fit_the_published_schema(claims: Claims) -> None:
    schema = json.loads(shared("ctk", "schema-authorization-token.json").read_text())
    jsonschema.validate(jwt.decode(mint(claims, SIGNER), options={"verify_signature": False}), schema)


UNMINTABLE: dict[str, tuple[dict[str, Any], str]] = {
    "no time to live": ({"exp": NOW}, "0 s after iat"),
    "a time to live over the limit": ({"exp": NOW + 301}, "301 s after iat"),
    "expiry before issue": ({"exp": NOW - 1}, "-1 s after iat"),
    "a float as time": ({"iat": float(NOW)}, "iat is"),
    "true as time": ({"exp": True}, "exp is True"),
    "a time before 1970": ({"iat": -10, "exp": 30}, "iat is -10"),
    "an empty audience": ({"aud": ""}, "aud is ''"),
    "an audience list": ({"aud": [AUDIENCE]}, "aud is"),
    "an empty issuer": ({"iss": ""}, "iss is ''"),
    "an empty jti": ({"jti": ""}, "jti is ''"),
    "an empty cns": ({"cns": ""}, "cns is ''"),
    "an upper-case fingerprint": ({"fpr": str(ACTION.fingerprint).upper()}, "fpr is"),
    "a fingerprint with a newline": ({"fpr": f"{ACTION.fingerprint}\n"}, "fpr is"),
    "a short intent hash": ({"iht": "00"}, "iht is '00'"),
    "an empty approval": ({"apr": ""}, "apr is ''"),
    "an empty subject": ({"sub": ""}, "sub is ''"),
    "a policy version that is text": ({"pol": ("1", None)}, "pol.version is '1'"),
    "a rule that is a number": ({"pol": (1, 2)}, "pol.rule is 2"),
    "a lone surrogate": ({"sub": "\ud800"}, "lone surrogate"),
    "more than fits": ({"sub": "x" * 8000}, "at most 8192"),
}


@pytest.mark.parametrize(("change", "text"), UNMINTABLE.values(), ids=UNMINTABLE)
def test_claims_that_would_be_refused_are_not_minted(change: dict[str, Any], text: str) -> None:
    with pytest.raises(TokenError, match=text) as caught:
        mint(replace(FULL, **change), SIGNER)
    assert "\n" not in str(caught.value)


@given(st.integers(-400, 400), st.integers(0, MAX_LEEWAY), st.integers(1, MAX_LIFETIME))
def test_a_token_counts_from_iat_until_just_before_exp_give_or_take_the_leeway(
    offset: int, leeway: int, lifetime: int
) -> None:
    token = mint(replace(FULL, exp=EpochSeconds(NOW + lifetime)), SIGNER)
    outcome = verdict(token, now=NOW + offset, leeway=leeway)
    if offset >= lifetime + leeway:
        assert code(outcome) == "expired"
    elif offset < -leeway:
        assert code(outcome) == "not_yet_valid"
    else:
        assert isinstance(outcome, Claims)


def test_without_leeway_the_second_of_expiry_is_too_late() -> None:
    token = mint(FULL, SIGNER)
    assert isinstance(verdict(token, now=NOW + 44), Claims)
    assert code(verdict(token, now=NOW + 45)) == "expired"


@pytest.mark.parametrize("nbf", [NOW, NOW - 5, 0])
def test_an_nbf_that_has_come_is_accepted(nbf: int) -> None:
    assert isinstance(verdict(compact(body=raw_claims(nbf=nbf))), Claims)


@pytest.mark.parametrize(
    ("nbf", "refusal"),
    [(NOW + 1, "not_yet_valid"), (float(NOW), "claims"), (True, "claims"), (None, "claims")],
)
def test_an_nbf_that_is_ahead_or_no_integer_is_refused(nbf: object, refusal: str) -> None:
    assert code(verdict(compact(body=raw_claims(nbf=nbf)))) == refusal


def test_the_leeway_covers_nbf_as_it_covers_iat() -> None:
    token = compact(body=raw_claims(nbf=NOW + 30))
    assert isinstance(verdict(token, leeway=30), Claims)
    assert code(verdict(token, leeway=29)) == "not_yet_valid"


@pytest.mark.parametrize("leeway", [-1, 61, 3600, 1.0, True, "5", None])
def test_a_leeway_out_of_range_is_a_mistake_of_the_caller(leeway: Any) -> None:
    with pytest.raises(ValueError, match="0 to 60"):
        verdict(mint(FULL, SIGNER), leeway=leeway)
    with pytest.raises(ValueError, match="0 to 60"):
        consume_until(FULL, leeway)


def test_a_verifier_without_a_name_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="audience"):
        verify_token(mint(FULL, SIGNER), keys=KEYS, audience="", now=NOW)


def test_a_verifier_without_keys_accepts_nothing() -> None:
    assert code(verify_token(mint(FULL, SIGNER), keys={}, audience=AUDIENCE, now=NOW)) == "kid"


def test_an_issuer_is_compared_exactly() -> None:
    token = mint(FULL, SIGNER)
    assert verdict(token, issuer=ISSUER) == FULL
    for other in (ISSUER.upper(), ISSUER + ".", "", ISSUER[:-1]):
        assert code(verdict(token, issuer=other)) == "issuer"


def test_claims_that_nobody_knows_are_ignored() -> None:
    body = raw_claims(pol={"version": 1, "rule": None}, more={"a": 0.5})
    outcome = verdict(compact(body=body))
    assert isinstance(outcome, Claims)
    assert outcome.pol == (1, None)


@pytest.mark.parametrize(
    "pol",
    [
        [],
        {},
        {"rule": "r"},
        {"version": 1},
        {"version": 0, "rule": None},
        {"version": 1.0, "rule": None},
        {"version": True, "rule": None},
        {"version": 1, "rule": 0},
        {"version": 1, "rule": None, "more": 1},
    ],
)
def test_a_policy_claim_of_another_form_is_refused(pol: object) -> None:
    assert code(verdict(compact(body=raw_claims(pol=pol)))) == "claims"


def test_the_bound_action_and_its_fingerprint_pass_the_binding() -> None:
    assert check_binding(FULL, ACTION) is None
    assert check_binding(FULL, ACTION.fingerprint) is None


@pytest.mark.parametrize(
    "other",
    [
        Action("place an order", "POST", "https://api.example.com/orders?a=2", {"amount": 2400}),
        Action(
            "place an order", "POST", "https://api.example.com/orders?a=1", {"amount": 2400, "recipient": "x"}
        ),
        Digest(ACTION.fingerprint.upper()),
        Digest(""),
    ],
    ids=["another query", "one more parameter", "another spelling", "nothing"],
)
def test_another_action_fails_the_binding(other: Action | Digest) -> None:
    assert code(check_binding(FULL, other)) == "binding"


@given(st.integers(0, MAX_LEEWAY))
def test_the_store_forgets_a_token_exactly_when_it_no_longer_verifies(leeway: int) -> None:
    token = mint(FULL, SIGNER)
    until = consume_until(FULL, leeway)
    assert isinstance(verdict(token, now=until - 1, leeway=leeway), Claims)
    assert code(verdict(token, now=until, leeway=leeway)) == "expired"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
claim_names = st.sampled_from(
    ["iss", "aud", "iat", "exp", "nbf", "jti", "cns", "fpr", "iht", "apr", "sub", "pol", "x"]
)


@given(st.dictionaries(claim_names, json_values), st.sets(claim_names))
def test_any_signed_claims_give_claims_or_a_refusal(change: dict[str, object], drop: set[str]) -> None:
    outcome = verdict(compact(body=raw_claims(drop, **change)))
    assert isinstance(outcome, Claims | TokenRefusal)


@given(st.one_of(st.text(), st.binary(), st.none(), st.integers(), st.dictionaries(st.text(), st.text())))
def test_any_object_is_refused_without_an_exception(token: object) -> None:
    assert isinstance(verdict(token), TokenRefusal)
