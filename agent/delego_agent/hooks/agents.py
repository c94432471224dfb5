"""The coding agents whose hooks are known: their events, answers and settings files. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

from delego_spec.types import JSON, JSONObject

Outcome: TypeAlias = Literal["allow", "deny", "ask"]

LIMIT: Final = 60  # seconds that the agent waits; some then go on as if there were no hook
FAILURE: Final = 2  # the exit status that blocks the call; any other failure lets it through


@dataclass(frozen=True, slots=True)
class Answer:
    """What the agent is told about one tool call."""

    outcome: Outcome
    reason: str


@dataclass(frozen=True, slots=True)
class CodingAgent:
    """One kind of coding agent. Its name is the host in ``tool://name/tool``, and who proposes."""

    name: str
    title: str
    event: str  # of a tool call to come
    asking_modes: frozenset[str]  # its permission modes in which "ask" asks a person; empty: it cannot ask
    write: Callable[[Answer], JSONObject]  # its form of an answer
    matcher: str  # for all tools
    entry: Callable[[str], JSONObject]  # its form of an installed hook, for a shell command
    user_file: Path  # of its settings, in the user's folder
    project_file: Path  # the same in a project's folder
    switched_off: Callable[[Mapping[str, JSON]], str | None]  # why no hook of these settings runs

    def settings_file(self, *, user: Path | None, project: Path) -> Path:
        """``user``: the user's folder, for the user's settings; None: those of the project."""
        return project / self.project_file if user is None else user / self.user_file


def _claude_answer(answer: Answer) -> JSONObject:
    return {
        "hookSpecificOutput": {
            "hookEventName": "PreToolUse",
            "permissionDecision": answer.outcome,
            "permissionDecisionReason": answer.reason,
        }
    }


def _claude_entry(command: str) -> JSONObject:
    # Newer versions block when the hook cannot be started or takes too long; older ones ignore the member.
    return {"type": "command", "command": command, "timeout": LIMIT, "onFailure": "block"}


def _claude_off(settings: Mapping[str, JSON]) -> str | None:
    return "'disableAllHooks' is true" if settings.get("disableAllHooks") is True else None


def _gemini_answer(answer: Answer) -> JSONObject:
    if answer.outcome == "allow":
        return {"decision": "allow"}
    return {"decision": "deny", "reason": answer.reason}


def _gemini_entry(command: str) -> JSONObject:
    return {"name": "delego", "type": "command", "command": command, "timeout": LIMIT * 1000}


def _gemini_off(settings: Mapping[str, JSON]) -> str | None:
    switches = settings.get("hooksConfig")
    if not isinstance(switches, dict):
        return None
    if switches.get("enabled") is False:
        return "'hooksConfig.enabled' is false"
    disabled = switches.get("disabled")
    return "'hooksConfig.disabled' names it" if isinstance(disabled, list) and "delego" in disabled else None


CLAUDE_CODE: Final = CodingAgent(
    name="claude-code",
    title="Claude Code",
    event="PreToolUse",
    asking_modes=frozenset({"default", "acceptEdits", "plan"}),
    write=_claude_answer,
    matcher="*",
    entry=_claude_entry,
    user_file=Path(".claude", "settings.json"),
    # Not the one that is shared with others: the command holds paths of this machine.
    project_file=Path(".claude", "settings.local.json"),
    switched_off=_claude_off,
)

GEMINI_CLI: Final = CodingAgent(
    name="gemini-cli",
    title="Gemini CLI",
    event="BeforeTool",
    asking_modes=frozenset(),
    write=_gemini_answer,
    matcher=".*",
    entry=_gemini_entry,
    user_file=Path(".gemini", "settings.json"),
    project_file=Path(".gemini", "settings.json"),
    switched_off=_gemini_off,
)

AGENTS: Final = {agent.name: agent for agent in (CLAUDE_CODE, GEMINI_CLI)}
