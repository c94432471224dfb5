"""``with task("the person's words"):`` says what the gated calls inside are for."""

from __future__ import annotations

from contextvars import ContextVar
from types import TracebackType
from typing import Final

from delego_agent.errors import NoTask, TaskError
from delego_spec.action import Action
from delego_spec.errors import ActionError
from delego_spec.hazards import find_hazards


class task:  # noqa: N801 - reads as a statement: with task("…"):
    """The instruction of all gated calls in the block; an inner task stands in for the outer one.

    It is a context variable: asyncio tasks started inside have it, threads started inside do not (run them
    with ``contextvars.copy_context().run`` or ``asyncio.to_thread``). Raises TaskError for what is no
    instruction.
    """

    def __init__(self, words: str) -> None:
        """``words``: what the person asked for, as they put it; never text that the agent made up."""
        if type(words) is not str:
            raise TaskError(f"a task's words are a str, not a {type(words).__name__}")
        try:
            hazards = find_hazards(Action(words, "CALL", "tool://task/words", {}))
        except ActionError as error:
            raise TaskError(f"a task's words cannot be used: {error}") from None
        if hazards:
            raise TaskError(f"a task's words cannot be used: {hazards[0].text}")
        self.words = words

    def __enter__(self) -> task:
        _entered.set((*_entered.get(), self))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Only its own entry: generators that share a context may leave their blocks in any order.
        entered = _entered.get()
        for place in range(len(entered) - 1, -1, -1):
            if entered[place] is self:
                _entered.set(entered[:place] + entered[place + 1 :])
                return


_entered: Final[ContextVar[tuple[task, ...]]] = ContextVar("delego_task", default=())


def current_task(operation: str) -> str:
    """The words of the innermost task. Raises NoTask, which names ``operation``."""
    entered = _entered.get()
    if not entered:
        raise NoTask(operation)
    return entered[-1].words
