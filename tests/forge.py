"""Builds tokens byte by byte, sound or broken, without the code under test and without PyJWT."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from delego_spec.ed25519 import PublicKey, SeedSigner
from delego_spec.types import EpochSeconds, KeyId

SEED = bytes(range(32))
STRANGER_SEED = bytes(range(1, 33))
SIGNER = SeedSigner(SEED)
KID = SIGNER.public_key.key_id
KEYS: dict[KeyId, PublicKey] = {KID: SIGNER.public_key}

NOW = EpochSeconds(1_759_000_000)
AUDIENCE = "broker.example"
ISSUER = "authorizer.example"

HEADER: dict[str, object] = {"alg": "EdDSA", "kid": KID, "typ": "JWT"}
CLAIMS: dict[str, object] = {
    "iss": ISSUER,
    "aud": AUDIENCE,
    "iat": NOW,
    "exp": NOW + 45,
    "jti": "token-1",
    "cns": "release-1",
    "fpr": "4327df2637072bf058622d1f8baea6e431726f7332a50cd12ec970d6e43c2fd2",
    "iht": "76f8eef1b97e1213a59eec28cedf15bb999fdb00a3fd17f8343bc4676fdbb4f3",
    "apr": "approval-1",
    "sub": "agent-1",
    "pol": {"version": 1, "rule": "small orders"},
}


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def sign(text: str | bytes, seed: bytes = SEED) -> bytes:
    message = text.encode() if isinstance(text, str) else text
    return Ed25519PrivateKey.from_private_bytes(seed).sign(message)


def edited(base: dict[str, object], change: dict[str, object], drop: Iterable[str] = ()) -> bytes:
    members = {name: value for name, value in {**base, **change}.items() if name not in set(drop)}
    return json.dumps(members, separators=(",", ":")).encode()


def header(drop: Iterable[str] = (), **change: object) -> bytes:
    return edited(HEADER, change, drop)


def claims(drop: Iterable[str] = (), **change: object) -> bytes:
    return edited(CLAIMS, change, drop)


def compact(head: bytes | None = None, body: bytes | None = None, seed: bytes = SEED) -> str:
    """A token over exactly these bytes, soundly signed."""
    return signed(b64(header() if head is None else head), b64(claims() if body is None else body), seed)


def signed(head: str, body: str, seed: bytes = SEED) -> str:
    """A token over exactly these segments, soundly signed."""
    return f"{head}.{body}.{b64(sign(f'{head}.{body}', seed))}"


def raw_member(name: str, literal: str) -> bytes:
    """The claims with one member replaced by a literal piece of JSON text."""
    return claims(drop=[name])[:-1] + f',"{name}":{literal}}}'.encode()
