"""``delego resolve``: release what a person has approved."""

from __future__ import annotations

from typing import Any

import click

from delego_cli.action_arguments import ActionArguments, action_arguments
from delego_cli.brokers import open_authorizer
from delego_cli.completers import approval_ids
from delego_cli.decisions import answer
from delego_cli.exit_codes import ExitCode
from delego_cli.principals import principal_name
from delego_cli.verbs import Session, verb


@verb(
    "resolve",
    examples=(
        "delego resolve apr_0123456789ab -i 'buy a lamp' POST https://api.example.com/orders -p amount:=24",
    ),
)
@click.argument("approval_id", shell_complete=approval_ids("pending", "approved"))
@action_arguments
@click.option(
    "--as",
    "principal",
    type=principal_name,
    default="agent",
    metavar="NAME",
    show_default=True,
    help="Who asks for the release.",
)
def command(session: Session, approval_id: str, principal: str, **typed: Any) -> ExitCode:
    """Release an approved action, once.

    The action has to be given again, exactly as it was proposed: another one, or another instruction, is
    refused, and so is a second release. Exit status: 0 released; 3 refused, or not decided yet.
    """
    action = ActionArguments(**typed).action()
    return answer(session, open_authorizer(session.home()).resolve(approval_id, action, principal))
