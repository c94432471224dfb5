"""``delego propose``: have one action decided, or many."""

from __future__ import annotations

import os
from typing import IO, Any

import click

from delego_cli.action_arguments import ActionArguments, action_arguments
from delego_cli.asking import standard_input
from delego_cli.brokers import open_authorizer
from delego_cli.decisions import answer
from delego_cli.exit_codes import ExitCode
from delego_cli.principals import principal_name
from delego_cli.verbs import Session, verb


class _BatchFile(click.File):
    """Actions to be read; click calls a closed standard input a fault of ours."""

    def convert(
        self,
        value: str | os.PathLike[str] | IO[Any],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> IO[Any]:
        return standard_input() if value == "-" else super().convert(value, param, ctx)


@verb(
    "propose",
    examples=(
        "delego propose -i 'read my account' GET https://api.example.com/accounts/me",
        "delego propose -i 'buy a lamp' POST https://api.example.com/orders -p amount:=24 -p currency=USD",
        "delego propose --batch actions.jsonl --group-by kind",
    ),
)
@action_arguments
@click.option(
    "--as",
    "principal",
    type=principal_name,
    default="agent",
    metavar="NAME",
    show_default=True,
    help="Who proposes.",
)
@click.option(
    "--batch",
    type=_BatchFile("rb"),
    metavar="FILE",
    help="Decide many: JSON Lines, actions, or objects with one as member 'action'; - reads stdin.",
)
@click.option(
    "--group-by",
    metavar="LABEL",
    help="With --batch: count by this label beside the action (a dot goes one level deeper).",
)
def command(
    session: Session,
    principal: str,
    batch: IO[bytes] | None,
    group_by: str | None,
    **typed: Any,
) -> ExitCode:
    """Have an action decided: METHOD URL, with params, under the instruction it serves.

    What is allowed is released at once, and recorded first. What needs a person is parked under an approval
    id; once it is approved, `delego resolve` releases it. Exit status: 0 allowed; 3 denied, or parked.

    With --batch the actions are decided 64 at a time. A line that cannot be read is reported and does not
    stop the rest; then the exit status is 1, else 0 if all were allowed, else 3.
    """
    arguments = ActionArguments(**typed)
    if batch is not None:
        if not arguments.empty:
            raise click.UsageError(
                "--batch reads the actions from a file; leave out -i, METHOD, URL and params"
            )
        from delego_cli.batch import run_batch

        return run_batch(session, batch, principal, group_by)
    if group_by is not None:
        raise click.UsageError("--group-by counts the actions of a --batch; give one")
    action = arguments.action()
    return answer(session, open_authorizer(session.home()).propose(action, principal))
