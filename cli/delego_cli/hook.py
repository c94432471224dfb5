"""``delego hook``: a coding agent asks before each tool call; and how to install that."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from delego_cli.asking import standard_input
from delego_cli.errors import CommandError, describe
from delego_cli.exit_codes import ExitCode
from delego_cli.output import Styled, emit, say, shown
from delego_cli.principals import principal_name
from delego_cli.verbs import Session, verb, verb_group

if TYPE_CHECKING:
    from collections.abc import Callable

    from delego_agent.hooks.agents import CodingAgent
    from delego_agent.hooks.settings import Change

AGENTS: Final = ("claude-code", "gemini-cli")  # a test compares it with delego_agent.hooks
VARIABLE: Final = "DELEGO_INSTRUCTION"
BLOCK: Final = 2  # the exit status on which the agents block the call
DEADLINE: Final = 20.0  # seconds; well before the agent itself stops waiting, and may let the call through

command = verb_group("hook", "Decide the tool calls of coding agents; install that as their hook.")

_OPTIONS: Final = (
    click.option(
        "--on-approval",
        type=click.Choice(["ask", "deny"]),
        default="ask",
        show_default=True,
        help="Where a person is needed: have the agent ask at its terminal, or deny with the approval's id.",
    ),
    click.option(
        "-i",
        "--instruction",
        metavar="TEXT",
        help=f"What the agent is working on, in the person's words; else ${VARIABLE}.",
    ),
    click.option(
        "--as",
        "principal",
        type=principal_name,
        metavar="NAME",
        help="Who proposes; the agent's name if not given.",
    ),
)


def _options(function: Callable[..., ExitCode]) -> Callable[..., ExitCode]:
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


@verb("claude-code", group=command, examples=("delego hook claude-code < event.json",))
@_options
def claude_code(session: Session, **options: Any) -> ExitCode:
    """Decide a PreToolUse event of Claude Code, read from standard input.

    The answer is allow, deny or ask, on standard output. Whatever goes wrong blocks the call: exit status 2
    and one line on standard error. The home is --home, $DELEGO_HOME or ~/.delego, never one of the folder
    that the agent works in.
    """
    return _decide(session, "claude-code", **options)


@verb("gemini-cli", group=command, examples=("delego hook gemini-cli < event.json",))
@_options
def gemini_cli(session: Session, **options: Any) -> ExitCode:
    """Decide a BeforeTool event of Gemini CLI, read from standard input.

    As claude-code; this agent cannot ask, so that what needs a person is denied with the approval's id.
    """
    return _decide(session, "gemini-cli", **options)


def _decide(session: Session, name: str, **options: Any) -> ExitCode:
    timer = threading.Timer(DEADLINE, _too_late)
    timer.daemon = True
    timer.start()
    try:
        _answer(session, name, **options)
        return ExitCode.YES
    except BaseException as error:  # noqa: BLE001 - an interrupt as well: all but an answer blocks the call
        failure = describe(error)
        if not failure.lines:
            _silence_stdout()
        _block(failure.lines[0] if failure.lines else "delego: nobody reads the answer")
    finally:
        timer.cancel()
    return ExitCode.USAGE  # 2: blocked


def _answer(session: Session, name: str, **options: Any) -> None:
    from delego_agent.hooks.agents import AGENTS as KNOWN
    from delego_agent.hooks.deciding import MAX_EVENT, answer_event
    from delego_agent.service import home_path

    agent = KNOWN[name]
    data = standard_input().read(MAX_EVENT + 1)
    instruction = options["instruction"] or os.environ.get(VARIABLE) or None
    answer = answer_event(
        agent,
        data,
        home_path(session.home_given),
        instruction=instruction,
        principal=options["principal"],
        on_approval=options["on_approval"],
    )
    if sys.stdout is None:
        raise CommandError("standard output is closed; the answer is for the agent to read there")
    emit(agent.write(answer))
    sys.stdout.flush()


def _silence_stdout() -> None:
    """Let later flushes go nowhere: one that fails would end with another exit status, and not block."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, sys.stdout.fileno())
        os.close(sink)


def _too_late() -> None:
    _block(f"delego: no decision within {DEADLINE:g} s; the call is blocked")
    os._exit(BLOCK)


def _block(line: str) -> None:
    with contextlib.suppress(OSError):  # the exit status says it as well
        os.write(2, f"{line}\n".encode(errors="backslashreplace"))


_AGENT: Final = click.argument("agent", type=click.Choice(AGENTS), default=AGENTS[0])
_WHERE: Final = click.option(
    "--user/--project", "user", default=False, help="For all of your projects, or for this folder (default)."
)
_DRY: Final = click.option(
    "--dry-run", is_flag=True, help="Show what the settings file would be; change nothing."
)


@verb(
    "install",
    group=command,
    examples=("delego hook install", "delego hook install gemini-cli --user --dry-run"),
)
@_AGENT
@_WHERE
@_DRY
@_options
def install(session: Session, agent: str, user: bool, dry_run: bool, **options: Any) -> ExitCode:
    """Have a coding agent (claude-code) ask this home before each tool call.

    Its settings file gets the hook, with this home and this Python; all else in it stays. The former file is
    kept beside it as *.delego-backup.
    """
    from delego_agent.hooks.agents import AGENTS as KNOWN
    from delego_agent.hooks.settings import installing, shell_command

    home = session.home().require().path.resolve()
    session.home().policy()  # a hook over a broken policy would block everything
    kind = KNOWN[agent]
    given = [("--on-approval", options["on_approval"] if options["on_approval"] != "ask" else None)]
    given += [("--instruction", options["instruction"]), ("--as", options["principal"])]
    words = [word for name, value in given if value is not None for word in (name, value)]
    shell = shell_command(sys.executable, home, kind, words)
    change = installing(kind, _settings_file(kind, user=user), shell)
    return _apply(session, kind, change, dry_run=dry_run, done="asks before each tool call", command=shell)


@verb(
    "uninstall", group=command, examples=("delego hook uninstall", "delego hook uninstall gemini-cli --user")
)
@_AGENT
@_WHERE
@_DRY
def uninstall(session: Session, agent: str, user: bool, dry_run: bool) -> ExitCode:
    """Take the hook out of a coding agent's settings file again; all else in it stays."""
    from delego_agent.hooks.agents import AGENTS as KNOWN
    from delego_agent.hooks.settings import uninstalling

    kind = KNOWN[agent]
    change = uninstalling(kind, _settings_file(kind, user=user))
    return _apply(session, kind, change, dry_run=dry_run, done="asks no more", command=None)


def _settings_file(agent: CodingAgent, *, user: bool) -> Path:
    try:
        return agent.settings_file(user=Path.home() if user else None, project=Path.cwd())
    except RuntimeError:
        raise CommandError("cannot tell where your home folder is; use --project") from None


def _apply(
    session: Session, agent: CodingAgent, change: Change, *, dry_run: bool, done: str, command: str | None
) -> ExitCode:
    if not dry_run:
        change.apply()
    after = None if change.after is None else change.after.decode("utf-8", "backslashreplace")
    if session.json:
        emit(
            {
                "agent": agent.name,
                "settings": str(change.path),
                "backup": None if change.backup is None else str(change.backup),
                "changed": change.needed and not dry_run,
                "would_change": change.needed,
                "command": command,
                "after": after if dry_run else None,
            }
        )
        return ExitCode.YES
    if not change.needed:
        say(f"{agent.title} {done} already: ", str(change.path))
        return ExitCode.YES
    if dry_run:
        say(Styled("would become", bold=True), f"  {change.path}")
        for line in (after or "(removed)").splitlines():
            say(shown(line))
        return ExitCode.YES
    say(Styled(f"{agent.title} {done}", bold=True), f"  {change.path}")
    if change.backup is not None:
        say(f"the former settings: {change.backup}")
    return ExitCode.YES
