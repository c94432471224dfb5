"""The system clock, in the unit of the protocol. The only place in this room that reads it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeAlias

from delego_spec.types import Micros

Clock: TypeAlias = Callable[[], Micros]


def system_clock() -> Micros:
    """Microseconds since 1970-01-01T00:00:00Z."""
    return Micros(time.time_ns() // 1000)
