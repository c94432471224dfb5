"""``delego hook``: an agent's tool call is decided, and whatever goes wrong blocks it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from delego_agent.hooks import agents
from delego_cli import hook
from delego_cli.hook_checks import hook_findings

POLICY = """
version: 1
default: deny
rules:
  - { name: looks, decision: allow, match: { path: /Read } }
  - { name: shell, decision: needs_approval, match: { path: /Bash } }
"""


@pytest.fixture
def coded(world: Any) -> Any:
    """A home whose policy knows the tools of coding agents."""
    (world.folder / "p.yaml").write_text(POLICY, encoding="utf-8")
    result = world.run("init", "--policy", "p.yaml")
    assert result.exit_code == 0, result.output
    return world


def event(tool: str = "Read", name: str = "PreToolUse", **tool_input: Any) -> str:
    return json.dumps(
        {
            "session_id": "s-1",
            "hook_event_name": name,
            "permission_mode": "default",
            "tool_name": tool,
            "tool_input": tool_input,
        }
    )


def outcome(stdout: str) -> str:
    return str(json.loads(stdout)["hookSpecificOutput"]["permissionDecision"])


def in_shell(world: Any, command: str, text: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run an installed hook as the agent does."""
    return subprocess.run(
        ["sh", "-c", command],
        input=text,
        env={**world.env, **env},
        cwd=world.folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def install(world: Any, *options: str) -> tuple[str, Path]:
    """The command and the file of an installed hook."""
    told = world.json("hook", "install", *options)
    assert told["changed"]
    return told["command"], Path(told["settings"])


# --- decided --------------------------------------------------------------------------------------------


def test_the_verbs_are_those_of_the_known_agents() -> None:
    assert set(hook.AGENTS) == set(agents.AGENTS) == {*hook.command.commands} - {"install", "uninstall"}
    assert hook.BLOCK == agents.FAILURE
    assert hook.DEADLINE < agents.LIMIT


@pytest.mark.parametrize(("tool", "said"), [("Read", "allow"), ("Bash", "ask"), ("Write", "deny")])
def test_a_tool_call_is_allowed_asked_about_or_denied(coded: Any, tool: str, said: str) -> None:
    done = coded.process("hook", "claude-code", input=event(tool))
    assert (done.returncode, outcome(done.stdout), done.stderr) == (0, said, "")


def test_gemini_cli_is_answered_in_its_own_form(coded: Any) -> None:
    def ask(tool: str) -> Any:
        return json.loads(coded.run("hook", "gemini-cli", input=event(tool, "BeforeTool")).stdout)

    assert ask("Read") == {"decision": "allow"}
    assert ask("Bash")["decision"] == "deny"
    assert "waits for a person as apr_" in ask("Bash")["reason"]


def test_a_yes_lets_the_same_call_through(coded: Any) -> None:
    def ask() -> str:
        return outcome(coded.run("hook", "claude-code", "--on-approval", "deny", input=event("Bash")).stdout)

    assert ask() == "deny"
    (waiting,) = coded.json("pending")["pending"]
    coded.json("approve", waiting["approval_id"], "--as", "alice", "--yes")
    assert [ask(), ask()] == ["allow", "deny"]


def test_the_instruction_is_an_option_or_in_the_environment(coded: Any) -> None:
    coded.run("hook", "claude-code", input=event("Bash"), env={hook.VARIABLE: "fix the login"})
    coded.run("hook", "claude-code", "-i", "write docs", input=event("Bash"), env={hook.VARIABLE: "no"})
    coded.run("hook", "claude-code", "--as", "bot", input=event("Bash"), env={hook.VARIABLE: ""})
    waiting = coded.json("pending")["pending"]
    assert [one["instruction"] for one in waiting] == [
        "fix the login",
        "write docs",
        "(no instruction; claude-code session s-1)",
    ]


# --- it fails closed ------------------------------------------------------------------------------------


def damage(what: str) -> Callable[[Any], None]:
    def policy(world: Any) -> None:
        (world.home / "policy.yaml").write_text("version: 1\ndefault: maybe\n", encoding="utf-8")

    def ledger(world: Any) -> None:
        (world.home / "ledger.db").write_bytes(b"no database" * 500)

    def key(world: Any) -> None:
        (world.home / "keys" / "ledger.pem").unlink()

    def lost(world: Any) -> None:
        (world.home / "keys" / "ledger.pub").unlink()

    return {"policy": policy, "ledger": ledger, "key": key, "lost": lost}[what]


@pytest.mark.parametrize("what", ["policy", "ledger", "key", "lost"])
def test_a_home_that_is_broken_blocks_the_call_with_one_line(coded: Any, what: str) -> None:
    damage(what)(coded)
    done = coded.process("hook", "claude-code", input=event())
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


@pytest.mark.parametrize("text", ["", "{}", "nonsense", "[" * 9000, event(name="Stop"), event("Bash")[:-1]])
@pytest.mark.parametrize("agent", hook.AGENTS)
def test_what_is_no_event_blocks_the_call_with_one_line(
    coded: Any, agent: str, text: str, capfd: pytest.CaptureFixture[str]
) -> None:
    done = coded.run("hook", agent, input=text)
    assert (done.exit_code, done.stdout) == (2, "")
    assert capfd.readouterr().err.startswith("delego: the event ")
    assert coded.run("hook", agent, "--nonsense", input=event()).exit_code == 2


def test_without_a_home_the_call_is_blocked(world: Any, capfd: pytest.CaptureFixture[str]) -> None:
    assert world.run("hook", "claude-code", input=event()).exit_code == 2
    assert "there is no home here" in capfd.readouterr().err


def test_a_home_that_the_agent_may_have_written_is_not_taken(coded: Any, tmp_path: Path) -> None:
    os.renames(coded.home, coded.folder / ".claude" / ".delego")
    del coded.env["DELEGO_HOME"]
    done = coded.process("hook", "claude-code", input=event())
    assert done.returncode == 2
    assert ".claude" not in done.stderr


def test_closed_streams_block_the_call(coded: Any) -> None:
    for shut in ("<&-", ">&-"):
        done = subprocess.run(
            ["sh", "-c", f'exec "{sys.executable}" -m delego_cli hook claude-code {shut}'],
            input=event(),
            env=coded.env,
            cwd=coded.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert (done.returncode, done.stdout) == (2, "")
        assert "is closed" in done.stderr


def test_an_answer_that_nobody_reads_blocks_the_call(coded: Any) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = coded.process(
        "hook", "claude-code", input=event(), stdout=writing, capture_output=False, stderr=-1
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (2, "delego: nobody reads the answer\n")


def test_an_event_that_never_ends_blocks_the_call(coded: Any) -> None:
    code = (
        "import sys; from delego_cli import hook; hook.DEADLINE = 0.2;"
        " from delego_cli.main import main; main(['hook', 'claude-code'])"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        env=coded.env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        assert running.stdout.read() == b""
        assert running.stderr.read() == b"delego: no decision within 0.2 s; the call is blocked\n"
        assert running.wait(60) == 2


def test_a_hook_that_is_killed_blocks_the_call(coded: Any) -> None:
    command, _ = install(coded)
    with subprocess.Popen(
        ["sh", "-c", command],
        env=coded.env,
        cwd=coded.folder,
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as shell:
        children = Path(f"/proc/{shell.pid}/task/{shell.pid}/children")
        while not (child := children.read_text(encoding="ascii").split()):
            assert shell.poll() is None
        os.kill(int(child[0]), signal.SIGKILL)
        assert shell.wait(60) == 2


def test_hooks_at_the_same_moment_do_not_mix(coded: Any) -> None:
    def ask(number: int) -> str:
        return outcome(
            coded.process("hook", "claude-code", input=event(("Read", "Write")[number % 2])).stdout
        )

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(ask, range(6))) == ["allow", "deny"] * 3
    assert coded.json("verify")["valid"] is True


# --- installed ------------------------------------------------------------------------------------------


def test_an_installed_hook_decides(coded: Any) -> None:
    command, path = install(coded)
    assert path == coded.folder / ".claude" / "settings.local.json"
    done = in_shell(coded, command, event("Bash"), DELEGO_HOME="/nowhere")
    assert (done.returncode, outcome(done.stdout)) == (0, "ask")
    assert in_shell(coded, command, "{}").returncode == 2
    assert in_shell(coded, command.replace(sys.executable, "/no/such/python"), event()).returncode == 2


def test_modules_in_the_agents_folder_are_not_taken_for_ours(coded: Any) -> None:
    command, _ = install(coded)
    for name in ("delego_cli", "click", "json", "sitecustomize"):
        (coded.folder / f"{name}.py").write_text("import os; os._exit(0)\n", encoding="utf-8")
    assert outcome(in_shell(coded, command, event("Write")).stdout) == "deny"


def test_options_of_the_installation_are_the_hooks(coded: Any) -> None:
    command, path = install(coded, "--on-approval", "deny", "-i", "it's for docs", "--as", "bot", "--user")
    assert path == Path(coded.env["HOME"], ".claude", "settings.json")
    assert outcome(in_shell(coded, command, event("Bash")).stdout) == "deny"
    (waiting,) = coded.json("pending")["pending"]
    assert (waiting["instruction"], waiting["proposer"]) == ("it's for docs", "bot")


def test_a_dry_run_changes_nothing(coded: Any) -> None:
    told = coded.json("hook", "install", "--dry-run")
    assert (told["changed"], told["would_change"]) == (False, True)
    assert json.loads(told["after"])["hooks"]["PreToolUse"][0]["hooks"][0]["command"] == told["command"]
    assert "would become" in coded.run("hook", "install", "--dry-run").stdout
    assert not (coded.folder / ".claude").exists()
    install(coded)
    assert "(removed)" in coded.run("hook", "uninstall", "--dry-run").stdout


def test_installing_and_uninstalling_are_said_and_may_be_repeated(coded: Any) -> None:
    for agent in hook.AGENTS:
        settings = coded.folder / agents.AGENTS[agent].project_file
        assert "asks before each tool call  " in coded.run("hook", "install", agent).stdout
        assert "asks before each tool call already: " in coded.run("hook", "install", agent).stdout
        told = coded.run("hook", "uninstall", agent).stdout
        assert "asks no more  " in told
        assert "the former settings: " in told
        assert "asks no more already: " in coded.run("hook", "uninstall", agent).stdout
        assert not settings.exists()


def test_nothing_is_installed_over_a_home_that_would_block_everything(coded: Any, world: Any) -> None:
    damage("policy")(coded)
    assert coded.run("hook", "install").exit_code == 1
    damage("lost")(coded)
    assert coded.run("hook", "install").exit_code == 1
    assert not (coded.folder / ".claude").exists()


def test_settings_that_cannot_be_read_are_one_plain_line(coded: Any) -> None:
    path = coded.folder / ".claude" / "settings.local.json"
    path.parent.mkdir()
    path.write_text("// comment\n{}", encoding="utf-8")
    done = coded.run("hook", "install")
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
    assert "is no plain JSON" in done.stderr


def test_without_a_home_folder_the_user_is_unknown(coded: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(_: type[Path]) -> Path:
        raise RuntimeError("could not determine home directory")

    monkeypatch.setattr(Path, "home", classmethod(nobody))
    assert "use --project" in coded.run("hook", "install", "--user").stderr
    install(coded)
    assert hooks_of(coded) == [("ok", "asks before each tool call")]


# --- the doctor -----------------------------------------------------------------------------------------


def hooks_of(world: Any) -> list[tuple[str, str]]:
    result = world.run("doctor", "--json")
    checks = json.loads(result.stdout)["checks"]
    return [(one["status"], one["text"].rpartition(": ")[2]) for one in checks if one["name"] == "hooks"]


def test_the_doctor_names_each_hook_that_works(coded: Any) -> None:
    assert hooks_of(coded) == []
    for options in ((), ("--user",), ("gemini-cli",)):
        install(coded, *options)
    assert hooks_of(coded) == [("ok", "asks before each tool call")] * 3


def edit(path: Path, change: Callable[[dict[str, Any], dict[str, Any]], None]) -> None:
    settings = json.loads(path.read_text(encoding="utf-8"))
    change(settings, settings["hooks"]["PreToolUse"][0])
    path.write_text(json.dumps(settings), encoding="utf-8")


def command_to(old: str, new: str) -> Callable[[Any, Any], None]:
    def change(_: Any, group: Any) -> None:
        group["hooks"][0]["command"] = group["hooks"][0]["command"].replace(old, new)

    return change


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda settings, _: settings.update(disableAllHooks=True), "its hooks are switched off"),
        (lambda _, group: group.update(matcher="Bash"), "it is asked for tools that match 'Bash' only"),
        (lambda _, group: group["hooks"][0].update(timeout=5), "its timeout is 5"),
        (lambda _, group: group["hooks"][0].pop("timeout"), "its timeout is None"),
        (command_to(" || exit 2", ""), "does not end with '|| exit 2'"),
        (command_to(sys.executable, "/no/such/python"), "'/no/such/python' cannot be run"),
        (command_to(sys.executable, "/bin/false"), "'/bin/false' has no delego"),
        (command_to("--home", "--hom'e"), "is no shell command"),
        (command_to("--home", "--json"), "it names no home"),
        (command_to("/home ", "/gone "), "there is no home at "),
    ],
)
def test_the_doctor_names_a_hook_that_protects_nothing(
    coded: Any, change: Callable[[Any, Any], None], says: str
) -> None:
    _, path = install(coded)
    edit(path, change)
    ((status, text, todo),) = hook_findings(coded.folder, None)
    assert (status, says in text) == ("fail", True), text
    assert todo == ("switch them on" if "switched off" in says else "delego hook install claude-code")


def test_the_doctor_says_where_it_cannot_tell(coded: Any) -> None:
    _, path = install(coded)
    path.write_text("{", encoding="utf-8")
    ((status, text, _),) = hook_findings(coded.folder, None)
    assert (status, "cannot be told" in text) == ("warn", True)
