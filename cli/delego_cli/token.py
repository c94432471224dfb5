"""``delego token``: tokens that must not be used any more, although they have not expired (§9.2)."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

import click

from delego_broker import RevocationList
from delego_broker.revocation import DEAD_AFTER, MAX_JTI
from delego_cli.completers import ANY_FILE
from delego_cli.exit_codes import ExitCode
from delego_cli.output import Column, emit, say, table
from delego_cli.verbs import Session, verb, verb_group
from delego_spec.display import visible
from delego_spec.errors import TimestampError
from delego_spec.timestamps import SECOND, format_ts, parse_ts
from delego_spec.types import EpochSeconds, Micros

FILE: Final = "revoked.jsonl"  # in the home
_LATEST: Final = 253_402_300_799  # the last second of the year 9999

command = verb_group("token", "Take tokens back before they expire.")


def _seconds(text: str) -> EpochSeconds:
    """Whole seconds since 1970, or a time in UTC. Raises click.BadParameter."""
    if text.isascii() and text.isdigit() and int(text[:20]) <= _LATEST:
        return EpochSeconds(int(text))
    try:
        return EpochSeconds(-(-parse_ts(text) // SECOND))  # rounded up: rather too long than too short
    except TimestampError:
        raise click.BadParameter(
            f"{text!r:.80} is no time; give whole seconds since 1970, or such as 2026-01-31T12:00:00Z"
        ) from None


def _jti(text: str) -> str:
    if not text or len(text.encode(errors="surrogateescape")) > MAX_JTI:
        raise click.BadParameter("a token's name has 1 to 8192 bytes")
    if text.count(".") == 2 and len(text) > 200:  # it would stay in the list, and in the shell's history
        raise click.BadParameter("this looks like the token itself; give its jti")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise click.BadParameter("a token's name is UTF-8") from None
    return text


_file_option = click.option(
    "--file",
    type=ANY_FILE,
    metavar="FILE",
    help=f"The list that the verifiers read; else {FILE} in the home.",
)


@verb(
    "revoke",
    group=command,
    examples=(
        "delego token revoke 87a0447f9c7837279b61ecca50a896b8",
        "delego token revoke 87a0447f9c7837279b61ecca50a896b8 --file /etc/broker/revoked.jsonl",
    ),
)
@click.argument("jti", type=_jti)
@click.option(
    "--until",
    type=_seconds,
    metavar="TIME",
    help="When it is dead anyway: its exp and the leeway, in seconds since 1970 or as a time in UTC."
    f" Without it, {DEAD_AFTER} s from now, when every token of today is dead.",
)
@_file_option
def revoke(session: Session, jti: str, until: EpochSeconds | None, file: str | None) -> ExitCode:
    """Refuse one token from now on.

    JTI names it, as the claim of that name does. Verifiers that were given the list refuse the token at their
    next look, which is at the next token; what was sent with it before is not undone. Tokens that are dead
    are taken off the list on the way.
    """
    revoked, now = _list(session, file), _now()
    chosen = EpochSeconds(now + DEAD_AFTER) if until is None else until
    if chosen <= now:
        raise click.UsageError("--until lies in the past: such a token is dead already")
    added = revoked.revoke(jti, chosen)
    revoked.purge(now)
    if session.json:
        emit({"jti": jti, "until": chosen, "added": added, "file": str(revoked.path)})
    else:
        say(f"{visible(jti)} is refused from now on" if added else f"{visible(jti)} was revoked before")
    return ExitCode.YES


@verb("list", group=command, examples=("delego token list", "delego token list --json"))
@_file_option
def show(session: Session, file: str | None) -> ExitCode:
    """Show which tokens are revoked."""
    revoked = _list(session, file)
    entries = revoked.entries() if revoked.path.exists() else ()
    if session.json:
        emit(
            {"revoked": [{"jti": one.jti, "until": one.until} for one in entries], "file": str(revoked.path)}
        )
    elif not entries:
        say("no token is revoked")
    else:
        columns = (Column("jti", flexible=True), Column("until"))
        table(columns, [(visible(one.jti), _shown(one.until)) for one in entries])
    return ExitCode.YES


def _list(session: Session, file: str | None) -> RevocationList:
    if file is not None:
        return RevocationList(Path(file))
    return RevocationList(session.home().require().path / FILE)


def _now() -> EpochSeconds:
    return EpochSeconds(int(time.time()))


def _shown(second: EpochSeconds) -> str:
    return format_ts(Micros(second * SECOND)) if second <= _LATEST else str(second)
