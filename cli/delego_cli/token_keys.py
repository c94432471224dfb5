"""``delego keys jwks`` and ``delego keys rotate-token``: the keys that brokers have to know, and the next."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from delego_cli.decisions import command_line
from delego_cli.errors import CommandError
from delego_cli.exit_codes import ExitCode
from delego_cli.output import Styled, emit, fields, say
from delego_cli.verbs import Session, verb
from delego_spec.jwks import jwks_document
from delego_spec.types import EpochSeconds

if TYPE_CHECKING:
    from delego_authorizer.tokenkeys import TokenKey

# A broker that reads the set by its URL may keep what it has for so many seconds.
SPREAD: Final = 300
# Long enough to start everything again that has had the home open.
OVERLAP: Final = 3600

_EXISTING: Final = click.Path(exists=True, dir_okay=False)


def now() -> EpochSeconds:
    """The system clock."""
    return EpochSeconds(int(time.time()))


@verb(
    "jwks",
    examples=(
        "delego keys jwks",
        "delego keys jwks --out /etc/broker/jwks.json",
        "delego keys jwks --previous old-token.pub",
    ),
)
@click.option(
    "--previous",
    type=_EXISTING,
    multiple=True,
    metavar="PUBFILE",
    help="List this public key, too; may be given several times.",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Write the set to this file, whole or not at all, in the place of an older one.",
)
def jwks(session: Session, previous: tuple[str, ...], out: str | None) -> ExitCode:
    """Print the public token keys as a JWK Set, for brokers.

    Listed are the key that signs, the next one once it was made, and previous ones until their tokens are
    dead. A broker takes the set from a file, or from a URL that you serve it at; it holds no secret, but
    whoever can change it on its way can make themselves an authorizer.
    """
    from delego_authorizer.tokenkeys import published_token_keys
    from delego_ledger.files import PUBLIC, write_atomically
    from delego_ledger.keyfiles import load_public_key

    keys = [one.key for one in published_token_keys(session.home(), now())]
    document = jwks_document([*keys, *(load_public_key(path) for path in previous)])
    if out is not None:
        text = json.dumps(document, indent=2) + "\n"
        write_atomically(Path(out), text.encode("ascii"), overwrite=True, mode=PUBLIC)
        if session.json:
            emit(document)
        else:
            say(f"wrote {len(keys) + len(previous)} key(s) to {out}", err=True)
    elif session.json:
        emit(document)
    else:
        click.echo(json.dumps(document, indent=2))
    return ExitCode.YES


@verb(
    "rotate-token",
    examples=(
        "delego keys rotate-token",
        "delego keys rotate-token --activate",
        "delego keys rotate-token --activate --drop-old",
    ),
)
@click.option("--activate", is_flag=True, help="Let the next key sign; the second step.")
@click.option(
    "--at-once",
    is_flag=True,
    help="Do not wait until brokers have read the set; for brokers that read a file, which you have written.",
)
@click.option(
    "--overlap",
    type=click.IntRange(min=420),
    default=OVERLAP,
    show_default=True,
    metavar="SECONDS",
    help="How long the old key stays listed: restart what has the home open within that.",
)
@click.option("--drop-old", is_flag=True, help="List the old key no longer: it was stolen.")
def rotate_token(session: Session, activate: bool, at_once: bool, overlap: int, drop_old: bool) -> ExitCode:
    """Change the token key, in two steps, without one refusal.

    First a next key is made and listed (`delego keys jwks`), while the old one goes on signing: publish the
    set, and give brokers the time to read it. Then, with --activate, the next key signs; the old one stays
    listed until its tokens are dead, and its private half is gone.
    """
    from delego_authorizer.tokenkeys import complete_rotation, prepare_rotation

    home = session.home()
    if not activate:
        if at_once or drop_old:
            raise click.UsageError("--at-once and --drop-old belong to the second step, with --activate")
        return _prepared(session, prepare_rotation(home))
    if not at_once and not drop_old:
        _check_age(home.keys_path / "token.next.pub")
    moment = now()
    kept = 0 if drop_old else overlap
    old, new = complete_rotation(home, moment, kept)
    until = moment + kept if kept else None
    if session.json:
        emit(
            {"step": "activated", "key_id": new.key_id, "previous_key_id": old.key_id, "listed_until": until}
        )
        return ExitCode.YES
    say(Styled(f"tokens are signed with {new.key_id} now", bold=True))
    if kept:
        say(f"{old.key_id} stays listed for {kept} s; within that, restart what has had the home open,")
        say("and publish the set again after it: ", Styled(command_line(session, "keys", "jwks"), bold=True))
    else:
        say(f"{old.key_id} is listed no longer; publish the set now, and restart what has the home open: ")
        say("  ", Styled(command_line(session, "keys", "jwks"), bold=True))
    return ExitCode.YES


def _prepared(session: Session, following: TokenKey) -> ExitCode:
    if session.json:
        file = str(following.path)
        emit({"step": "prepared", "key_id": following.key.key_id, "file": file, "wait_seconds": SPREAD})
        return ExitCode.YES
    say(Styled("the next token key", bold=True), f"  {following.key.key_id}")
    fields([("  public key", str(following.path))])
    say("it signs nothing yet. Publish the set, so that brokers know it:")
    say("  ", Styled(command_line(session, "keys", "jwks"), bold=True))
    say(f"then, {SPREAD} s later (brokers keep what they have read for so long):")
    say("  ", Styled(command_line(session, "keys", "rotate-token", "--activate"), bold=True))
    return ExitCode.YES


def _check_age(path: Path) -> None:
    try:
        left = SPREAD - (now() - path.stat().st_mtime)
    except FileNotFoundError:
        return  # complete_rotation says what is missing
    if left > 0:
        raise CommandError(
            f"the next key was made less than {SPREAD} s ago; brokers may not know it yet: wait {left:.0f} s,"
            " or give --at-once if all of them have read the new set"
        )
