"""Whatever a broker does: it is called once, and the receipt says what is known of the outcome."""

from __future__ import annotations

import contextvars
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from delego_authorizer import Authorizer, Unsettled
from delego_authorizer.workers import Workers
from delego_broker import Executed, NotSent, NullBroker, Refused, Released
from delego_ledger.errors import StorageError
from houses import CONFIG, TOKEN_KEY, Raw, approved, order, read, receipts, story, verified

Build = Callable[..., Authorizer]
IMPATIENT = replace(CONFIG, broker_timeout=0.2)


class MuteError(Exception):
    """Cannot even say what it is."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


class Shapeless:
    """Cannot even be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("no shape")


def raising(error: BaseException) -> Callable[[object], object]:
    def broker(_: object) -> object:
        raise error

    return broker


UNKNOWN: dict[str, tuple[Callable[[object], object], str]] = {
    "raises": (raising(OSError("connection reset")), "the broker failed: OSError: connection reset"),
    "raises without a word": (raising(ValueError()), "the broker failed: ValueError: ValueError"),
    "raises what cannot speak": (raising(MuteError()), "the broker failed: MuteError: MuteError"),
    "raises many lines": (raising(OSError("a\nb\tc\x1c\ud800")), "the broker failed: OSError: a b c ?"),
    "raises at length": (raising(OSError("x" * 10_000)), f"the broker failed: OSError: {'x' * 300}…"),
    "leaves": (raising(SystemExit(3)), "the broker failed: SystemExit: 3"),
    "interrupts itself": (
        raising(KeyboardInterrupt()),
        "the broker failed: KeyboardInterrupt: KeyboardInterrupt",
    ),
    "recurses": (raising(RecursionError("too deep")), "the broker failed: RecursionError: too deep"),
    "fails after sending": (lambda _: Executed(200, error="read\ntimed out"), "read timed out"),
    "returns nothing": (
        lambda _: None,
        "the broker's answer is unusable: a broker returns Executed, Refused or Released, not NoneType None",
    ),
    "returns rubbish": (
        lambda _: {"executed": True},
        "the broker's answer is unusable: a broker returns Executed, Refused or Released, not dict"
        " {'executed': True}",
    ),
    "returns what cannot be shown": (lambda _: Shapeless(), "the broker's answer is unusable: no shape"),
    "returns a result that is not JSON": (
        lambda _: Executed(result={1, 2}),  # type: ignore[arg-type]
        "the broker's answer is unusable: ",
    ),
    "returns a status that is none": (
        lambda _: Executed(status="200"),  # type: ignore[arg-type]
        "the broker's answer is unusable: ",
    ),
    "says that a token was used that was minted for this one call": (
        lambda _: Refused("already_consumed", "the token was used before (jti)"),
        "already_consumed: the token was used before (jti)",
    ),
    "refuses without a code": (
        lambda _: Refused("nonsense", "no"),  # type: ignore[arg-type]
        "the broker's answer is unusable: ",
    ),
}


@pytest.mark.parametrize(("function", "why"), UNKNOWN.values(), ids=UNKNOWN)
def test_where_nobody_knows_the_outcome_the_receipt_says_so_and_nothing_is_sent_again(
    build: Build, function: Callable[[object], object], why: str
) -> None:
    broker = Raw(function)
    authorizer = build(broker=broker)
    decision = authorizer.propose(read())
    assert (decision.outcome, decision.executed, decision.outcome_unknown) == ("allow", None, True)
    assert decision.reasons[-1].startswith(f"outcome unknown: {why}")
    last = receipts(authorizer.ledger)[-1]
    assert (last.phase, last.outcome, last.rule) == ("execution", "allow", "read")
    assert last.reasons == decision.reasons
    assert broker.calls == 1
    assert authorizer.ledger.executions() == ()
    assert authorizer.recover() == ()
    verified(authorizer.ledger)


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (raising(NotSent("no route\nto host")), "not_sent: no route to host"),
        (raising(NotSent()), "not_sent: NotSent"),
        (lambda _: Refused("token_invalid", "expired\n" + "x" * 400), f"token_invalid: expired {'x' * 292}…"),
    ],
)
def test_what_was_surely_not_sent_is_a_denial_and_frees_its_place_under_a_limit(
    build: Build, function: Callable[[object], object], why: str
) -> None:
    broker = Raw(function)
    authorizer = build(broker=broker)
    decision = authorizer.propose(read())
    assert (decision.outcome, decision.executed) == ("deny", False)
    assert decision.reasons == ("matched rule 'read'", f"broker did not execute: {why}")
    last = receipts(authorizer.ledger)[-1]
    assert (last.phase, last.outcome) == ("execution", "deny")
    assert broker.calls == 1


def test_a_status_is_named_and_its_result_handed_on(build: Build) -> None:
    decision = build(broker=Raw(lambda _: Executed(201, {"id": 7.0}))).propose(read())
    assert decision.reasons[-1] == "executed via broker (status 201)"
    assert decision.result == {"id": 7}


def test_a_result_is_handed_on_even_where_the_outcome_is_unknown(build: Build) -> None:
    decision = build(broker=Raw(lambda _: Executed(500, {"partial": True}, "cut off"))).propose(read())
    assert (decision.executed, decision.result) == (None, {"partial": True})


@pytest.mark.parametrize("broker", [NullBroker(), Raw(lambda _: Released())])
def test_what_a_broker_releases_the_caller_executes_with_the_token(build: Build, broker: Any) -> None:
    authorizer = build(broker=broker, config=replace(CONFIG, audience="b"), token_signer=TOKEN_KEY)
    decision = authorizer.propose(read())
    assert (decision.outcome, decision.executed) == ("allow", False)
    assert decision.token is not None
    assert decision.reasons[-1] == "released to the caller: this authorizer calls no broker"


def test_a_broker_that_hangs_is_given_up_and_its_late_answer_changes_nothing(build: Build) -> None:
    let_go = threading.Event()

    def hang(_: object) -> Executed:
        assert let_go.wait(60)
        return Executed(200, {"late": True})

    broker = Raw(hang)
    told = threading.Semaphore(0)
    authorizer = build(broker=broker, config=IMPATIENT, on_receipt=lambda _: told.release())
    approval_id = approved(authorizer, order())
    assert told.acquire(timeout=60)
    decision = authorizer.resolve(approval_id, order())
    assert (decision.outcome, decision.executed) == ("allow", None)
    assert decision.reasons[-1] == "outcome unknown: the broker did not answer within 0.2 s"
    assert authorizer.ledger.executions() == ()
    for _ in range(2):  # parking, and the release
        assert told.acquire(timeout=60)
    let_go.set()
    assert told.acquire(timeout=60)  # of the late receipt
    assert story(authorizer.ledger)[3:] == [
        "execution/allow: human approved by 'alice'",
        "decision/allow: late result, already recorded as outcome unknown; nothing was changed:"
        " executed via broker (status 200)",
    ]
    assert broker.calls == 1
    verified(authorizer.ledger)


def test_a_broker_may_ask_the_authorizer_itself(build: Build) -> None:
    """No lock is held while a broker works: it may propose, decide and recover."""
    inner: list[Any] = []

    def broker(request: Any) -> Executed:
        if request.method == "POST":
            inner.append(authorizer.propose(read()).executed)
            inner.append(authorizer.recover())
            inner.append(authorizer.pending())
        return Executed()

    authorizer = build(broker=Raw(broker))
    assert authorizer.resolve(approved(authorizer, order()), order()).executed
    assert inner == [True, (), ()]


def test_context_variables_reach_the_broker(build: Build) -> None:
    variable = contextvars.ContextVar("variable", default="unset")
    seen: list[str] = []
    authorizer = build(broker=Raw(lambda _: seen.append(variable.get())))
    variable.set("set")
    authorizer.propose(read())
    assert seen == ["set"]


def test_where_no_thread_can_be_had_nothing_is_sent(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(_: object) -> None:
        raise RuntimeError("can't start new thread")

    broker = Raw(lambda _: Executed())
    authorizer = build(broker=broker)
    monkeypatch.setattr(threading.Thread, "start", none_left)
    decision = authorizer.propose(read())
    assert decision.reasons[-1] == "broker did not execute: not_sent: can't start new thread"
    assert (decision.outcome, broker.calls) == ("deny", 0)


def test_a_caller_interrupted_in_the_wait_settles_as_unknown_and_is_interrupted(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_go = threading.Event()
    told = threading.Semaphore(0)

    def hang(_: object) -> Executed:
        assert let_go.wait(60)
        return Executed()

    def interrupted(self: Workers, task: Callable[[], None]) -> None:
        started(self, task)
        raise KeyboardInterrupt

    started = Workers.run
    authorizer = build(broker=Raw(hang), on_receipt=lambda _: told.release())
    monkeypatch.setattr(Workers, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        authorizer.propose(read())
    assert receipts(authorizer.ledger)[-1].reasons[-1] == (
        "outcome unknown: interrupted while the broker was called"
    )
    let_go.set()
    assert told.acquire(timeout=60)
    assert story(authorizer.ledger)[-1].startswith("decision/allow: late result")


@pytest.mark.parametrize(
    "error", [StorageError("write", "x", "disk full", retry_safe=True), OSError("no signer")]
)
def test_a_result_that_cannot_be_recorded_is_told_to_the_caller_alone(build: Build, error: Exception) -> None:
    authorizer = build(broker=Raw(lambda _: Executed(200, "done")))
    ledger: Any = authorizer.ledger
    submit = ledger.submit
    calls = iter([submit, None])

    def failing(steps: Any) -> Any:
        if (how := next(calls)) is None:
            raise error
        return how(steps)

    ledger.submit = failing
    with pytest.raises(Unsettled, match="do not send the action again") as caught:
        authorizer.propose(read())
    ledger.submit = submit
    assert caught.value.outcome == Executed(200, "done")
    assert caught.value.cause is error
    (execution,) = ledger.executions()
    assert caught.value.execution_id == execution.id
    assert authorizer.recover() == ()  # it lives, and its deadline has not come


def test_a_late_answer_that_cannot_be_recorded_is_logged(
    build: Build, caplog: pytest.LogCaptureFixture
) -> None:
    let_go = threading.Event()

    def hang(_: object) -> Executed:
        assert let_go.wait(60)
        return Executed()

    authorizer = build(broker=Raw(hang), config=IMPATIENT)
    authorizer.propose(read())
    ledger: Any = authorizer.ledger
    submit = ledger.submit

    def failing(_: object) -> None:
        raise StorageError("write", "x", "disk full", retry_safe=True)

    ledger.submit = failing
    with caplog.at_level("WARNING", logger="delego.authorizer"):
        let_go.set()
        while "could not be recorded: cannot write 'x': disk full" not in caplog.text:
            pass
    ledger.submit = submit
    assert len(receipts(ledger)) == 2


def test_threads_are_kept_for_the_next_call_and_end_when_there_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys.modules["delego_authorizer.workers"], "KEPT", 0.02)
    workers = Workers()
    threads: list[threading.Thread] = []

    def task() -> None:
        threads.append(threading.current_thread())
        done.release()

    done = threading.Semaphore(0)
    for _ in range(20):
        workers.run(task)
        assert done.acquire(timeout=60)
    assert len(set(threads)) < 20
    for thread in set(threads):
        thread.join(60)
        assert not thread.is_alive()
    workers.run(task)
    assert done.acquire(timeout=60)


def test_a_task_handed_over_at_the_last_moment_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread's patience ends in the instant between being chosen and being told."""
    monkeypatch.setattr(sys.modules["delego_authorizer.workers"], "KEPT", 0.0)
    workers = Workers()
    done = threading.Semaphore(0)
    for _ in range(300):
        workers.run(lambda: done.release())
        assert done.acquire(timeout=60)
