"""What ``delego doctor`` looks at in the hooks of coding agents: one that does not run protects nothing."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal, TypeAlias

from delego_agent.errors import HookError
from delego_agent.hooks.agents import AGENTS, LIMIT, CodingAgent
from delego_agent.hooks.settings import OTHERWISE, Installed, installed
from delego_cli.hook import DEADLINE

Status: TypeAlias = Literal["ok", "warn", "fail"]

PATIENCE: Final = 20.0  # seconds for the interpreter of a hook to say that it can run it
INSTALL: Final = "delego hook install"


def hook_findings(project: Path, user: Path | None) -> Iterator[tuple[Status, str, str | None]]:
    """(status, text, what to do) of every installed hook; nothing where none is. Changes nothing."""
    for agent in AGENTS.values():
        names = {agent.settings_file(user=None, project=project): ""}
        if user is not None:
            names[agent.settings_file(user=user, project=project)] = " --user"
        for path, option in names.items():
            yield from _file(agent, path, f"{INSTALL} {agent.name}{option}")


def _file(agent: CodingAgent, path: Path, again: str) -> Iterator[tuple[Status, str, str | None]]:
    if not path.is_file():
        return
    try:
        found, off = installed(agent, path)
    except HookError as error:
        yield "warn", f"whether {agent.title} asks cannot be told: {error}", "repair the file"
        return
    if not found:
        return
    problem = f"its hooks are switched off: {off}" if off is not None else None
    for one in found:
        problem = problem or _problem(agent, one)
    where = f"{agent.title}, {str(path)!r:.300}"
    if problem is not None:
        yield "fail", f"{where}: {problem}", again if off is None else "switch them on"
    else:
        yield "ok", f"{where}: asks before each tool call", None


def _problem(agent: CodingAgent, hook: Installed) -> str | None:
    """What is wrong with one installed hook."""
    if hook.matcher not in (agent.matcher, "", "*", None):
        return f"it is asked for tools that match {hook.matcher!r:.80} only"
    if not hook.command.endswith(OTHERWISE):
        return f"its command does not end with {OTHERWISE.strip()!r}: a failure would let the call through"
    unit = LIMIT / int(str(agent.entry("")["timeout"]))  # seconds
    limit = hook.entry.get("timeout")
    if not isinstance(limit, int | float) or limit * unit <= DEADLINE:
        return f"its timeout is {limit!r:.40}: the agent would not wait for the answer"
    try:
        words = shlex.split(hook.command.removesuffix(OTHERWISE))
    except ValueError:
        return "its command is no shell command"
    return _not_runnable(words) or _homeless(words)


def _not_runnable(words: list[str]) -> str | None:
    probe = [*words[:1], "-P", "-c", "import delego_cli.hook, delego_agent.hooks.deciding"]
    try:
        done = subprocess.run(  # noqa: S603 - the person's own settings, and what the agent runs anyway
            probe, capture_output=True, timeout=PATIENCE, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired, ValueError):
        return f"{words[0]!r:.200} cannot be run"
    return None if done.returncode == 0 else f"{words[0]!r:.200} has no delego"


def _homeless(words: list[str]) -> str | None:
    from delego_authorizer import Home

    if "--home" not in words[:-1]:
        return "it names no home"
    home = Path(words[words.index("--home") + 1])
    return None if Home(home).exists else f"there is no home at {str(home)!r:.300}"
