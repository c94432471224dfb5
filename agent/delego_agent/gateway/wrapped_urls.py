"""Servers with a URL behind a gateway: what a client's configuration said of them, kept in the home.

Headers and URLs hold keys, and a command line can be read by every account of the machine (``ps``). So the
gateway of such a server is started with the name of a file of the home that only its owner can read:

    "board": {"command": "/…/delego", "args": ["--home", "/…", "mcp-gateway", "run", "--config",
              "/…/mcp-servers/board-0123456789ab.json"]}
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from delego_agent.gateway.endpoint import MEMBERS, EndpointError, endpoint_of
from delego_agent.gateway.wire import Message
from delego_ledger.errors import StorageError
from delego_ledger.files import read_file

FOLDER: Final = "mcp-servers"  # of a home
OPTION: Final = "--config"
_ROOT: Final = "mcpServers"
_MAX: Final = 1024 * 1024  # bytes


def obstacle(entry: Message) -> str | None:
    """Why no gateway can stand in front of this server with a URL, or None."""
    try:
        endpoint_of(entry, _Anything())
    except EndpointError as error:
        return str(error)
    return None


def kept(home: Path, file: Path, name: str, server: str, entry: Message) -> tuple[Path, bytes]:
    """The file that a gateway is started with, and what it holds. ``server``: its name in actions."""
    said = {member: entry[member] for member in sorted(MEMBERS) if member in entry}
    data = json.dumps({_ROOT: {server: said}}, indent=2).encode() + b"\n"
    mark = hashlib.sha256(f"{file.absolute()}\0{name}\0".encode() + data).hexdigest()[:12]
    return home.absolute() / FOLDER / f"{server}-{mark}.json", data


def started_with(entry: Mapping[str, Any]) -> Path | None:
    """The file of the servers that a gateway is started with, where it is started with one."""
    args = entry.get("args", [])
    if type(args) is not list or OPTION not in args[:-1]:
        return None
    return Path(str(args[args.index(OPTION) + 1]))


def restored(file: Path) -> tuple[str, Message] | None:
    """What ``kept`` has kept: the name in actions, and the entry. None for a file that is not its own."""
    if file.parent.name != FOLDER:
        return None
    try:
        document = json.loads(read_file(file, limit=_MAX)[0])
        ((server, entry),) = document[_ROOT].items()
    except (StorageError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return (server, entry) if type(entry) is dict else None


class _Anything(Mapping[str, str]):
    """An environment that has every variable: the client's own is not known here."""

    def __getitem__(self, name: str) -> str:
        return "x"

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0
