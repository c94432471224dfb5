"""Steps of many callers share commits: nobody pays for another's fault, and nobody is left waiting."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from delego_ledger.errors import StorageError
from delego_ledger.sqlite import MAX_STEPS, SQLiteLedger
from delego_spec.anchors import Anchor
from delego_spec.receipts import Entry
from faultlab import LONG
from houses import LEDGER_KEY, read, receipts, verified


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SQLiteLedger]:
    made = SQLiteLedger.create(tmp_path / "ledger.db", LEDGER_KEY)
    yield made
    made.close()


def entry(text: str) -> Entry:
    action = read()
    return Entry("decision", "deny", None, (text,), action.intent_hash, action.fingerprint, action.summary)


def append(text: str) -> Callable[[Any], Anchor]:
    return lambda transaction: transaction.append(entry(text))


def reasons(ledger: SQLiteLedger) -> list[str]:
    return [one.reasons[0] for one in receipts(ledger)]


class Crowd:
    """Callers that wait for the writer at the same time, each with one step, and what became of each."""

    def __init__(self, ledger: SQLiteLedger) -> None:
        self.ledger = ledger
        self.became: dict[str, object] = {}
        self._threads: list[threading.Thread] = []

    def add(self, name: str, step: Callable[[Any], object]) -> None:
        def call() -> None:
            try:
                self.became[name] = self.ledger.submit([step])[0]
            except BaseException as error:  # noqa: BLE001 - kept, to be looked at
                self.became[name] = error

        waiting = len(self.ledger._waiting)
        thread = threading.Thread(target=call)
        thread.start()
        self._threads.append(thread)
        while len(self.ledger._waiting) == waiting:  # until it stands in line
            pass

    def join(self) -> None:
        for thread in self._threads:
            thread.join(LONG)
            assert not thread.is_alive()


def failing(error: BaseException) -> Callable[[Any], object]:
    def step(transaction: Any) -> object:
        transaction.append(entry("undone"))
        raise error

    return step


def test_a_step_that_raises_fails_its_own_caller_alone(ledger: SQLiteLedger) -> None:
    crowd = Crowd(ledger)
    mine = ValueError("mine")
    with ledger._as_writer():
        crowd.add("a", append("a"))
        crowd.add("b", failing(mine))
        crowd.add("c", append("c"))
    crowd.join()
    assert crowd.became["b"] is mine
    assert isinstance(crowd.became["a"], Anchor)
    assert isinstance(crowd.became["c"], Anchor)
    assert sorted(reasons(ledger)) == ["a", "c"]
    verified(ledger)


@pytest.mark.parametrize("kind", [sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.InterfaceError])
def test_a_statement_refused_for_what_it_says_fails_its_own_caller_alone(
    ledger: SQLiteLedger, kind: type[sqlite3.Error]
) -> None:
    crowd = Crowd(ledger)
    with ledger._as_writer():
        crowd.add("a", append("a"))
        crowd.add("b", failing(kind("refused")))
    crowd.join()
    assert isinstance(crowd.became["a"], Anchor)
    assert isinstance(crowd.became["b"], StorageError)
    assert reasons(ledger) == ["a"]


def test_a_failure_of_the_storage_is_everybodys(ledger: SQLiteLedger) -> None:
    crowd = Crowd(ledger)
    with ledger._as_writer():
        crowd.add("a", append("a"))
        crowd.add("b", failing(sqlite3.OperationalError("disk I/O error")))
    crowd.join()
    assert all(isinstance(became, StorageError) for became in crowd.became.values())
    assert reasons(ledger) == []
    assert ledger.submit([append("later")])[0].seq == 0


@pytest.mark.parametrize("alone", [False, True], ids=["in the shared commit", "when each is run alone"])
def test_an_interrupt_reaches_one_caller_and_leaves_none_waiting(ledger: SQLiteLedger, alone: bool) -> None:
    """The thread that runs everybody's steps is interrupted: the others learn of it and do not hang."""
    crowd = Crowd(ledger)
    calls = iter([ValueError("first"), KeyboardInterrupt()] if alone else [KeyboardInterrupt()])

    def step(transaction: Any) -> object:
        if (error := next(calls, None)) is not None:
            raise error
        return transaction.append(entry("run again"))

    with ledger._as_writer():
        crowd.add("interrupted", step)
        for name in ("b", "c"):
            crowd.add(name, append(name))
    crowd.join()
    became = list(crowd.became.values())
    assert [type(one) for one in became].count(KeyboardInterrupt) == 1
    others = [one for one in became if not isinstance(one, KeyboardInterrupt)]
    assert len(others) == 2
    assert all(isinstance(one, Anchor) or "interrupted" in str(one) for one in others)
    stored = len(receipts(ledger))
    assert stored == sum(isinstance(one, Anchor) for one in others)
    assert ledger.submit([append("later")])[0].seq == stored
    verified(ledger)


def test_a_job_that_was_taken_out_of_the_line_and_lost_is_not_waited_for(
    ledger: SQLiteLedger,
) -> None:
    crowd = Crowd(ledger)
    with ledger._as_writer():
        crowd.add("lost", append("lost"))
        ledger._waiting.popleft()  # as an interrupt at the worst moment would have it
    crowd.join()
    assert "interrupted" in str(crowd.became["lost"])
    assert reasons(ledger) == []


def test_a_caller_interrupted_while_it_waits_has_its_steps_never_run(ledger: SQLiteLedger) -> None:
    class Interrupting:
        """A writer's lock whose wait is interrupted once."""

        def __init__(self, lock: Any) -> None:
            self._lock = lock

        def __enter__(self) -> None:
            ledger._writer = self._lock
            raise KeyboardInterrupt

        def __exit__(self, *_: object) -> None: ...

    ledger._writer = Interrupting(ledger._writer)  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        ledger.submit([append("never")])
    ledger.submit([append("later")])
    assert reasons(ledger) == ["later"]


def test_a_step_that_opens_a_transaction_of_its_own_is_refused_and_leaves_nothing_behind(
    ledger: SQLiteLedger,
) -> None:
    def nested(_: Any) -> object:
        return ledger.submit([append("inner")])

    with pytest.raises(RuntimeError, match="must not open a transaction of its own ledger"):
        ledger.submit([nested])
    ledger.submit([append("later")])
    assert reasons(ledger) == ["later"]


def test_more_steps_than_fit_into_one_commit_are_all_run_in_order(ledger: SQLiteLedger) -> None:
    crowd = Crowd(ledger)
    with ledger._as_writer():
        for number in range(5):
            crowd.add(str(number), append(str(number)))
        crowd.ledger._waiting[0].steps = tuple(append(f"first {n}") for n in range(MAX_STEPS))
    crowd.join()
    assert reasons(ledger) == [*(f"first {n}" for n in range(MAX_STEPS)), "1", "2", "3", "4"]


def test_sixty_four_threads_with_faults_among_them_each_get_their_own_answer(ledger: SQLiteLedger) -> None:
    answers: dict[str, object] = {}
    barrier = threading.Barrier(64, timeout=LONG)

    def work(place: int) -> None:
        barrier.wait()
        for number in range(10):
            name = f"{place}.{number}"
            step = failing(ValueError(name)) if (place + number) % 13 == 0 else append(name)
            try:
                answers[name] = ledger.submit([step])[0]
            except ValueError as error:
                answers[name] = str(error)

    threads = [threading.Thread(target=work, args=(place,)) for place in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    assert len(answers) == 640
    stored = [one.reasons[0] for one in receipts(ledger)]
    for name, answer in answers.items():
        if isinstance(answer, Anchor):
            assert stored[answer.seq] == name
        else:
            assert answer == name
            assert name not in stored
    assert len(stored) == sum(isinstance(answer, Anchor) for answer in answers.values())
    verified(ledger)
