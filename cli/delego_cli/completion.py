"""``delego completion``: the script that makes a shell complete verbs, options, approvals and rules."""

from __future__ import annotations

import os
from pathlib import PurePath
from typing import Final

import click
from click.shell_completion import get_completion_class

from delego_cli.errors import CommandError
from delego_cli.exit_codes import ExitCode
from delego_cli.output import emit
from delego_cli.verbs import Session, verb

SHELLS: Final = ("bash", "zsh", "fish")


@verb(
    "completion",
    examples=(
        'eval "$(delego completion bash)"    in ~/.bashrc',
        'eval "$(delego completion zsh)"     in ~/.zshrc, after compinit',
        "delego completion fish > ~/.config/fish/completions/delego.fish",
    ),
)
@click.argument("shell", type=click.Choice(SHELLS), required=False)
def command(session: Session, shell: str | None) -> ExitCode:
    """Print the completion script of a shell; without SHELL, of the one that $SHELL names."""
    name = shell or PurePath(os.environ.get("SHELL", "")).name
    kind = get_completion_class(name) if name in SHELLS else None
    if kind is None:
        raise CommandError(
            f"there is no completion for the shell {name!r:.80}; give one of {', '.join(SHELLS)}"
        )
    root = click.get_current_context().find_root().command
    script = kind(root, {}, "delego", "_DELEGO_COMPLETE").source()
    if session.json:
        emit({"shell": name, "script": script})
    else:
        click.echo(script)
    return ExitCode.YES
