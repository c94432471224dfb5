"""An MCP client's configuration (``.mcp.json``), rewritten so that each of its servers is behind a gateway.

    "time": {"command": "uvx", "args": ["mcp-server-time"]}
    "time": {"command": "/…/delego", "args": ["--home", "/…", "mcp-gateway", "run", "--server", "time", "--",
             "uvx", "mcp-server-time"]}

Servers with a URL are written as ``wrapped_urls`` says. Everything else in the file stays. What was there is
kept beside it, and ``unwrapping`` turns each entry back by itself, so that edits made since are kept.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from delego_agent.errors import DelegoAgentError
from delego_agent.gateway.endpoint import MEMBERS
from delego_agent.gateway.naming import server_name
from delego_agent.gateway.wire import Message
from delego_agent.gateway.wrapped_urls import FOLDER, OPTION, kept, obstacle, restored, started_with
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
    # Behind a gateway, or in no need of one; without one; with a URL that none can be put before; unreadable.
    place: Place
    why: str = ""  # of a place that cannot be changed


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A configuration as it should be, not yet written."""

    path: Path
    before: bytes
    after: bytes
    mode: int
    changed: tuple[str, ...]
    entries: tuple[Entry, ...]  # as they are afterwards
    kept: Mapping[Path, bytes]  # files that its gateways are started with
    left: tuple[Path, ...]  # such files that are of no use any more

    def write(self) -> Path | None:
        """Write it, after a copy of what is there; the copy's path, None where nothing changes."""
        if not self.changed:
            return None
        try:
            copy = self._keep()
            for path, data in self.kept.items():
                path.parent.mkdir(mode=0o700, exist_ok=True)
                write_atomically(path, data, overwrite=True, mode=0o600)
            write_atomically(self.path, self.after, overwrite=True, mode=self.mode)
            for path in self.left:
                path.unlink(missing_ok=True)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise ClientConfigError(f"cannot write {str(error.filename)!r:.300}: {reason}") from None
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
    return tuple(_entries(document))


def wrapping(path: Path, command: Sequence[str], home: Path, options: Sequence[str] = ()) -> Rewritten:
    """The configuration with each server behind a gateway. Raises ClientConfigError.

    ``command``: how ``delego`` is started. ``options``: of each gateway.
    """

    def change(name: str, entry: Message, rewriting: _Rewriting) -> Message | None:
        if _place(entry)[0] != "bypass":
            return None
        server = _free(name, rewriting.taken)
        words = [*command[1:], "--home", str(home.absolute()), VERB, "run"]
        if "url" in entry:
            file, data = kept(home, path, name, server, entry)
            rewriting.kept[file] = data
            rest = {member: value for member, value in entry.items() if member not in MEMBERS}
            return {"command": command[0], "args": [*words, *options, OPTION, str(file)], **rest}
        args = [*words, "--server", server, *options, "--", entry["command"], *entry.get("args", [])]
        return {**entry, "command": command[0], "args": args}

    return _rewritten(path, change)


def unwrapping(path: Path) -> Rewritten:
    """The configuration with each server reached as it was. Raises ClientConfigError."""

    def change(name: str, entry: Message, rewriting: _Rewriting) -> Message | None:
        words = _behind(entry)
        if words is not None:
            return {**entry, "command": words[0], "args": words[1:]}
        file = _of_urls(entry)
        found = None if file is None else restored(file)
        if file is not None and found is None and file.parent.name == FOLDER:
            raise ClientConfigError(f"what {name!r:.80} was cannot be read from {str(file)!r:.300}")
        if file is None or found is None:
            return None
        rewriting.left.append(file)
        rest = {member: value for member, value in entry.items() if member not in ("command", "args")}
        return {**found[1], **rest}

    return _rewritten(path, change)


@dataclass(slots=True)
class _Rewriting:
    """What is collected while the servers of one table are changed."""

    taken: set[str]  # names in actions
    kept: dict[Path, bytes] = field(default_factory=dict)
    left: list[Path] = field(default_factory=list)


def _rewritten(path: Path, change: Callable[[str, Message, _Rewriting], Message | None]) -> Rewritten:
    document, before, mode = _load(path)
    changed: list[str] = []
    files: dict[Path, bytes] = {}
    left: list[Path] = []
    tables = [*_tables(document)]
    if not tables:  # "nothing to change" would read as "all is behind the gateway"
        raise ClientConfigError(f"{str(path)!r:.300} names no servers; it needs {' or '.join(ROOTS)}")
    for servers in tables:
        rewriting = _Rewriting({name for entry in servers.values() if (name := _named(entry)) is not None})
        for name, entry in servers.items():
            if type(entry) is dict and (new := change(name, entry, rewriting)) is not None:
                servers[name] = new
                changed.append(name)
        files |= rewriting.kept
        left += rewriting.left
    after = json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n"
    entries = tuple(_entries(document))
    return Rewritten(path, before, after, mode, tuple(changed), entries, files, tuple(left))


def _entries(document: Message) -> Iterator[Entry]:
    for servers in _tables(document):
        for name, entry in servers.items():
            yield Entry(name, *_place(entry))


def _load(path: Path) -> tuple[Message, bytes, int]:
    try:
        data, status = read_file(path, limit=MAX_FILE)
    except StorageError as error:
        raise ClientConfigError(f"cannot read {str(path)!r:.300}: {error.reason}") from None
    try:
        document = json.loads(data, object_pairs_hook=_once)
    except RecursionError:
        raise ClientConfigError(f"{str(path)!r:.300} is nested too deeply") from None
    except UnicodeDecodeError as error:
        raise ClientConfigError(f"{str(path)!r:.300} is not UTF-8 (byte {error.start})") from None
    except ValueError as error:
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


def _place(entry: Any) -> tuple[Place, str]:
    """Where it is, and why it stays there."""
    if type(entry) is dict and "command" in entry and "url" in entry:
        return "unreadable", "it has a command and a URL, and clients differ on which one counts"
    if type(entry) is dict and type(entry.get("command")) is str:
        args = entry.get("args", [])
        if type(args) is list and all(type(word) is str for word in args):
            ours = _behind(entry) is not None or _of_urls(entry) is not None or _is_ours(entry)
            return ("gateway" if ours else "bypass"), ""
    elif type(entry) is dict and type(entry.get("url")) is str:
        why = obstacle(entry)
        return ("bypass", "") if why is None else ("remote", why)
    return "unreadable", "it has no command and no URL that can be read"


def _of_urls(entry: Message) -> Path | None:
    """The file with its servers, for a gateway that is started with one."""
    return started_with(entry) if _starts_delego(entry) and VERB in entry["args"][:_LOOKED_AT] else None


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
    if Path(str(entry.get("command"))).name in ("delego", "delego.exe"):
        return True
    return ["-m", "delego_cli"] in (args[:2], args[1:3] if args[:1] == ["-P"] else None)


def _named(entry: Any) -> str | None:
    """Its name in actions, where it is behind a gateway of its own."""
    if _place(entry)[0] != "gateway":
        return None
    if "--server" in entry["args"][:-1]:
        return str(entry["args"][entry["args"].index("--server") + 1])
    file = _of_urls(entry)
    found = None if file is None else restored(file)
    return None if found is None else found[0]


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
