"""``delego head``: the newest receipt's anchor, to be kept where the ledger's writer cannot change it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from delego_cli.errors import CommandError
from delego_cli.exit_codes import ExitCode
from delego_cli.output import emit, say
from delego_cli.verbs import Session, verb
from delego_ledger.anchorfile import append_anchor, latest_anchor
from delego_ledger.clock import system_clock

if TYPE_CHECKING:
    from pathlib import Path

    from delego_authorizer import Home
    from delego_ledger.contract import Ledger
    from delego_spec.anchors import Anchor


@verb("head", examples=["delego head >> /mnt/worm/heads.txt", "delego head --append"])
@click.option("--append", is_flag=True, help="Add it to the configured anchor file as well.")
def command(session: Session, append: bool) -> ExitCode:
    """Show the newest receipt's anchor, SEQ:HASH: what 'delego verify --expected-head' takes."""
    home = session.home()
    ledger = home.ledger()
    head = ledger.head()
    if head is None:
        raise CommandError("the ledger has no receipts yet; there is no head to show")
    appended = None
    if append:
        path = _anchor_path(home)
        _check_history(path, ledger, head)
        appended = append_anchor(path, head, system_clock())
        say(f"{'added to' if appended else 'is already in'} {str(path)!r}", err=True)
    if session.json:
        emit({"seq": head.seq, "entry_hash": head.entry_hash, "anchor": str(head), "appended": appended})
    else:
        click.echo(str(head))
    return ExitCode.YES


def _anchor_path(home: Home) -> Path:
    path = home.anchor_path(home.config())
    if path is None:
        raise CommandError(
            f"no anchor file is configured; set 'file' under [anchors] in {str(home.config_path)!r}"
        )
    return path


def _check_history(path: Path, ledger: Ledger, head: Anchor) -> None:
    """The ledger must be the one whose heads stand in the file: else a new head would cover up a cut."""
    newest = latest_anchor(path) if path.exists() else None
    if newest is None:
        return
    kept = newest.anchor
    found = ledger.receipt(kept.seq)
    if found is None or found.entry_hash != kept.entry_hash:
        what = f"the ledger ends at {head.short}" if found is None else f"the ledger has {found.anchor.short}"
        raise CommandError(
            f"{str(path)!r} was kept for another history: it has {kept.short}, {what}; nothing was added, run"
            " 'delego verify'",
            ExitCode.NO,
        )
