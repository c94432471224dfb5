"""Ed25519 keys in files: PEM, one key a file, private ones readable by their owner alone.

Written: PKCS#8 (``PRIVATE KEY``), under a passphrase ``DELEGO ENCRYPTED PRIVATE KEY`` (see ``sealed``), and
SubjectPublicKeyInfo (``PUBLIC KEY``). Read as well: PKCS#8 that other tools encrypted (``ENCRYPTED PRIVATE
KEY``), and a public key as one line of 64 hexadecimal digits. Anything else is a KeyFileError; so is text
around the block, because what a person sees in a file should be all that it says.
"""

from __future__ import annotations

import os
import re
import shlex
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from cryptography.exceptions import InternalError, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from delego_ledger.errors import KeyFileError, StorageError, StrPath, WrongPassphrase, os_reason
from delego_ledger.files import PUBLIC, read_file, write_atomically
from delego_ledger.pkcs8 import check_encrypted, check_private, raw_public
from delego_ledger.sealed import MODERATE, Cost, SealError, WrongKey, parse_sealed, seal, unwrap, wrap
from delego_spec.ed25519 import SEED_BYTES, PublicKey, SeedSigner
from delego_spec.errors import KeyFormatError

Passphrase: TypeAlias = Callable[[], bytes] | bytes | None

MAX_BYTES: Final = 16 * 1024  # a key file has some hundred bytes

_PLAIN: Final = "PRIVATE KEY"
_STANDARD: Final = "ENCRYPTED PRIVATE KEY"
_SEALED: Final = "DELEGO ENCRYPTED PRIVATE KEY"
_PUBLIC: Final = "PUBLIC KEY"
_ENCRYPTED: Final = frozenset({_STANDARD, _SEALED})
_KNOWN: Final = frozenset({_PLAIN, _STANDARD, _SEALED, _PUBLIC})

_BEGIN: Final = re.compile(r"-----BEGIN ([A-Z0-9 ]{1,60})-----")
_HEX: Final = re.compile(r"[0-9a-f]{64}")
_PRINCIPAL: Final = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")
_SUFFIXES: Final = (".pub", ".pem")
_LIBRARY: Final = (ValueError, TypeError, UnsupportedAlgorithm, InternalError)


@dataclass(frozen=True, slots=True)
class _Block:
    label: str  # "" for the one line of hexadecimal digits
    body: str  # the lines between BEGIN and END, without the last newline


def generate_key(
    path: StrPath, *, passphrase: bytes | None = None, seed: bytes | None = None, _cost: Cost = MODERATE
) -> SeedSigner:
    """Make a key and write it to a new file, mode 0600, durable on return.

    ``seed``: 32 bytes to make the key from; None takes them from the system. An existing file is never
    replaced: AlreadyExists. StorageError when it cannot be written, ValueError for a seed of another length
    or an empty passphrase.
    """
    if passphrase is not None and (type(passphrase) is not bytes or not passphrase):
        raise ValueError("a passphrase is bytes, and not empty; None is for no passphrase")
    if seed is None:
        seed = os.urandom(SEED_BYTES)
    if type(seed) is not bytes or len(seed) != SEED_BYTES:
        raise ValueError(f"a seed has {SEED_BYTES} bytes")
    der = Ed25519PrivateKey.from_private_bytes(seed).private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    if passphrase is None:
        text = _pem(_PLAIN, wrap(der))
    else:
        try:
            sealed = seal(der, passphrase, salt=os.urandom(16), nonce=os.urandom(24), cost=_cost)
        except SealError as error:
            raise StorageError("write", path, str(error), retry_safe=True) from error
        text = _pem(_SEALED, sealed.body())
    write_atomically(path, text.encode("ascii"))
    return SeedSigner(seed)


def load_signer(path: StrPath, *, passphrase: Passphrase = None) -> SeedSigner:
    """Read a private key. ``passphrase``: the bytes, or what to call for them, asked only if there is need.

    Raises KeyFileError (WrongPassphrase among them) for everything that keeps the file from being used,
    a file that others may read too; whatever ``passphrase`` itself raises passes through.
    """
    block, status = _read(path)
    if block.label in (_PUBLIC, ""):
        raise KeyFileError(path, "it holds a public key; a private key is wanted")
    _check_owner_only(path, status)
    try:
        return SeedSigner(_seed(path, block, passphrase))
    except WrongKey as error:
        raise WrongPassphrase(path) from error
    except SealError as error:
        raise KeyFileError(path, str(error)) from error


def load_public_key(path: StrPath) -> PublicKey:
    """Read a public key: PEM, one line of hexadecimal digits, or the half of a private key in the clear.

    Raises KeyFileError.
    """
    block, _ = _read(path)
    if block.label in _ENCRYPTED:
        raise KeyFileError(
            path, "it is a private key under a passphrase; the file of its public key is wanted"
        )
    try:
        if block.label == _PLAIN:
            return SeedSigner(_seed(path, block, None)).public_key
        if block.label == _PUBLIC:
            return PublicKey(raw_public(unwrap(block.body)))
        return PublicKey.from_hex(block.body)
    except (SealError, KeyFormatError) as error:
        raise KeyFileError(path, str(error)) from error


def load_public_keys(directory: StrPath) -> dict[str, PublicKey]:
    """The keys of a directory by principal: ``alice.pub`` or ``alice.pem`` is the key of ``alice``.

    Other names, hidden ones among them, are passed over. Raises KeyFileError for a file that is no public
    key, a name that is no principal's, two files for one principal, and one key under two names (one person
    would count as two approvers).
    """
    try:
        files = sorted(entry for entry in Path(directory).iterdir() if _is_key_name(entry.name))
    except (OSError, ValueError) as error:
        raise KeyFileError(directory, f"the directory cannot be read: {os_reason(error)}") from error
    keys: dict[str, PublicKey] = {}
    names: dict[PublicKey, str] = {}
    for file in files:
        name = file.name[: -len(_SUFFIXES[0])]
        if not names_key_file(name):
            raise KeyFileError(
                file, "the name before the suffix is not a principal's: a-z, 0-9, and . _ @ - inside"
            )
        if name in keys:
            raise KeyFileError(file, f"there is a second file for {name!r}; keep one")
        if not file.is_file():
            raise KeyFileError(file, "it is not a regular file")
        key = load_public_key(file)
        if key in names:
            raise KeyFileError(
                file, f"it holds the same key as that of {names[key]!r}; each principal has its own"
            )
        keys[name], names[key] = key, name
    return keys


def names_key_file(principal: str) -> bool:
    """True if ``principal.pub`` may hold the key of ``principal``: lower case, as some systems fold it."""
    return _PRINCIPAL.fullmatch(principal) is not None


def write_public_key(path: StrPath, key: PublicKey) -> None:
    """Write a public key to a new file, readable by all. Raises AlreadyExists or StorageError."""
    write_atomically(path, public_pem(key).encode("ascii"), mode=PUBLIC)


def public_pem(key: PublicKey) -> str:
    """The key as PEM SubjectPublicKeyInfo, as every other tool reads it."""
    return (
        Ed25519PublicKey.from_public_bytes(key.raw)
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode("ascii")
    )


def is_encrypted(path: StrPath) -> bool:
    """True for a private key under a passphrase, of either form. Raises KeyFileError."""
    return _read(path)[0].label in _ENCRYPTED


def _pem(label: str, body: str) -> str:
    return f"-----BEGIN {label}-----\n{body}\n-----END {label}-----\n"


def _read(path: StrPath) -> tuple[_Block, os.stat_result]:
    try:
        data, status = read_file(path, limit=MAX_BYTES)
    except StorageError as error:
        raise KeyFileError(path, f"it cannot be read: {error.reason}") from error
    try:
        text = data.decode("ascii").replace("\r\n", "\n").rstrip("\n")
    except UnicodeDecodeError as error:
        raise KeyFileError(path, "it is not a PEM file") from error
    return _block(path, text), status


def _block(path: StrPath, text: str) -> _Block:
    if _HEX.fullmatch(text):
        return _Block("", text)
    first, _, rest = text.partition("\n")
    begin = _BEGIN.fullmatch(first)
    if begin is None:
        raise KeyFileError(path, "it does not begin with a PEM line, such as '-----BEGIN PRIVATE KEY-----'")
    label = begin[1]
    if label not in _KNOWN:
        raise KeyFileError(
            path, f"it holds a block of type {label!r}; 'PRIVATE KEY' (PKCS#8) or 'PUBLIC KEY' is wanted"
        )
    if "-----BEGIN" in rest:
        raise KeyFileError(path, "it holds more than one block; keep one key a file")
    body, found, after = rest.partition(f"\n-----END {label}-----")
    if not found:
        raise KeyFileError(path, f"it is cut off: the line '-----END {label}-----' is missing")
    if after:
        raise KeyFileError(path, "there is text after the end of the block")
    return _Block(label, body)


def _is_key_name(name: str) -> bool:
    return name.endswith(_SUFFIXES) and not name.startswith(".")


def _check_owner_only(path: StrPath, status: os.stat_result) -> None:
    """A private key that others can read is theirs as well; saying so early is the one chance to notice."""
    if sys.platform != "win32" and status.st_mode & 0o077:
        shown = os.fspath(path)
        command = f"chmod 600 {shlex.quote(shown)}" if shown.isprintable() else "chmod 600 on it"
        mode = stat.S_IMODE(status.st_mode)
        raise KeyFileError(path, f"others than its owner have access to it (mode {mode:04o}); run: {command}")


def _seed(path: StrPath, block: _Block, passphrase: Passphrase) -> bytes:
    """The 32 bytes of a private key's block. Raises SealError; the passphrase is asked for last."""
    if block.label == _STANDARD:
        der = unwrap(block.body)
        check_encrypted(der)
        return _raw_private(der, _ask(path, passphrase))
    if block.label == _SEALED:
        sealed = parse_sealed(block.body)
        der = sealed.open(_ask(path, passphrase))
    else:
        der = unwrap(block.body)
    check_private(der)
    return _raw_private(der, None)


def _ask(path: StrPath, passphrase: Passphrase) -> bytes:
    if passphrase is None:
        raise KeyFileError(path, "it is under a passphrase, and none was given")
    secret = passphrase() if callable(passphrase) else passphrase
    if type(secret) is not bytes:
        raise TypeError(f"a passphrase is bytes, not {type(secret).__name__}")
    return secret


def _raw_private(der: bytes, secret: bytes | None) -> bytes:
    try:
        key = serialization.load_der_private_key(der, secret)
    except _LIBRARY as error:
        raise (SealError("its contents are damaged") if secret is None else WrongKey()) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise SealError("it holds another kind of key; an Ed25519 key is wanted")
    return key.private_bytes_raw()
