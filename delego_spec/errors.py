"""The error family of ``delego_spec``: every public function raises from here, and nothing else.

A deny, a refused token or a broken chain is a *value*; an exception means that the input could not be
read at all, or that the caller misused the API (then it is a ``TypeError`` or ``ValueError``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class DelegoSpecError(Exception):
    """Root of the family; catch this to catch all of it."""


class CanonicalError(DelegoSpecError):
    """A value has no canonical JSON form (§3)."""

    def __init__(self, path: str, problem: str) -> None:
        self.path = path
        self.problem = problem
        super().__init__(f"{path}: {problem}")


class ActionError(DelegoSpecError):
    """An action cannot be read or hashed (§4)."""

    def __init__(self, field: str, problem: str) -> None:
        self.field = field
        self.problem = problem
        super().__init__(f"{field}: {problem}")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a document that a person wrote."""

    path: str  # dotted, "rules[2].constraints.amount"; "" is the whole document
    text: str  # what was found and what would be right
    line: int | None = None  # 1-based
    column: int | None = None  # 1-based

    def at(self, source: str) -> str:
        """The problem as one line, ``file:line:column: path: text``."""
        where = source if self.line is None else f"{source}:{self.line}:{self.column}"
        return f"{where}: {self.path}: {self.text}" if self.path else f"{where}: {self.text}"


class DocumentError(DelegoSpecError):
    """A document that a person wrote (policy, configuration) is refused; ``problems`` lists everything."""

    def __init__(self, source: str, problems: Sequence[Problem]) -> None:
        self.source = source
        self.problems = tuple(problems)
        super().__init__("\n".join(problem.at(source) for problem in self.problems))


class PolicyError(DocumentError):
    """A policy fails closed at load (§5.1)."""


class KeyFormatError(DelegoSpecError):
    """A key is not an Ed25519 key in the prime-order subgroup (§8, criterion)."""


class ReceiptError(DelegoSpecError):
    """A receipt cannot be built, or one line is not a receipt (§8)."""


class AnchorError(DelegoSpecError):
    """A head anchor is not written ``SEQ:HASH`` (§8.3)."""


class TimestampError(DelegoSpecError):
    """A time stamp is not RFC 3339 UTC (§8)."""


class TokenError(DelegoSpecError):
    """A token cannot be minted from these claims (§9). A token that does not verify is a value, not this."""


class CallbackError(DelegoSpecError):
    """A notification or decision callback cannot be read or built (§7.3)."""


class GatewayError(DelegoSpecError):
    """A gateway message cannot be read or built (§2.2)."""


class JwksError(DelegoSpecError):
    """A set of token keys cannot be read or built (RFC 7517)."""
