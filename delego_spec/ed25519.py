"""Ed25519 with one verdict everywhere (§8, criterion).

Libraries agree on honest signatures and differ on crafted ones: OpenSSL accepts a key of small order, for
which one signature verifies every message. Here a key is checked once, when it is loaded, and a signature
counts only under the cofactorless equation of RFC 8032 with S < L, canonical encodings and an R that is not
of small order.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Final, Protocol, runtime_checkable

from nacl import bindings
from nacl.exceptions import CryptoError

from delego_spec.errors import KeyFormatError
from delego_spec.types import KeyId

KEY_BYTES: Final = 32
SEED_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64

# With a key in the prime-order subgroup an R of small order can only be the identity. libsodium refuses it
# as well; stated here so that the verdict does not hang on how a distribution built the library.
_IDENTITY: Final = b"\x01" + bytes(31)
_HEX_KEY: Final = re.compile(r"[0-9a-f]{64}")


def _is_plausible(signature: bytes) -> bool:
    return len(signature) == SIGNATURE_BYTES and signature[:32] != _IDENTITY


def _open_all(signed: Sequence[bytes], key: bytes) -> bool:
    """Whether each signature, with its message behind it, is valid under a key that was checked."""
    open_one = bindings.crypto_sign_open
    try:
        for one in signed:
            open_one(one, key)
    except CryptoError:
        return False
    return True


class PublicKey:
    """A verified Ed25519 public key: canonical, on the curve, in the prime-order subgroup."""

    __slots__ = ("_raw",)

    def __init__(self, raw: bytes) -> None:
        """``raw``: 32 bytes. Raises KeyFormatError for anything but a prime-order point."""
        if type(raw) is not bytes or len(raw) != KEY_BYTES:
            raise KeyFormatError("an Ed25519 public key has 32 bytes")
        if not bindings.crypto_core_ed25519_is_valid_point(raw):
            raise KeyFormatError(
                "not an Ed25519 public key: the point is not canonical or not of prime order"
            )
        self._raw = raw

    @classmethod
    def from_hex(cls, text: str) -> PublicKey:
        """From 64 lower-case hexadecimal digits. Raises KeyFormatError."""
        if type(text) is not str or _HEX_KEY.fullmatch(text) is None:
            raise KeyFormatError("a public key is written as 64 lower-case hexadecimal digits")
        return cls(bytes.fromhex(text))

    @property
    def raw(self) -> bytes:
        """The 32 bytes of RFC 8032."""
        return self._raw

    @property
    def hex(self) -> str:
        """64 lower-case hexadecimal digits."""
        return self._raw.hex()

    @property
    def key_id(self) -> KeyId:
        """The first 16 hexadecimal digits of the SHA-256 of the raw key: a name, not a check."""
        return KeyId(hashlib.sha256(self._raw).hexdigest()[:16])

    def verify(self, message: bytes, signature: bytes) -> bool:
        """True iff ``signature`` (64 bytes) is this key's over ``message``. Never raises on bad input."""
        return _is_plausible(signature) and _open_all((signature + message,), self._raw)

    def verify_all(self, messages: Sequence[bytes], signatures: Sequence[bytes]) -> bool:
        """True iff ``verify`` is true of each message with the signature at its place, a little faster."""
        if (
            len(messages) != len(signatures)
            or not set(map(len, signatures)) <= {SIGNATURE_BYTES}
            or _IDENTITY in [signature[:32] for signature in signatures]
        ):
            return False
        return _open_all([s + m for s, m in zip(signatures, messages, strict=True)], self._raw)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PublicKey) and other._raw == self._raw

    def __hash__(self) -> int:
        return hash(self._raw)

    def __reduce__(self) -> tuple[type[PublicKey], tuple[bytes]]:
        return PublicKey, (self._raw,)  # a key that was pickled is checked again

    def __repr__(self) -> str:
        return f"PublicKey({self.hex})"


@runtime_checkable
class Signer(Protocol):
    """Whoever holds a private key: this process, an agent, a hardware module."""

    @property
    def public_key(self) -> PublicKey:
        """The key that verifies what this one signs."""
        ...

    def sign(self, message: bytes) -> bytes:
        """The 64-byte Ed25519 signature over ``message``."""
        ...


class SeedSigner:
    """A signer whose key is in this process's memory."""

    __slots__ = ("_public", "_secret")

    def __init__(self, seed: bytes) -> None:
        """``seed``: the 32 bytes of RFC 8032. Raises KeyFormatError."""
        if type(seed) is not bytes or len(seed) != SEED_BYTES:
            raise KeyFormatError("an Ed25519 seed has 32 bytes")
        public, self._secret = bindings.crypto_sign_seed_keypair(seed)
        self._public = PublicKey(public)

    @property
    def public_key(self) -> PublicKey:
        return self._public

    def sign(self, message: bytes) -> bytes:
        return bindings.crypto_sign(message, self._secret)[:SIGNATURE_BYTES]

    def __repr__(self) -> str:  # never the secret
        return f"SeedSigner({self._public.hex})"
