"""Who is meant: names given with ``--as``, and the name of the person at the keyboard."""

from __future__ import annotations

import getpass
import re
import unicodedata
from typing import Final

import click

from delego_cli.errors import CommandError

MAX_NAME: Final = 64

_NOT_IN_NAMES: Final = re.compile(r"[^a-z0-9._@-]+")


def principal_name(text: str) -> str:
    """The value of ``--as``: a name that receipts may carry. Raises click.BadParameter."""
    from delego_authorizer.errors import PrincipalError
    from delego_authorizer.values import check_principal

    try:
        return check_principal(text)
    except PrincipalError as error:
        raise click.BadParameter(str(error)) from None


def account_name(option: str) -> str:
    """The name of the account this runs under, as a principal's name. ``option``: what names one instead.

    Raises CommandError where the system names nobody, or nothing of the name can be used.
    """
    try:
        account = getpass.getuser()
    except (OSError, KeyError, ImportError):
        account = ""
    name = as_principal(account)
    if name is None:
        said = f"the account's name {account!r:.80} cannot be used" if account else "this account has no name"
        raise CommandError(f"{said}; say who you are with {option} NAME")
    return name


def as_principal(account: str) -> str | None:
    """``DOMAIN\\Jörg Müller`` → ``jorg-muller``: a name for receipts and key files. None: nothing left."""
    plain = unicodedata.normalize("NFKD", account.rpartition("\\")[2])
    ascii_only = "".join(char for char in plain.lower() if not unicodedata.combining(char))
    name = _NOT_IN_NAMES.sub("-", ascii_only).lstrip("-._@")[:MAX_NAME].rstrip("-")
    return name or None
