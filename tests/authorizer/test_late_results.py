"""A result that meets an execution which somebody settled meanwhile is recorded, and changes nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from delego_authorizer import Authorizer
from delego_authorizer.brokering import Attempt
from delego_authorizer.settling import late_step
from delego_broker import Executed, NotSent
from houses import CONFIG, FakeClock, Raw, few, read, receipts, verified

Build = Callable[..., Authorizer]


def settled_by_another(
    build: Build, clock: FakeClock, answer: Callable[[], object]
) -> tuple[Authorizer, Any]:
    """A propose whose execution another process declares overdue while the broker works."""
    other = build()

    def broker(_: object) -> object:
        clock.pass_seconds(3600)
        assert len(other.recover()) == 1
        return answer()

    authorizer = build(broker=Raw(broker))
    return authorizer, authorizer.propose(few())


def not_sent() -> object:
    raise NotSent("no route")


@pytest.mark.parametrize(
    ("answer", "outcome", "reason"),
    [
        (lambda: Executed(200), "allow", "executed via broker (status 200)"),
        (not_sent, "deny", "broker did not execute: not_sent: no route"),
    ],
)
def test_a_result_after_the_deadline_is_recorded_as_late(
    build: Build, clock: FakeClock, answer: Callable[[], object], outcome: str, reason: str
) -> None:
    authorizer, decision = settled_by_another(build, clock, answer)
    assert decision.outcome == outcome  # the caller learns what the broker said
    unknown, late = receipts(authorizer.ledger)[1:]
    assert (unknown.phase, unknown.outcome, unknown.rule) == ("execution", "allow", "few")
    assert (late.phase, late.outcome, late.rule) == ("decision", "allow", None)
    said = f"late result, already recorded as outcome unknown; nothing was changed: {reason}"
    assert late.reasons[0] == said
    assert late.reasons[1].startswith("policy sha256:")
    assert decision.receipt == authorizer.ledger.head()
    verified(authorizer.ledger)


def test_a_late_result_counts_for_no_rate_limit_a_second_time(build: Build, clock: FakeClock) -> None:
    settled_by_another(build, clock, lambda: Executed())
    plain = build()
    assert plain.propose(few()).reasons[0] == "rate_limit: 2/3 per hour"


def test_an_answer_after_a_give_up_that_could_not_be_recorded_settles_its_execution(build: Build) -> None:
    """The caller gave up and the disk was full: the late answer is the first that is known of it."""
    authorizer = build(broker=Raw(lambda _: Executed()))
    seen: list[Any] = []
    authorizer._settle = lambda execution, attempt: seen.append(execution)  # type: ignore[method-assign,assignment]
    authorizer.propose(read())
    authorizer.ledger.submit([late_step(seen[0], Attempt("executed", "executed via broker"), "policy")])
    assert authorizer.ledger.executions() == ()
    last = receipts(authorizer.ledger)[-1]
    assert (last.phase, last.outcome, last.rule) == ("execution", "allow", "read")
    assert last.reasons[-1] == "outcome unknown: no result was recorded by the deadline; executed via broker"


def test_a_late_answer_waits_until_the_giving_up_is_recorded(build: Build) -> None:
    """Else the ledger would tell the story the wrong way round."""
    let_go = threading.Event()

    def hang(_: object) -> Executed:
        assert let_go.wait(60)
        return Executed()

    told = threading.Semaphore(0)
    authorizer = build(
        broker=Raw(hang), config=replace(CONFIG, broker_timeout=0.05), on_receipt=lambda _: told.release()
    )
    ledger: Any = authorizer.ledger
    submit = ledger.submit

    def slow(steps: Any) -> Any:
        if ledger.executions() and not let_go.is_set():  # the caller settles: let the answer come first
            let_go.set()
            assert not told.acquire(timeout=0.1)
        return submit(steps)

    ledger.submit = slow
    authorizer.propose(read())
    for _ in range(2):
        assert told.acquire(timeout=60)
    unknown, late = receipts(ledger)[1:]
    assert unknown.reasons[-1] == "outcome unknown: the broker did not answer within 0.05 s"
    assert late.reasons[0].endswith("nothing was changed: executed via broker")
