"""Writing a compact JWS with PyJWT (§9).

The one algorithm that PyJWT's instance here knows, "EdDSA", is bound to ``Signer``, because a signer may hold
its key where ``jwt.encode``, which wants the private key itself, cannot reach.

Not here: which payload, and reading. See ``jws``.
"""

from __future__ import annotations

from typing import Any, Final, NoReturn

import jwt
from jwt.algorithms import Algorithm

from delego_spec.ed25519 import Signer


def encode(payload: bytes, algorithm: str, signer: Signer) -> str:
    """The JWS over ``payload``, with the header {alg, kid, typ}. What the signer raises passes through."""
    key: Any = signer  # PyJWT hands it to our algorithm untouched
    return _JWS.encode(payload, key, algorithm, headers={"kid": signer.public_key.key_id})


class _StrictEd25519(Algorithm):
    """Lets PyJWT sign with a ``Signer``."""

    def prepare_key(self, key: Any) -> Any:
        return key

    def sign(self, msg: bytes, key: Signer) -> bytes:
        return key.sign(msg)

    def verify(self, msg: bytes, key: Any, sig: bytes) -> NoReturn:
        raise NotImplementedError("open_jws verifies tokens")

    @staticmethod
    def to_jwk(*_: object) -> NoReturn:
        raise NotImplementedError("a key never travels inside a token")

    @staticmethod
    def from_jwk(*_: object) -> NoReturn:
        raise NotImplementedError("a key is never taken from a token")


def _only_strict_ed25519() -> jwt.PyJWS:
    instance = jwt.PyJWS(algorithms=[])  # none of PyJWT's own: no "none", no HMAC, no OpenSSL verdict
    instance.register_algorithm("EdDSA", _StrictEd25519())
    return instance


_JWS: Final = _only_strict_ed25519()
