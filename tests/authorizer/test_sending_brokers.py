"""A broker that begins an attempt and lets its caller wait: no thread is needed but for a late answer."""

from __future__ import annotations

import threading
from queue import SimpleQueue

import pytest

from delego_authorizer.brokering import Attempt, Sending, call_broker
from delego_authorizer.workers import Task, Workers
from delego_spec.action import Action
from delego_spec.gateway import BrokerOutcome, Executed, GatewayRequest, NotSent

REQUEST = GatewayRequest.of(Action("read it", "GET", "https://api.example.com/a", {}))
PATIENCE = 60.0


class Sent:
    """``in_time`` is what it comes to within the time-out, ``late`` after it; exceptions are raised."""

    def __init__(self, in_time: object, late: object) -> None:
        self.in_time, self.late = in_time, late
        self.threads: list[int] = []

    def outcome(self, timeout: float | None) -> BrokerOutcome | None:
        self.threads.append(threading.get_ident())
        answer = self.late if timeout is None else self.in_time
        if isinstance(answer, BaseException):
            raise answer
        return answer  # type: ignore[return-value]  # what a broker of others may do


class Broker:
    def __init__(self, in_time: object, late: object = None, *, begin: BaseException | None = None) -> None:
        self.sent = Sent(in_time, late)
        self.failure = begin

    def begin(self, request: GatewayRequest) -> Sending:
        if self.failure is not None:
            raise self.failure
        return self.sent

    def execute(self, request: GatewayRequest) -> BrokerOutcome:
        raise AssertionError("it has 'begin'")


class NoThreads(Workers):
    def run(self, task: Task) -> None:
        raise RuntimeError("can't start new thread")


def called(broker: Broker, workers: Workers | None = None) -> tuple[Attempt, SimpleQueue[Attempt]]:
    late: SimpleQueue[Attempt] = SimpleQueue()
    return call_broker(broker, REQUEST, 30.0, workers or Workers(), late.put), late


@pytest.mark.parametrize(
    ("broker", "kind", "reason"),
    [
        (Broker(Executed(200)), "executed", "executed via broker (status 200)"),
        (Broker(None, begin=NotSent("no way")), "refused", "broker did not execute: not_sent: no way"),
        (Broker(NotSent("gone")), "refused", "broker did not execute: not_sent: gone"),
        (Broker(None, begin=ValueError("x")), "unknown", "outcome unknown: the broker failed: ValueError: x"),
        (Broker(ValueError("y")), "unknown", "outcome unknown: the broker failed: ValueError: y"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_answer_in_time_needs_no_thread(broker: Broker, kind: str, reason: str) -> None:
    attempt, late = called(broker, NoThreads())
    assert (attempt.kind, attempt.reason) == (kind, reason)
    assert late.empty()
    assert set(broker.sent.threads) <= {threading.get_ident()}


def test_rubbish_for_an_answer_means_that_the_outcome_is_unknown() -> None:
    attempt, _ = called(Broker("done"), NoThreads())
    assert attempt.kind == "unknown"
    assert "unusable" in attempt.reason


@pytest.mark.parametrize(
    ("answer", "kind"), [(Executed(200), "executed"), (NotSent("x"), "refused"), (SystemExit(3), "unknown")]
)
def test_an_answer_that_comes_late_is_told_by_another_thread(answer: object, kind: str) -> None:
    broker = Broker(None, answer)
    attempt, late = called(broker)
    assert (attempt.kind, attempt.reason) == (
        "unknown",
        "outcome unknown: the broker did not answer within 30 s",
    )
    assert late.get(timeout=PATIENCE).kind == kind
    assert broker.sent.threads[0] == threading.get_ident() != broker.sent.threads[1]


def test_an_interrupted_caller_does_not_lose_the_answer() -> None:
    late: SimpleQueue[Attempt] = SimpleQueue()
    with pytest.raises(KeyboardInterrupt):
        call_broker(Broker(KeyboardInterrupt(), Executed(200)), REQUEST, 30.0, Workers(), late.put)
    assert late.get(timeout=PATIENCE).kind == "executed"


def test_without_a_thread_for_a_late_answer_the_outcome_stays_unknown() -> None:
    attempt, late = called(Broker(None, Executed(200)), NoThreads())
    assert attempt.kind == "unknown"
    assert late.empty()
