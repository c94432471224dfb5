"""``delego mcp-gateway``: in front of an MCP server, so that what an agent calls is decided first."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from delego_cli.errors import CommandError
from delego_cli.exit_codes import ExitCode
from delego_cli.mcp_wrap import unwrap, wrap
from delego_cli.verbs import SETTINGS, Session, home_option, json_option, verb

if TYPE_CHECKING:
    from delego_agent.gateway.process import Command

MAX_SECONDS: Final = 86_400.0


class _DefaultRun(click.Group):
    """``delego mcp-gateway -- COMMAND`` is ``delego mcp-gateway run -- COMMAND``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in SETTINGS["help_option_names"]:
            args = ["run", *args]
        return super().parse_args(ctx, args)


command = _DefaultRun(
    "mcp-gateway",
    help="Stand in front of an MCP server: each call is decided first, and sent once.",
    params=[home_option(), json_option()],
    context_settings=SETTINGS,
    subcommand_metavar="[run] [OPTIONS] -- COMMAND [ARGS]...",
)

command.add_command(wrap)
command.add_command(unwrap)


@verb(
    "run",
    examples=(
        "delego mcp-gateway -- uvx mcp-server-time",
        'delego mcp-gateway --server files --instruction "tidy my notes" -- npx server-filesystem notes',
        "delego mcp-gateway --hold 0 -- python my_server.py",
        "delego mcp-gateway --config servers.yaml",
    ),
    group=command,
)
@click.option("--server", metavar="NAME", help="Its name in actions, mcp://NAME/…; else the command's.")
@click.option("--instruction", metavar="TEXT", help="The person's words, for calls that come without.")
@click.option(
    "--hold",
    type=click.FloatRange(0, MAX_SECONDS),
    default=300.0,
    show_default=True,
    metavar="SECONDS",
    help="How long a call waits for a person; 0: it returns as pending, and is made again later.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(0.1, MAX_SECONDS),
    default=300.0,
    show_default=True,
    metavar="SECONDS",
    help="How long the server may take to answer; after that the outcome is unknown.",
)
@click.option("--principal", default="agent", show_default=True, help="Who proposes, in receipts.")
@click.option(
    "--without-instruction",
    type=click.Choice(["ask", "policy"]),
    default="ask",
    show_default=True,
    help="What of calls that the policy allows when nobody said what for: a person is asked, or not.",
)
@click.option(
    "--pin",
    type=click.Choice(["first", "ask", "off"]),
    default="first",
    show_default=True,
    help="Tools of a server seen for the first time are trusted, or wait for 'delego tools trust'.",
)
@click.option(
    "--begin-task/--no-begin-task",
    default=True,
    help="Add the tool 'delego_begin_task', with which the agent passes on the person's words.",
)
@click.option(
    "--config",
    "config_file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Many servers at once: a YAML file with 'servers', or a client's .mcp.json.",
)
@click.argument("argv", nargs=-1, type=click.UNPROCESSED, metavar="-- COMMAND [ARGS]...")
def run(
    session: Session, argv: tuple[str, ...], server: str | None, config_file: Path | None, **options: Any
) -> ExitCode:
    """Start an MCP server, or many, and stand in front of it, on this process's standard streams.

    A call is the action CALL mcp://NAME/TOOL with its arguments as params; a resource is READ
    mcp://NAME/resource/URI, a prompt GET mcp://NAME/prompt/PROMPT. What the policy allows is sent on once;
    what it denies comes back with reasons; what needs a person waits for 'delego approve'.

    The words of the person come from the call's _meta["delego/instruction"], else from the tool
    'delego_begin_task', else from --instruction.
    """
    from delego_agent.gateway.backend import GatewayOptions
    from delego_agent.gateway.gate import GateOptions
    from delego_agent.gateway.stdio import serve_stdio
    from delego_authorizer.values import check_principal

    servers = _servers(argv, server, config_file)
    gate = GateOptions(
        principal=check_principal(options["principal"]),
        hold=options["hold"],
        timeout=options["timeout"],
        unasked=options["without_instruction"],
    )
    stdio = GatewayOptions(
        servers=servers,
        gate=gate,
        instruction=options["instruction"] or None,
        pinning=options["pin"],
        begin_task=options["begin_task"],
    )
    if not serve_stdio(session.home_path, stdio):
        raise CommandError(f"no server runs any more: {', '.join(servers)}")
    return ExitCode.YES


def _servers(argv: tuple[str, ...], server: str | None, config_file: Path | None) -> Mapping[str, Command]:
    from delego_agent.gateway.naming import server_name
    from delego_agent.gateway.process import Command
    from delego_agent.gateway.servers import read_servers

    if config_file is not None:
        if argv or server is not None:
            raise click.UsageError("--config names the servers; leave out --server and the command")
        return read_servers(config_file)
    if not argv:
        raise click.UsageError("a command is missing: write it after --, or name a file with --config")
    if server is not None and server_name(server) != server:
        raise click.UsageError(
            f"--server {server!r:.80} is no name for actions; write {server_name(server)!r}"
        )
    return {server or server_name(Path(argv[0]).stem): Command(argv, {})}
