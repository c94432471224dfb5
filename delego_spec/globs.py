"""Path patterns (§5): ``*`` and ``**`` stand for any text, ``/`` included; all else stands for itself.

A pattern is cut at its stars when the policy is loaded. Matching looks for the pieces from left to right and
never goes back, so that no path and no pattern can make it slow.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

_STARS: Final = re.compile(r"\*+")


@dataclass(frozen=True, slots=True)
class Glob:
    """A compiled pattern. Case-sensitive on every platform."""

    pattern: str
    _pieces: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_pieces", tuple(_STARS.split(self.pattern)))

    def matches(self, text: str) -> bool:
        """True iff the whole of ``text`` fits the pattern."""
        pieces = self._pieces
        head, tail = pieces[0], pieces[-1]
        if len(pieces) == 1:
            return text == head
        position, end = len(head), len(text) - len(tail)
        if position > end or not text.startswith(head) or not text.endswith(tail):
            return False
        for piece in pieces[1:-1]:
            position = text.find(piece, position, end)  # the leftmost fit leaves most room for the rest
            if position < 0:
                return False
            position += len(piece)
        return True
