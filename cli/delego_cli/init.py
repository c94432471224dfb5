"""``delego init``: make a home."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from delego_cli.decisions import command_line
from delego_cli.errors import CommandError
from delego_cli.exit_codes import ExitCode
from delego_cli.output import Styled, emit, fields, say
from delego_cli.principals import account_name, principal_name
from delego_cli.verbs import Session, verb

if TYPE_CHECKING:
    from delego_authorizer import Home

_FILE = click.Path(exists=True, dir_okay=False, allow_dash=False)
_LARGEST = 4 * 1024 * 1024  # bytes of a policy or configuration


@verb(
    "init",
    examples=(
        "delego init",
        "delego init --approver alice --policy bank.yaml",
        "delego --home ./.claude/.delego init --sign",
    ),
)
@click.option(
    "--approver",
    type=principal_name,
    metavar="NAME",
    help="Who may approve; the name of your account, if not given.",
)
@click.option(
    "--policy",
    type=_FILE,
    metavar="FILE",
    help="Start with this policy (YAML or JSON) instead of the example.",
)
@click.option(
    "--config",
    type=_FILE,
    metavar="FILE",
    help="Start with this configuration (TOML) instead of the example.",
)
@click.option("--sign", is_flag=True, help="Accept only decisions that approvers have signed.")
def command(
    session: Session, approver: str | None, policy: str | None, config: str | None, sign: bool
) -> ExitCode:
    """Make a home: policy, configuration, keys and an empty ledger.

    Nothing that exists is overwritten; an init that was interrupted is finished by the next one.
    """
    from delego_authorizer import init_home, load_config
    from delego_authorizer.home import template
    from delego_spec.policy import load_policy

    if config is not None and (sign or approver is not None):
        raise click.UsageError("--config says who approves and how; leave out --approver and --sign")
    name = approver if approver is not None else account_name("--approver")
    text = _text(config) if config is not None else template("config.toml")
    rules = None if policy is None else _text(policy)
    if policy is not None and rules is not None:
        load_policy(rules, source=policy)  # init_home looks too, and does not know the file's name
    if config is not None:
        load_config(text, source=config)
    home = init_home(
        session.home_path,
        approver=name,
        policy_text=rules,
        config_text=_signed(text) if sign else text,
    )
    _tell(session, home, name)
    return ExitCode.YES


def _tell(session: Session, home: Home, name: str) -> None:
    settings = home.config()
    if session.json:
        emit(
            {
                "home": str(home.path),
                "policy": str(home.policy_path),
                "config": str(home.config_path),
                "ledger": str(home.ledger_path),
                "public_key": home.public_key().hex,
                "approvers": [*settings.approvers],
                "signed_approvals": settings.signed_approvals,
            }
        )
        return
    say(Styled("a home is made", bold=True), f"  {home.path}")
    fields(
        [
            ("  policy.yaml", "what agents may do; edit it first"),
            ("  config.toml", "who approves, tokens, anchors"),
            ("  ledger.db", f"the receipts, signed by key {home.public_key().key_id}"),
            ("  keys", "the ledger's and the token key; keep them from agents"),
            ("  approvers", ", ".join(settings.approvers) or "anybody who can write this folder"),
        ]
    )
    say("next:")
    for line, why in _next_steps(session, settings.signed_approvals, name):
        say("  ", Styled(line, bold=True), f"  {why}")


def _next_steps(session: Session, signed: bool, name: str) -> list[tuple[str, str]]:
    steps = [
        (command_line(session, "policy", "check"), "after you have edited policy.yaml"),
        (
            command_line(
                session, "propose", "-i", "read my account", "GET", "https://api.example.com/accounts/me"
            ),
            "as an agent does",
        ),
        (command_line(session, "verify"), "the chain of receipts, at any time"),
    ]
    if signed:
        steps[1:2] = [(command_line(session, "keys", "new-approver", name), "then enrol the key: keys trust")]
    return steps


def _text(path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            data = file.read(_LARGEST + 1)
        if len(data) > _LARGEST:
            raise CommandError(f"{path!r:.300} is larger than {_LARGEST} bytes; that is no policy")
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CommandError(f"{path!r:.300} is not UTF-8 (byte {error.start})") from None


def _signed(text: str) -> str:
    changed = text.replace("\nsigned = false ", "\nsigned = true ", 1)
    assert changed != text  # noqa: S101 - the template is ours, and a test makes a home with --sign
    return changed
