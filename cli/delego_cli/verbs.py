"""The frame of a verb: ``--home``, ``--json`` and ``-h`` on each, examples in its help, loaded when called.

@verb("pending", examples=["delego pending --json"])
@click.option("--rule", help="…")
def command(session: Session, rule: str | None) -> ExitCode:
    \"\"\"Show what waits for a decision.\"\"\"
"""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import update_wrapper
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from delego_cli.errors import guarded
from delego_cli.exit_codes import ExitCode
from delego_cli.home_option import HomePath, current_home

if TYPE_CHECKING:
    from delego_authorizer import Home

SETTINGS: Final[dict[str, Any]] = {"help_option_names": ["-h", "--help"]}


@dataclass(slots=True)
class Session:
    """What the command line said before the verb's own options."""

    home_given: str | None = None  # --home
    json: bool = False  # --json: machines read stdout

    @property
    def home_path(self) -> Path:
        """The folder of the home; whether there is one is not looked at."""
        return current_home(self.home_given)

    def home(self) -> Home:
        """The home; nothing of it has been read. Raises CommandError where ``~`` stands for nothing."""
        from delego_authorizer import Home  # the command starts without it

        return Home(self.home_path)


def _remember_home(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    session = ctx.ensure_object(Session)
    if value is not None:  # after the verb it wins over before it
        session.home_given = value


def _remember_json(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    session = ctx.ensure_object(Session)
    session.json = session.json or value


def home_option() -> click.Option:
    """``--home``, for the command and for each verb."""
    return click.Option(
        ["--home"],
        type=HomePath(),
        metavar="DIR",
        expose_value=False,
        callback=_remember_home,
        help="The home to use; else $DELEGO_HOME, ./.claude/.delego if it is there, ~/.delego.",
    )


def json_option() -> click.Option:
    """``--json``, for the command and for each verb."""
    return click.Option(
        ["--json"],
        is_flag=True,
        expose_value=False,
        callback=_remember_json,
        help="Answer in JSON, for machines.",
    )


class VerbCommand(click.Command):
    """A command whose help ends with examples, as they are typed."""

    examples: Sequence[str] = ()

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_epilog(ctx, formatter)
        if self.examples:
            with formatter.section("Examples"):
                for example in self.examples:
                    formatter.write(f"{'':{formatter.current_indent}}{example}\n")


def verb(
    name: str, *, examples: Sequence[str] = (), group: click.Group | None = None
) -> Callable[[Callable[..., ExitCode]], VerbCommand]:
    """Make a verb of ``function(session, **options)``; its docstring is the help. ``group``: its parent."""

    def decorate(function: Callable[..., ExitCode]) -> VerbCommand:
        def run(**options: Any) -> ExitCode:
            return function(click.get_current_context().ensure_object(Session), **options)

        command = click.command(name, cls=VerbCommand, context_settings=SETTINGS)(
            update_wrapper(run, function)
        )
        command.params += [json_option(), home_option()]
        command.examples = examples
        if group is not None:
            group.add_command(command)
        return command

    return decorate


class VerbGroup(click.Group):
    """A verb with verbs of its own; its help says of each the whole first sentence."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        limit = 1000  # characters: click would cut where a line ends
        rows = [(name, self.commands[name].get_short_help_str(limit)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def verb_group(name: str, help_text: str) -> VerbGroup:
    """A verb with verbs of its own (``delego keys show``)."""
    return VerbGroup(
        name,
        help=help_text,
        params=[home_option(), json_option()],
        context_settings=SETTINGS,
        subcommand_metavar="VERB [ARGS]...",
    )


@dataclass(frozen=True, slots=True)
class Entry:
    """A verb in the command's list; its module is imported when it is called."""

    name: str
    summary: str
    module: str = ""  # of this package; the name of the verb where empty
    attribute: str = "command"

    def load(self) -> click.Command:
        """Import it."""
        command = getattr(import_module(f"delego_cli.{self.module or self.name}"), self.attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"delego_cli.{self.module or self.name}.{self.attribute} is no command")
        return command


class LazyGroup(click.Group):
    """The command itself: lists verbs under headings without importing them, and never shows a traceback."""

    sections: Sequence[tuple[str, Sequence[Entry]]] = ()

    @property
    def entries(self) -> dict[str, Entry]:
        return {entry.name: entry for _, entries in self.sections for entry in entries}

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(self.entries)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        cmd_name: str,
    ) -> click.Command | None:
        entry = self.entries.get(cmd_name)
        return None if entry is None else entry.load()

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in self.entries and not name.startswith("-"):
            close = difflib.get_close_matches(name, self.entries, n=1)
            meant = f"; did you mean {close[0]!r}?" if close else ""
            ctx.fail(f"there is no verb {name!r:.80}{meant}")
        return super().resolve_command(ctx, args)

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        formatter: click.HelpFormatter,
    ) -> None:
        width = max(map(len, self.entries))
        for title, entries in self.sections:
            with formatter.section(title):
                formatter.write_dl([(f"{entry.name:<{width}}", entry.summary) for entry in entries])

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run a command line and exit with its status; without ``standalone_mode`` return the status."""
        # Given to click, or it would expand them on Windows: a `*` in an instruction is no glob.
        words = list(sys.argv[1:] if args is None else args)
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):  # what this terminal cannot write is escaped, not an error
                stream.reconfigure(errors="backslashreplace")
        run = super().main
        status = guarded(
            lambda: run(
                words,
                prog_name or self.name,
                complete_var,
                standalone_mode=False,
                **extra,
            ),
            as_json=_wants_json(words),
        )
        if standalone_mode:
            sys.exit(status)
        return status

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        ctx = super().make_context(*args, **kwargs)
        if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
            ctx.color = False
        return ctx


def _wants_json(words: Sequence[str]) -> bool:
    """Whether ``--json`` was asked for: an error may come before the options have been read."""
    before = words[: words.index("--")] if "--" in words else words
    return "--json" in before
