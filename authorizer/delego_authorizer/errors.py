"""The error family of ``delego_authorizer``: every public function raises from here, or from the ledger's.

A deny is a value. What is raised means: nothing was decided, or, for ``Unsettled``, that the result of an
execution could not be written down.
"""

from __future__ import annotations

from pathlib import Path

from delego_ledger.errors import StorageError, os_reason
from delego_spec.errors import DocumentError
from delego_spec.gateway import BrokerOutcome


class DelegoAuthorizerError(Exception):
    """Root of the family; catch this to catch all of it."""


class ConfigError(DelegoAuthorizerError, DocumentError):
    """A configuration is refused; ``problems`` lists everything that is wrong with it."""


class HomeError(DelegoAuthorizerError):
    """A home folder is missing, incomplete, or not to be overwritten. ``path`` names it."""

    def __init__(self, path: Path, problem: str) -> None:
        self.path = path
        self.problem = problem
        super().__init__(f"home {str(path)!r}: {problem}")


class PrincipalError(DelegoAuthorizerError):
    """A principal's name cannot be used: it would not stand in a receipt unambiguously."""

    def __init__(self, name: object) -> None:
        super().__init__(
            f"{name!r:.80} is not a principal's name; use 1 to 64 of a-z, A-Z, 0-9 and ._@:- and begin with"
            " a letter or digit"
        )


class NoteError(DelegoAuthorizerError):
    """The note to a decision is no text that can be stored and signed."""


class ActionTooLarge(DelegoAuthorizerError):  # noqa: N818 - reads as what happened
    """An action does not fit into a receipt, so that it cannot be decided with evidence."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(
            f"the action takes {size} bytes in a receipt, {limit} fit; send large content by reference"
        )


class ApprovalUnknown(DelegoAuthorizerError):  # noqa: N818 - reads as what happened
    """There is no approval with this id."""

    def __init__(self, approval_id: str) -> None:
        super().__init__(f"unknown approval id {approval_id!r:.80}; 'delego pending' lists the open ones")


class Unsettled(DelegoAuthorizerError):  # noqa: N818 - reads as what happened
    """The broker was called, and then the ledger could not record the result.

    The execution stays in flight until ``recover`` records it as "outcome unknown". Never retry the action
    by itself: ``outcome`` says what the broker answered, None where it did not.
    """

    def __init__(self, execution_id: str, outcome: BrokerOutcome | None, cause: Exception) -> None:
        self.execution_id = execution_id
        self.outcome = outcome
        self.cause = cause
        reason = cause.reason if isinstance(cause, StorageError) else os_reason(cause)
        super().__init__(
            f"the broker was called but the result could not be recorded ({reason}); do not send the"
            f" action again: execution {execution_id} will be recorded as 'outcome unknown'"
        )
