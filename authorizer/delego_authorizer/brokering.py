"""Calling the broker: once, outside every lock and transaction, and never for longer than it may take."""

from __future__ import annotations

import contextlib
import contextvars
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, Protocol, TypeAlias

from delego_authorizer.steps import RELEASED
from delego_authorizer.workers import Workers
from delego_spec.gateway import (
    Broker,
    BrokerOutcome,
    Executed,
    GatewayRequest,
    NotSent,
    Refused,
    check_outcome,
)
from delego_spec.types import JSON

Kind: TypeAlias = Literal["executed", "refused", "released", "unknown"]

_SHOWN: Final = 300  # characters of a broker's words in a receipt


@dataclass(frozen=True, slots=True)
class Attempt:
    """What one call of the broker came to, in the words of its receipt."""

    kind: Kind
    reason: str
    result: JSON = None
    outcome: BrokerOutcome | None = None  # what the broker answered, if it did


NO_ANSWER: Final = "outcome unknown: "


class DescribingBroker(Protocol):
    """A broker that says something about a result for the receipt of its execution, such as its digest."""

    def describe(self, outcome: Executed) -> str:
        """A few words; they are cut to fit, and what is raised counts as none."""
        ...


class Sending(Protocol):
    """An attempt that has begun."""

    def outcome(self, timeout: float | None) -> BrokerOutcome | None:
        """What it came to; None: nothing within ``timeout`` seconds, and it may be asked again.

        With a ``timeout`` of None it waits as long as the broker finds right, and then says something. May
        raise NotSent.
        """
        ...


class SendingBroker(Protocol):
    """A broker that begins an attempt without waiting for its answer, and so needs no thread to wait in."""

    def begin(self, request: GatewayRequest) -> Sending:
        """Begin one attempt, at most. Must not block. May raise NotSent."""
        ...


Begin: TypeAlias = Callable[[GatewayRequest], Sending]


def call_broker(
    broker: Broker,
    request: GatewayRequest,
    timeout: float,
    workers: Workers,
    on_late: Callable[[Attempt], None],
) -> Attempt:
    """Call the broker once, in a thread of ``workers``, and say what came of it. Raises only an interrupt.

    ``timeout``: seconds. A call that takes longer, or whose caller is interrupted, goes on; what it comes to
    in the end is given to ``on_late``. A ``SendingBroker`` gets its thread only then.
    """
    begin: Begin | None = getattr(broker, "begin", None)
    if begin is not None:
        return _call_here(begin, broker, request, timeout, workers, on_late)
    call = _Call(broker, request, on_late)
    context = contextvars.copy_context()
    try:
        workers.run(lambda: context.run(call.run))
        call.done.acquire(timeout=timeout)
    except RuntimeError as error:  # no more threads
        return _not_executed(f"not_sent: {error}")
    finally:
        attempt = call.take()
    return attempt or _unanswered(timeout)


def _call_here(
    begin: Begin,
    broker: Broker,
    request: GatewayRequest,
    timeout: float,
    workers: Workers,
    on_late: Callable[[Attempt], None],
) -> Attempt:
    try:
        sending = begin(request)
    except Exception as error:  # noqa: BLE001 - becomes what the receipt says
        return _failed(error)
    attempt: Attempt | None = None
    try:
        attempt = _outcome_of(sending, timeout, broker)
    finally:
        if attempt is None:  # its time is up, or the caller was interrupted
            # Without a thread (there may be no more) a late answer is not recorded; "unknown" stands.
            with contextlib.suppress(RuntimeError):
                workers.run(lambda: on_late(_late_outcome_of(sending, broker)))
    return attempt or _unanswered(timeout)


def _outcome_of(sending: Sending, timeout: float, broker: Broker) -> Attempt | None:
    try:
        answer = sending.outcome(timeout)
    except Exception as error:  # noqa: BLE001 - becomes what the receipt says
        return _failed(error)
    return None if answer is None else _of_answer(answer, broker)


def _late_outcome_of(sending: Sending, broker: Broker) -> Attempt:
    try:
        answer = sending.outcome(None)
    except BaseException as error:  # noqa: BLE001 - SystemExit too: tasks of a worker must not raise
        return _failed(error)
    return _of_answer(answer, broker)


class _Call:
    """One call in a thread of its own: either the caller takes its attempt, or ``on_late`` gets it."""

    def __init__(self, broker: Broker, request: GatewayRequest, on_late: Callable[[Attempt], None]) -> None:
        self._broker = broker
        self._request = request
        self._on_late = on_late
        self.done = threading.Lock()  # held until the answer is there: a third of an Event's cost
        self.done.acquire()
        self._mutex = threading.Lock()
        self._given_up = False
        self._attempt: Attempt | None = None

    def run(self) -> None:
        attempt = _attempt(self._broker, self._request)
        with self._mutex:
            self._attempt = attempt
            late = self._given_up
            self.done.release()
        if late:
            self._on_late(attempt)

    def take(self) -> Attempt | None:
        """The attempt, or None where there is none yet; from then on it is late."""
        with self._mutex:
            self._given_up = self._attempt is None
            return self._attempt


def _attempt(broker: Broker, request: GatewayRequest) -> Attempt:
    try:
        answer = broker.execute(request)
    except BaseException as error:  # noqa: BLE001 - SystemExit too: the action may have happened
        return _failed(error)
    return _of_answer(answer, broker)


def _failed(error: BaseException) -> Attempt:
    if isinstance(error, NotSent):
        return _not_executed(f"not_sent: {in_words(error)}")
    return Attempt(
        "unknown", f"{NO_ANSWER}the broker failed: {_cut(type(error).__name__)}: {in_words(error)}"
    )


def _unanswered(timeout: float) -> Attempt:
    return Attempt("unknown", f"{NO_ANSWER}the broker did not answer within {timeout:g} s")


def _of_answer(answer: object, broker: Broker) -> Attempt:
    try:
        return _of_outcome(check_outcome(answer), broker)
    except Exception as error:  # noqa: BLE001 - what is not an answer need not even have a repr
        return Attempt("unknown", f"{NO_ANSWER}the broker's answer is unusable: {in_words(error)}")


def _of_outcome(outcome: BrokerOutcome, broker: Broker) -> Attempt:
    if isinstance(outcome, Refused):
        if outcome.code == "already_consumed":
            # The token was minted for this call alone. Whoever used it before (a proxy that sent the request
            # again, a thief) had it sent: "not executed" would let it be proposed, and sent, once more.
            text = f"{NO_ANSWER}{outcome.code}: {_cut(outcome.message)}"
            return Attempt("unknown", text, None, outcome)
        return _not_executed(f"{outcome.code}: {_cut(outcome.message)}", outcome)
    if isinstance(outcome, Executed):
        if outcome.error is not None:
            text = f"{NO_ANSWER}{_cut(outcome.error)}"
            return Attempt("unknown", text, outcome.result, outcome)
        status = "" if outcome.status is None else f" (status {outcome.status})"
        words = _described(broker, outcome)
        return Attempt("executed", f"executed via broker{status}{words}", outcome.result, outcome)
    return Attempt("released", RELEASED, None, outcome)


def _described(broker: Broker, outcome: Executed) -> str:
    describe: Callable[[Executed], str] | None = getattr(broker, "describe", None)
    if describe is None:
        return ""
    try:
        words = _cut(describe(outcome))
    except Exception:  # noqa: BLE001 - the action was executed, whatever is said about it
        return ""
    return f"; {words}" if words else ""


def _not_executed(why: str, outcome: BrokerOutcome | None = None) -> Attempt:
    return Attempt("refused", f"broker did not execute: {why}", None, outcome)


def in_words(error: BaseException) -> str:
    """What an exception of unknown origin says, as one line that fits a receipt. Raises nothing."""
    try:
        return _cut(str(error)) or _cut(type(error).__name__)
    except Exception:  # noqa: BLE001 - it may fail at this as well
        return _cut(type(error).__name__)


def _cut(text: str) -> str:
    """Text of unknown origin as one line that fits a receipt and holds no lone surrogate."""
    line = " ".join(text.encode(errors="replace").decode().split())
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}…"
