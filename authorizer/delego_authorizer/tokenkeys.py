"""The keys whose tokens count, and how one follows another without one refusal.

    keys/token.pem|pub                       signs now
    keys/token.next.pem|pub                  will sign; published already, so that verifiers know it by then
    keys/token.previous.KEYID.UNTIL.pub      signed before; published until its tokens are dead

A rotation has two steps, with a wait between them that belongs to the verifiers: ``prepare_rotation``, and,
once they have read the new set, ``complete_rotation``. At every moment in between, a crash included, the
published set holds each key that may have signed a token that is alive.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

from delego_authorizer.errors import HomeError
from delego_authorizer.home import Home
from delego_ledger.errors import KeyFileError, StorageError
from delego_ledger.files import PUBLIC, place_file, sync_directory, write_atomically
from delego_ledger.keyfiles import generate_key, load_public_key, load_signer, public_pem, write_public_key
from delego_spec.ed25519 import PublicKey
from delego_spec.tokens import MAX_LEEWAY, MAX_LIFETIME
from delego_spec.types import EpochSeconds

Use: TypeAlias = Literal["current", "next", "previous"]

# Seconds after which no token of a key is accepted any more by any verifier, once nobody signs with it.
LEAST_OVERLAP: Final = MAX_LIFETIME + 2 * MAX_LEEWAY

_PREVIOUS: Final = re.compile(r"token\.previous\.[0-9a-f]{16}\.([0-9]{1,15})\.pub")


@dataclass(frozen=True, slots=True)
class TokenKey:
    """One key of the published set."""

    use: Use
    key: PublicKey
    path: Path
    until: EpochSeconds | None = None  # of a previous one: from then on it is published no longer


def published_token_keys(home: Home, now: EpochSeconds) -> tuple[TokenKey, ...]:
    """What brokers have to know at ``now``: the current key, the next one, the previous ones not yet dead.

    Raises HomeError, KeyFileError.
    """
    home.require()
    folder = home.keys_path
    keys = [TokenKey("current", load_public_key(folder / "token.pub"), folder / "token.pub")]
    following = folder / "token.next.pub"
    if following.exists():
        keys.append(TokenKey("next", load_public_key(following), following))
    for path, until in _previous(folder):
        if now < until:
            keys.append(TokenKey("previous", load_public_key(path), path, until))
    return tuple(keys)


def prepare_rotation(home: Home) -> TokenKey:
    """Make the next token key, which signs nothing yet; one that was made already stays what it is.

    Raises HomeError, KeyFileError, StorageError.
    """
    home.require()
    private, public = home.keys_path / "token.next.pem", home.keys_path / "token.next.pub"
    if not private.exists() and public.exists():
        raise HomeError(
            home.path, f"is in the middle of a rotation: {public.name} signs already; complete it"
        )
    signer = load_signer(private) if private.exists() else generate_key(private)
    if not public.exists():
        write_public_key(public, signer.public_key)
    return TokenKey("next", load_public_key(public), public)


def complete_rotation(home: Home, now: EpochSeconds, overlap: int) -> tuple[PublicKey, PublicKey]:
    """Let the next key sign from now on; the old and the new one. An interrupted call is finished by another.

    ``overlap``: seconds for which the old key is still published, at least ``LEAST_OVERLAP`` and as long as a
    process may run that has opened the home before; or 0, which makes its tokens worthless at once. Its
    private half is removed. Raises HomeError where no next key was prepared, ValueError for another overlap,
    KeyFileError, StorageError.
    """
    if type(overlap) is not int or (overlap < LEAST_OVERLAP and overlap != 0):
        raise ValueError(f"overlap is {overlap!r:.60}; 0 or at least {LEAST_OVERLAP} seconds are wanted")
    home.require()
    folder = home.keys_path
    next_private, next_public = folder / "token.next.pem", folder / "token.next.pub"
    if not next_public.exists():
        raise HomeError(home.path, "has no next token key; prepare one first, and publish it")
    old, new = load_public_key(folder / "token.pub"), load_public_key(next_public)
    try:
        # Each step leaves every key that may have signed in the set: the old one is named as a previous one
        # before it can be lost, the new one was there already.
        if overlap:
            kept = folder / f"token.previous.{old.key_id}.{now + overlap}.pub"
            write_atomically(kept, public_pem(old).encode("ascii"), overwrite=True, mode=PUBLIC)
        if next_private.exists():
            if load_signer(next_private).public_key != new:
                raise KeyFileError(next_public, "it is not the public half of token.next.pem")
            place_file(next_private, folder / "token.pem", overwrite=True)
            sync_directory(folder)
        place_file(next_public, folder / "token.pub", overwrite=True)
        for path, until in _previous(folder):
            if until <= now or (not overlap and load_public_key(path) == old):
                path.unlink()
        sync_directory(folder)
    except OSError as error:
        raise StorageError("rotate", folder, error, retry_safe=True) from None
    return old, new


def _previous(folder: Path) -> Iterator[tuple[Path, EpochSeconds]]:
    for path in sorted(folder.glob("token.previous.*.pub")):
        match = _PREVIOUS.fullmatch(path.name)
        if match is not None:
            yield path, EpochSeconds(int(match[1]))
