"""``delego tools``: which tools of MCP servers are trusted as they describe themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from delego_cli.exit_codes import ExitCode
from delego_cli.output import Column, Styled, Text, emit, say, table
from delego_cli.verbs import Session, verb, verb_group

if TYPE_CHECKING:
    from delego_agent.gateway.pins import Pinned, PinStore
    from delego_spec.types import JSON

_SHOWN = 12  # characters of a digest
_COLOURS = {"trusted": "green", "new": "yellow", "changed": "red"}

command = verb_group("tools", "Show and trust the definitions of MCP tools that the gateway has seen.")


@verb("list", examples=("delego tools list", "delego tools list files --json"), group=command)
@click.argument("server", required=False)
def list_tools(session: Session, server: str | None) -> ExitCode:
    """List the tools that are trusted, and those that are new or changed and held."""
    store = _store(session)
    rows = [row for name in ([server] if server else store.servers()) for row in store.listing(name)]
    if session.json:
        emit([_document(row) for row in rows])
        return ExitCode.YES
    if not rows:
        say("no tools have been seen yet; the gateway notes them when it lists a server's tools")
        return ExitCode.YES
    shown: list[tuple[Text, ...]] = [
        (row.server, row.tool, Styled(row.state, fg=_COLOURS[row.state]), row.digest[:_SHOWN], _changes(row))
        for row in rows
    ]
    columns = [
        Column("server"),
        Column("tool"),
        Column("state"),
        Column("digest"),
        Column("note", flexible=True),
    ]
    table(columns, shown)
    return ExitCode.YES


@verb("trust", examples=("delego tools trust files", "delego tools trust files read_file"), group=command)
@click.argument("server")
@click.argument("tool", required=False)
def trust(session: Session, server: str, tool: str | None) -> ExitCode:
    """Trust the definition that is held, of one tool or of all of a server's tools.

    Look at it first: 'delego tools list SERVER --json' shows what is held.
    """
    trusted = _store(session).trust(server, tool)
    if session.json:
        emit({"server": server, "trusted": [*trusted]})
    else:
        for name in trusted:
            say(Styled("trusted ", fg="green", bold=True), f"{server} {name}")
        if not trusted:
            say("nothing is held there")
    return ExitCode.YES


@verb("forget", examples=("delego tools forget files read_file",), group=command)
@click.argument("server")
@click.argument("tool", required=False)
def forget(session: Session, server: str, tool: str | None) -> ExitCode:
    """Forget one tool, which is then held as new, or a whole server, which is then new."""
    forgotten = _store(session).forget(server, tool)
    if session.json:
        emit({"server": server, "forgotten": [*forgotten]})
    else:
        say(f"forgotten: {', '.join(forgotten)}")
    return ExitCode.YES


def _store(session: Session) -> PinStore:
    from delego_agent.gateway.pins import PinStore

    return PinStore(session.home().require().path)


def _changes(row: Pinned) -> str:
    if row.state == "changed":
        return f"held as {str(row.held_digest)[:_SHOWN]}: {', '.join(row.changes)} changed"
    return "held until it is trusted" if row.state == "new" else ""


def _document(row: Pinned) -> JSON:
    return {
        "server": row.server,
        "tool": row.tool,
        "state": row.state,
        "digest": row.digest,
        "held_digest": row.held_digest,
        "changes": [*row.changes],
    }
