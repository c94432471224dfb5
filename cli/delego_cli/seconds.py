"""A number of seconds on the command line."""

from __future__ import annotations

import math
from typing import Any, Final

import click

MAX_SECONDS: Final = 86_400.0


class Seconds(click.FloatRange):
    """``least`` to a day. ``nan`` is no number of seconds: it is neither below a limit nor above one."""

    def __init__(self, least: float = 0) -> None:
        super().__init__(least, MAX_SECONDS)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        seconds = float(super().convert(value, param, ctx))
        if math.isnan(seconds):
            self.fail(f"{value!r:.80} is no number of seconds", param, ctx)
        return seconds
