"""Private keys under a passphrase: this project's own block, and the bounds for everybody else's.

The encrypted PKCS#8 that the usual library writes stretches a passphrase with 2048 rounds of PBKDF2, which
costs a guesser next to nothing. Ours uses argon2id (256 MiB, three passes) and XSalsa20-Poly1305, with the
parameters in the file. A file is input, and may be hostile: no parameter is obeyed beyond its bound.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Final

from nacl.exceptions import CryptoError
from nacl.pwhash import argon2id
from nacl.secret import SecretBox

MIB: Final = 1024 * 1024
MAX_MEMORY: Final = 1024 * MIB
MAX_PASSES: Final = 16
MAX_PBKDF2_ROUNDS: Final = 10_000_000  # a second or two
MAX_SCRYPT_WORK: Final = 4  # times MAX_MEMORY, over all parallel parts

_WIDTH: Final = 64
_BODY: Final = re.compile(
    r"version: (?P<version>[0-9]{1,4})\n"
    r"kdf: argon2id passes=(?P<passes>[1-9][0-9]{0,3}) memory=(?P<memory>[1-9][0-9]{0,12})\n"
    r"salt: (?P<salt>[0-9a-f]{32})\n"
    r"nonce: (?P<nonce>[0-9a-f]{48})\n"
    r"\n"
    r"(?P<box>[A-Za-z0-9+/=\n]+)"
)


class SealError(Exception):
    """Inside the room only: what is wrong with a block, in one plain phrase."""


class WrongKey(SealError):  # noqa: N818 - reads as what happened
    """Inside the room only: the passphrase does not open the block."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one guess at the passphrase costs."""

    passes: int  # over the memory
    memory: int  # bytes


MODERATE: Final = Cost(passes=3, memory=256 * MIB)  # about half a second


@dataclass(frozen=True, slots=True)
class Sealed:
    """A parsed block: everything but the passphrase."""

    cost: Cost
    salt: bytes
    nonce: bytes
    box: bytes

    def body(self) -> str:
        """The lines between BEGIN and END, each value in its one spelling."""
        head = (
            f"version: 1\nkdf: argon2id passes={self.cost.passes} memory={self.cost.memory}\n"
            f"salt: {self.salt.hex()}\nnonce: {self.nonce.hex()}\n\n"
        )
        return head + wrap(self.box)

    def open(self, passphrase: bytes) -> bytes:
        """The secret. Raises WrongKey, for a file that was changed too; SealError when memory is short."""
        try:
            return SecretBox(_stretch(passphrase, self.salt, self.cost)).decrypt(self.box, self.nonce)
        except CryptoError as error:
            raise WrongKey from error


def seal(secret: bytes, passphrase: bytes, *, salt: bytes, nonce: bytes, cost: Cost) -> Sealed:
    """Encrypt. ``salt`` (16 bytes) and ``nonce`` (24 bytes) are fresh random bytes."""
    box = SecretBox(_stretch(passphrase, salt, cost)).encrypt(secret, nonce).ciphertext
    return Sealed(cost, salt, nonce, box)


def parse_sealed(body: str) -> Sealed:
    """Read a block's lines. Raises SealError, before any memory is taken, for parameters out of bounds."""
    match = _BODY.fullmatch(body)
    if match is None:
        raise SealError("the encrypted block is damaged")
    if match["version"] != "1":
        raise SealError(f"it has version {match['version']} of the encrypted form, this program knows 1")
    cost = Cost(int(match["passes"]), int(match["memory"]))
    if cost.passes > MAX_PASSES or not argon2id.MEMLIMIT_MIN <= cost.memory <= MAX_MEMORY:
        raise SealError(
            f"it asks for argon2id with {cost.passes} passes over {cost.memory} bytes; "
            f"at most {MAX_PASSES} over {MAX_MEMORY} are done"
        )
    sealed = Sealed(cost, bytes.fromhex(match["salt"]), bytes.fromhex(match["nonce"]), unwrap(match["box"]))
    if sealed.body() != body:
        raise SealError("the encrypted block is not written as this program writes it")
    return sealed


def wrap(data: bytes) -> str:
    """Base64 in lines of 64, without a newline at the end."""
    text = base64.b64encode(data).decode("ascii")
    return "\n".join(text[start : start + _WIDTH] for start in range(0, len(text), _WIDTH))


def unwrap(text: str) -> bytes:
    """Base64 in lines of any length, each bit in its place. Raises SealError."""
    joined = text.replace("\n", "")
    try:
        data = base64.b64decode(joined, validate=True)
    except (binascii.Error, ValueError) as error:
        raise SealError("its base64 is damaged") from error
    if not data or base64.b64encode(data).decode("ascii") != joined:
        raise SealError("its base64 is damaged")
    return data


def _stretch(passphrase: bytes, salt: bytes, cost: Cost) -> bytes:
    try:
        return argon2id.kdf(SecretBox.KEY_SIZE, passphrase, salt, opslimit=cost.passes, memlimit=cost.memory)
    except RuntimeError as error:  # of PyNaCl, which makes it a CryptoError as well
        raise SealError(f"argon2id needs {cost.memory // MIB} MiB of memory, and did not get it") from error
