"""A coding agent's settings file: our hook put in, found and taken out; all else stays as it is.

A file that is no plain JSON object is refused, not repaired. What was there before is kept beside it.
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from delego_agent.errors import HookError
from delego_agent.hooks.agents import FAILURE, CodingAgent
from delego_ledger.errors import os_reason
from delego_ledger.files import write_atomically
from delego_spec.types import JSONObject

MAX_SETTINGS: Final = 4 * 1024 * 1024  # bytes
BACKUP: Final = ".delego-backup"  # added to the file's name
OTHERWISE: Final = f" || exit {FAILURE}"  # whatever fails in starting the hook blocks the call


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be done to one settings file."""

    path: Path  # with links followed: a settings file may live among somebody's dotfiles
    before: bytes | None  # None: there is no such file
    after: bytes | None  # None: the file is removed

    @property
    def needed(self) -> bool:
        return self.before != self.after

    @property
    def backup(self) -> Path | None:
        """Where the former file is kept, where one is changed."""
        return (
            self.path.with_name(self.path.name + BACKUP) if self.needed and self.before is not None else None
        )

    def apply(self) -> None:
        """Raises StorageError, HookError where the file was changed since it was read."""
        if not self.needed:
            return
        if _bytes(self.path) != self.before:
            raise HookError(f"{_shown(self.path)} was changed meanwhile; nothing was done, try again")
        mode = 0o600 if self.before is None else self.path.stat().st_mode & 0o777
        if self.backup is not None and self.before is not None:
            write_atomically(self.backup, self.before, overwrite=True, mode=mode)
        if self.after is None:
            self.path.unlink()
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self.path, self.after, overwrite=True, mode=mode)


@dataclass(frozen=True, slots=True)
class Installed:
    """Our hook, as it stands in a settings file."""

    command: str
    matcher: object
    entry: JSONObject


def shell_command(python: str, home: Path, agent: CodingAgent, options: list[str]) -> str:
    """What the agent's shell runs. Python gets no module from the folder that the agent works in (-P)."""
    words = [python, "-P", "-m", "delego_cli", "--home", str(home), "hook", agent.name, *options]
    return shlex.join(words) + OTHERWISE


def installing(agent: CodingAgent, path: Path, command: str) -> Change:
    """Put the hook in; the same one twice changes nothing. Raises HookError."""
    target, before, settings = _read(path)
    group = {"matcher": agent.matcher, "hooks": [agent.entry(command)]}
    groups = _groups(agent, settings, path)
    if sum(map(len, (_ours(agent, one) for one in groups))) == 1 and group in groups:
        return Change(target, before, before)
    _take_out(agent, settings, path)
    settings.setdefault("hooks", {}).setdefault(agent.event, []).append(group)
    return Change(target, before, _encoded(settings))


def uninstalling(agent: CodingAgent, path: Path) -> Change:
    """Take the hook out, and the file if nothing else has ever been in it. Raises HookError."""
    target, before, settings = _read(path)
    if not any(_ours(agent, group) for group in _groups(agent, settings, path)):
        return Change(target, before, before)
    _take_out(agent, settings, path)
    was_there = target.with_name(target.name + BACKUP).exists()
    return Change(target, before, _encoded(settings) if settings or was_there else None)


def installed(agent: CodingAgent, path: Path) -> tuple[list[Installed], str | None]:
    """Our hooks in a settings file, and why none of them runs, if so. Raises HookError."""
    _, _, settings = _read(path)
    found = [
        Installed(entry["command"], group.get("matcher"), entry)
        for group in _groups(agent, settings, path)
        for entry in _ours(agent, group)
    ]
    return found, agent.switched_off(settings)


def _groups(agent: CodingAgent, settings: dict[str, Any], path: Path) -> list[Any]:
    hooks = settings.get("hooks", {})
    groups = hooks.get(agent.event, []) if isinstance(hooks, dict) else None
    if not isinstance(groups, list):
        raise HookError(f"{_shown(path)}: 'hooks' is not what {agent.title} reads; nothing was changed")
    return groups


def _ours(agent: CodingAgent, group: Any) -> list[Any]:
    """The entries of one group that are our hook, with whatever options and home."""
    form = re.compile(rf"delego.* hook {re.escape(agent.name)}(?: |$)", re.DOTALL)
    entries = group.get("hooks") if isinstance(group, dict) else None
    return [
        entry
        for entry in (entries if isinstance(entries, list) else ())
        if isinstance(entry, dict) and isinstance(entry.get("command"), str) and form.search(entry["command"])
    ]


def _take_out(agent: CodingAgent, settings: dict[str, Any], path: Path) -> None:
    groups, kept = _groups(agent, settings, path), []
    for group in groups:
        ours = _ours(agent, group)
        if not ours:
            kept.append(group)
        elif rest := [entry for entry in group["hooks"] if entry not in ours]:
            kept.append({**group, "hooks": rest})
    if kept == groups:
        return
    settings["hooks"][agent.event] = kept
    if not kept:
        del settings["hooks"][agent.event]
    if not settings["hooks"]:
        del settings["hooks"]


def _read(path: Path) -> tuple[Path, bytes | None, dict[str, Any]]:
    try:
        target = path.resolve()
    except (OSError, RuntimeError) as error:  # a link to itself
        raise HookError(f"{_shown(path)} cannot be read: {os_reason(error)}; nothing was changed") from None
    data = _bytes(target)
    if data is None or not data.strip():
        return target, data, {}
    try:
        settings = json.loads(data.decode("utf-8-sig"), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise HookError(f"{_shown(path)} is no plain JSON: {os_reason(error)}; nothing was changed") from None
    if not isinstance(settings, dict):
        raise HookError(f"{_shown(path)} is no JSON object; nothing was changed")
    return target, data, settings


def _bytes(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_SETTINGS + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise HookError(f"{_shown(path)} cannot be read: {os_reason(error)}; nothing was changed") from None
    if len(data) > MAX_SETTINGS:
        raise HookError(f"{_shown(path)} has more than {MAX_SETTINGS} bytes; nothing was changed")
    return data


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):  # one of the two would be lost
        raise ValueError("it has the same member twice")
    return members


def _encoded(settings: dict[str, Any]) -> bytes:
    try:
        return (json.dumps(settings, indent=2, ensure_ascii=False) + "\n").encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which only an escape can write
        return (json.dumps(settings, indent=2) + "\n").encode()


def _shown(path: Path) -> str:
    return f"{str(path)!r:.300}"
