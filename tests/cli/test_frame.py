"""The frame of the command: help, homes, exit statuses, one line for every error."""

from __future__ import annotations

import errno
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from delego_authorizer import ConfigError, HomeError
from delego_cli import errors
from delego_cli.errors import CommandError, describe, guarded
from delego_cli.exit_codes import ExitCode
from delego_cli.home_option import find_home
from delego_cli.main import SECTIONS, main
from delego_cli.verbs import Entry
from delego_ledger.errors import StorageError
from delego_spec.errors import PolicyError, Problem
from terminal import Terminal

VERBS = [entry.name for _, entries in SECTIONS for entry in entries]


# --- help -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_lists_each_verb_under_who_uses_it(world: Any, flag: str) -> None:
    text = world.run(flag).stdout
    for heading in (
        "To begin:",
        "For agents:",
        "For the people who decide:",
        "For auditors:",
        "For operators:",
    ):
        assert heading in text
    for verb in VERBS:
        assert f"\n  {verb} " in text


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_has_help_with_examples_home_and_json(world: Any, verb: str) -> None:
    command = main.get_command(click.Context(main), verb)
    assert command is not None
    leaves = [[verb]]
    if isinstance(command, click.Group):
        leaves = [[verb, name] for name in command.list_commands(click.Context(command))]
    for words in leaves:
        result = world.run(*words, "-h")
        assert result.exit_code == 0
        assert "--json" in result.stdout
        assert "--home" in result.stdout
        assert "Examples:\n  " in result.stdout
        assert f"delego {words[0]}" in result.stdout.split("Examples:")[1].replace(
            "--home ./.claude/.delego ", ""
        )


@pytest.mark.parametrize("verb", ["policy", "keys", "token", "hook", "tools", "mcp-gateway"])
def test_no_summary_in_a_list_of_verbs_is_cut(world: Any, verb: str) -> None:
    assert "..." not in world.run(verb, "--help").stdout.partition("Commands:")[2]


@pytest.mark.parametrize("verb", VERBS)
def test_each_option_of_each_verb_is_explained(verb: str) -> None:
    command = main.get_command(click.Context(main), verb)
    assert command is not None
    commands = [*command.commands.values()] if isinstance(command, click.Group) else [command]
    for one in commands:
        for parameter in one.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, f"{one.name} {parameter.name}"


def test_starting_imports_nothing_that_takes_long() -> None:
    code = (
        "import sys\nbefore = set(sys.modules)\nfrom delego_cli.main import main\n"
        "for words in (['--help'], ['--version']):\n main(words, standalone_mode=False)\n"
        "heavy = {'sqlite3', 'nacl', 'jsonschema_rs', 'yaml', 'msgspec', 'cryptography', 'delego_spec'}\n"
        "print(sorted(heavy & {name.split('.')[0] for name in set(sys.modules) - before}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_version_is_that_of_the_distribution(world: Any) -> None:
    from importlib.metadata import version

    assert world.run("--version").stdout == f"delego {version('delego-spec')}\n"


def test_without_a_verb_help_goes_to_stderr_and_the_status_is_usage(world: Any) -> None:
    result = world.run()
    assert result.exit_code == ExitCode.USAGE
    assert result.stdout == ""
    assert "For agents:\n" in result.stderr


def test_a_verb_that_is_no_command_is_a_fault_of_ours() -> None:
    with pytest.raises(TypeError, match="is no command"):
        Entry("main", "", attribute="SECTIONS").load()


# --- which home -----------------------------------------------------------------------------------------


def test_the_home_is_the_option_then_the_variable_then_the_project_then_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    env = {"DELEGO_HOME": "/from/variable"}
    assert find_home("/from/option", env, tmp_path) == Path("/from/option")
    assert find_home(None, env, tmp_path) == Path("/from/variable")
    assert find_home(None, {"DELEGO_HOME": ""}, tmp_path) == tmp_path / "user" / ".delego"
    (tmp_path / ".claude" / ".delego").mkdir(parents=True)
    assert find_home(None, {}, tmp_path) == tmp_path / ".claude" / ".delego"


def test_a_tilde_stands_for_the_users_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_home("~/h", {}, tmp_path) == tmp_path / "h"


def test_a_tilde_that_stands_for_nobody_is_an_error() -> None:
    with pytest.raises(CommandError, match="cannot tell where '~no-such-user-here/h' is"):
        find_home("~no-such-user-here/h", {}, Path())


def test_home_may_stand_before_and_after_the_verb_and_the_later_one_wins(world: Any) -> None:
    assert world.run("--home", "one", "init").exit_code == 0
    assert world.run("init", "--home", "two").exit_code == 0
    assert world.run("--home", "two", "init", "--home", "three").exit_code == 0
    assert {path.name for path in world.folder.iterdir()} == {"one", "two", "three"}
    assert world.run("keys", "--home", "one", "show").exit_code == 0


@pytest.mark.parametrize(("given", "says"), [("", "is empty"), ("taken", "is a file")])
def test_a_home_that_can_be_none_is_wrong_usage(world: Any, given: str, says: str) -> None:
    (world.folder / "taken").write_text("x")
    result = world.run("pending", "--home", given)
    assert result.exit_code == ExitCode.USAGE
    assert says in result.stderr


# --- errors ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["aprove"], "delego: there is no verb 'aprove'; did you mean 'approve'?; see 'delego --help'"),
        (["\x1b[31mred"], "delego: there is no verb '\\x1b[31mred'; see 'delego --help'"),
        # Words of click's change between its versions; what is quoted in them, and where help is, do not.
        (["--jsn"], "--jsn"),
        (["pending", "x\u202ey"], "x\\u202ey"),
        (["keys", "shw"], "shw"),
    ],
)
def test_wrong_usage_is_one_line_that_prints(world: Any, words: list[str], says: str) -> None:
    result = world.run(*words)
    assert result.exit_code == ExitCode.USAGE
    assert says in result.stderr
    assert result.stderr[:8] == "delego: "
    assert result.stderr[8].islower()
    assert "; see 'delego " in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_wrong_usage_does_not_repeat_all_that_was_typed(world: Any) -> None:
    result = world.run("log", "--outcome", "x" * 100_000)
    assert result.exit_code == ExitCode.USAGE
    assert len(result.stderr) < 1000
    assert result.stderr.endswith("…; see 'delego log --help'\n")


def test_with_json_an_error_is_on_stdout_too(world: Any) -> None:
    result = world.run("pending", "--json")
    document = json.loads(result.stdout)
    assert document == {"error": result.stderr.removeprefix("delego: ").rstrip("\n"), "exit_code": 1}
    assert "make one with 'delego init'" in document["error"]


def test_with_json_even_an_unknown_option_is_on_stdout(world: Any) -> None:
    result = world.run("pending", "--json", "--nonsense")
    assert json.loads(result.stdout)["exit_code"] == ExitCode.USAGE


def test_json_may_stand_before_the_verb(world: Any) -> None:
    document = json.loads(world.run("--json", "pending").stdout)
    assert document["exit_code"] == 1


def test_a_projects_home_that_is_a_file_is_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / ".claude").mkdir()
    (tmp_path / ".claude" / ".delego").write_text("")
    with pytest.raises(CommandError, match="is no folder; remove it"):
        find_home(None, {}, tmp_path)


def test_a_projects_home_that_others_could_have_put_there_is_no_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / ".claude" / ".delego"
    project.mkdir(parents=True)

    def fails(_: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    for look, said in ((lambda _: "'x' belongs to another account", "belongs to another"), (fails, "denied")):
        monkeypatch.setattr("delego_cli.home_option.foreign_hand", look)
        with pytest.raises(CommandError, match=f"is not used: .*{said}.*; name the home you mean"):
            find_home(None, {}, tmp_path)
        assert find_home(str(project), {}, tmp_path) == project


def test_json_behind_a_double_dash_is_no_option(world: Any) -> None:
    assert world.run("resolve", "--", "--json", "a", "b", "c", "d", "e").stdout == ""


def test_each_problem_of_a_document_has_its_own_line_and_json_has_them_apart() -> None:
    failure = describe(PolicyError("p.yaml", [Problem("a", "is wrong", 3, 4), Problem("", "is late")]))
    assert failure.lines == ("p.yaml:3:4: a: is wrong", "p.yaml: is late")
    assert failure.members["problems"] == [
        {"path": "a", "text": "is wrong", "line": 3, "column": 4},
        {"path": "", "text": "is late", "line": None, "column": None},
    ]


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (CommandError("no luck"), 1, "delego: no luck"),
        (CommandError("no", ExitCode.NO), 3, "delego: no"),
        (KeyboardInterrupt(), 130, "delego: interrupted"),
        (click.Abort(), 130, "delego: interrupted"),
        (click.ClickException("Bad\nthing"), 1, "delego: bad thing"),
        (PermissionError(13, "Permission denied", "/x"), 1, "delego: cannot use '/x': permission denied"),
        (OSError("odd"), 1, "delego: odd"),
        (HomeError(Path("/x"), "is gone"), 1, "delego: home '/x': is gone"),
        (
            StorageError("write", "/x\x1b", "full", retry_safe=True),
            1,
            "delego: cannot write '/x\\x1b': full; nothing was changed",
        ),
        (ConfigError("c.toml", [Problem("a", "no")]), 1, "c.toml: a: no"),
        (
            ValueError("x"),
            1,
            "delego: this is a fault in delego: ValueError: x; run with DELEGO_DEBUG=1 for the traceback",
        ),
        (
            MemoryError(),
            1,
            "delego: this is a fault in delego: MemoryError; run with DELEGO_DEBUG=1 for the traceback",
        ),
    ],
)
def test_any_exception_becomes_one_plain_line(error: BaseException, code: int, line: str) -> None:
    failure = describe(error)
    assert (failure.code, failure.lines) == (code, (line,))


def test_a_very_long_fault_is_cut() -> None:
    (line,) = describe(ValueError("x" * 10_000)).lines
    assert len(line) < 450


def test_the_traceback_comes_only_when_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise ValueError("inside")

    monkeypatch.delenv("DELEGO_DEBUG", raising=False)
    assert guarded(fail, as_json=False) == 1
    assert "Traceback" not in capsys.readouterr().err
    monkeypatch.setenv("DELEGO_DEBUG", "1")
    assert guarded(fail, as_json=False) == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(("leaves", "status"), [(None, 0), (0, 0), (2, 2), ("words", 1)])
def test_a_library_that_exits_keeps_its_status(leaves: Any, status: int) -> None:
    def leave() -> None:
        raise SystemExit(leaves)

    assert guarded(leave, as_json=False) == status


def test_a_closed_pipe_ends_it_quietly(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def write() -> None:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    class Closed(io.StringIO):
        def flush(self) -> None:
            raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    monkeypatch.setattr(sys, "stdout", Closed())
    assert guarded(write, as_json=True) == 1
    assert guarded(lambda: 0, as_json=True) == 1
    monkeypatch.undo()
    assert capfd.readouterr() == ("", "")


def test_stderr_that_is_gone_too_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errors, "say", lambda *_, **__: (_ for _ in ()).throw(OSError(errno.EIO, "gone")))
    assert guarded(lambda: (_ for _ in ()).throw(CommandError("x")), as_json=False) == 1


def test_a_status_comes_back_where_nobody_wants_an_exit(world: Any) -> None:
    assert main(["nonsense"], standalone_mode=False) == 2
    assert main(["--version"], standalone_mode=False) == 0


# --- as a real process ----------------------------------------------------------------------------------


def test_a_pipe_closed_by_its_reader_leaves_no_words(home: Any) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        done = home.process("keys", "show", capture_output=False, stdout=write, stderr=subprocess.PIPE)
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_under_stdout_is_said(home: Any) -> None:
    with Path("/dev/full").open("w") as full:
        done = home.process("keys", "show", capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert done.stderr == "delego: cannot write the output: no space left on device\n"


def test_closed_standard_streams_are_no_fault(home: Any) -> None:
    script = f"{sys.executable} -m delego_cli keys show >&- 2>&- <&-"
    done = subprocess.run(["sh", "-c", script], env=home.env, capture_output=True, check=False)
    assert done.returncode == 0


def test_an_encoding_that_lacks_a_character_gets_an_escape(world: Any) -> None:
    env = {**world.env, "PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"}
    done = world.process("--home", "h→", "pending", env=env)
    assert done.returncode == 1
    assert "h\\u2192" in done.stderr


def test_bytes_that_are_no_text_become_escapes(world: Any) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "delego_cli", b"\xff\xfe"], env=world.env, capture_output=True, check=False
    )
    assert done.returncode == 2
    assert b"there is no verb '\\udcff\\udcfe'" in done.stderr


def test_ctrl_c_at_a_question_is_one_line_and_130(home: Any) -> None:
    approval = home.parked()
    with Terminal(["approve", approval], home.env, cwd=home.folder) as screen:
        screen.wait_for("[y/N]")
        assert screen.interrupt() == 130
    assert screen.output.rstrip().endswith("delego: interrupted")
    assert "Traceback" not in screen.output
    assert home.json("pending")["pending"][0]["approval_id"] == approval


def test_an_interrupt_while_reading_a_batch_is_one_line_and_130(home: Any) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "delego_cli", "propose", "--batch", "-"],
        env=home.env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    process.stdin.write("no json\n" * 64)  # a chunk: what it says of it shows that it runs
    process.stdin.flush()
    assert process.stderr is not None
    assert process.stderr.readline().startswith("line 1: ")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.endswith("delego: interrupted\n")
    assert "unreadable" in out  # the closing table, of what was read


# --- colour ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("extra", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True)]
)
def test_colour_shows_on_a_terminal_unless_it_is_refused(
    home: Any, extra: dict[str, str], coloured: bool
) -> None:
    with Terminal(["propose", "-i", "x", "GET", "https://nowhere.example/"], {**home.env, **extra}) as screen:
        assert screen.finish() == 3
    assert ("\x1b[" in screen.output) is coloured
    assert "denied" in screen.output


def test_a_dumb_terminal_gets_no_colour(home: Any) -> None:
    with Terminal(["keys", "show"], {**home.env, "TERM": "dumb"}) as screen:
        assert screen.finish() == 0
    assert "\x1b" not in screen.output


def test_a_pipe_gets_plain_text(home: Any) -> None:
    done = home.process("propose", "-i", "x", "GET", "https://nowhere.example/")
    assert "\x1b" not in done.stdout
