"""What tests of the command share: homes with receipts in them, and the command as a process that runs on."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from delego_authorizer import Authorizer, Home
from delego_spec import Action

TIMEOUT = 60.0  # seconds; a limit for hangs, not a wait

READ = Action("read my account", "GET", "https://api.example.com/accounts/me", {})
FORBIDDEN = Action("share it", "POST", "https://api.example.com/files/7/permissions", {"role": "owner"})
ORDER = Action(
    "buy a lamp",
    "POST",
    "https://api.example.com/orders",
    {"amount": 2400, "currency": "USD", "destination": "internal"},
)


@contextmanager
def opened(home: Path) -> Iterator[Authorizer]:
    """The home's authorizer, without a broker: what is allowed is released to the caller."""
    authorizer = Home(home).authorizer()
    try:
        yield authorizer
    finally:
        authorizer.ledger.close()


def fill(home: Path) -> str:
    """Four receipts: an allowed read (0, 1), a forbidden write (2), an order that waits (3). Its approval."""
    with opened(home) as authorizer:
        authorizer.propose(READ)
        authorizer.propose(FORBIDDEN)
        return str(authorizer.propose(ORDER).approval_id)


def set_config(home: Path, text: str) -> None:
    """Write another configuration into a home."""
    Home(home).config_path.write_text(f"version = 1\n{text}", encoding="utf-8")


@contextmanager
def running(
    *words: str, env: Mapping[str, str], stdin: IO[bytes] | int | None = subprocess.DEVNULL
) -> Iterator[subprocess.Popen[bytes]]:
    """The command as a process of its own, ended with the block."""
    started = subprocess.Popen(
        [sys.executable, "-m", "delego_cli", *words],
        env=dict(env),
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with started:
        try:
            yield started
        finally:
            started.kill()
