"""Which definition of each tool was seen first, kept in the home: one file for each server.

An agent chooses tools by what they say about themselves. A server that changes these words after they were
looked at, or adds a tool, changes what the agent will do; until a person trusts the new words, the agent
does not see them, and the tool is not called.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from delego_agent.errors import DelegoAgentError
from delego_agent.gateway.wire import Message
from delego_ledger.errors import StorageError
from delego_ledger.files import read_file, write_atomically
from delego_ledger.locks import FileLock

State: TypeAlias = Literal["trusted", "new", "changed"]

MAX_PINS: Final = 32 * 1024 * 1024  # bytes of one server's file
_NAME: Final = re.compile(r"[a-z0-9_-]{1,63}")


class PinError(DelegoAgentError):
    """The pins of a server cannot be read, written, or do not hold what was named."""


@dataclass(slots=True)
class Pins:
    """One server's definitions: those that are trusted, and those that were seen since and are held."""

    trusted: dict[str, Message] = field(default_factory=dict)
    held: dict[str, Message] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pinned:
    """One tool, for a list."""

    server: str
    tool: str
    state: State
    digest: str  # of the definition that is trusted; of the held one for a new tool
    held_digest: str | None = None
    changes: tuple[str, ...] = ()  # members of the definition that differ


class PinStore:
    """The pins of all servers of a home. Safe for use by many processes."""

    def __init__(self, home: Path) -> None:
        self._folder = home / "mcp"

    def servers(self) -> tuple[str, ...]:
        """The servers of which anything is known. Raises PinError."""
        try:
            return tuple(sorted(path.stem for path in self._folder.glob("*.json")))
        except OSError as error:
            raise PinError(f"cannot list {str(self._folder)!r}: {error.strerror}") from None

    def load(self, server: str) -> Pins | None:
        """What is known of a server; None: nothing yet. Raises PinError."""
        path = self._path(server)
        if not path.exists():
            return None
        try:
            document = json.loads(read_file(path, limit=MAX_PINS)[0])
            pins = Pins(document["trusted"], document["held"])
            if any(type(one) is not dict for one in (*pins.trusted.values(), *pins.held.values())):
                raise TypeError
        except StorageError as error:
            raise PinError(str(error)) from None
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise PinError(f"{str(path)!r} does not hold pins; 'delego tools forget {server}'") from None
        return pins

    def stamp(self, server: str) -> tuple[int, int, int] | None:
        """Another value once a server's pins were written again; None: there are none. Raises PinError."""
        try:
            # With every call: a path put together from text costs a tenth of a Path.
            status = os.stat(f"{self._folder}/{_checked(server)}.json")  # noqa: PTH116
        except FileNotFoundError:
            return None
        except OSError as error:
            raise PinError(f"cannot look at the pins of {server!r}: {error.strerror}") from None
        return status.st_ino, status.st_mtime_ns, status.st_size

    def observe(self, server: str, seen: Mapping[str, Message], *, trust_first: bool) -> Pins:
        """Take note of what a server lists now. The first time, ``trust_first`` pins it all as it is.

        Raises PinError.
        """
        pins = self.load(server)
        if pins is not None and _held_of(pins, seen) == pins.held:
            return pins
        with self._changing(server) as pins:
            if pins is None:
                pins = Pins(trusted=dict(seen)) if trust_first else Pins()
            pins.held = _held_of(pins, seen)
            self._save(server, pins)
        return pins

    def trust(self, server: str, tool: str | None = None) -> tuple[str, ...]:
        """Trust what is held of one tool, or of all; returns which. Raises PinError."""
        with self._changing(server) as pins:
            if pins is None:
                raise PinError(f"nothing is known of a server {server!r}")
            if tool is not None and tool not in pins.held and tool not in pins.trusted:
                raise PinError(f"nothing is known of a tool {tool!r:.80} of server {server!r}")
            names = [name for name in pins.held if tool in (None, name)]
            for name in names:
                pins.trusted[name] = pins.held.pop(name)
            if names:
                self._save(server, pins)
        return tuple(sorted(names))

    def forget(self, server: str, tool: str | None = None) -> tuple[str, ...]:
        """Forget one tool, which is new when it is seen again, or the server. Raises PinError."""
        if tool is None:
            path = self._path(server)
            try:
                path.unlink()
            except FileNotFoundError:
                raise PinError(f"nothing is known of a server {server!r}") from None
            except OSError as error:
                raise PinError(f"cannot remove {str(path)!r}: {error.strerror}") from None
            return (server,)
        with self._changing(server) as pins:
            if pins is None or (tool not in pins.trusted and tool not in pins.held):
                raise PinError(f"nothing is known of a tool {tool!r:.80} of server {server!r}")
            pins.trusted.pop(tool, None)
            pins.held.pop(tool, None)
            self._save(server, pins)
        return (tool,)

    def listing(self, server: str) -> tuple[Pinned, ...]:
        """Every tool that is known of a server, by name. Raises PinError."""
        pins = self.load(server) or Pins()
        rows = []
        for name in sorted(pins.trusted.keys() | pins.held.keys()):
            trusted, held = pins.trusted.get(name), pins.held.get(name)
            if trusted is None:
                rows.append(Pinned(server, name, "new", definition_digest(pins.held[name])))
            elif held is None:
                rows.append(Pinned(server, name, "trusted", definition_digest(trusted)))
            else:
                both = sorted(trusted.keys() | held.keys())
                changes = tuple(one for one in both if trusted.get(one) != held.get(one))
                digests = definition_digest(trusted), definition_digest(held)
                rows.append(Pinned(server, name, "changed", *digests, changes))
        return tuple(rows)

    @contextmanager
    def _changing(self, server: str) -> Iterator[Pins | None]:
        try:
            self._path(server)
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with FileLock(self._folder / ".lock", timeout=10.0):
                yield self.load(server)
        except StorageError as error:
            raise PinError(str(error)) from None
        except OSError as error:
            raise PinError(f"cannot write in {str(self._folder)!r}: {error.strerror}") from None

    def _save(self, server: str, pins: Pins) -> None:
        document = {"version": 1, "server": server, "trusted": pins.trusted, "held": pins.held}
        text = json.dumps(document, indent=1, sort_keys=True)
        write_atomically(self._path(server), text.encode(), overwrite=True)

    def _path(self, server: str) -> Path:
        return self._folder / f"{_checked(server)}.json"


def _checked(server: str) -> str:
    if _NAME.fullmatch(server) is None:
        raise PinError(f"{server!r:.80} is no server's name; use a-z, 0-9, '-' and '_'")
    return server


def definition(tool: Message) -> Message:
    """What of a tool is pinned: all that the server says of it but ``_meta``."""
    return {name: value for name, value in tool.items() if name != "_meta"}


def definition_digest(definition: Mapping[str, Any]) -> str:
    """Hex SHA-256 of the definition as JSON with sorted members."""
    return hashlib.sha256(json.dumps(definition, sort_keys=True).encode()).hexdigest()


def _held_of(pins: Pins, seen: Mapping[str, Message]) -> dict[str, Message]:
    """What is seen and not as trusted."""
    return {
        name: tool
        for name, tool in seen.items()
        if name not in pins.trusted or definition_digest(pins.trusted[name]) != definition_digest(tool)
    }
