"""Receipts out of a ledger that may be growing: the newest first found, from a moment on, or as they come.

Nothing here verifies; ``delego verify`` does. A receipt that cannot be read is given as such, never left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from delego_ledger.contract import Ledger
from delego_spec.errors import ReceiptError, TimestampError
from delego_spec.receipts import Outcome, Receipt, decode_line
from delego_spec.timestamps import SECOND, parse_ts
from delego_spec.types import Micros

PAGE: Final = 256  # receipts read at once, going backwards

_DURATION: Final = re.compile(r"([0-9]{1,6})([smhdw])")
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True, slots=True)
class Row:
    """One stored receipt."""

    line: bytes
    receipt: Receipt | None  # None: what is stored is not a receipt


@dataclass(frozen=True, slots=True)
class Filter:
    """Which receipts are wanted; None is all."""

    outcome: Outcome | None = None
    rule: str | None = None
    approval: str | None = None

    def wants(self, row: Row) -> bool:
        """What cannot be read is always wanted: spoiling a receipt must not take it out of sight."""
        if row.receipt is None:
            return True
        payload = row.receipt.payload
        return (
            self.outcome in (None, payload.outcome)
            and self.rule in (None, payload.rule)
            and self.approval in (None, payload.approval_id)
        )


def parse_since(text: str, now: Micros) -> Micros:
    """A moment: ``90s``, ``30m``, ``2h``, ``7d``, ``1w`` ago, a date, or a time in UTC. Raises ValueError."""
    duration = _DURATION.fullmatch(text)
    if duration is not None:
        return Micros(max(0, now - int(duration[1]) * _UNITS[duration[2]] * SECOND))
    try:
        return parse_ts(f"{text}T00:00:00Z" if _DATE.fullmatch(text) else text)
    except TimestampError:
        raise ValueError(
            f"{text!r:.60} is no moment; write 30m, 2h, 7d, 2026-01-31 or 2026-01-31T12:00:00Z"
        ) from None


def rows(ledger: Ledger, start: int, stop: int) -> Iterator[Row]:
    """The receipts with ``start <= seq < stop``, in order."""
    for line in ledger.lines(start, stop):
        try:
            yield Row(line, decode_line(line))
        except ReceiptError:
            yield Row(line, None)


def first_since(ledger: Ledger, since: Micros, stop: int) -> int:
    """The first seq below ``stop`` whose time is ``since`` or later; ``stop`` if there is none.

    Receipt times never run backwards, so that twenty look-ups do for a million receipts.
    """
    low, high = 0, stop
    while low < high:
        middle = (low + high) // 2
        if _time_from(ledger, middle, high) >= since:
            high = middle
        else:
            low = middle + 1
    return low


def newest(ledger: Ledger, first: int, stop: int, count: int, wanted: Filter) -> list[Row]:
    """The last ``count`` wanted receipts with ``first <= seq < stop``, oldest first; read from the end."""
    pages: list[list[Row]] = []
    missing = count
    while missing > 0 and stop > first:
        start = max(first, stop - PAGE)
        page = [row for row in rows(ledger, start, stop) if wanted.wants(row)][-missing:]
        pages.append(page)
        missing -= len(page)
        stop = start
    return [row for page in reversed(pages) for row in page]


def follow(ledger: Ledger, after: int, pause: Callable[[], object]) -> Iterator[Row]:
    """Every receipt behind seq ``after``, for ever; ``pause`` is called between two looks."""
    while True:
        head = ledger.head()
        if head is not None and head.seq > after:
            yield from rows(ledger, after + 1, head.seq + 1)
            after = head.seq
        pause()


def _time_from(ledger: Ledger, start: int, stop: int) -> Micros:
    """The time of the first receipt from ``start`` on that can be read; the end of time if there is none."""
    for row in rows(ledger, start, stop):
        if row.receipt is not None:
            try:
                return parse_ts(row.receipt.payload.ts)
            except TimestampError:
                continue
    return Micros(2**63)
