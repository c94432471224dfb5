"""``delego export``: receipts as JSON Lines, and what an auditor needs beside them."""

from __future__ import annotations

import os
import shlex
import sys
from typing import TYPE_CHECKING, BinaryIO, Final

import click

from delego_cli.completers import ANY_FILE
from delego_cli.errors import CommandError
from delego_cli.exit_codes import ExitCode
from delego_cli.output import Text, emit, fields, progress, say
from delego_cli.verbs import Session, verb
from delego_ledger.errors import AlreadyExists
from delego_ledger.jsonl import export_evidence, export_receipts

if TYPE_CHECKING:
    from delego_spec.anchors import Anchor
    from delego_spec.ed25519 import PublicKey

STDOUT: Final = "-"


@verb(
    "export",
    examples=["delego export receipts.jsonl", "delego export - --start 1000 | gzip > receipts.jsonl.gz"],
)
@click.argument("file", type=ANY_FILE, default=STDOUT)
@click.option("--start", type=click.IntRange(min=0), default=0, metavar="N", help="The first seq.")
@click.option("--stop", type=click.IntRange(min=0), metavar="N", help="The seq to stop in front of.")
@click.option(
    "--evidence",
    type=ANY_FILE,
    metavar="FILE",
    help="Write the approvers' signed evidence to this file, too.",
)
def command(session: Session, file: str, start: int, stop: int | None, evidence: str | None) -> ExitCode:
    """Write the receipts, as they were signed, to a new FILE (- for standard output).

    What an auditor needs beside the file is written to standard error: the head and the public key. Give it
    to them by another way than the file, or whoever changes one changes both.
    """
    if file == evidence:
        raise click.UsageError("receipts and evidence need two files")
    for name in (file, evidence):  # both, before one is written: half an export is left by nobody
        if name is not None and name != STDOUT and os.path.lexists(name):
            raise AlreadyExists(name)
    home = session.home()
    ledger, key = home.ledger(), home.public_key()
    head = ledger.head()
    end = 0 if head is None else head.seq + 1
    stop = end if stop is None else min(stop, end)
    with progress("exporting", max(0, stop - start)) as bar:
        told = 0

        def step(written: int) -> None:
            nonlocal told
            bar.update(written - told)
            told = written

        count = export_receipts(ledger, _target(file), start=start, stop=stop, progress=step)
    signed = None if evidence is None else export_evidence(ledger, _target(evidence))
    last = ledger.receipt(start + count - 1) if count else None
    anchor = None if last is None else last.anchor
    if session.json and file != STDOUT:
        emit(
            {
                "file": file,
                "receipts": count,
                "start": start,
                "head": None if anchor is None else str(anchor),
                "public_key": key.hex,
                "key_id": key.key_id,
                "evidence": signed,
            }
        )
    else:
        _say_summary(file, start, count, anchor, key, signed)
    return ExitCode.YES


def _target(name: str) -> str | BinaryIO:
    if name != STDOUT:
        return name
    if sys.stdout is None:
        raise CommandError("standard output is closed; give a FILE")
    return sys.stdout.buffer


def _say_summary(
    file: str, start: int, count: int, anchor: Anchor | None, key: PublicKey, signed: int | None
) -> None:
    """To standard error: the receipts themselves may be going to standard output."""
    pairs: list[tuple[str, Text]] = [
        ("receipts", str(count)),
        ("head", "none" if anchor is None else str(anchor)),
        ("public key", f"{key.hex} (key id {key.key_id})"),
    ]
    if signed is not None:
        pairs.append(("evidence", f"{signed} signed decision{'' if signed == 1 else 's'}"))
    fields(pairs, err=True)
    if not count:
        say("there is no receipt in what was asked for", err=True)
    elif start > 0:
        say(
            f"this is a part: verified by itself, its first receipt lacks seq {start - 1} before it", err=True
        )
    elif anchor is not None and file != STDOUT:
        name = shlex.quote(file)
        say(f"to check it: delego verify {name} --public-key {key.hex} --expected-head {anchor}", err=True)
