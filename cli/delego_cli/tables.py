"""Aligned columns for people, by the width that characters take on a terminal. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

GAP: Final = "  "
MIN_FLEXIBLE: Final = 12  # columns; below this a cut cell says nothing

# Cell text (already padded) and its row and column → the same, coloured.
Paint = Callable[[str, int, int], str]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table."""

    title: str
    right: bool = False  # numbers
    flexible: bool = False  # may be cut to make the table fit a terminal


def display_width(text: str) -> int:
    """How many cells of a terminal ``text`` takes."""
    if text.isascii():
        return len(text)
    return sum(_cell_width(char) for char in text)


def cut(text: str, width: int) -> str:
    """``text`` in at most ``width`` cells; what is cut off ends in ``…``."""
    if display_width(text) <= width:
        return text
    kept, used = [], 0
    for char in text:
        used += _cell_width(char)
        if used > width - 1:
            break
        kept.append(char)
    return "".join(kept) + "…"


def pad(text: str, width: int, *, right: bool = False) -> str:
    """``text`` with blanks up to ``width`` cells; ``right``: in front of it."""
    blanks = " " * max(0, width - display_width(text))
    return blanks + text if right else text + blanks


def natural_width(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> int:
    """How many cells the table takes when nothing is cut."""
    return sum(_widths(columns, rows)) + len(GAP) * (len(columns) - 1)


def table_lines(
    columns: Sequence[Column],
    rows: Sequence[Sequence[str]],
    *,
    width: int | None = None,
    paint: Paint = lambda text, _row, _column: text,
) -> list[str]:
    """Header and rows as lines. ``width``: of the terminal; None cuts nothing.

    Cells are one line of printable text each; making them so is the caller's part. ``paint`` gets the header
    as row −1.
    """
    cells = [[column.title for column in columns], *[list(row) for row in rows]]
    widths = _widths(columns, rows)
    if width is not None:
        _shrink(columns, widths, width - len(GAP) * (len(columns) - 1))
    lines = []
    for number, row in enumerate(cells, -1):
        painted = []
        for index, (column, text) in enumerate(zip(columns, row, strict=True)):
            shown = cut(text, widths[index]) if column.flexible else text
            last = index == len(columns) - 1 and not column.right
            padded = shown if last else pad(shown, widths[index], right=column.right)
            painted.append(paint(padded, number, index))
        lines.append(GAP.join(painted).rstrip())
    return lines


def _widths(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> list[int]:
    return [
        max([display_width(column.title), *(display_width(row[index]) for row in rows)])
        for index, column in enumerate(columns)
    ]


def _shrink(columns: Sequence[Column], widths: list[int], room: int) -> None:
    """Take cells from the widest flexible column until the table fits, or nothing more can be taken."""
    flexible = [index for index, column in enumerate(columns) if column.flexible]
    while sum(widths) > room and flexible:
        widest = max(flexible, key=lambda index: widths[index])
        if widths[widest] <= MIN_FLEXIBLE:
            return
        widths[widest] -= 1


def _cell_width(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
