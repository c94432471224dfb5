"""Spans of time in few words, for people. Pure."""

from __future__ import annotations

from typing import Final

from delego_spec.timestamps import SECOND

_UNITS: Final = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def span(micros: int) -> str:
    """``45 s``, ``12 min``, ``3 h 20 min``, ``2 d 4 h``: two units at most, rounded down, not below zero."""
    seconds = max(0, micros) // SECOND
    for index, (unit, size) in enumerate(_UNITS):
        if seconds >= size:
            whole, rest = divmod(seconds, size)
            text = f"{whole} {unit}"
            if index < 2 and (smaller := rest // _UNITS[index + 1][1]):
                text += f" {smaller} {_UNITS[index + 1][0]}"
            return text
    return "0 s"
