"""Where an approver's private key is, and how it is opened."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from delego_cli.asking import passphrase, passphrase_of
from delego_cli.errors import CommandError
from delego_cli.output import say

if TYPE_CHECKING:
    from delego_spec.ed25519 import SeedSigner

VARIABLE: Final = "DELEGO_APPROVER_KEY"
ATTEMPTS: Final = 3


def default_path(name: str) -> Path:
    """``NAME.pem`` in this person's configuration folder, outside every home."""
    return Path(click.get_app_dir("delego")) / f"{name}.pem"


def key_path(name: str, given: str | None) -> Path:
    """``--key``, else ``DELEGO_APPROVER_KEY``, else the default. Raises CommandError where no file is."""
    text = given or os.environ.get(VARIABLE)
    path = default_path(name) if not text else Path(text).expanduser()
    if not path.exists():
        raise CommandError(
            f"there is no key of {name!r} at {str(path)!r:.300}; make one with"
            f" 'delego keys new-approver {name}', or give --key"
        )
    return path


def open_key(path: Path, passphrase_file: str | None) -> SeedSigner:
    """Read the key; a passphrase comes from the file, or is asked for on the terminal, three times at most.

    Raises KeyFileError, CommandError.
    """
    from delego_ledger.errors import WrongPassphrase
    from delego_ledger.keyfiles import load_signer

    if passphrase_file is not None:
        return load_signer(path, passphrase=lambda: passphrase_of(passphrase_file))
    for left in range(ATTEMPTS - 1, 0, -1):
        try:
            return load_signer(path, passphrase=lambda: passphrase(f"passphrase of {path.name}"))
        except WrongPassphrase:
            say(f"that is not the passphrase; {left} more", err=True)
    return load_signer(path, passphrase=lambda: passphrase(f"passphrase of {path.name}"))
