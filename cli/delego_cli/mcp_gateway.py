"""``delego mcp-gateway``: in front of an MCP server, so that what an agent calls is decided first."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from delego_cli.addresses import Address
from delego_cli.completers import ANY_FILE
from delego_cli.errors import CommandError
from delego_cli.exit_codes import ExitCode
from delego_cli.mcp_wrap import unwrap, wrap
from delego_cli.output import emit, say
from delego_cli.seconds import Seconds
from delego_cli.verbs import SETTINGS, Session, VerbGroup, home_option, json_option, verb

if TYPE_CHECKING:
    from delego_agent.gateway.backend import GatewayOptions, Target


class _DefaultRun(VerbGroup):
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
    subcommand_metavar="[run] [OPTIONS] [-- COMMAND [ARGS]...]",
)

command.add_command(wrap)
command.add_command(unwrap)


@verb(
    "run",
    examples=(
        "delego mcp-gateway -- uvx mcp-server-time",
        'delego mcp-gateway --server files --instruction "tidy my notes" -- npx server-filesystem notes',
        "delego mcp-gateway --hold 0 -- python my_server.py",
        "delego mcp-gateway --server notes --url https://notes.example/mcp",
        "delego mcp-gateway --config servers.yaml",
        "delego mcp-gateway --http 8765 --token-file gateway.token --config servers.yaml",
    ),
    group=command,
)
@click.option("--server", metavar="NAME", help="Its name in actions, mcp://NAME/…; else the command's.")
@click.option("--instruction", metavar="TEXT", help="The person's words, for calls that come without.")
@click.option(
    "--hold",
    type=Seconds(),
    default=300.0,
    show_default=True,
    metavar="SECONDS",
    help="How long a call waits for a person; 0: it returns as pending, and is made again later.",
)
@click.option(
    "--timeout",
    type=Seconds(0.1),
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
@click.option(
    "--url", metavar="URL", help="The server speaks streamable HTTP here; its headers need --config."
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
@click.option("--token-env", metavar="NAME", help="As --token-file, from this variable of the environment.")
@click.argument("argv", nargs=-1, type=click.UNPROCESSED, metavar="-- COMMAND [ARGS]...")
def run(
    session: Session,
    argv: tuple[str, ...],
    server: str | None,
    url: str | None,
    config_file: Path | None,
    address: tuple[str, int] | None,
    token_file: str | None,
    token_env: str | None,
    **options: Any,
) -> ExitCode:
    """Stand in front of an MCP server, or many, on this process's standard streams or on loopback HTTP.

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

    gateway = GatewayOptions(
        servers=_servers(argv, server, url, config_file),
        gate=GateOptions(
            principal=check_principal(options["principal"]),
            hold=options["hold"],
            timeout=options["timeout"],
            unasked=options["without_instruction"],
        ),
        instruction=options["instruction"] or None,
        pinning=options["pin"],
        begin_task=options["begin_task"],
    )
    if address is not None:
        return _serve_http(session, gateway, address, token_file, token_env)
    if token_file is not None or token_env is not None:
        raise click.UsageError("a token is for --http; standard streams have one client alone")
    if not serve_stdio(session.home_path, gateway):
        raise CommandError(f"no server runs any more: {', '.join(gateway.servers)}")
    return ExitCode.YES


def _serve_http(
    session: Session,
    gateway: GatewayOptions,
    address: tuple[str, int],
    token_file: str | None,
    token_env: str | None,
) -> ExitCode:
    from delego_agent.bearer import read_token, token_of
    from delego_agent.gateway.http_serve import HttpOptions, serve_http

    if token_file is not None and token_env is not None:
        raise click.UsageError("--token-file and --token-env both name a token; leave one out")
    token = None
    if token_file is not None:
        token = read_token(Path(token_file))
    elif token_env is not None:
        token = token_of(token_env)

    def on_listen(url: str) -> None:
        if session.json:
            emit({"event": "listening", "url": url})
        else:
            say(f"listening on {url}")

    serve_http(session.home_path, gateway, HttpOptions(*address, token), on_listen)
    return ExitCode.YES


def _servers(
    argv: tuple[str, ...], server: str | None, url: str | None, config_file: Path | None
) -> Mapping[str, Target]:
    from delego_agent.gateway.endpoint import endpoint
    from delego_agent.gateway.naming import server_name
    from delego_agent.gateway.process import Command
    from delego_agent.gateway.servers import read_servers

    if config_file is not None:
        if argv or server is not None or url is not None:
            raise click.UsageError("--config names the servers; leave out --server, --url and the command")
        return read_servers(config_file)
    if url is not None and argv:
        raise click.UsageError("a server has a --url or a command, not both")
    if url is None and not argv:
        raise click.UsageError(
            "a server is missing: write its command after --, give its --url, or name a file with --config"
        )
    if server is not None and server_name(server) != server:
        raise click.UsageError(
            f"--server {server!r:.80} is no name for actions; write {server_name(server)!r}"
        )
    if url is not None:
        to = endpoint(url, {})
        return {server or server_name(to.host): to}
    return {server or server_name(Path(argv[0]).stem): Command(argv, {})}
