"""What every ledger promises, whatever it is made of."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chains import KEY
from delego_ledger.contract import Ledger, Transaction
from delego_spec.action import Action
from delego_spec.anchors import Anchor
from delego_spec.canonical import digest
from delego_spec.chain import verify_chain
from delego_spec.constraints import CountUnavailable
from delego_spec.errors import CanonicalError, ReceiptError
from delego_spec.receipts import GENESIS, decode_line
from delego_spec.timestamps import format_ts
from delego_spec.types import Digest, Micros
from ledgers import ACTION, BACKENDS, SECOND, START, SetClock, approval, entry, execution


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture(params=sorted(BACKENDS))
def ledger(request: pytest.FixtureRequest, tmp_path: Path, clock: SetClock) -> Iterator[Ledger]:
    made = BACKENDS[request.param](tmp_path, clock)
    yield made
    made.close()


def receipts(ledger: Ledger) -> list[Any]:
    return [decode_line(line).payload for line in ledger.lines()]


def assert_sound(ledger: Ledger, count: int) -> None:
    report = verify_chain(ledger.lines(), KEY, expected_head=ledger.head())
    assert report.problems == ()
    assert report.count == count


# --- receipts ---------------------------------------------------------------------------------------------


def test_a_new_ledger_is_empty_and_names_its_key(ledger: Ledger) -> None:
    assert ledger.public_key == KEY
    assert ledger.head() is None
    assert list(ledger.lines()) == []
    assert ledger.receipt(0) is None
    assert ledger.approvals() == ()
    assert ledger.executions() == ()
    assert list(ledger.evidence_items()) == []


def test_receipts_are_linked_signed_and_numbered(ledger: Ledger, clock: SetClock) -> None:
    with ledger.transaction() as transaction:
        assert transaction.head is None
        assert transaction.now == START
        first = transaction.append(entry())
        second = transaction.append(entry("other"), context={"n": 1, "a": "x"})
        assert transaction.head == second
    clock.now += 5
    with ledger.transaction() as transaction:
        assert transaction.head == second
        third = transaction.append(entry(None, phase="decision", outcome="deny"))
    assert ledger.head() == third == Anchor(2, third.entry_hash)
    assert [one.prev_hash for one in receipts(ledger)] == [GENESIS, first.entry_hash, second.entry_hash]
    assert [one.ts for one in receipts(ledger)] == [format_ts(Micros(START + n)) for n in (0, 0, 5)]
    assert [one.rule for one in receipts(ledger)] == ["small", "other", None]
    found = ledger.receipt(1)
    assert found is not None
    assert (found.anchor, found.context) == (second, {"a": "x", "n": 1})
    assert_sound(ledger, 3)


def test_lines_are_cut_like_a_range(ledger: Ledger) -> None:
    with ledger.transaction() as transaction:
        for _ in range(5):
            transaction.append(entry())
    lines = list(ledger.lines())
    assert len(lines) == 5
    for start in (-3, 0, 1, 4, 5, 9, 2**70):
        for stop in (None, -1, 0, 3, 5, 2**70):
            expected = lines[max(start, 0) : max(stop, 0) if stop is not None else None]
            assert list(ledger.lines(start, stop)) == expected
    assert ledger.receipt(-1) is None
    assert ledger.receipt(2**70) is None


def test_lines_end_at_the_head_of_the_time_they_were_asked_for(ledger: Ledger) -> None:
    ledger.submit([lambda transaction: transaction.append(entry())] * 2)
    lines = ledger.lines()
    ledger.submit([lambda transaction: transaction.append(entry())])
    assert len(list(lines)) == 2


def test_a_reader_sees_nothing_of_a_transaction_before_its_end(ledger: Ledger) -> None:
    with ledger.transaction() as transaction:
        transaction.append(entry())
        transaction.park(approval(), ACTION)
        assert ledger.head() is None
        assert ledger.approval("a-1") is None
    assert ledger.head() is not None
    assert ledger.approval("a-1") == approval()


def test_what_cannot_be_a_receipt_is_refused_and_leaves_the_ledger_as_it_was(ledger: Ledger) -> None:
    with ledger.transaction() as transaction:
        transaction.append(entry())
    head = ledger.head()
    with ledger.transaction() as transaction:
        with pytest.raises(ReceiptError):
            transaction.append(entry(intent_hash="x"))
        with pytest.raises(CanonicalError):
            transaction.append(entry(), context={"a": 2**60})
        assert transaction.head == head
        transaction.append(entry())
    assert_sound(ledger, 2)


# --- time -------------------------------------------------------------------------------------------------


def test_receipt_times_never_run_backwards(ledger: Ledger, clock: SetClock) -> None:
    ledger.submit([lambda transaction: transaction.append(entry())])
    clock.now -= 3600 * SECOND
    assert ledger.submit([lambda transaction: transaction.now]) == [START]
    ledger.submit([lambda transaction: transaction.append(entry())])
    clock.now = START + 1
    ledger.submit([lambda transaction: transaction.append(entry())])
    assert [one.ts for one in receipts(ledger)] == [format_ts(Micros(START + n)) for n in (0, 0, 1)]


# --- counting ---------------------------------------------------------------------------------------------


def count(ledger: Ledger, since: int, rule: str = "small") -> int:
    return ledger.submit([lambda transaction: transaction.count_allows(rule, Micros(since))])[0]


def test_a_window_is_open_at_its_beginning(ledger: Ledger, clock: SetClock) -> None:
    ledger.submit([lambda transaction: transaction.append(entry())])
    window = 60 * SECOND
    for age, counted in ((0, 1), (window - 1, 1), (window, 0), (window + 1, 0)):
        clock.now = START + age
        assert count(ledger, clock.now - window) == counted, age


def test_only_execution_allow_receipts_of_the_rule_count(ledger: Ledger) -> None:
    with ledger.transaction() as transaction:
        transaction.append(entry("small", phase="decision"))
        transaction.append(entry("small", outcome="deny"))
        transaction.append(entry("small", outcome="needs_approval"))
        transaction.append(entry("other"))
        transaction.append(entry(None))
        assert transaction.count_allows("small", Micros(0)) == 0
        transaction.append(entry("small"))
        assert transaction.count_allows("small", Micros(0)) == 1
        assert transaction.count_allows("other", Micros(0)) == 1
    assert count(ledger, 0) == 1
    assert count(ledger, 0, "nobody") == 0


def test_executions_in_flight_count_until_they_are_settled(ledger: Ledger) -> None:
    with ledger.transaction() as transaction:
        transaction.start_execution(execution("e-1"))
        transaction.start_execution(execution("e-2"))
        transaction.start_execution(execution("e-3", rule="other"))
        transaction.start_execution(execution("e-4", rule=None))
        assert transaction.count_allows("small", Micros(START)) == 2
    with ledger.transaction() as transaction:
        assert transaction.settle_execution("e-1")
        transaction.append(entry())
    assert count(ledger, START - 1) == 2
    with ledger.transaction() as transaction:
        assert transaction.settle_execution("e-2")
        transaction.append(entry(outcome="deny"))
    assert count(ledger, START - 1) == 1


@pytest.mark.parametrize(("back", "trusted"), [(2 * SECOND, True), (2 * SECOND + 1, False), (10**12, False)])
def test_a_clock_that_was_set_back_cannot_be_counted_by(
    ledger: Ledger, clock: SetClock, back: int, trusted: bool
) -> None:
    ledger.submit([lambda transaction: transaction.append(entry())])
    clock.now = START - back
    if trusted:
        assert count(ledger, START - 1) == 1
    else:
        with pytest.raises(CountUnavailable, match="set the clock"):
            count(ledger, START - 1)


STEPS = st.lists(
    st.tuples(st.sampled_from(["small", "other", "deny", "start", "settle", "wait"]), st.integers(0, 40)),
    max_size=30,
)


@given(STEPS)
@settings(max_examples=25)
def test_counts_agree_with_counting_by_hand(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    clock = SetClock()
    ledger = BACKENDS["sqlite"](tmp_path_factory.mktemp("count"), clock)
    allows: dict[str, list[int]] = {"small": [], "other": []}
    running: list[str] = []
    for number, (kind, value) in enumerate(steps):
        with ledger.transaction() as transaction:
            if kind == "wait":
                clock.now += value
            elif kind == "deny":
                transaction.append(entry(outcome="deny"))
            elif kind == "start":
                transaction.start_execution(execution(f"e-{number}"))
                running.append(f"e-{number}")
            elif kind == "settle":
                if running:
                    assert transaction.settle_execution(running.pop())
            else:
                transaction.append(entry(kind))
                allows[kind].append(transaction.now)
    for rule, times in allows.items():
        for since in (START - 1, START, clock.now - 20, clock.now):
            by_hand = sum(time > since for time in times) + (len(running) if rule == "small" else 0)
            assert count(ledger, since, rule) == by_hand
    ledger.close()


# --- approvals --------------------------------------------------------------------------------------------


def test_a_parked_approval_is_kept_with_its_action(ledger: Ledger, clock: SetClock) -> None:
    full = approval(
        "a-2",
        created_at=Micros(START + 1),
        scheme="https",
        expires_at=Micros(START + 9),
        release_by=Micros(START + 99),
        required_approvers=2,
        approved_by=("alice",),
        routing_group="treasury",
        reason="over 5000",
        decision_note="é\n",
        rule=None,
    )
    with ledger.transaction() as transaction:
        transaction.park(full, ACTION)
        transaction.park(approval("a-1"), ACTION)
        assert transaction.approval("a-2") == full
    assert ledger.approval("a-2") == full
    assert ledger.parked_action("a-2") == ACTION
    assert ledger.approvals() == (approval("a-1"), full)
    assert ledger.approvals("pending") == (approval("a-1"), full)
    assert ledger.approvals("denied") == ()


@pytest.mark.parametrize("unknown", ["", "a", "a-1 ", "\udcff", "\x00"])
def test_there_is_nothing_under_an_unknown_id(ledger: Ledger, unknown: str) -> None:
    ledger.submit([lambda transaction: transaction.park(approval(), ACTION)])
    assert ledger.approval(unknown) is None
    assert ledger.parked_action(unknown) is None
    assert ledger.evidence(unknown) is None
    assert ledger.submit([lambda transaction: transaction.approval(unknown)]) == [None]


def test_an_approval_is_parked_once_and_only_with_its_own_action(ledger: Ledger) -> None:
    other = Action("place an order", "POST", "https://api.example.com/orders", {"amount": 1})
    reworded = Action("pay", "POST", "https://api.example.com/orders", {"amount": 9000})
    with ledger.transaction() as transaction:
        transaction.park(approval(), ACTION)
        with pytest.raises(ValueError, match="'a-1' is taken"):
            transaction.park(approval(reason="another"), ACTION)
        for wrong in (other, reworded):
            with pytest.raises(ValueError, match="for another action"):
                transaction.park(approval("a-2"), wrong)
    assert ledger.approvals() == (approval(),)


def test_deciding_needs_the_approval_as_it_still_is(ledger: Ledger) -> None:
    once = replace(approval(required_approvers=2), approved_by=("alice",))
    with ledger.transaction() as transaction:
        transaction.park(approval(required_approvers=2), ACTION)
        assert transaction.decide(approval(required_approvers=2), once)
        assert not transaction.decide(approval(required_approvers=2), replace(once, approved_by=("bob",)))
        assert transaction.approval("a-1") == once
        assert not transaction.decide(approval("a-9"), approval("a-9", status="denied"))
    approved = replace(once, status="approved", approved_by=("alice", "bob"))
    assert ledger.submit([lambda transaction: transaction.decide(once, approved)]) == [True]
    assert ledger.approvals("approved") == (approved,)
    assert ledger.approvals("pending") == ()


def test_an_approval_is_consumed_once(ledger: Ledger) -> None:
    approved = approval(status="approved", approved_by=("alice",))
    with ledger.transaction() as transaction:
        transaction.park(approved, ACTION)
        assert transaction.consume(approved)
        assert not transaction.consume(approved)
    assert ledger.submit([lambda transaction: transaction.consume(approved)]) == [False]
    assert ledger.approval("a-1") == replace(approved, status="consumed")


@pytest.mark.parametrize("status", ["pending", "denied", "consumed", "expired"])
def test_only_an_approved_approval_can_be_consumed(ledger: Ledger, status: Any) -> None:
    with ledger.transaction() as transaction:
        transaction.park(approval(status=status), ACTION)
        assert not transaction.consume(approval(status=status))
        assert not transaction.consume(approval(status="approved"))


def test_of_many_threads_one_consumes(ledger: Ledger) -> None:
    approved = approval(status="approved", approved_by=("alice",))
    ledger.submit([lambda transaction: transaction.park(approved, ACTION)])
    start = threading.Barrier(16)

    def release() -> bool:
        start.wait()
        return ledger.submit([lambda transaction: transaction.consume(approved)])[0]

    with ThreadPoolExecutor(16) as pool:
        winners = list(pool.map(lambda _: release(), range(16)))
    assert winners.count(True) == 1


# --- executions, nonces, evidence -------------------------------------------------------------------------


def test_executions_in_flight_are_listed_oldest_first_and_settled_once(ledger: Ledger) -> None:
    second, first = execution("e-2", started_at=START + 1), execution("e-1")
    with ledger.transaction() as transaction:
        transaction.start_execution(second)
        transaction.start_execution(first)
        with pytest.raises(ValueError, match="'e-1' is taken"):
            transaction.start_execution(first)
        assert transaction.executions() == (first, second)
    assert ledger.executions() == (first, second)
    assert ledger.submit([lambda transaction: transaction.settle_execution("e-1")] * 2) == [True, False]
    assert ledger.executions() == (second,)


def test_a_nonce_is_used_once_in_its_scope(ledger: Ledger) -> None:
    later = Micros(START + 10 * SECOND)
    with ledger.transaction() as transaction:
        assert transaction.use_nonce("jti", "n", later)
        assert not transaction.use_nonce("jti", "n", later)
        assert transaction.use_nonce("cns", "n", later)
        assert transaction.use_nonce("jti", "N", later)
    assert ledger.submit([lambda transaction: transaction.use_nonce("jti", "n", later)]) == [False]


def test_a_nonce_is_kept_until_its_time_and_no_longer(ledger: Ledger, clock: SetClock) -> None:
    until = Micros(START + 10)
    use: Callable[[Transaction], bool] = lambda transaction: transaction.use_nonce("s", "n", until)  # noqa: E731
    assert ledger.submit([use]) == [True]
    clock.now = until
    assert ledger.submit([use]) == [False]
    clock.now = until + 1
    assert ledger.submit([use]) == [True]


def test_evidence_is_kept_under_its_hash(ledger: Ledger) -> None:
    items = {digest({"n": n}): {"n": n, "text": "é"} for n in range(5)}
    with ledger.transaction() as transaction:
        for key, item in items.items():
            transaction.put_evidence(key, item)  # type: ignore[arg-type]  # JSON
        transaction.put_evidence(next(iter(items)), {"another": 1})
    for key, item in items.items():
        assert ledger.evidence(key) == item
    assert list(ledger.evidence_items()) == sorted(items.items())
    assert ledger.evidence(Digest("0" * 64)) is None


# --- transactions and steps -------------------------------------------------------------------------------


def write_everything(transaction: Transaction) -> None:
    transaction.append(entry())
    transaction.park(approval(), ACTION)
    transaction.start_execution(execution())
    transaction.use_nonce("s", "n", Micros(START + SECOND))
    transaction.put_evidence(Digest("ab" * 32), {"a": 1})


def assert_untouched(ledger: Ledger) -> None:
    assert ledger.head() is None
    assert ledger.approvals() == ()
    assert ledger.executions() == ()
    assert ledger.evidence("ab" * 32) is None
    assert ledger.submit([lambda transaction: transaction.use_nonce("s", "n", Micros(START))]) == [True]
    assert count(ledger, 0) == 0


def test_a_block_that_raises_leaves_no_trace(ledger: Ledger) -> None:
    with pytest.raises(KeyError), ledger.transaction() as transaction:  # noqa: PT012 - the block is the point
        write_everything(transaction)
        raise KeyError
    assert_untouched(ledger)


def test_a_step_that_raises_leaves_no_trace(ledger: Ledger) -> None:
    def step(transaction: Transaction) -> None:
        write_everything(transaction)
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        ledger.submit([step])
    assert_untouched(ledger)


def test_a_step_that_raises_rolls_back_only_itself(ledger: Ledger) -> None:
    def failing(transaction: Transaction) -> Anchor:
        transaction.append(entry("failed"))
        raise KeyError("first")

    def failing_too(transaction: Transaction) -> Anchor:
        raise KeyError("second")

    def good(transaction: Transaction) -> Anchor:
        return transaction.append(entry("good"))

    with pytest.raises(KeyError, match="first"):
        ledger.submit([good, failing, good, failing_too, good])
    assert [one.rule for one in receipts(ledger)] == ["good"] * 3
    assert_sound(ledger, 3)


def test_steps_run_in_order_each_as_if_alone(ledger: Ledger) -> None:
    results = ledger.submit([lambda transaction: transaction.append(entry()).seq] * 10)
    assert results == list(range(10))
    assert ledger.submit([]) == []


def test_more_steps_than_one_commit_takes(ledger: Ledger) -> None:
    assert ledger.submit([lambda transaction: transaction.append(entry()).seq] * 600) == list(range(600))
    assert_sound(ledger, 600)


@pytest.mark.parametrize("how", ["transaction", "submit", "close"])
def test_a_step_cannot_open_a_transaction_of_its_own_ledger(ledger: Ledger, how: str) -> None:
    ran: list[str] = []

    def nested(transaction: Transaction) -> None:
        transaction.append(entry())
        if how == "transaction":
            with ledger.transaction():
                ran.append("inner")
        elif how == "submit":
            ledger.submit([lambda _: ran.append("inner")])
        else:
            ledger.close()

    with pytest.raises(RuntimeError, match="must not open a transaction of its own ledger"):
        ledger.submit([nested])
    ledger.submit([lambda _: ran.append("next")])
    assert ran == ["next"]
    assert ledger.head() is None


def test_a_transaction_is_over_when_its_block_is(ledger: Ledger) -> None:
    with ledger.transaction() as transaction:
        transaction.append(entry())
    uses: list[Callable[[], object]] = [
        lambda: transaction.append(entry()),
        lambda: transaction.count_allows("small", Micros(0)),
        lambda: transaction.park(approval(), ACTION),
        lambda: transaction.approval("a-1"),
        lambda: transaction.consume(approval(status="approved")),
        lambda: transaction.start_execution(execution()),
        lambda: transaction.settle_execution("e-1"),
        lambda: transaction.executions(),
        lambda: transaction.use_nonce("s", "n", Micros(0)),
        lambda: transaction.put_evidence(Digest("ab" * 32), {}),
    ]
    for use in uses:
        with pytest.raises(RuntimeError, match="the transaction is over"):
            use()
    assert_sound(ledger, 1)


def test_a_ledger_that_was_closed_opens_again_when_it_is_used(ledger: Ledger) -> None:
    ledger.submit([lambda transaction: transaction.append(entry())])
    ledger.close()
    ledger.close()
    ledger.submit([lambda transaction: transaction.append(entry())])
    assert_sound(ledger, 2)


# --- many threads -----------------------------------------------------------------------------------------


def test_threads_that_wait_together_share_commits(ledger: Ledger) -> None:
    threads = 16
    inside, waiting = threading.Event(), threading.Event()
    groups: dict[int, int] = {}
    lock = threading.Lock()

    def holding(transaction: Transaction) -> None:
        inside.set()
        waiting.wait(10)

    def step(transaction: Transaction) -> int:
        with lock:
            groups[id(transaction)] = groups.get(id(transaction), 0) + 1
        keep.append(transaction)  # so that no other transaction gets the same id
        return transaction.append(entry()).seq

    keep: list[Transaction] = []
    with ThreadPoolExecutor(threads + 1) as pool:
        first = pool.submit(ledger.submit, [holding])
        inside.wait(10)
        others = [pool.submit(ledger.submit, [step]) for _ in range(threads)]
        while len(getattr(ledger, "_waiting", range(threads))) < threads:  # where a backend has such a line
            time.sleep(0.001)
        waiting.set()
        first.result()
        seqs = sorted(seq for other in others for seq in other.result())
    assert seqs == list(range(threads))
    assert len(groups) < threads / 2
    assert_sound(ledger, threads)


def test_one_thread_s_failing_step_costs_the_others_nothing(ledger: Ledger) -> None:
    def work(number: int) -> object:
        def step(transaction: Transaction) -> int:
            seq = transaction.append(entry(f"r{number}")).seq
            if number % 4 == 3:
                raise KeyError(number)
            return seq

        try:
            return ledger.submit([step])[0]
        except KeyError as error:
            return error.args[0]

    with ThreadPoolExecutor(16) as pool:
        results = list(pool.map(work, range(64)))
    for number, result in enumerate(results):
        if number % 4 == 3:
            assert result == number
        else:
            found = ledger.receipt(int(str(result)))
            assert found is not None
            assert found.payload.rule == f"r{number}"
    assert_sound(ledger, 48)


def test_a_rate_limit_is_exact_among_threads(ledger: Ledger) -> None:
    def propose(number: int) -> bool:
        def step(transaction: Transaction) -> bool:
            if transaction.count_allows("small", Micros(START - SECOND)) >= 5:
                return False
            transaction.start_execution(execution(f"e-{number}"))
            return True

        if not ledger.submit([step])[0]:
            return False
        with ledger.transaction() as transaction:
            assert transaction.settle_execution(f"e-{number}")
            transaction.append(entry())
        return True

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(propose, range(40))).count(True) == 5
