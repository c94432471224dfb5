"""A settings file gets the hook and loses it again; nothing else in it is touched."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from delego_agent.errors import HookError
from delego_agent.hooks.agents import AGENTS, CLAUDE_CODE, GEMINI_CLI, CodingAgent
from delego_agent.hooks.settings import BACKUP, installed, installing, shell_command, uninstalling

BOTH = pytest.mark.parametrize("agent", AGENTS.values(), ids=AGENTS)
COMMAND = shell_command("/opt/py thon", Path("/homes/it's"), CLAUDE_CODE, ["--on-approval", "deny"])


def command_of(agent: CodingAgent) -> str:
    return shell_command("/opt/python", Path("/homes/x"), agent, [])


def someones(agent: CodingAgent) -> dict[str, Any]:
    """Settings in use, with a hook of somebody else for the same event."""
    group = {"matcher": "Bash", "hooks": [{"type": "command", "command": "lint --strict"}]}
    return {
        "model": "größe \U0001f600",
        "hooks": {agent.event: [group], "Stop": [{"hooks": []}]},
        "permissions": {"deny": ["Read(./.env)"]},
    }


def test_the_command_is_quoted_and_fails_closed() -> None:
    assert COMMAND == (
        "'/opt/py thon' -P -m delego_cli --home '/homes/it'\"'\"'s' hook claude-code"
        " --on-approval deny || exit 2"
    )


@BOTH
def test_a_new_file_holds_the_hook_and_is_gone_after_uninstalling(agent: CodingAgent, tmp_path: Path) -> None:
    path = tmp_path / agent.project_file
    installing(agent, path, command_of(agent)).apply()
    assert path.stat().st_mode & 0o777 == 0o600
    (found,), off = installed(agent, path)
    assert (found.command, found.matcher, off) == (command_of(agent), agent.matcher, None)
    uninstalling(agent, path).apply()
    assert list(path.parent.iterdir()) == [path.with_name(path.name + BACKUP)]


@BOTH
def test_what_is_there_stays_and_comes_back(agent: CodingAgent, tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    text = json.dumps(someones(agent))
    path.write_text(text, encoding="utf-8")
    path.chmod(0o640)
    installing(agent, path, command_of(agent)).apply()
    now = json.loads(path.read_text(encoding="utf-8"))
    assert now["hooks"][agent.event][0] == someones(agent)["hooks"][agent.event][0]
    assert len(now["hooks"][agent.event]) == 2
    assert list(now) == list(someones(agent))
    assert path.stat().st_mode & 0o777 == 0o640
    assert path.with_name("settings.json" + BACKUP).read_text(encoding="utf-8") == text
    uninstalling(agent, path).apply()
    assert json.loads(path.read_text(encoding="utf-8")) == someones(agent)


@BOTH
def test_installing_twice_changes_nothing(agent: CodingAgent, tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    installing(agent, path, command_of(agent)).apply()
    before = (path.read_bytes(), path.stat().st_mtime_ns)
    change = installing(agent, path, command_of(agent))
    assert (change.needed, change.backup) == (False, None)
    change.apply()
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    uninstalling(agent, path).apply()
    assert not uninstalling(agent, path).needed


def test_another_command_of_ours_is_replaced_wherever_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    mixed = {
        "matcher": "Bash",
        "hooks": [{"type": "command", "command": COMMAND}, {"type": "command", "command": "lint"}],
    }
    old = {"hooks": [{"type": "command", "command": "/bin/delego hook claude-code"}]}
    path.write_text(json.dumps({"hooks": {"PreToolUse": [mixed, old]}}), encoding="utf-8")
    installing(CLAUDE_CODE, path, command_of(CLAUDE_CODE)).apply()
    groups = json.loads(path.read_text(encoding="utf-8"))["hooks"]["PreToolUse"]
    assert groups[0] == {"matcher": "Bash", "hooks": [{"type": "command", "command": "lint"}]}
    assert [one.command for one in installed(CLAUDE_CODE, path)[0]] == [command_of(CLAUDE_CODE)]
    assert installed(GEMINI_CLI, path)[0] == []


@pytest.mark.parametrize(
    "command",
    ["delegate hook claude-code", "delego hook claude-coder", "delego verify", "echo hook claude-code"],
)
def test_a_command_that_is_not_ours_is_left_alone(tmp_path: Path, command: str) -> None:
    path = tmp_path / "settings.json"
    theirs = {"hooks": {"PreToolUse": [{"hooks": [{"type": "command", "command": command}]}]}}
    path.write_text(json.dumps(theirs), encoding="utf-8")
    assert not uninstalling(CLAUDE_CODE, path).needed


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{",
        '{"a": 1, "a": 2}',
        "// mine\n{}",
        '{"hooks": []}',
        '{"hooks": {"PreToolUse": {}}}',
        "\udcff",
        "[" * 100_000,
    ],
)
def test_what_cannot_be_changed_safely_is_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "settings.json"
    path.write_bytes(text.encode(errors="surrogateescape"))
    for change in (
        lambda: installing(CLAUDE_CODE, path, COMMAND),
        lambda: uninstalling(CLAUDE_CODE, path),
        lambda: installed(CLAUDE_CODE, path),
    ):
        with pytest.raises(HookError, match="nothing was changed"):
            change()
    assert path.read_bytes() == text.encode(errors="surrogateescape")


def test_strange_entries_of_others_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    strange = [7, {"hooks": 7}, {"hooks": [7, {"command": 7}, {"type": "http", "url": "x"}]}]
    path.write_text(json.dumps({"hooks": {"PreToolUse": strange}}), encoding="utf-8")
    installing(CLAUDE_CODE, path, COMMAND).apply()
    assert json.loads(path.read_text(encoding="utf-8"))["hooks"]["PreToolUse"][:3] == strange


def test_a_file_that_is_too_large_or_unreadable_is_refused(tmp_path: Path) -> None:
    large = tmp_path / "large.json"
    large.write_bytes(b" " * (4 * 1024 * 1024 + 1))
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "loop.json").symlink_to(tmp_path / "loop.json")
    for name in ("large", "folder", "loop"):
        with pytest.raises(HookError, match="nothing was changed"):
            installing(CLAUDE_CODE, tmp_path / f"{name}.json", COMMAND)


def test_text_that_utf8_cannot_write_stays_what_it_was(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_text('{"odd": "\\ud800"}', encoding="utf-8")
    installing(CLAUDE_CODE, path, COMMAND).apply()
    assert json.loads(path.read_text(encoding="utf-8"))["odd"] == "\ud800"


def test_a_link_is_followed_and_stays_a_link(tmp_path: Path) -> None:
    real = tmp_path / "dotfiles.json"
    real.write_text("", encoding="utf-8")
    link = tmp_path / "settings.json"
    link.symlink_to(real)
    installing(CLAUDE_CODE, link, COMMAND).apply()
    assert link.is_symlink()
    assert len(installed(CLAUDE_CODE, real)[0]) == 1


def test_a_file_that_changed_since_it_was_read_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_text("{}", encoding="utf-8")
    change = installing(CLAUDE_CODE, path, COMMAND)
    path.write_text('{"mine": 1}', encoding="utf-8")
    with pytest.raises(HookError, match="changed meanwhile"):
        change.apply()
    assert path.read_text(encoding="utf-8") == '{"mine": 1}'


@pytest.mark.parametrize(
    ("agent", "settings", "off"),
    [
        (CLAUDE_CODE, {"disableAllHooks": True}, "'disableAllHooks' is true"),
        (CLAUDE_CODE, {"disableAllHooks": False}, None),
        (GEMINI_CLI, {"hooksConfig": {"enabled": False}}, "'hooksConfig.enabled' is false"),
        (
            GEMINI_CLI,
            {"hooksConfig": {"enabled": True, "disabled": ["delego"]}},
            "'hooksConfig.disabled' names it",
        ),
        (GEMINI_CLI, {"hooksConfig": {"disabled": ["other"]}}, None),
        (GEMINI_CLI, {"hooksConfig": 7}, None),
    ],
)
def test_hooks_that_are_switched_off_are_seen(
    tmp_path: Path, agent: CodingAgent, settings: Any, off: str | None
) -> None:
    path = tmp_path / "settings.json"
    path.write_text(json.dumps(settings), encoding="utf-8")
    assert installed(agent, path) == ([], off)
