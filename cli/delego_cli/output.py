"""How verbs speak: lines and tables for people, JSON for machines, progress where somebody watches.

What comes from an agent may hold terminal escapes or characters that draw as others. Nothing written here
lets one through: ``say`` and ``table`` escape what does not print, and colour is put around text afterwards.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

import click

from delego_cli.tables import Column, cut, natural_width, table_lines

if TYPE_CHECKING:
    from delego_spec.types import JSON

__all__ = ["Column", "Progress", "Styled", "Text", "emit", "fields", "progress", "say", "shown", "table"]

# Outcomes and states in the same colours everywhere.
COLOURS: Final = {
    "allow": "green",
    "approved": "green",
    "ok": "green",
    "deny": "red",
    "denied": "red",
    "failed": "red",
    "needs_approval": "yellow",
    "pending": "yellow",
    "warning": "yellow",
}


@dataclass(frozen=True, slots=True)
class Styled:
    """Text with a colour, which shows on a terminal only."""

    text: str
    fg: str | None = None
    bold: bool = False
    dim: bool = False


Text: TypeAlias = str | Styled


def state(word: str, label: str | None = None) -> Styled:
    """An outcome or state in its colour; ``label`` is shown in its stead."""
    return Styled(word if label is None else label, fg=COLOURS.get(word), bold=True)


def shown(text: str) -> str:
    """``text`` in one line that prints: all else is written as an escape. Backslashes stay as they are."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text
    )


def say(*parts: Text, err: bool = False) -> None:
    """Write one line, of several parts, for people."""
    click.echo("".join(map(_coloured, parts)), err=err)


def emit(document: JSON) -> None:
    """Write one JSON document, on one line and in ASCII: no terminal and no encoding can change it."""
    click.echo(json.dumps(document, allow_nan=False, separators=(", ", ": ")))


def fields(pairs: Sequence[tuple[str, Text]], *, err: bool = False) -> None:
    """Write ``name: value`` lines, the values under each other."""
    width = max((len(name) for name, _ in pairs), default=0) + 1
    for name, value in pairs:
        say(Styled(f"{name + ':':<{width}} ", dim=True), value, err=err)


def table(columns: Sequence[Column], rows: Sequence[Sequence[Text]], *, last_below: bool = False) -> None:
    """Write an aligned table. On a terminal flexible columns are cut to fit; in a pipe nothing is cut.

    ``last_below``: where a terminal is too narrow, the last column goes under its row, without a title.
    """
    width = shutil.get_terminal_size().columns if _stdout_is_terminal() else None
    texts = [[shown(_plain(cell)) for cell in row] for row in rows]
    below: list[str] = []
    if last_below and width is not None and natural_width(columns, texts) > width:
        columns = columns[:-1]
        below = [f"  {cut(row.pop(), width - 2)}" for row in texts]

    def paint(text: str, row: int, column: int) -> str:
        if row < 0:
            return click.style(text, dim=True)
        cell = rows[row][column]
        return text if isinstance(cell, str) else _style(text, cell)

    for number, line in enumerate(table_lines(columns, texts, width=width, paint=paint), -1):
        click.echo(line)
        if below and number >= 0:
            click.echo(below[number])


class Progress(Protocol):
    """Something that counts what is done."""

    def update(self, n_steps: int) -> None: ...

    def say(self, text: str) -> None:
        """Write a line on stderr, where a bar may be."""


class _Silent:
    def update(self, n_steps: int) -> None:
        """Nobody watches."""

    def say(self, text: str) -> None:
        say(text, err=True)


class _Updated(Protocol):
    def update(self, n_steps: int) -> None: ...


class _Bar:
    def __init__(self, bar: _Updated) -> None:
        self._bar = bar

    def update(self, n_steps: int) -> None:
        self._bar.update(n_steps)

    def say(self, text: str) -> None:
        click.echo("\r\x1b[K", nl=False, err=True)  # the bar's line is taken by this one
        say(text, err=True)


@contextmanager
def progress(label: str, length: int | None, *, hidden: bool = False) -> Iterator[Progress]:
    """A progress bar on stderr where that is a terminal. ``length``: None where it is not known."""
    if hidden or sys.stderr is None or not sys.stderr.isatty():
        yield _Silent()
        return
    unknown = (None for _ in ()) if length is None else None  # of which nobody could tell a length
    with click.progressbar(
        unknown, length=length, label=label, file=sys.stderr, show_pos=length is None, width=24
    ) as bar:
        yield _Bar(bar)


def _stdout_is_terminal() -> bool:
    return sys.stdout is not None and sys.stdout.isatty()


def _plain(text: Text) -> str:
    return text if isinstance(text, str) else text.text


def _coloured(text: Text) -> str:
    return shown(text) if isinstance(text, str) else _style(shown(text.text), text)


def _style(text: str, like: Styled) -> str:
    return click.style(text, fg=like.fg, bold=like.bold or None, dim=like.dim or None)
