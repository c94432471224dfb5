"""``delego broker``: the gateway, which holds the credentials and uses one only for what was authorised."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from delego_cli.errors import CommandError
from delego_cli.exit_codes import ExitCode
from delego_cli.output import Column, Styled, Text, emit, say, table
from delego_cli.verbs import Session, verb
from delego_ledger.errors import StorageError
from delego_ledger.files import read_file, write_all

if TYPE_CHECKING:
    from delego_broker.gateway import BrokerConfig
    from delego_spec.errors import Problem
    from delego_spec.types import JSON, JSONObject

MAX_FILE = 1024 * 1024  # bytes; the loader has a smaller limit and says so better


@verb(
    "broker",
    examples=(
        "delego broker --config broker.yaml",
        "delego broker --config broker.yaml --check",
        "delego broker --schema > broker.schema.json",
    ),
)
@click.option(
    "--config", "config_file", type=click.Path(dir_okay=False), metavar="FILE", help="Its configuration."
)
@click.option(
    "--check", is_flag=True, help="Only read the configuration, and list all that is wrong with it."
)
@click.option("--schema", is_flag=True, help="Only print the JSON Schema of the configuration.")
def command(session: Session, config_file: str | None, check: bool, schema: bool) -> ExitCode:
    """Run the gateway: a process of its own, under a user of its own, that holds the credentials.

    It listens on a Unix socket or an address, verifies each token (the action's fingerprint, once), builds
    the request anew, adds the credential of its route, and sends it once. It writes one line of JSON to
    stdout for each request, without params, secrets and tokens. SIGTERM ends it, after what is in flight.

    The exit status of --check is 3 for a configuration that is refused.
    """
    from delego_broker.errors import BrokerConfigError
    from delego_broker.gateway import broker_config_schema, load_broker_config

    if schema:
        click.echo(json.dumps(broker_config_schema(), indent=2))
        return ExitCode.YES
    if config_file is None:
        raise click.UsageError("--config is missing; it names the gateway's configuration")
    path = Path(config_file)
    try:
        config = load_broker_config(_read(path), source=config_file, folder=path.parent)
    except BrokerConfigError as error:
        if check:
            return _refused(session, config_file, error.problems)
        raise
    if check:
        return _good(session, config_file, config)
    from delego_broker.gateway.serve import serve

    serve(config, on_event=_Events(session.json))
    return ExitCode.YES


class _Events:
    """Writes events to stdout, and to stderr where the gateway listens. No lost reader stops it.

    Past Python's own stream: whoever waits in that holds a lock which the end of the program wants.
    """

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json

    def __call__(self, event: JSONObject) -> None:
        with contextlib.suppress(OSError, ValueError):
            write_all(1, f"{json.dumps(event)}\n".encode())
        if event["event"] == "listening" and not self._as_json:
            with contextlib.suppress(OSError, ValueError):
                say(f"delego: the gateway listens on {event['address']}", err=True)


def _read(path: Path) -> str:
    try:
        return read_file(path, limit=MAX_FILE)[0].decode()
    except UnicodeDecodeError as error:
        raise CommandError(f"{str(path)!r:.300} is not UTF-8 (byte {error.start})") from None
    except StorageError as error:
        raise CommandError(f"cannot read {str(path)!r:.300}: {error.reason}") from None


def _refused(session: Session, source: str, problems: tuple[Problem, ...]) -> ExitCode:
    if session.json:
        listed: list[JSON] = [
            {"path": one.path, "text": one.text, "line": one.line, "column": one.column} for one in problems
        ]
        emit({"valid": False, "source": source, "problems": listed})
    else:
        for problem in problems:
            say(problem.at(source))
        say(Styled("refused: ", fg="red", bold=True), f"{len(problems)} problem(s)")
    return ExitCode.NO


def _good(session: Session, source: str, config: BrokerConfig) -> ExitCode:
    rows: list[tuple[str, str, str, str]] = []
    for route in config.routes:
        target = f"{route.scheme}://{route.host}{route.path.pattern}"
        secrets = ", ".join(f"{one.place}: {one.source}" for one in route.credentials)
        rows.append((route.name, " ".join(sorted(route.methods)), target, secrets or "none"))
    if session.json:
        routes: list[JSON] = [
            {"name": name, "methods": [*methods.split()], "target": target, "secrets": secrets}
            for name, methods, target, secrets in rows
        ]
        emit({"valid": True, "source": source, "problems": [], "routes": routes})
        return ExitCode.YES
    columns = [Column("route"), Column("methods"), Column("target", flexible=True), Column("secrets")]
    shown: list[tuple[Text, ...]] = [*rows]
    table(columns, shown, last_below=True)
    say(Styled("good: ", fg="green", bold=True), f"{source}: audience {config.audience}")
    return ExitCode.YES
