"""Ed25519: one verdict on crafted keys and signatures, on which libraries disagree (§8, criterion).

"Honest" and "forged" are meant literally: a forged signature here verifies under OpenSSL, or under the
cofactored equation of other libraries.
"""

from __future__ import annotations

import hashlib
import pickle
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from delego_conformance.generate import edwards
from delego_spec.ed25519 import PublicKey, SeedSigner, Signer
from delego_spec.errors import KeyFormatError

SEED = bytes(range(32))
SIGNER = SeedSigner(SEED)
KEY = SIGNER.public_key
MESSAGE = b"a" * 64
HONEST = SIGNER.sign(MESSAGE)
SCALAR = edwards.secret_scalar(SEED)
SMALL_ORDER = [raw for _, raw, _ in edwards.small_order_encodings()]


def openssl_accepts(key: bytes, message: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except InvalidSignature:
        return False
    return True


# --- honest keys and signatures -------------------------------------------------------------------------


def test_the_first_vector_of_rfc_8032() -> None:
    signer = SeedSigner(bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"))
    assert signer.public_key.hex == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    assert signer.sign(b"").hex() == (
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
    )


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=100))
def test_what_is_signed_verifies_here_and_under_openssl(seed: bytes, message: bytes) -> None:
    signer = SeedSigner(seed)
    signature = signer.sign(message)
    assert signature == Ed25519PrivateKey.from_private_bytes(seed).sign(message)
    assert signer.public_key.verify(message, signature)
    assert not signer.public_key.verify(message + b"x", signature)


@given(st.integers(0, 511))
def test_flipping_any_bit_of_a_signature_breaks_it(bit: int) -> None:
    flipped = (int.from_bytes(HONEST, "little") ^ 1 << bit).to_bytes(64, "little")
    assert not KEY.verify(MESSAGE, flipped)


@pytest.mark.parametrize("signature", [b"", HONEST[:63], HONEST + b"\0", HONEST + MESSAGE, bytes(64)])
def test_a_signature_of_another_length_is_none(signature: bytes) -> None:
    assert not KEY.verify(MESSAGE, signature)


def test_a_message_cannot_be_shifted_into_its_signature() -> None:
    assert not KEY.verify(MESSAGE[1:], HONEST + MESSAGE[:1])
    assert not KEY.verify_all([MESSAGE[1:]], [HONEST + MESSAGE[:1]])


def test_many_signatures_hold_only_if_each_one_does() -> None:
    messages = [bytes([n]) * n for n in range(5)]
    signatures = [SIGNER.sign(message) for message in messages]
    assert KEY.verify_all(messages, signatures)
    assert KEY.verify_all([], [])
    for place in range(5):
        for wrong in (HONEST, b"", bytes(64), signatures[place] + b"\0"):
            broken = [*signatures[:place], wrong, *signatures[place + 1 :]]
            assert not KEY.verify_all(messages, broken)
    assert not KEY.verify_all(messages, signatures[:-1])
    assert not KEY.verify_all(messages[:-1], signatures)


# --- crafted signatures under an honest key ----------------------------------------------------------------


def test_the_builder_of_crafted_signatures_can_build_an_honest_one() -> None:
    r = edwards.encode(edwards.multiply(5, edwards.BASE))
    crafted = edwards.forged(5, r, SCALAR, KEY.raw, MESSAGE)
    assert KEY.verify(MESSAGE, crafted)


def test_s_plus_the_group_order_is_a_second_spelling_and_refused() -> None:
    s = int.from_bytes(HONEST[32:], "little") + edwards.L
    assert not KEY.verify(MESSAGE, HONEST[:32] + s.to_bytes(32, "little"))


def test_r_of_the_identity_is_refused_though_openssl_takes_it() -> None:
    forged = edwards.forged(0, edwards.encode(edwards.IDENTITY), SCALAR, KEY.raw, MESSAGE)
    assert openssl_accepts(KEY.raw, MESSAGE, forged)
    assert not KEY.verify(MESSAGE, forged)
    assert not KEY.verify_all([MESSAGE], [forged])


@pytest.mark.parametrize("r", SMALL_ORDER, ids=bytes.hex)
def test_any_r_of_small_order_is_refused(r: bytes) -> None:
    s = edwards.challenge(r, KEY.raw, MESSAGE) * SCALAR % edwards.L
    assert not KEY.verify(MESSAGE, r + s.to_bytes(32, "little"))


@pytest.mark.parametrize("k", range(1, 8))
def test_r_with_a_part_of_small_order_is_refused_as_the_cofactorless_equation_says(k: int) -> None:
    r = edwards.add(edwards.multiply(5, edwards.BASE), edwards.TORSION[k])
    assert not KEY.verify(MESSAGE, edwards.forged(5, edwards.encode(r), SCALAR, KEY.raw, MESSAGE))


# --- keys -------------------------------------------------------------------------------------------------


def test_there_are_fourteen_encodings_of_small_order() -> None:
    assert len(set(SMALL_ORDER)) == 14


@pytest.mark.parametrize("raw", SMALL_ORDER, ids=bytes.hex)
def test_a_key_of_small_order_is_no_key(raw: bytes) -> None:
    with pytest.raises(KeyFormatError, match="not canonical or not of prime order"):
        PublicKey(raw)


def test_with_a_small_order_key_openssl_takes_one_signature_for_every_message() -> None:
    everything = edwards.encode(edwards.BASE) + (1).to_bytes(32, "little")
    for message in (b"pay 1", b"pay 1000000"):
        assert openssl_accepts(edwards.encode(edwards.IDENTITY), message, everything)


@pytest.mark.parametrize("k", range(1, 8))
def test_a_key_with_a_part_of_small_order_is_no_key(k: int) -> None:
    mixed = edwards.add(edwards.multiply(SCALAR, edwards.BASE), edwards.TORSION[k])
    with pytest.raises(KeyFormatError):
        PublicKey(edwards.encode(mixed))


@pytest.mark.parametrize(
    "raw",
    [
        (edwards.P + 3).to_bytes(32, "little"),  # y not reduced
        (2**255 - 1).to_bytes(32, "little"),
        (2).to_bytes(32, "little"),  # not on the curve
        bytes(31),
        bytes(33),
        b"",
    ],
    ids=["y + p", "2^255 - 1", "not on the curve", "31 bytes", "33 bytes", "empty"],
)
def test_bytes_that_are_no_canonical_point_are_no_key(raw: bytes) -> None:
    with pytest.raises(KeyFormatError):
        PublicKey(raw)


@pytest.mark.parametrize("raw", [bytearray(KEY.raw), memoryview(KEY.raw), KEY.hex, None, 7])
def test_a_key_is_made_of_bytes(raw: Any) -> None:
    with pytest.raises(KeyFormatError, match="32 bytes"):
        PublicKey(raw)


@pytest.mark.parametrize(
    "text",
    [KEY.hex.upper(), KEY.hex[:-1], KEY.hex + "\n", f" {KEY.hex[1:]}", KEY.hex[:-2] + "zz", None, KEY.raw],
)
def test_a_key_in_text_has_one_spelling(text: Any) -> None:
    with pytest.raises(KeyFormatError, match="64 lower-case hexadecimal digits"):
        PublicKey.from_hex(text)


def test_keys_are_values() -> None:
    other = SeedSigner(bytes(32)).public_key
    assert PublicKey.from_hex(KEY.hex) == KEY
    assert hash(PublicKey(KEY.raw)) == hash(KEY)
    assert other != KEY
    assert KEY.raw != KEY
    assert pickle.loads(pickle.dumps(KEY)) == KEY  # noqa: S301 - our own bytes
    assert repr(KEY) == f"PublicKey({KEY.hex})"
    assert KEY.key_id == hashlib.sha256(KEY.raw).hexdigest()[:16]


# --- signers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [b"", bytes(31), bytes(33), bytearray(32), "0" * 32, None])
def test_a_seed_has_32_bytes(seed: Any) -> None:
    with pytest.raises(KeyFormatError, match="32 bytes"):
        SeedSigner(seed)


def test_a_signer_shows_its_public_key_and_never_its_secret() -> None:
    assert isinstance(SIGNER, Signer)
    assert repr(SIGNER) == f"SeedSigner({KEY.hex})"
    assert SEED.hex() not in repr(SIGNER)
