"""``delego mcp-gateway wrap`` and ``unwrap``: an MCP client's configuration through the gateway, and back."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from delego_cli.exit_codes import ExitCode
from delego_cli.output import Styled, emit, say
from delego_cli.seconds import Seconds
from delego_cli.verbs import Session, verb

if TYPE_CHECKING:
    from delego_agent.gateway.wrapping import Rewritten

_FILE = click.argument("file", type=click.Path(dir_okay=False, path_type=Path))


@verb(
    "wrap",
    examples=("delego mcp-gateway wrap .mcp.json", "delego mcp-gateway wrap ~/.cursor/mcp.json --hold 0"),
)
@_FILE
@click.option("--hold", type=Seconds(), metavar="SECONDS", help="As of 'run', for each server.")
@click.option("--instruction", metavar="TEXT", help="As of 'run', for each server.")
def wrap(session: Session, file: Path, hold: float | None, instruction: str | None) -> ExitCode:
    """Rewrite a client's configuration, so that each of its servers is behind a gateway.

    The file as it was is kept beside it. URLs and headers, which may be secret, go into a file of the home
    that only you can read. A server that no gateway can stand in front of is named and left as it is; the
    exit status is 3 if there are any.
    """
    from delego_agent.gateway.wrapping import wrapping

    home = session.home().require().path
    options = [*([] if hold is None else ["--hold", f"{hold:g}"])]
    options += [] if instruction is None else ["--instruction", instruction]
    return _done(session, wrapping(file, _delego(), home, options), "behind the gateway")


@verb("unwrap", examples=("delego mcp-gateway unwrap .mcp.json",))
@_FILE
def unwrap(session: Session, file: Path) -> ExitCode:
    """Rewrite a client's configuration, so that each server is started as it was before 'wrap'."""
    from delego_agent.gateway.wrapping import unwrapping

    _done(session, unwrapping(file), "started directly")
    return ExitCode.YES


def _done(session: Session, rewritten: Rewritten, what: str) -> ExitCode:
    copy = rewritten.write()
    left = [one.name for one in rewritten.entries if one.place != "gateway"]
    if session.json:
        emit(
            {
                "file": str(rewritten.path),
                "changed": [*rewritten.changed],
                "servers": [{"name": one.name, "place": one.place} for one in rewritten.entries],
                "backup": None if copy is None else str(copy),
            }
        )
    else:
        for name in rewritten.changed:
            say(Styled(f"{what}: ", fg="green", bold=True), name)
        if copy is None:
            say("nothing to change")
        else:
            say(f"the file as it was: {copy}")
        for one in rewritten.entries:
            if one.place in ("remote", "unreadable"):
                say(Styled("left: ", fg="yellow", bold=True), f"{one.name} bypasses the gateway: {one.why}")
    return ExitCode.NO if left else ExitCode.YES


def _delego() -> list[str]:
    """How a client starts this program: by its whole path, as clients know little of a shell's."""
    found = shutil.which("delego", path=str(Path(sys.executable).parent)) or shutil.which("delego")
    # Python gets no module from the folder that the client is started in (-P).
    return [sys.executable, "-P", "-m", "delego_cli"] if found is None else [found]
