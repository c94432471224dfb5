"""Which servers a gateway stands in front of: its own YAML, or a client's ``.mcp.json``.

    servers:
      time: { command: uvx, args: [mcp-server-time] }
      board: { url: "https://board.example/mcp", headers: { Authorization: "Bearer ${BOARD_TOKEN}" } }
      notes: { command: npx, args: [notes-server], env: { NOTES: /srv/notes }, cwd: /srv }

Both have the same form; a client's file says ``mcpServers``, and its other members are not looked at.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from delego_agent.errors import DelegoAgentError
from delego_agent.gateway.endpoint import MEMBERS, Endpoint, EndpointError, endpoint_of
from delego_agent.gateway.naming import fields_of, server_name
from delego_agent.gateway.process import Command
from delego_agent.gateway.wrapping import MAX_FILE, ROOTS
from delego_ledger.errors import StorageError
from delego_ledger.files import read_file
from delego_spec.yaml_reader import read_yaml

_KNOWN: Final = frozenset({"command", "args", "env", "cwd", "type"})


class ServersError(DelegoAgentError):
    """A file of servers cannot be read, or says what cannot be done."""


def read_servers(path: Path) -> dict[str, Command | Endpoint]:
    """Name in actions → what it is reached by. Raises ServersError."""
    try:
        text = read_file(path, limit=MAX_FILE)[0].decode()
    except UnicodeDecodeError as error:
        raise ServersError(f"{str(path)!r:.300} is not UTF-8 (byte {error.start})") from None
    except StorageError as error:
        raise ServersError(f"cannot read {str(path)!r:.300}: {error.reason}") from None
    document = read_yaml(text, max_bytes=MAX_FILE)
    if document.problems:
        raise ServersError(document.problems[0].at(str(path)))
    root = next((root for root in ROOTS if root in fields_of(document.value)), None)
    entries = fields_of(fields_of(document.value).get(root)) if root is not None else {}
    if not entries:
        raise ServersError(f"{str(path)!r:.300} names no servers; it needs {' or '.join(ROOTS)}")
    servers: dict[str, Command | Endpoint] = {}
    for given, entry in entries.items():
        name = server_name(given)
        if name in servers:
            raise ServersError(
                f"{str(path)!r:.300}: two servers are {name!r} in actions; rename {given!r:.80}"
            )
        servers[name] = _target(path, given, entry, strict=root == ROOTS[1])
    return servers


def _target(path: Path, name: str, entry: Any, *, strict: bool) -> Command | Endpoint:
    where = f"{str(path)!r:.300}: server {name!r:.80}"
    if type(entry) is not dict or ("command" in entry) == ("url" in entry):
        raise ServersError(f"{where} needs a 'command' or a 'url'")
    unknown = sorted(entry.keys() - (_KNOWN if "command" in entry else MEMBERS)) if strict else []
    if unknown:
        raise ServersError(f"{where} has the unknown member {unknown[0]!r:.80}")
    if "command" in entry:
        return _command(path, where, entry)
    try:
        return endpoint_of(entry)
    except EndpointError as error:
        raise ServersError(f"{where}: {error}") from None


def _command(path: Path, where: str, entry: Any) -> Command:
    args, env, cwd = entry.get("args", []), entry.get("env", {}), entry.get("cwd")
    if type(entry["command"]) is not str:
        raise ServersError(f"{where}: 'command' must be text")
    if type(args) is not list or any(type(word) is not str for word in args):
        raise ServersError(f"{where}: 'args' must be a list of text; put numbers in quotes")
    if type(env) is not dict or any(type(value) is not str for value in env.values()):
        raise ServersError(f"{where}: 'env' must have text as values; put numbers in quotes")
    if cwd is not None and type(cwd) is not str:
        raise ServersError(f"{where}: 'cwd' must be a folder")
    return Command([entry["command"], *args], env, None if cwd is None else path.parent / cwd)
