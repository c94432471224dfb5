"""Where the authorizer and the caller of a gated function meet.

The authorizer writes ahead, calls its broker and records what came of it. The broker here does nothing but
hand the released call to the thread (or event loop) that asked for it, and wait for the outcome: so a
function runs where it was called, with that thread's locals and context, inside of a recorded execution.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextvars import Context, ContextVar
from queue import SimpleQueue
from typing import Final, TypeAlias

from delego_agent.service import Service
from delego_authorizer import Decision
from delego_spec.action import Action
from delego_spec.gateway import BrokerOutcome, Executed, GatewayRequest, NotSent

GONE: Final = "the caller was gone before the function ran"


class Go:
    """The action is released, and the write-ahead receipt is durable: run the function now."""


News: TypeAlias = "Go | Decision | BaseException"

_meeting: Final[ContextVar[Meeting]] = ContextVar("delego_meeting")


class Meeting:
    """One gated call. ``tell`` is called from other threads: with Go where the function is to run, and then
    with the decision, or with what the authorizer raised.
    """

    def __init__(self, tell: Callable[[News], None]) -> None:
        self._tell = tell
        self._outcome: SimpleQueue[BrokerOutcome | NotSent] = SimpleQueue()

    def ask(self, service: Service, action: Action, principal: str) -> None:
        """Have the action decided; for a thread of its own. Raises nothing."""
        context = Context()
        context.run(_meeting.set, self)  # the authorizer hands its context on to the broker
        try:
            news: News = context.run(service.request, action, principal)
        except BaseException as error:  # noqa: BLE001 - raised again where the function was called
            news = error
        with contextlib.suppress(RuntimeError):  # the event loop is closed: nobody wants to know
            self._tell(news)

    def hand_over(self) -> BrokerOutcome:
        """The broker's side. Raises NotSent."""
        with contextlib.suppress(RuntimeError):
            self._tell(Go())
        outcome = self._outcome.get()
        if isinstance(outcome, NotSent):
            raise outcome
        return outcome

    def finish(self, error: BaseException | None = None) -> None:
        """The function has ended. What it raised leaves open how far it got, save for NotSent."""
        if isinstance(error, NotSent):
            self._outcome.put(NotSent(*error.args))
        elif error is None:
            self._outcome.put(Executed())
        elif isinstance(error, GeneratorExit):
            self._outcome.put(Executed(error="the generator was stopped before its end"))
        else:
            self._outcome.put(Executed(error=f"{type(error).__name__}: {_words(error)}"))

    def abandon(self) -> None:
        """The function has not run, and will not."""
        self._outcome.put(NotSent(GONE))


class Bodies:
    """The broker of a gate: it executes by letting the caller do it."""

    def execute(self, request: GatewayRequest) -> BrokerOutcome:  # noqa: ARG002 - the caller has its own copy
        return _meeting.get().hand_over()


def _words(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - somebody else's __str__
        return "(it cannot say)"
