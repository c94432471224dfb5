"""``delego verifier``: one HTML file with which an auditor verifies an export offline, without this program.

The page is put together from the JavaScript implementation by ``conformance/javascript/verifier/build.py``
and ships as it is.
"""

from __future__ import annotations

import hashlib
import sys
from importlib import resources

import click

from delego_cli.completers import ANY_FILE
from delego_cli.errors import CommandError
from delego_cli.exit_codes import ExitCode
from delego_cli.output import Text, emit, fields
from delego_cli.verbs import Session, verb
from delego_ledger.files import write_atomically

STDOUT = "-"
READABLE = 0o644  # there is no secret in it, and it is made to be handed on


@verb("verifier", examples=["delego verifier -o verifier.html", "delego verifier -o - | sha256sum"])
@click.option(
    "-o",
    "--output",
    type=ANY_FILE,
    required=True,
    metavar="FILE",
    help="The file to write; - for standard output.",
)
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
def command(session: Session, output: str, force: bool) -> ExitCode:
    """Write a page that verifies an export in a browser: open it from disk, no network, nothing to install.

    Give it to an auditor by another way than the export, or say its SHA-256: whoever can change the page can
    make it say "valid".
    """
    page = resources.files("delego_cli").joinpath("verifier.html").read_bytes()
    if output == STDOUT:
        if sys.stdout is None:
            raise CommandError("standard output is closed; give a FILE")
        sys.stdout.buffer.write(page)
    else:
        write_atomically(output, page, overwrite=force, mode=READABLE)
    digest = hashlib.sha256(page).hexdigest()
    if session.json and output != STDOUT:
        emit({"file": output, "bytes": len(page), "sha256": digest})
    else:
        pairs: list[tuple[str, Text]] = [("bytes", str(len(page))), ("sha256", digest)]
        if output != STDOUT:
            pairs.insert(0, ("file", output))
        fields(pairs, err=True)
    return ExitCode.YES
