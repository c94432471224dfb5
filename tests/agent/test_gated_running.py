"""``@gated`` where it is called: tasks, threads, asyncio, generators, a person in the same process."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agents import decide, executions, make_home, person, receipts
from delego_agent import (
    ApprovalRequired,
    Denied,
    Gate,
    GatedError,
    NoTask,
    NotDecided,
    TaskError,
    approve_and_run,
    gated,
    task,
)

WORDS = "tidy up"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return make_home(tmp_path / "home")


@pytest.fixture
def gate(home: Path) -> Iterator[Gate]:
    gate = Gate(home)
    yield gate
    gate.close()


# --- the task -------------------------------------------------------------------------------------------


def test_without_a_task_nothing_is_proposed(home: Path, gate: Gate) -> None:
    read = gated("read", gate=gate)(lambda: 1)
    with pytest.raises(NoTask, match="'read' was called outside of a task"):
        read()
    with task(WORDS):
        read()
    with pytest.raises(NoTask):
        read()
    assert len(receipts(home)) == 2


@pytest.mark.parametrize(
    "words", ["", "  \n", "a\u202eb", "a\x00b", "\ud800", "\x1ca", "x" * 20_000, b"a", None, 7]
)
def test_a_task_has_words_that_can_be_an_instruction(words: Any) -> None:
    with pytest.raises(TaskError):
        task(words)


def seen_words(gate: Gate, home: Path) -> Any:
    delete = gated("file.delete", gate=gate)(lambda: None)

    def words() -> str:
        with pytest.raises(ApprovalRequired) as caught:
            delete()
        with person(home) as authorizer:
            approval = authorizer.ledger.approval(caught.value.approval_id)
        assert approval is not None
        return approval.instruction

    return words


def test_an_inner_task_stands_in_for_the_outer_one(home: Path, gate: Gate) -> None:
    words = seen_words(gate, home)
    again = task("outer")
    with again:
        with task("inner"), again:
            assert words() == "outer"
        assert words() == "outer"
        with contextlib.suppress(ZeroDivisionError), task("inner"):
            assert words() == "inner"
            raise ZeroDivisionError
        assert words() == "outer"
    with again:
        assert words() == "outer"


def test_blocks_left_in_another_order_take_only_their_own_words(home: Path, gate: Gate) -> None:
    words = seen_words(gate, home)
    first, second = task("first"), task("second")
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert words() == "second"
    second.__exit__(None, None, None)
    second.__exit__(None, None, None)
    with pytest.raises(NoTask):
        gated("read", gate=gate)(lambda: 1)()


def test_a_new_thread_has_no_task_and_a_copied_context_has(home: Path, gate: Gate) -> None:
    read, caught = gated("read", gate=gate)(lambda: 1), []

    def in_thread() -> None:
        try:
            caught.append(read())
        except NoTask as error:
            caught.append(type(error))

    with task(WORDS):
        context = contextvars.copy_context()
        for target in (in_thread, lambda: context.run(in_thread)):
            thread = threading.Thread(target=target)
            thread.start()
            thread.join()
    assert caught[1] == 1
    # From Python 3.14 on, free-threaded builds hand the context on.
    assert caught[0] in (NoTask, 1)


def test_each_thread_has_its_own_task(home: Path, gate: Gate) -> None:
    words, found, barrier = seen_words(gate, home), {}, threading.Barrier(4)

    def work(mine: str) -> None:
        with task(mine):
            barrier.wait()
            found[mine] = words()

    threads = [threading.Thread(target=work, args=(f"words {number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {mine: mine for mine in found}
    assert len(found) == 4


def test_asyncio_tasks_have_the_task_they_were_started_in(home: Path, gate: Gate) -> None:
    delete = gated("file.delete", gate=gate)(lambda: None)

    async def one(words: str) -> str:
        await asyncio.sleep(0)
        with pytest.raises(ApprovalRequired) as caught:
            await asyncio.to_thread(delete)
        held = gate.opened().ledger.approval(caught.value.approval_id)
        assert held is not None
        return held.instruction

    async def main() -> None:
        running = []
        for words in ("first", "second"):
            with task(words):
                running.append(asyncio.create_task(one(words)))
        assert await asyncio.gather(*running) == ["first", "second"]

    asyncio.run(main())


# --- async ----------------------------------------------------------------------------------------------


def test_an_async_function_runs_in_the_callers_task(home: Path, gate: Gate) -> None:
    @gated("read", gate=gate)
    async def read(path: str) -> Any:
        await asyncio.sleep(0)
        return asyncio.current_task(), path

    async def main() -> None:
        assert inspect.iscoroutinefunction(read)
        with task(WORDS):
            assert await read("a") == (asyncio.current_task(), "a")

    asyncio.run(main())
    assert executions(home) == ["executed via broker"]


def test_a_change_while_the_decision_is_made_does_not_reach_the_body(home: Path, gate: Gate) -> None:
    names, got = ["a"], []

    @gated("read", gate=gate)
    async def read(paths: list[str]) -> None:
        got.append(paths)

    async def main() -> None:
        with gate.opened().ledger.transaction():  # the decision has to wait for this
            with task(WORDS):
                running = asyncio.create_task(read(names))
            await asyncio.sleep(0)  # the call has begun
            names.append("evil")
        await running

    asyncio.run(main())
    assert (got, names) == ([["a"]], ["a", "evil"])


def test_an_async_function_is_denied_and_held_as_any_other(home: Path, gate: Gate) -> None:
    ran = []

    @gated("disk.format", gate=gate)
    async def wipe() -> None:
        raise AssertionError

    @gated("file.delete", gate=gate)
    async def delete(path: str) -> str:
        ran.append(path)
        return path

    async def main() -> None:
        with task(WORDS):
            with pytest.raises(Denied):
                await wipe()
            with pytest.raises(ApprovalRequired) as caught:
                await delete("a")
        assert await approve_and_run(caught.value, "alice") == "a"
        with task(WORDS), pytest.raises(ApprovalRequired) as caught:
            await delete("a")
        with pytest.raises(NotDecided):
            await caught.value.released(timeout=0.01)
        waiting = asyncio.create_task(caught.value.released(timeout=60))
        await asyncio.to_thread(decide, home, caught.value.approval_id)
        assert await waiting == "a"

    asyncio.run(main())
    assert ran == ["a", "a"]


def test_a_cancelled_body_is_outcome_unknown(home: Path, gate: Gate) -> None:
    async def main() -> None:
        begun = asyncio.Event()

        @gated("read", gate=gate)
        async def read() -> None:
            begun.set()
            await asyncio.Event().wait()

        with task(WORDS):
            running = asyncio.create_task(read())
        await begun.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(main())
    assert [one.strip() for one in executions(home)] == ["outcome unknown: CancelledError:"]


def test_a_call_cancelled_before_its_body_never_runs(home: Path, gate: Gate) -> None:
    ran = []

    @gated("read", gate=gate)
    async def read() -> None:
        ran.append(1)

    async def main() -> None:
        with task(WORDS):
            running = asyncio.create_task(read())
        await asyncio.sleep(0)
        with gate.opened().ledger.transaction():  # the decision has to wait for this
            await asyncio.sleep(0)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running

    asyncio.run(main())
    while not (said := [one for one in receipts(home) if one[0] == "execution"]):  # the authorizer goes on
        threading.Event().wait(0.01)
    assert [(outcome, reasons.rpartition("not_sent: ")[2]) for _, outcome, reasons in said] == [
        ("deny", "the caller was gone before the function ran")
    ]
    assert ran == []


def test_many_async_calls_at_once_do_not_mix(home: Path, gate: Gate) -> None:
    @gated("read", gate=gate)
    async def read(number: int) -> int:
        await asyncio.sleep(0)
        return number

    async def main() -> None:
        with task(WORDS):
            assert await asyncio.gather(*(read(number) for number in range(40))) == list(range(40))

    asyncio.run(main())
    assert len(executions(home)) == 40


# --- generators -----------------------------------------------------------------------------------------


def test_a_generator_is_decided_when_its_first_value_is_asked_for(home: Path, gate: Gate) -> None:
    @gated("read", gate=gate)
    def lines(path: str) -> Any:
        got = yield path
        yield got
        return "end"

    with task(WORDS):
        reading = lines("a")
    assert receipts(home) == []
    assert next(reading) == "a"
    assert reading.send("b") == "b"
    with pytest.raises(StopIteration) as caught:
        next(reading)
    assert caught.value.value == "end"
    assert executions(home) == ["executed via broker"]


def test_a_generator_that_is_never_asked_is_never_released(home: Path, gate: Gate) -> None:
    @gated("read", gate=gate)
    def lines() -> Iterator[int]:
        yield 1

    with task(WORDS):
        lines().close()
    assert receipts(home) == []


def test_a_generator_is_denied_before_its_body(gate: Gate) -> None:
    @gated("disk.format", gate=gate)
    def wipe() -> Iterator[int]:
        raise AssertionError
        yield 1

    with task(WORDS), pytest.raises(Denied):
        next(wipe())


@pytest.mark.parametrize("end", ["close", "throw"])
def test_a_generator_that_is_stopped_is_outcome_unknown(home: Path, gate: Gate, end: str) -> None:
    cleaned = []

    @gated("read", gate=gate)
    def lines() -> Iterator[int]:
        try:
            yield 1
            yield 2
        finally:
            cleaned.append(1)

    with task(WORDS):
        reading = lines()
        next(reading)
    if end == "close":
        reading.close()
    else:
        with pytest.raises(ValueError, match="out"):
            reading.throw(ValueError("out"))
    assert cleaned == [1]
    for _ in range(200):
        if executions(home):
            break
        threading.Event().wait(0.05)
    (said,) = executions(home)
    assert said.startswith("outcome unknown: ")


def test_a_held_generator_runs_after_the_yes(gate: Gate) -> None:
    @gated("file.delete", gate=gate)
    def lines() -> Iterator[int]:
        yield from (1, 2)

    with task(WORDS), pytest.raises(ApprovalRequired) as caught:
        next(lines())
    assert list(approve_and_run(caught.value, "alice")) == [1, 2]


# --- the person's side of one process -------------------------------------------------------------------


def test_a_yes_that_does_not_count_runs_nothing(gate: Gate) -> None:
    delete = gated("file.delete", gate=gate)(lambda: None)
    with task(WORDS), pytest.raises(ApprovalRequired) as caught:
        delete()
    with pytest.raises(
        Denied, match="the yes of 'mallory' does not count: 'mallory' is not one of the configured"
    ):
        approve_and_run(caught.value, "mallory")


def test_released_waits_for_a_plain_function_as_well(home: Path, gate: Gate) -> None:
    delete = gated("file.delete", gate=gate)(lambda: 7)
    with task(WORDS), pytest.raises(ApprovalRequired) as caught:
        delete()
    decide(home, caught.value.approval_id)
    assert asyncio.run(caught.value.released()) == 7


def test_after_a_no_released_is_denied(home: Path, gate: Gate) -> None:
    delete = gated("file.delete", gate=gate)(lambda: 7)
    with task(WORDS), pytest.raises(ApprovalRequired) as caught:
        delete()
    decide(home, caught.value.approval_id, "deny")
    with pytest.raises(Denied, match="human denied"):
        asyncio.run(caught.value.released(timeout=5))


@pytest.mark.parametrize(
    "error",
    [Denied("x", ("a", "b"), "r"), ApprovalRequired("x", "apr_1", ("a",)), NotDecided("apr_1", 2.0)],
    ids=lambda error: type(error).__name__,
)
def test_errors_cross_process_borders_without_the_call(error: Exception) -> None:
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert (str(copy), vars(copy)) == (str(error), vars(error))


def test_an_exception_of_another_process_is_of_no_use_to_say_yes(home: Path, gate: Gate) -> None:
    delete = gated("file.delete", gate=gate)(lambda: 7)
    with task(WORDS), pytest.raises(ApprovalRequired) as caught:
        delete()
    stranger = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 - our own
    assert stranger.approval_id == caught.value.approval_id
    with pytest.raises(GatedError, match="another process"):
        approve_and_run(stranger, "alice")
    with pytest.raises(GatedError, match="another process"):
        asyncio.run(stranger.released())


# --- a crash --------------------------------------------------------------------------------------------

CHILD = """
import sys, time
from delego_agent import Gate, gated, task

@gated("file.delete", gate=Gate(sys.argv[1]))
def delete():
    print("running", flush=True)
    time.sleep(600)

with task("tidy up"):
    delete()
"""


def test_a_body_that_is_killed_is_outcome_unknown_and_runs_never_again(home: Path, gate: Gate) -> None:
    ran: list[int] = []
    delete = gated("file.delete", gate=gate)(lambda: ran.append(1))
    with task(WORDS), pytest.raises(ApprovalRequired) as caught:
        delete()
    decide(home, caught.value.approval_id)
    with subprocess.Popen([sys.executable, "-c", CHILD, str(home)], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"running\n"
        child.kill()
    gate.close()
    with task(WORDS), pytest.raises(ApprovalRequired) as again:
        delete()
    assert again.value.approval_id != caught.value.approval_id
    assert ran == []
    (said,) = executions(home)
    assert said.startswith("outcome unknown: the process that called the broker ended")


def test_a_held_call_is_made_again_under_its_own_words(gate: Gate) -> None:
    inner = gated("read", gate=gate)(lambda: 7)
    outer = gated("file.delete", gate=gate)(lambda: inner())

    @gated("file.delete", gate=gate)
    async def later() -> int:
        return inner()

    with task(WORDS), pytest.raises(ApprovalRequired) as caught:
        outer()
    assert approve_and_run(caught.value, "alice") == 7

    async def main() -> int:
        with task("other words"), pytest.raises(ApprovalRequired) as caught:
            await later()
        result: int = await approve_and_run(caught.value, "alice")
        return result

    assert asyncio.run(main()) == 7
