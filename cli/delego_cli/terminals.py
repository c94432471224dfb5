"""How wide the terminal is, if standard output is one."""

from __future__ import annotations

import shutil
import sys


def terminal_columns() -> int | None:
    """The columns of the terminal that standard output is; None for a pipe, a file, or no output at all."""
    if sys.stdout is None or not sys.stdout.isatty():
        return None
    return shutil.get_terminal_size().columns
