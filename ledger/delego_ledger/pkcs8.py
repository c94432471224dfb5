"""What a PKCS#8 or SubjectPublicKeyInfo file says about itself, read before any library acts on it.

A general parser takes twenty kinds of keys and obeys any cost that an encrypted file asks for: a scrypt
parameter alone can ask for all memory there is. Here the kind of key and the cost are looked at first.
"""

from __future__ import annotations

from typing import Final

from delego_ledger.sealed import MAX_MEMORY, MAX_PBKDF2_ROUNDS, MAX_SCRYPT_WORK, SealError

_INTEGER: Final = 0x02
_OCTETS: Final = 0x04
_OID: Final = 0x06
_SEQUENCE: Final = 0x30

_ED25519: Final = "2b6570"
_ED25519_SPKI: Final = bytes.fromhex("302a300506032b6570032100")  # RFC 8410; the key follows
_KINDS: Final = {
    "2a864886f70d010101": "an RSA",
    "2a8648ce3d0201": "an elliptic curve (ECDSA)",
    "2a8648ce380401": "a DSA",
    "2b656e": "an X25519",
    "2b6571": "an Ed448",
}
_PBES2: Final = "2a864886f70d01050d"
_PBKDF2: Final = "2a864886f70d01050c"
_SCRYPT: Final = "2b06010401da47040b"
_CIPHERS: Final = frozenset(  # AES-128, -192 and -256 and triple DES, all CBC: what tools write
    {"608648016503040102", "608648016503040116", "60864801650304012a", "2a864886f70d0307"}
)

_DAMAGED: Final = "its contents are damaged"


class _Der:
    """Reads the elements of one DER value, in order."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, tag: int) -> bytes:
        """The contents of the next element, which must have this tag. Raises SealError."""
        head = self._data[self._at : self._at + 2]
        if len(head) < 2 or head[0] != tag:
            raise SealError(_DAMAGED)
        start, length = self._at + 2, head[1]
        if length >= 0x80:
            size = length & 0x7F
            length = int.from_bytes(self._data[start : start + size]) if 0 < size <= 3 else len(self._data)
            start += size
        if start + length > len(self._data):
            raise SealError(_DAMAGED)
        self._at = start + length
        return self._data[start : self._at]

    def enter(self) -> _Der:
        return _Der(self.take(_SEQUENCE))

    def number(self) -> int:
        return int.from_bytes(self.take(_INTEGER), signed=True)

    def oid(self) -> str:
        return self.take(_OID).hex()

    def end(self) -> None:
        if self._at != len(self._data):
            raise SealError(_DAMAGED)


def check_private(der: bytes) -> None:
    """Raise SealError unless this PKCS#8 value names an Ed25519 key."""
    info = _outer(der)
    info.number()
    _check_kind(info.enter().oid())


def raw_public(der: bytes) -> bytes:
    """The 32 bytes of a SubjectPublicKeyInfo value. Raises SealError unless it is one of an Ed25519 key."""
    _check_kind(_outer(der).enter().oid())
    if not der.startswith(_ED25519_SPKI):  # which gives the length of the whole as well
        raise SealError(_DAMAGED)
    return der[len(_ED25519_SPKI) :]


def check_encrypted(der: bytes) -> None:
    """Raise SealError unless this EncryptedPrivateKeyInfo is PBES2 at a cost that is worth paying."""
    info = _outer(der)
    scheme = info.enter()
    info.take(_OCTETS)
    info.end()
    if scheme.oid() != _PBES2:
        raise SealError(
            "its encryption is not supported; PBES2 is wanted, as 'openssl pkcs8 -topk8' writes it"
        )
    both = scheme.enter()
    stretching, cipher = both.enter(), both.enter()
    if cipher.oid() not in _CIPHERS:
        raise SealError("its encryption is not supported; AES in CBC mode is wanted")
    kind, parameters = stretching.oid(), stretching.enter()
    parameters.take(_OCTETS)
    if kind == _PBKDF2:
        fits = 1 <= parameters.number() <= MAX_PBKDF2_ROUNDS
    elif kind == _SCRYPT:
        n, r, p = parameters.number(), parameters.number(), parameters.number()
        memory = 128 * n * r
        fits = min(n, r, p) >= 1 and memory <= MAX_MEMORY and memory * p <= MAX_SCRYPT_WORK * MAX_MEMORY
    else:
        raise SealError("its key derivation is not supported; PBKDF2 or scrypt is wanted")
    if not fits:
        raise SealError("its key derivation asks for more work than is done for a key file")


def _outer(der: bytes) -> _Der:
    whole = _Der(der)
    contents = whole.enter()
    whole.end()
    return contents


def _check_kind(oid: str) -> None:
    if oid != _ED25519:
        raise SealError(f"it holds {_KINDS.get(oid, 'another kind of')} key; an Ed25519 key is wanted")
