"""Questions to the person at the terminal, and secrets from them. Nobody there is no answer, never a yes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import BinaryIO, Final

import click

from delego_cli.errors import CommandError
from delego_cli.output import say, shown

MAX_PASSPHRASE: Final = 4096  # bytes


def somebody_is_there() -> bool:
    """True when a person can read on stderr what is asked, and answer on stdin."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))


def standard_input() -> BinaryIO:
    """Standard input as bytes. Raises CommandError where it is closed."""
    if sys.stdin is None:
        raise CommandError("standard input is closed; give a FILE")
    return sys.stdin.buffer


def confirm(question: str, *, otherwise: str) -> bool:
    """Ask on the terminal; the default is no. ``otherwise``: what to do where nobody can be asked.

    Raises CommandError without a terminal.
    """
    if not somebody_is_there():
        raise CommandError(f"there is no terminal to ask on, and nothing was done; {otherwise}")
    return click.confirm(shown(question), default=False, err=True)


def passphrase(question: str, *, twice: bool = False) -> bytes:
    """Ask for a passphrase, not shown while it is typed. Raises CommandError where none is given."""
    if not somebody_is_there():
        raise CommandError("there is no terminal to ask for the passphrase on; give --passphrase-file")
    while True:
        text: str = click.prompt(shown(question), hide_input=True, err=True, default="", show_default=False)
        if not twice or not text:
            break
        again: str = click.prompt("once more", hide_input=True, err=True, default="", show_default=False)
        if text == again:
            break
        say("the two differ; try again", err=True)
    if not text:
        raise CommandError("no passphrase was given")
    return text.encode("utf-8", "surrogateescape")


def passphrase_of(path: str) -> bytes:
    """The first line of a file, without its end. Raises CommandError."""
    with Path(path).open("rb") as file:
        line = file.readline(MAX_PASSPHRASE + 1).rstrip(b"\r\n")
    if not line or len(line) > MAX_PASSPHRASE:
        wanted = f"its first line must have 1 to {MAX_PASSPHRASE} bytes"
        raise CommandError(f"{path!r:.300} holds no passphrase; {wanted}")
    return line
