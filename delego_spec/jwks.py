"""The public token keys as a JWK Set (RFC 7517, RFC 8037): what an authorizer publishes, and brokers read.

``kid`` is the key id (§9); it is computed here and compared, never taken on trust. What is read is what
``jwks_document`` writes; ``use`` and ``alg`` may be absent. Everything else is refused: a set that holds a
private key, a second kind of key or a member that nobody knows was not made for this.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from typing import Final

from delego_spec._members import Members
from delego_spec.ed25519 import PublicKey
from delego_spec.errors import JwksError, KeyFormatError
from delego_spec.types import JSON, JSONObject, KeyId

MAX_BYTES: Final = 64 * 1024
MAX_KEYS: Final = 100

_X: Final = re.compile(r"[A-Za-z0-9_-]{43}")  # 32 bytes
_FIXED: Final = {"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA"}
_OPTIONAL: Final = frozenset({"use", "alg"})
# RFC 7518 §6, RFC 8037: what only the owner of a key has.
_PRIVATE: Final = ("d", "k", "p", "q", "dp", "dq", "qi", "oth")


def jwks_document(keys: Iterable[PublicKey]) -> JSONObject:
    """The set of these keys, sorted by kid; a key that is given twice stands there once.

    Raises JwksError for two keys with one key id, and for more than 100.
    """
    by_id: dict[KeyId, PublicKey] = {}
    for key in keys:
        if by_id.setdefault(key.key_id, key) != key:
            raise JwksError(f"two keys have the key id {key.key_id!r}; make another one")
    if len(by_id) > MAX_KEYS:
        raise JwksError(f"there are {len(by_id)} keys; at most {MAX_KEYS} are allowed")
    members: list[JSON] = [{**_FIXED, "kid": kid, "x": _base64url(by_id[kid].raw)} for kid in sorted(by_id)]
    return {"keys": members}


def read_jwks(data: bytes | str) -> dict[KeyId, PublicKey]:
    """Read a set strictly: key id → key. An empty set is a set: nobody's tokens count.

    Raises JwksError for anything but the form above, naming the member; for a kid that is not its key's; for
    one that stands there twice; for more than 64 KiB or 100 keys. TypeError for neither text nor bytes.
    """
    if len(data) > MAX_BYTES:
        raise JwksError(f"jwks: has {len(data)} bytes; at most {MAX_BYTES} are allowed")
    members = Members.parse(data, "jwks", JwksError)
    entries = members.any("keys")
    members.close()
    if type(entries) is not list:
        members.refuse("keys", "must be a list")
    if len(entries) > MAX_KEYS:
        members.refuse("keys", f"has {len(entries)} keys; at most {MAX_KEYS} are allowed")
    keys: dict[KeyId, PublicKey] = {}
    for place, entry in enumerate(entries):
        where = f"jwks.keys[{place}]"
        key = _read_key(Members(entry, where, JwksError))
        if key.key_id in keys:
            raise JwksError(f"{where}.kid: {key.key_id!r} stands there twice")
        keys[key.key_id] = key
    return keys


def _read_key(members: Members) -> PublicKey:
    # A private key that was published is everybody's; it must not become one that verifies.
    for name in _PRIVATE:
        if members.has(name):
            members.refuse(name, "is a private key's; publish the public half, and make a new key")
    for name, wanted in _FIXED.items():
        if name in _OPTIONAL and not members.has(name):
            continue
        found = members.any(name)
        if found != wanted:
            members.refuse(name, f"is {found!r:.60}; it must be {wanted!r}")
    x, kid = members.text("x"), members.text("kid")
    members.close()
    raw = base64.urlsafe_b64decode(f"{x}=") if _X.fullmatch(x) else b""
    if _base64url(raw) != x:  # loose pad bits would give one key two spellings
        members.refuse("x", f"is {x!r:.60}; it must be 32 bytes in base64url, without padding")
    try:
        key = PublicKey(raw)
    except KeyFormatError as error:
        members.refuse("x", str(error))
    # Somebody else's name on a key would make one key pass for another.
    if kid != key.key_id:
        members.refuse("kid", f"is {kid!r:.60}; this key's id is {key.key_id!r}")
    return key


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
