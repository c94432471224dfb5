"""``delego keys``: which keys there are, and whose signatures count as an approver's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from delego_cli import approver_key
from delego_cli.asking import confirm, passphrase, passphrase_of
from delego_cli.decisions import command_line
from delego_cli.errors import CommandError
from delego_cli.exit_codes import ExitCode
from delego_cli.output import Column, Styled, emit, fields, say, table
from delego_cli.token_keys import jwks, now, rotate_token
from delego_cli.verbs import Session, verb, verb_group
from delego_ledger.files import sync_directory
from delego_ledger.keyfiles import (
    generate_key,
    load_public_key,
    names_key_file,
    write_public_key,
)
from delego_spec.display import visible

if TYPE_CHECKING:
    from delego_authorizer import Home
    from delego_spec.ed25519 import PublicKey
    from delego_spec.types import JSON

FORMER: Final = "former"  # where untrusted keys go: auditors of old approvals still need them

_EXISTING: Final = click.Path(exists=True, dir_okay=False)

command = verb_group("keys", "Show keys; make and enrol approvers' keys; rotate the token key.")
command.add_command(jwks)
command.add_command(rotate_token)


def approver_name(text: str) -> str:
    """A name that an approver's key file may carry. Raises click.BadParameter."""
    if not names_key_file(text):
        raise click.BadParameter(
            f"{text!r:.80} cannot name a key file; use up to 64 of a-z, 0-9 and ._@-, not beginning with ._@-"
        )
    return text


@verb("show", group=command, examples=("delego keys show", "delego keys show --json"))
def show(session: Session) -> ExitCode:
    """Show the home's public keys; never a secret."""
    from delego_authorizer.tokenkeys import published_token_keys

    home = session.home().require()
    keys = [("ledger", home.keys_path / "ledger.pub", home.public_key())]
    if (home.keys_path / "token.pub").exists():
        for one in published_token_keys(home, now()):
            use = "token" if one.use == "current" else f"token, {one.use}"
            keys.append((use, one.path, one.key))
    for name, key in home.approver_keys().items():
        keys.append((f"approver {name}", _file_of(home, name), key))
    if session.json:
        shown: list[JSON] = [
            {"use": use, "key_id": key.key_id, "public_key": key.hex, "file": str(file)}
            for use, file, key in keys
        ]
        emit({"keys": shown})
    else:
        columns = (Column("use"), Column("key id"), Column("file", flexible=True), Column("public key"))
        rows = [(visible(use), key.key_id, str(file), key.hex) for use, file, key in keys]
        table(columns, rows, last_below=True)
    return ExitCode.YES


@verb(
    "new-approver",
    group=command,
    examples=(
        "delego keys new-approver alice",
        "delego keys new-approver alice --out /media/stick/alice.pem",
    ),
)
@click.argument("name", type=approver_name)
@click.option(
    "--out",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Write the key here, instead of NAME.pem in your configuration folder.",
)
@click.option(
    "--passphrase-file",
    type=_EXISTING,
    metavar="FILE",
    help="Take the passphrase from the first line of a file, instead of asking.",
)
@click.option("--no-passphrase", is_flag=True, help="Leave the key open to whoever reads its file.")
def new_approver(
    session: Session, name: str, out: str | None, passphrase_file: str | None, no_passphrase: bool
) -> ExitCode:
    """Make a key for an approver.

    The private key is for NAME alone; the public one is written beside it, NAME.pub, and has to be enrolled
    (`delego keys trust`). Run it as the person whose key it is, not as the agent.
    """
    if no_passphrase and passphrase_file is not None:
        raise click.UsageError("--no-passphrase and --passphrase-file exclude each other")
    path = approver_key.default_path(name) if out is None else Path(out).expanduser()
    public = path.with_suffix(".pub")
    if public == path:
        raise click.UsageError(f"--out {out!r:.300} is a public key's name; give one that ends in .pem")
    for taken in (path, public):
        if taken.exists():
            raise CommandError(
                f"{str(taken)!r:.300} already exists and was left as it is; choose another --out"
            )
    secret = None if no_passphrase else _new_passphrase(path, passphrase_file)
    if out is None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = generate_key(path, passphrase=secret).public_key
    write_public_key(public, key)
    if no_passphrase:
        say("delego: the key has no passphrase: whoever reads its file can say yes in this name", err=True)
    if session.json:
        emit({"name": name, "key_id": key.key_id, "private_key": str(path), "public_key": str(public)})
        return ExitCode.YES
    say(Styled(f"a key for {name}", bold=True), f"  {key.key_id}")
    fields([("  private key", str(path)), ("  public key", str(public))])
    say("to enrol it, whoever runs the home checks the key id with you and runs:")
    say("  ", Styled(command_line(session, "keys", "trust", name, str(public)), bold=True))
    return ExitCode.YES


@verb("trust", group=command, examples=("delego keys trust alice alice.pub",))
@click.argument("name", type=approver_name)
@click.argument("public_key", type=_EXISTING, metavar="PUBFILE")
@click.option("--yes", is_flag=True, help="Do not ask; the key id was compared already.")
def trust(session: Session, name: str, public_key: str, yes: bool) -> ExitCode:
    """Let a key sign as the approver NAME.

    Decisions signed with the key in PUBFILE count as theirs from now on. Compare the key id with the person
    first, over a channel that the agent does not control.
    """
    home = session.home().require()
    key = _public_only(Path(public_key))
    known = home.approver_keys()
    if known.get(name) == key:
        raise CommandError(f"{name!r} is enrolled with this key already")
    if name in known:
        line = command_line(session, "keys", "untrust", name)
        raise CommandError(f"{name!r} is enrolled with the key {known[name].key_id}; first: {line}")
    _refuse_shared(home, known, key)
    say(Styled(key.key_id, bold=True), f"  is to count as the key of {name!r}", err=True)
    if not yes and not confirm("did you compare it?", otherwise="give --yes if the key id was compared"):
        say("nothing was changed", err=True)
        return ExitCode.NO
    home.approvers_path.mkdir(mode=0o700, exist_ok=True)
    path = home.approvers_path / f"{name}.pub"
    write_public_key(path, key)
    named = name in home.config().approvers
    if session.json:
        emit({"name": name, "key_id": key.key_id, "file": str(path), "named_in_config": named})
    else:
        say(f"{name} is enrolled with the key {key.key_id}")
    if not named:
        say(
            f"delego: {name!r} may not approve before config.toml names them in approvals.approvers", err=True
        )
    return ExitCode.YES


@verb("untrust", group=command, examples=("delego keys untrust alice",))
@click.argument("name", type=approver_name)
@click.option("--yes", is_flag=True, help="Do not ask.")
def untrust(session: Session, name: str, yes: bool) -> ExitCode:
    """Let an approver's signatures count no longer.

    The public key is kept in approvers/former: who audits older approvals still needs it.
    """
    home = session.home().require()
    key = home.approver_keys().get(name)
    if key is None:
        raise CommandError(f"{name!r} is not enrolled; 'delego keys show' lists who is")
    if not yes and not confirm(
        f"untrust {name!r}, key {key.key_id}?", otherwise="give --yes to do it anyway"
    ):
        say("nothing was changed", err=True)
        return ExitCode.NO
    file, former = _file_of(home, name), home.approvers_path / FORMER
    former.mkdir(mode=0o700, exist_ok=True)
    kept = former / f"{name}.{key.key_id}{file.suffix}"
    file.replace(kept)
    sync_directory(home.approvers_path)
    if session.json:
        emit({"name": name, "key_id": key.key_id, "kept": str(kept)})
    else:
        say(f"{name} is no longer enrolled; the key is kept as {kept}")
    return ExitCode.YES


def _new_passphrase(path: Path, file: str | None) -> bytes:
    if file is not None:
        return passphrase_of(file)
    return passphrase(f"new passphrase for {path.name}", twice=True)


def _public_only(path: Path) -> PublicKey:
    """The key of a file. A private key that came this way is no longer its owner's alone."""
    with path.open("rb") as file:
        private = b"PRIVATE KEY" in file.read(200)
    if private:
        raise CommandError(
            f"{str(path)!r:.300} is a private key, which its owner alone should hold; enrol its .pub"
        )
    return load_public_key(path)


def _refuse_shared(home: Home, known: dict[str, PublicKey], key: PublicKey) -> None:
    """One key, one holder: whoever runs the home could otherwise sign as the approver."""
    own = {"ledger": home.keys_path / "ledger.pub", "token": home.keys_path / "token.pub"}
    for use, file in own.items():
        if file.exists() and load_public_key(file) == key:
            raise CommandError(f"this is the home's own {use} key; an approver has a key of their own")
    for other, their_key in known.items():
        if their_key == key:
            raise CommandError(f"this is the key of {other!r}; each approver has a key of their own")


def _file_of(home: Home, name: str) -> Path:
    public = home.approvers_path / f"{name}.pub"
    return public if public.exists() else home.approvers_path / f"{name}.pem"
