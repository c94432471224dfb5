"""Constraints (§5): what must hold beside the match. All fail closed; the reasons are wire text (§6).

Not here: the order of rules (``evaluate``), and where the counted receipts come from (a ledger).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from dataclasses import field as derived
from decimal import Decimal
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, Protocol, TypeAlias

from delego_spec.errors import DelegoSpecError, TimestampError
from delego_spec.timestamps import SECOND, parse_ts
from delego_spec.types import JSON, JSONObject, Micros

Period = Literal["minute", "hour", "day"]

WINDOWS: Final[Mapping[Period, int]] = MappingProxyType(  # microseconds
    {"minute": 60 * SECOND, "hour": 3600 * SECOND, "day": 86_400 * SECOND}
)

# No sign, exponent, blank, underscore or foreign digit: programs differ on what such a text is worth.
_PLAIN_NUMBER: Final = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_NOT_FINITE: Final = re.compile(r"[-+]?(?:nan|inf|infinity)", re.IGNORECASE | re.ASCII)


class CountUnavailable(DelegoSpecError):  # noqa: N818  # part of the fixed interface; it reads as a state
    """Earlier allows cannot be counted: a time stamp cannot be read, or lies in the future (§5)."""


class AllowCounts(Protocol):
    """Where a rate limit learns what happened before; a ledger's transaction."""

    def count_allows(self, rule: str, since: Micros) -> int:
        """Allows by ``rule`` with a time in (``since``, now], executions in flight included.

        Raises CountUnavailable when a time stamp cannot be read or lies in the future.
        """
        ...


class Facts(NamedTuple):
    """All that a constraint may look at."""

    params: JSONObject  # normalised, as an Action has them
    rule: str
    now: Micros
    counts: AllowCounts | None  # None: there is no ledger


class Finding(NamedTuple):
    """What one constraint says of one action."""

    holds: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Amount:
    """A parameter that is a plain number, not negative and at most ``max``; in ``currency``, if given."""

    field: str
    max: int | float | None = None
    currency: str | None = None

    def check(self, facts: Facts) -> Finding:
        """The currency is looked at before the size: amounts in two currencies do not compare."""
        if self.field not in facts.params:
            return Finding(False, f"amount: action is missing field '{self.field}'")
        value = facts.params[self.field]
        amount = _exact(value)
        if amount is None:
            problem = "is not a finite number" if _is_not_finite(value) else "is not numeric"
            return Finding(False, f"amount: field '{self.field}'={_shown(value)} {problem}")
        if amount < 0:
            return Finding(False, f"amount: field '{self.field}'={_shown(value)} must not be negative")
        if self.currency is not None:
            currency = facts.params.get("currency")
            if currency != self.currency:
                return Finding(False, f"amount: currency {_shown(currency)} != required {self.currency!r}")
        if self.max is None:
            return Finding(True, f"amount: {value}, no max is set")
        if amount > Decimal(repr(self.max)):
            unit = "" if self.currency is None else f" {self.currency}"
            return Finding(False, f"amount: {value} exceeds max {self.max}{unit}")
        return Finding(True, f"amount: {value} within max {self.max}")


@dataclass(frozen=True, slots=True)
class AllowList:
    """A parameter that equals one of ``allowed`` in type and value: true is not 1, "1" is not 1."""

    field: str
    allowed: tuple[JSON, ...]
    _texts: frozenset[str] = derived(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        texts = frozenset(value for value in self.allowed if isinstance(value, str))
        object.__setattr__(self, "_texts", texts)

    def check(self, facts: Facts) -> Finding:
        """A missing parameter is denied even where null is allowed: absent is not null."""
        value = facts.params.get(self.field)
        if isinstance(value, str):
            holds = value in self._texts
        else:
            holds = self.field in facts.params and any(_same(value, other) for other in self.allowed)
        said = f"allow_list: {self.field}={_shown(value)}"
        if holds:
            return Finding(True, f"{said} permitted")
        return Finding(False, f"{said} not in {_shown(list(self.allowed))}")


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most ``max`` allows by one rule in the window that ends now, its old edge excluded."""

    max: int
    per: Period = "hour"

    def check(self, facts: Facts) -> Finding:
        if facts.counts is None:
            return Finding(False, "rate_limit: no audit log available to enforce the limit")
        try:
            used = facts.counts.count_allows(facts.rule, since=Micros(facts.now - WINDOWS[self.per]))
        except CountUnavailable as error:
            return Finding(False, f"rate_limit: {error}")
        if used >= self.max:
            return Finding(False, f"rate_limit: {used}/{self.max} per {self.per} already used")
        return Finding(True, f"rate_limit: {used + 1}/{self.max} per {self.per}")


Constraint: TypeAlias = Amount | AllowList | RateLimit


def count_in_window(timestamps: Iterable[str], *, since: Micros, now: Micros) -> int:
    """How many RFC 3339 time stamps lie in (``since``, ``now``] (§5).

    Raises CountUnavailable for one that cannot be read or lies after ``now``: skipping it would let a
    damaged or back-dated ledger reset the limit.
    """
    count = 0
    for text in timestamps:
        try:
            moment = parse_ts(text)
        except (TimestampError, TypeError):
            raise CountUnavailable(f"a receipt's time stamp {text!r:.60} is unreadable") from None
        if moment > now:
            raise CountUnavailable(f"a receipt's time stamp {text!r:.60} lies in the future")
        count += moment > since
    return count


def _exact(value: JSON) -> Decimal | None:
    """The decimal that was sent; None for what is no amount. Binary rounding never decides."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return Decimal(value)
    if isinstance(value, float):  # canonical: finite, and its shortest form has no exponent
        return Decimal(repr(value))
    if isinstance(value, str) and _PLAIN_NUMBER.fullmatch(value):
        return Decimal(value)
    return None


def _is_not_finite(value: JSON) -> bool:
    return isinstance(value, str) and _NOT_FINITE.fullmatch(value) is not None


def _same(left: JSON, right: JSON) -> bool:
    """JSON equality, strict in type at every depth (Python finds True == 1)."""
    if type(left) is not type(right):
        return False
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_same(left[key], right[key]) for key in left)
    return left == right


def _shown(value: JSON) -> str:
    """``<repr>`` of the wire reasons: Python's, with sorted keys, so that equal values read the same."""
    return repr(_sorted(value)) if isinstance(value, list | dict) else repr(value)


def _sorted(value: JSON) -> JSON:
    if isinstance(value, list):
        return [_sorted(item) for item in value]
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return value
