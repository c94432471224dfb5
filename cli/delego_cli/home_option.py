"""Which home a command works on: ``--home``, else ``DELEGO_HOME``, else the project's, else the user's."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import click

from delego_cli.errors import CommandError
from delego_ledger.errors import os_reason
from delego_ledger.ownership import foreign_hand

VARIABLE: Final = "DELEGO_HOME"
PROJECT: Final = Path(".claude", ".delego")
USER: Final = Path("~", ".delego")


def find_home(given: str | None, environment: Mapping[str, str], folder: Path) -> Path:
    """The folder of the home, whether or not there is one. ``folder``: the current one.

    An empty ``DELEGO_HOME`` counts as none. Raises CommandError where ``~`` stands for nothing, where the
    project's home is no folder, and where another account could have put it there: it would bring a policy of
    its own, and have this account's secrets sent where it likes.
    """
    text = given if given is not None else environment.get(VARIABLE)
    if text:
        return _expanded(Path(text))
    project = folder / PROJECT
    if os.path.lexists(project) and not project.is_dir():  # another home than the one meant is no substitute
        raise CommandError(f"{str(project)!r} is no folder; remove it, or name the home with --home")
    if not project.is_dir():
        return _expanded(USER)
    try:
        problem = foreign_hand(project)
    except OSError as error:
        problem = f"it cannot be looked at: {os_reason(error)}"
    if problem is not None:
        raise CommandError(f"{str(project)!r} is not used: {problem}; name the home you mean with --home")
    return project


def current_home(given: str | None) -> Path:
    """``find_home`` for this process."""
    return find_home(given, os.environ, Path())


class HomePath(click.Path):
    """A folder, named and not empty; it need not be there yet."""

    def __init__(self) -> None:
        super().__init__(file_okay=False)

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value == "":
            self.fail("is empty; name the folder of a home", param, ctx)
        return os.fsdecode(super().convert(str(value), param, ctx))


def _expanded(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:
        raise CommandError(
            f"cannot tell where {str(path)!r} is; give the home's folder with --home"
        ) from None
