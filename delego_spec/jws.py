"""The envelope of a token: compact JWS, read strictly (§9).

PyJWT encodes (``compact``). Reading is ours.

OpenSSL, which PyJWT would ask, accepts signatures that the criterion of §8 refuses, and PyJWT lets through
(it differs between its minor releases) much of what is refused here: size, alphabet, padding and pad bits,
duplicate and additional header members, ``typ``, a ``kid`` outside the verifier's own table. After these
checks nothing is left for a second parser but to parse again, for half the price of the signature.

Not here: what the claims mean (``tokens``).
"""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal

from delego_spec.canonical import normalise
from delego_spec.ed25519 import PublicKey, SeedSigner, Signer
from delego_spec.errors import CanonicalError, TokenError
from delego_spec.types import JSONObject, KeyId

MAX_BYTES: Final = 8 * 1024  # of the compact text
ALGORITHM: Final = "EdDSA"
TYPE: Final = "JWT"

JwsCode = Literal["malformed", "too_large", "header", "alg", "kid", "duplicate_member", "signature", "claims"]

_COMPACT: Final = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
_HEADER: Final = frozenset({"alg", "kid", "typ"})


@dataclass(frozen=True, slots=True)
class JwsRefusal:
    """Why an envelope was not opened. The message never holds the token: it is a credential."""

    code: JwsCode
    message: str


_NOT_CANONICAL: Final = JwsRefusal("malformed", "a part of the token is not canonical base64url")


@dataclass(frozen=True, slots=True)
class Opened:
    """What a key of the verifier's own table has signed."""

    kid: KeyId
    claims: JSONObject  # as written: 45.0 is still a float here


def seal(payload: bytes, signer: Signer) -> str:
    """The compact JWS over ``payload``, with the header {alg, kid, typ}; kid is the signer's key id.

    Raises TokenError for a result over 8 KiB, and when a signer elsewhere (an agent, a key module) answers
    for another key than ``signer.public_key``. What the signer itself raises passes through.
    """
    from delego_spec.compact import encode  # PyJWT takes long to import, and only who mints needs it

    token = encode(payload, ALGORITHM, signer)
    if len(token) > MAX_BYTES:
        raise TokenError(f"the token would have {len(token)} bytes; at most {MAX_BYTES} are allowed")
    if not isinstance(signer, SeedSigner) and not _signed(token, signer.public_key):
        raise TokenError("the signer's signature does not fit its public key; check which key it holds")
    return token


def open_jws(token: object, keys: Mapping[KeyId, PublicKey]) -> Opened | JwsRefusal:
    """Check the envelope with the verifier's own keys and read the claims as an object (§9.1 step 1).

    Never raises, whatever ``token`` is. The steps, and what each stops:
    """
    # (a) One text, bounded: no work is done for an attacker's megabytes.
    if type(token) is not str:
        return JwsRefusal("malformed", f"a token is a string, not {type(token).__name__}")
    if len(token) > MAX_BYTES:
        return JwsRefusal(
            "too_large", f"the token has {len(token)} characters; at most {MAX_BYTES} are allowed"
        )
    # (b) One spelling per token: blanks, padding and loose pad bits would give a replay another text.
    segments = _COMPACT.fullmatch(token)
    if segments is None:
        return JwsRefusal("malformed", "a token is three parts of base64url, without padding, with two dots")
    first, second, third = segments.groups()
    payload = _from_base64url(second)
    if payload is None or _from_base64url(third) is None:
        return _NOT_CANONICAL
    # (c) The header names no algorithm and no key of its own: see _read_header.
    kid = _opened_header(first)
    if isinstance(kid, JwsRefusal):
        return kid
    key = keys.get(kid)
    if key is None:
        return JwsRefusal("kid", f"the key {kid!r:.60} is not one of the verifier's own keys")
    # (d) The signature: forged and altered tokens. Nothing of the claims is read before it.
    if not _signed(token, key):
        return JwsRefusal("signature", f"the signature is not that of the key {kid!r:.60}")
    claims = read_object(payload, "claims")
    return claims if isinstance(claims, JwsRefusal) else Opened(kid, claims)


def read_object(data: bytes, what: Literal["header", "claims"]) -> JSONObject | JwsRefusal:
    """Read one JSON object of a token within the domain of §3, numbers left as they are written.

    The text need not be canonical: any implementation's JSON is read, but only where all parsers agree on
    its meaning. That excludes duplicate members (``alg`` or ``aud`` twice), another encoding than UTF-8,
    NaN, huge numbers, lone surrogates and deep nesting. Never raises.
    """
    try:
        value = json.loads(data.decode(), object_pairs_hook=_unique)
        normalise(value, name=what)
    except _DuplicateMemberError as error:
        return JwsRefusal("duplicate_member", f"the {what} has the member {error.name!r:.60} twice")
    except CanonicalError as error:
        return JwsRefusal(what, f"{error!s:.200}")
    except (ValueError, RecursionError):
        return JwsRefusal(what, f"the {what} is not JSON in UTF-8")
    if type(value) is not dict:
        return JwsRefusal(what, f"the {what} is not an object")
    return value


@lru_cache(maxsize=64)  # one authorizer's tokens all begin alike
def _opened_header(segment: str) -> KeyId | JwsRefusal:
    data = _from_base64url(segment)
    if data is None:
        return _NOT_CANONICAL
    header = read_object(data, "header")
    return header if isinstance(header, JwsRefusal) else _read_header(header)


def _read_header(header: JSONObject) -> KeyId | JwsRefusal:
    """The key id of a header that is exactly {alg, kid, typ}."""
    # jwk, jku, x5c bring a key of the attacker's; crit, b64, zip change what the bytes mean.
    for name in header:
        if name not in _HEADER:
            return JwsRefusal(
                "header", f"the header has the member {name!r:.60}; only alg, kid and typ are allowed"
            )
    if header.get("typ") != TYPE:  # a token that was signed for another purpose
        return JwsRefusal("header", f"typ is {header.get('typ')!r:.60}; it must be {TYPE!r}")
    if header.get("alg") != ALGORITHM:  # "none", or HMAC keyed with the public key
        return JwsRefusal("alg", f"alg is {header.get('alg')!r:.60}; it must be {ALGORITHM!r}")
    kid = header.get("kid")
    if type(kid) is not str:
        return JwsRefusal("kid", f"kid is {kid!r:.60}; it must name one of the verifier's own keys")
    return KeyId(kid)


def _signed(token: str, key: PublicKey) -> bool:
    text, _, signature = token.rpartition(".")
    return key.verify(text.encode(), _from_base64url(signature) or b"")


def _from_base64url(segment: str) -> bytes | None:
    """The bytes, or None where another text would decode to the same ones. The alphabet is checked before."""
    if len(segment) % 4 == 1:
        return None
    data = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    return data if base64.urlsafe_b64encode(data).rstrip(b"=").decode() == segment else None


class _DuplicateMemberError(Exception):
    """Carries the name of a member that stands twice out of the JSON parser's hook."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(name)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _DuplicateMemberError(Counter(name for name, _ in pairs).most_common(1)[0][0])
    return members
