"""An MCP client's configuration (``.mcp.json``), rewritten so that each server it starts is behind a gateway.

    "time": {"command": "uvx", "args": ["mcp-server-time"]}
    "time": {"command": "/…/delego", "args": ["--home", "/…", "mcp-gateway", "run", "--server", "time", "--",
             "uvx", "mcp-server-time"]}

Everything else in the file stays. What was there is kept beside it, and ``unwrapping`` turns each entry back
by itself, so that edits made since are kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from delego_agent.errors import DelegoAgentError
from delego_agent.gateway.naming import server_name
from delego_agent.gateway.wire import Message
from delego_ledger.errors import AlreadyExists, StorageError
from delego_ledger.files import read_file, write_atomically

Place: TypeAlias = Literal["gateway", "bypass", "remote", "unreadable"]

ROOTS: Final = ("mcpServers", "servers")  # of most clients; of VS Code
MAX_FILE: Final = 16 * 1024 * 1024  # bytes
VERB: Final = "mcp-gateway"
SERVER_VERB: Final = "mcp"
_LOOKED_AT: Final = 6  # words in which the verb stands


class ClientConfigError(DelegoAgentError):
    """A client's configuration cannot be read, is none, or cannot be written."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One configured server."""

    name: str
    # Behind a gateway, or in no need of one; started without one; reached by URL; not to be understood.
    place: Place


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A configuration as it should be, not yet written."""

    path: Path
    before: bytes
    after: bytes
    mode: int
    changed: tuple[str, ...]
    entries: tuple[Entry, ...]  # as they are afterwards

    def write(self) -> Path | None:
        """Write it, after a copy of what is there; the copy's path, None where nothing changes."""
        if not self.changed:
            return None
        try:
            copy = self._keep()
            write_atomically(self.path, self.after, overwrite=True, mode=self.mode)
        except StorageError as error:
            raise ClientConfigError(str(error)) from None
        return copy

    def _keep(self) -> Path:
        number = 0
        while True:
            number += 1
            suffix = ".delego-backup" if number == 1 else f".delego-backup-{number}"
            copy = self.path.with_name(f"{self.path.name}{suffix}")
            try:
                write_atomically(copy, self.before, mode=self.mode)
            except AlreadyExists:
                continue
            return copy


def configured(path: Path) -> tuple[Entry, ...]:
    """The servers of a configuration. Raises ClientConfigError."""
    document, _, _ = _load(path)
    return tuple(
        Entry(name, _place(entry)) for servers in _tables(document) for name, entry in servers.items()
    )


def wrapping(path: Path, command: Sequence[str], home: Path, options: Sequence[str] = ()) -> Rewritten:
    """The configuration with each started server behind a gateway. Raises ClientConfigError.

    ``command``: how ``delego`` is started. ``options``: of each gateway.
    """

    def change(name: str, entry: Message, taken: set[str]) -> Message | None:
        if _place(entry) != "bypass":
            return None
        words = [*command[1:], "--home", str(home.absolute()), VERB, "run", "--server", _free(name, taken)]
        args = [*words, *options, "--", entry["command"], *entry.get("args", [])]
        return {**entry, "command": command[0], "args": args}

    return _rewritten(path, change)


def unwrapping(path: Path) -> Rewritten:
    """The configuration with each server started as it was. Raises ClientConfigError."""

    def change(_: str, entry: Message, __: set[str]) -> Message | None:
        words = _behind(entry)
        if words is None:
            return None
        return {**entry, "command": words[0], "args": words[1:]}

    return _rewritten(path, change)


def _rewritten(path: Path, change: Any) -> Rewritten:
    document, before, mode = _load(path)
    changed = []
    for servers in _tables(document):
        taken = {name for entry in servers.values() if (name := _named(entry)) is not None}
        for name, entry in servers.items():
            if type(entry) is dict and (new := change(name, entry, taken)) is not None:
                servers[name] = new
                changed.append(name)
    after = json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n"
    entries = (Entry(name, _place(entry)) for servers in _tables(document) for name, entry in servers.items())
    return Rewritten(path, before, after, mode, tuple(changed), tuple(entries))


def _load(path: Path) -> tuple[Message, bytes, int]:
    try:
        data, status = read_file(path, limit=MAX_FILE)
    except StorageError as error:
        raise ClientConfigError(f"cannot read {str(path)!r:.300}: {error.reason}") from None
    try:
        document = json.loads(data, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise ClientConfigError(f"{str(path)!r:.300} is not JSON: {str(error)[:200].lower()}") from None
    if type(document) is not dict:
        raise ClientConfigError(f"{str(path)!r:.300} is no object")
    return document, data, status.st_mode & 0o777


def _tables(document: Message) -> Iterator[Message]:
    """Every table of servers; one client keeps some below the folders of its projects."""
    for root in ROOTS:
        if type(document.get(root)) is dict:
            yield document[root]
    projects = document.get("projects")
    if type(projects) is dict:
        for project in projects.values():
            if type(project) is dict and type(project.get(ROOTS[0])) is dict:
                yield project[ROOTS[0]]


def _place(entry: Any) -> Place:
    if type(entry) is not dict:
        return "unreadable"
    if type(entry.get("command")) is str:
        args = entry.get("args", [])
        if type(args) is not list or any(type(word) is not str for word in args):
            return "unreadable"
        return "bypass" if _behind(entry) is None and not _is_ours(entry) else "gateway"
    return "remote" if type(entry.get("url")) is str else "unreadable"


def _behind(entry: Message) -> list[str] | None:
    """The command behind a gateway; None for what is behind none."""
    args = entry.get("args", [])
    if type(args) is not list or VERB not in args[:_LOOKED_AT] or "--" not in args:
        return None
    behind = args[args.index("--") + 1 :]
    return behind if _starts_delego(entry) and behind else None


def _is_ours(entry: Message) -> bool:
    """``delego mcp``, where an agent asks: behind a gateway each question would be an action of its own."""
    return _starts_delego(entry) and SERVER_VERB in entry.get("args", [])[:_LOOKED_AT]


def _starts_delego(entry: Message) -> bool:
    args = entry.get("args", [])
    return Path(str(entry.get("command"))).name in ("delego", "delego.exe") or args[:2] == [
        "-m",
        "delego_cli",
    ]


def _named(entry: Any) -> str | None:
    if type(entry) is not dict or _behind(entry) is None or "--server" not in entry["args"]:
        return None
    return str(entry["args"][entry["args"].index("--server") + 1])


def _free(name: str, taken: set[str]) -> str:
    """A name for actions that no other server of this configuration has."""
    free, number = server_name(name), 1
    while free in taken:
        number += 1
        free = f"{server_name(name)[:56]}-{number}"
    taken.add(free)
    return free


def _once(pairs: list[tuple[str, Any]]) -> Message:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member stands there twice")
    return members
