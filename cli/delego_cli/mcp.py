"""``delego mcp``: an MCP server with which an agent asks. It can decide nothing that a person decides."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from delego_cli.addresses import Address
from delego_cli.completers import ANY_FILE
from delego_cli.exit_codes import ExitCode
from delego_cli.principals import principal_name
from delego_cli.seconds import Seconds
from delego_cli.verbs import Session, verb

if TYPE_CHECKING:
    from delego_authorizer import Authorizer, Home


@verb(
    "mcp",
    examples=(
        "delego mcp",
        "delego mcp --principal shopper --instruction 'buy a lamp for at most 30 USD'",
        "delego mcp --http 8765 --token-file mcp.token",
    ),
)
@click.option(
    "--http",
    "address",
    type=Address(),
    metavar="[HOST:]PORT",
    help="Serve streamable HTTP at http://HOST:PORT/mcp, on loopback only; port 0: a free one.",
)
@click.option(
    "--token-file",
    type=ANY_FILE,
    metavar="FILE",
    help="With --http: clients have to send this file's token as bearer.",
)
@click.option(
    "--principal",
    type=principal_name,
    default="agent",
    show_default=True,
    metavar="NAME",
    help="Who proposes, in receipts. Give each agent its own: it sees what its principal proposed.",
)
@click.option("--instruction", metavar="TEXT", help="The person's words, for calls that come without.")
@click.option(
    "--hold",
    type=Seconds(),
    default=0.0,
    show_default=True,
    metavar="SECONDS",
    help="How long a call waits for a person; 0: it comes back at once, and is released later.",
)
def command(
    session: Session,
    address: tuple[str, int] | None,
    token_file: str | None,
    principal: str,
    instruction: str | None,
    hold: float,
) -> ExitCode:
    """Serve an agent over MCP, on this process's standard streams or on loopback HTTP.

    The agent proposes actions, releases what a person approved, and reads its own pending actions, its own
    receipts and the policy. Approving, and changing policy, configuration or keys, is not to be had here.

    A home need not be there yet: until it is, each tool answers that setup is required, and how.
    """
    from delego_agent.server.serving import ServerOptions, serve_loopback, serve_stdio

    options = ServerOptions(principal, instruction or None, hold)
    if address is None:
        if token_file is not None:
            raise click.UsageError("--token-file is for --http; standard streams have one client alone")
        serve_stdio(session.home_path, options, opens=_open)
    else:
        token = None if token_file is None else Path(token_file)
        serve_loopback(session.home_path, options, *address, token_file=token, opens=_open)
    return ExitCode.YES


def _open(home: Home) -> Authorizer:
    """As ``delego propose``: with the gateway that the home names, or none."""
    from delego_authorizer import HomeError
    from delego_broker.errors import DelegoBrokerError
    from delego_cli.brokers import open_authorizer

    try:
        return open_authorizer(home)
    except DelegoBrokerError as error:  # a room that the agent's does not know
        raise HomeError(home.path, str(error)) from None
