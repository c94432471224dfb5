"""JWK Sets: what is published is what is read, and nothing else is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delego_spec.canonical import canonical
from delego_spec.ed25519 import PublicKey, SeedSigner
from delego_spec.errors import JwksError
from delego_spec.jwks import MAX_BYTES, MAX_KEYS, jwks_document, read_jwks

KEYS = [SeedSigner(bytes([n]) * 32).public_key for n in range(1, 4)]
# RFC 8037, appendix A.2: a published key, with the x that is printed there.
RFC_KEY = PublicKey.from_hex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
RFC_X = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"


def one(**change: Any) -> dict[str, Any]:
    """A good entry, with members changed; None takes one away."""
    entry = {
        "kty": "OKP",
        "crv": "Ed25519",
        "use": "sig",
        "alg": "EdDSA",
        "kid": RFC_KEY.key_id,
        "x": RFC_X,
        **change,
    }
    return {name: value for name, value in entry.items() if value is not None}


def text(*entries: object, **more: object) -> str:
    return json.dumps({"keys": list(entries), **more})


def test_the_document_is_that_of_rfc_8037() -> None:
    assert jwks_document([RFC_KEY]) == {"keys": [one()]}


def test_the_keys_stand_in_the_order_of_their_kids_and_once() -> None:
    document: Any = jwks_document([*KEYS, *reversed(KEYS)])
    kids = [entry["kid"] for entry in document["keys"]]
    assert kids == sorted(key.key_id for key in KEYS)


@given(
    st.lists(st.binary(min_size=32, max_size=32).map(lambda seed: SeedSigner(seed).public_key), max_size=5)
)
def test_what_is_written_is_read_again(keys: list[PublicKey]) -> None:
    assert read_jwks(canonical(jwks_document(keys))) == {key.key_id: key for key in keys}


def test_an_empty_set_is_a_set() -> None:
    assert read_jwks('{"keys":[]}') == {}


@pytest.mark.parametrize("name", ["use", "alg"])
def test_use_and_alg_may_be_absent(name: str) -> None:
    assert read_jwks(text(one(**{name: None}))) == {RFC_KEY.key_id: RFC_KEY}


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        (one(d="nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"), "private"),
        (one(k="AAAA"), "private"),
        (one(kty="oct", crv=None, x=None, k="AAAA"), "private"),
        (one(kty="RSA", crv=None, x=None, n="AQAB", e="AQAB"), "kty"),
        (one(kty="EC", crv="P-256", y="AAAA"), "kty"),
        (one(crv="X25519"), "crv"),
        (one(crv="Ed448"), "crv"),
        (one(crv=None), "crv"),
        (one(use="enc"), "use"),
        (one(alg="none"), "alg"),
        (one(alg="HS256"), "alg"),
        (one(alg=["EdDSA"]), "alg"),
        (one(kid="0" * 16), "kid"),
        (one(kid=RFC_KEY.key_id.upper()), "kid"),
        (one(kid=5), "kid"),
        (one(kid=""), "kid"),
        (one(kid=None), "kid"),
        (one(x=None), "x"),
        (one(x=RFC_X + "="), ".x"),
        (one(x=RFC_X[:-1]), ".x"),
        (one(x=RFC_X + "A"), ".x"),
        (one(x=RFC_X[:-1] + "p"), ".x"),  # the same bytes, with a loose pad bit
        (one(x=RFC_X.replace("_", "/")), ".x"),
        (one(x="AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), ".x"),  # the identity: of small order
        (one(x=5), ".x"),
        (one(jku="https://evil.example"), "jku"),
        (one(x5c=["MIIB"]), "x5c"),
        ([], "object"),
        (None, "object"),
        ("key", "object"),
    ],
)
def test_a_key_of_another_form_is_refused(entry: object, told: str) -> None:
    with pytest.raises(JwksError, match=rf"^jwks\.keys\[1\].*{told}"):
        read_jwks(text(jwks_document([KEYS[0]])["keys"][0], entry))  # type: ignore[index, call-overload]  # a list


@pytest.mark.parametrize(
    "data",
    [
        "",
        "{}",
        "[]",
        "null",
        '{"keys":{}}',
        '{"keys":null}',
        '{"keys":[],"keys":[]}',
        '{"keys":[],"x":1}',
        '{"keys":[]} x',
        b"\xff",
        b'\xef\xbb\xbf{"keys":[]}',
        "\ud800",
        '{"keys":[]}' + " " * MAX_BYTES,
        json.dumps({"keys": [{}] * (MAX_KEYS + 1)}),
        "[" * 10_000,
    ],
)
def test_a_document_of_another_form_is_refused(data: bytes | str) -> None:
    with pytest.raises(JwksError):
        read_jwks(data)


def test_a_kid_that_stands_there_twice_is_refused() -> None:
    with pytest.raises(JwksError, match="twice"):
        read_jwks(text(one(), one(use=None)))


def test_more_keys_than_are_read_are_not_written() -> None:
    keys = [SeedSigner(n.to_bytes(32, "big")).public_key for n in range(MAX_KEYS + 1)]
    with pytest.raises(JwksError):
        jwks_document(keys)
    assert len(read_jwks(canonical(jwks_document(keys[:-1])))) == MAX_KEYS


def test_two_keys_with_one_key_id_are_not_written() -> None:
    class Twin(PublicKey):
        @property
        def key_id(self) -> Any:
            return RFC_KEY.key_id

    with pytest.raises(JwksError):
        jwks_document([RFC_KEY, Twin(KEYS[0].raw)])


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_nothing_else_is_raised(data: bytes | str) -> None:
    with pytest.raises(JwksError):
        read_jwks(data)
