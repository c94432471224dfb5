"""Head anchors (§8.3): the newest receipt's place and hash, kept where its writer cannot rewrite it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from delego_spec.errors import AnchorError
from delego_spec.types import Digest

# No sign, no leading zero, ASCII digits only: one spelling for one anchor.
_ANCHOR: Final = re.compile(r"(0|[1-9][0-9]{0,15}):([0-9a-f]{64})")


@dataclass(frozen=True, slots=True, order=True)
class Anchor:
    """``(seq, entry_hash)`` of one receipt."""

    seq: int
    entry_hash: Digest

    @classmethod
    def parse(cls, text: str) -> Anchor:
        """Read ``SEQ:HASH``. Raises AnchorError."""
        match = _ANCHOR.fullmatch(text) if type(text) is str else None
        if match is None:
            raise AnchorError(f"{text!r:.90} is not an anchor; write SEQ:HASH, as 'delego head' prints it")
        return cls(int(match[1]), Digest(match[2]))

    def __str__(self) -> str:
        return f"{self.seq}:{self.entry_hash}"

    @property
    def short(self) -> str:
        """``seq S (<12 hex>…)``, as messages show it.

        What is no hash, in a receipt that does not verify, is made printable: 12 characters suffice to clear
        a terminal, or to write "valid" on a line of its own.
        """
        return f"seq {self.seq} ({ascii(self.entry_hash[:12])[1:-1]}…)"
