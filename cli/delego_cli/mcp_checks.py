"""What ``delego doctor`` looks at in configurations of MCP clients: servers that bypass the gateway."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal, TypeAlias

from delego_agent.gateway.wrapping import ClientConfigError, configured

Status: TypeAlias = Literal["ok", "warn", "fail"]

IN_PROJECTS: Final = (".mcp.json", ".cursor/mcp.json", ".vscode/mcp.json")
OF_USERS: Final = (
    ".claude.json",
    ".cursor/mcp.json",
    ".config/Claude/claude_desktop_config.json",
    "Library/Application Support/Claude/claude_desktop_config.json",
)


def mcp_findings(project: Path, user: Path | None) -> Iterator[tuple[Status, str, str | None]]:
    """(status, text, what to do) of every configured MCP server; nothing where none is. Changes nothing."""
    files = {project / name: name for name in IN_PROJECTS}
    if user is not None:
        files |= {user / name: f"~/{name}" for name in OF_USERS}
    for path, shown in files.items():
        if path.is_file():
            yield from _file(path, shown)


def _file(path: Path, shown: str) -> Iterator[tuple[Status, str, str | None]]:
    try:
        entries = configured(path)
    except ClientConfigError as error:
        yield "warn", f"whether its servers are behind the gateway cannot be told: {error}", "repair the file"
        return
    for one in entries:
        if one.place == "bypass":
            text = f"the server {one.name!r:.80} of {shown} bypasses the gateway"
            yield "warn", text, f"delego mcp-gateway wrap {shown}"
        elif one.place != "gateway":
            yield "warn", f"the server {one.name!r:.80} of {shown} bypasses the gateway: {one.why}", None
    if entries and all(one.place == "gateway" for one in entries):
        yield "ok", f"{shown}: all {len(entries)} servers are behind the gateway", None
