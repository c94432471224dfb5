"""The error family of ``delego_agent``.

What the authorizer and the ledger raise passes through (``DelegoAuthorizerError``, ``DelegoLedgerError``):
it means that nothing was decided, or, for ``Unsettled``, that a result could not be written down. Whatever a
gated function raises passes through as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from delego_agent.held import HeldCall


class DelegoAgentError(Exception):
    """Root of the family; catch this to catch all of it."""


class GatedError(DelegoAgentError, TypeError):
    """A function cannot be gated as it is, or its arguments cannot be decided; nothing was proposed."""


class TaskError(DelegoAgentError, ValueError):
    """The words given to ``task`` are no instruction."""


class NoTask(DelegoAgentError, RuntimeError):  # noqa: N818 - reads as what happened
    """A gated function was called where no task says what for; nothing was proposed."""

    def __init__(self, operation: str) -> None:
        super().__init__(
            f'{operation!r:.80} was called outside of a task; write `with task("the words"):`'
            " around it (a new thread starts without one: run it with contextvars.copy_context().run)"
        )


class Denied(DelegoAgentError):  # noqa: N818 - reads as what happened
    """The action was denied, and the function did not run. ``reasons`` says why."""

    def __init__(self, operation: str, reasons: tuple[str, ...], rule: str | None = None) -> None:
        self.operation = operation
        self.reasons = reasons
        self.rule = rule
        super().__init__(f"{operation} was denied: {'; '.join(reasons)}")

    def __reduce__(self) -> tuple[Callable[..., Denied], tuple[Any, ...]]:
        return Denied, (self.operation, self.reasons, self.rule)


class ApprovalRequired(DelegoAgentError):  # noqa: N818 - reads as what happened
    """A person has to look at the action first, and the function did not run.

    The same call with the same arguments in a task of the same words runs it, once, after the yes.
    ``call`` is that call, kept for ``released`` and ``approve_and_run``; it never leaves this process.
    """

    def __init__(
        self,
        operation: str,
        approval_id: str,
        reasons: tuple[str, ...] = (),
        call: HeldCall | None = None,
    ) -> None:
        self.operation = operation
        self.approval_id = approval_id
        self.reasons = reasons
        self.call = call
        why = f": {'; '.join(reasons)}" if reasons else ""
        super().__init__(
            f"{operation} needs approval {approval_id}{why}; once approved, make the same call again"
        )

    async def released(self, timeout: float | None = None) -> Any:
        """Wait until a person has decided, make the call again, and return what it returns.

        ``timeout``: seconds; None: as long as the approval lives. Raises Denied after a no and NotDecided
        after the time-out, and as the gated function.
        """
        return await self.held_call().released(timeout)

    def held_call(self) -> HeldCall:
        """The call as it was made. Raises GatedError where this came from another process."""
        if self.call is None:
            raise GatedError("this ApprovalRequired came from another process; make the call again there")
        return self.call

    def __reduce__(self) -> tuple[Callable[..., ApprovalRequired], tuple[Any, ...]]:
        return ApprovalRequired, (self.operation, self.approval_id, self.reasons)


class NotDecided(DelegoAgentError, TimeoutError):  # noqa: N818 - reads as what happened
    """Nobody decided within the time; the approval still waits."""

    def __init__(self, approval_id: str, timeout: float) -> None:
        self.approval_id = approval_id
        self.timeout = timeout
        super().__init__(f"approval {approval_id!r:.80} was not decided within {timeout:g} s; it still waits")

    def __reduce__(self) -> tuple[Callable[..., NotDecided], tuple[Any, ...]]:
        return NotDecided, (self.approval_id, self.timeout)


class ClientClosed(DelegoAgentError, RuntimeError):  # noqa: N818 - reads as what happened
    """The client was closed, perhaps by another thread while this one waited."""

    def __init__(self) -> None:
        super().__init__("this client is closed; open another one")


class HookError(DelegoAgentError):
    """A hook's event cannot be read, or an agent's settings file is not what can be changed safely."""
