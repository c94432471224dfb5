"""``@gated``: a body runs inside of a decision or not at all, with the arguments that were decided."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import inspect
import os
import pickle
import threading
from collections.abc import AsyncIterator, Iterator
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
from delego_agent.gating import DEFAULT
from delego_authorizer import HomeError, PrincipalError, Unsettled
from delego_ledger.errors import StorageError
from delego_spec.gateway import NotSent

WORDS = "tidy up"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return make_home(tmp_path / "home")


@pytest.fixture
def gate(home: Path) -> Iterator[Gate]:
    gate = Gate(home)
    yield gate
    gate.close()


def set_timeout(home: Path, seconds: float) -> None:
    (home / "config.toml").write_text(
        f"version = 1\n[broker]\ntimeout_seconds = {seconds}\n", encoding="utf-8"
    )


# --- decided, then run ----------------------------------------------------------------------------------


def test_an_allowed_function_runs_in_the_callers_thread_and_returns_its_value(home: Path, gate: Gate) -> None:
    value = object()

    @gated("read", gate=gate)
    def read(path: str) -> tuple[object, int, str]:
        return value, threading.get_ident(), path

    with task(WORDS):
        assert read("a") == (value, threading.get_ident(), "a")
    assert executions(home) == ["executed via broker"]


def test_the_receipt_of_a_release_comes_before_the_body(home: Path, gate: Gate) -> None:
    seen: list[Any] = []

    @gated("read", gate=gate)
    def read() -> None:
        seen.extend(receipts(home))

    with task(WORDS):
        read()
    assert [(phase, outcome) for phase, outcome, _ in seen] == [("decision", "allow")]


def test_a_denied_function_does_not_run(gate: Gate) -> None:
    ran: list[str] = []
    forbidden = gated("disk.format", gate=gate)(ran.append)
    unknown = gated("unknown", gate=gate)(ran.append)
    with task(WORDS):
        with pytest.raises(Denied) as caught:
            forbidden("a")
        assert (caught.value.reasons, caught.value.rule) == (("forbidden: Nobody formats disks",), "never")
        with pytest.raises(Denied, match="unknown was denied: no rule matched; default = deny"):
            unknown("a")
    assert ran == []


def test_a_constraint_sees_the_arguments_by_their_names(gate: Gate) -> None:
    @gated("pay", gate=gate)
    def pay(to: str, amount: int = 500) -> None:
        raise AssertionError

    with task(WORDS):
        with pytest.raises(Denied, match="amount: 500"):
            pay("bob")
        with pytest.raises(ApprovalRequired):
            pay("bob", amount=5)


def test_a_held_function_runs_once_when_it_is_called_again_after_the_yes(home: Path, gate: Gate) -> None:
    ran: list[str] = []
    delete = gated("file.delete", gate=gate)(lambda path: ran.append(path))
    with task(WORDS):
        with pytest.raises(ApprovalRequired) as caught:
            delete("a")
        approval = caught.value.approval_id
        with pytest.raises(ApprovalRequired) as caught:
            delete("a")
        assert caught.value.approval_id == approval
        decide(home, approval)
        with pytest.raises(ApprovalRequired):
            delete("b")
        with task("something else"), pytest.raises(ApprovalRequired):
            delete("a")
        assert ran == []
        delete(path="a")
        assert ran == ["a"]
        with pytest.raises(ApprovalRequired) as caught:
            delete("a")
        assert caught.value.approval_id != approval
    assert ran == ["a"]


def test_after_a_no_the_same_call_is_denied(home: Path, gate: Gate) -> None:
    delete = gated("file.delete", gate=gate)(lambda path: None)
    with task(WORDS):
        with pytest.raises(ApprovalRequired) as caught:
            delete("a")
        decide(home, caught.value.approval_id, "deny")
        with pytest.raises(Denied, match="human denied this action"):
            delete("a")


def test_a_rate_limit_counts_calls_that_are_running(gate: Gate) -> None:
    @gated("few", gate=gate)
    def few(left: int) -> int:
        return few(left - 1) + 1 if left else 0

    with task(WORDS), pytest.raises(Denied, match="rate_limit"):
        few(2)


def test_the_url_is_made_of_the_gates_name_and_the_operation(home: Path) -> None:
    gate = Gate(home, name="files", principal="bot")
    delete = gated("file.delete", gate=gate)(lambda path: None)
    with task(WORDS), pytest.raises(ApprovalRequired) as caught:
        delete("a")
    with person(home) as authorizer:
        action = authorizer.ledger.parked_action(caught.value.approval_id)
        approval = authorizer.ledger.approval(caught.value.approval_id)
    assert action is not None
    assert (action.method, action.url, action.params) == ("CALL", "tool://files/file.delete", {"path": "a"})
    assert approval is not None
    assert approval.proposer == "bot"
    gate.close()


# --- arguments ------------------------------------------------------------------------------------------


class Shelf:
    """Methods of every kind."""

    gate: Gate

    def __init__(self, ran: list[Any]) -> None:
        self.ran = ran


def params_of(gate: Gate, home: Path, function: Any, *args: Any, **kwargs: Any) -> Any:
    """The params that a call of ``function`` is decided by."""
    held = gated("file.delete", gate=gate)(function)
    with task(WORDS), pytest.raises(ApprovalRequired) as caught:
        held(*args, **kwargs)
    with person(home) as authorizer:
        action = authorizer.ledger.parked_action(caught.value.approval_id)
    assert action is not None
    return action.params


def test_every_kind_of_parameter_is_a_param_of_its_name(gate: Gate, home: Path) -> None:
    def function(a: int, /, b: int, c: int = 3, *rest: int, d: int, e: int = 5, **more: int) -> None: ...

    everything = {"a": 1, "b": 2, "c": 9, "rest": [8, 7], "d": 4, "e": 5, "more": {"a": 6, "self": 1}}
    assert params_of(gate, home, function, 1, 2, 9, 8, 7, d=4, a=6, self=1) == everything
    few = {"a": 1, "b": 2, "c": 3, "rest": [], "d": 4, "e": 5, "more": {}}
    assert params_of(gate, home, function, 1, d=4, b=2) == few


def test_a_function_of_no_class_may_call_a_parameter_self(gate: Gate, home: Path) -> None:
    def function(self: str) -> None: ...

    assert params_of(gate, home, function, "a") == {"self": "a"}


def test_methods_leave_out_their_object(gate: Gate, home: Path) -> None:
    class Cabinet:
        def __init__(self) -> None:
            self.ran: list[Any] = []

        @gated("read", gate=gate)
        def read(self, path: str) -> Any:
            self.ran.append(path)
            return self

        @classmethod
        @gated("read", gate=gate)
        def of(cls, path: str) -> Any:
            return cls, path

        @staticmethod
        @gated("read", gate=gate)
        def plain(path: str) -> str:
            return path

    cabinet = Cabinet()
    with task(WORDS):
        assert cabinet.read("a") is cabinet
        assert Cabinet.read(cabinet, path="b") is cabinet
        assert Cabinet.of("c") == (Cabinet, "c")
        assert Cabinet.plain("d") == "d"
    assert cabinet.ran == ["a", "b"]
    with person(home) as authorizer:
        actions = [line for line in map(bytes, authorizer.ledger.lines()) if b'\\"path\\":\\"a\\"' in line]
        assert actions
        assert not any(b"self" in line for line in actions)
    assert params_of(gate, home, cabinet.ran.append, "x") == {"object": "x"}


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (Path("a"), r"delete: argument 'path' holds a PosixPath, which cannot be decided; .*str\(path\)"),
        (b"a", "holds a bytes"),
        ({1, 2}, "holds a set"),
        ([1, (2, {"a": object()})], "holds a object"),
        ({1: 2}, "has the key 1, which is a int"),
        (2**60, "beyond 2\\^53-1"),
        (float("nan"), "is not a finite number"),
        ("\ud800", "lone surrogate"),
        (True.__class__, "holds a type"),
        (type("Sly", (str,), {})("a"), "holds a Sly"),
        ("x" * 300_000, "canonical text has 300"),
    ],
)
def test_what_cannot_be_decided_is_a_clear_error(gate: Gate, home: Path, value: Any, says: str) -> None:
    delete = gated("file.delete", gate=gate)(lambda path: None)
    with task(WORDS), pytest.raises(GatedError, match=says):
        delete(value)
    assert not (home / "ledger.db-wal").exists() or receipts(home) == []


def test_a_value_nested_too_deeply_or_in_itself_is_a_clear_error(gate: Gate) -> None:
    delete = gated("file.delete", gate=gate)(lambda path: None)
    circle: list[Any] = []
    circle.append(circle)
    with task(WORDS), pytest.raises(GatedError, match="nested deeper than 64 levels"):
        delete(circle)
    deep: Any = "a"
    for _ in range(63):
        deep = [deep]
    with task(WORDS), pytest.raises(GatedError, match="nested deeper than 64 levels"):
        delete(deep)


def test_arguments_that_do_not_fit_are_the_type_error_of_any_call(gate: Gate, home: Path) -> None:
    delete = gated("file.delete", gate=gate)(lambda path: None)
    with task(WORDS):
        for args, kwargs in (((), {}), (("a", "b"), {}), ((), {"paht": "a"})):
            with pytest.raises(TypeError) as caught:
                delete(*args, **kwargs)
            assert not isinstance(caught.value, GatedError)


def test_a_change_behind_the_decision_reaches_neither_body_nor_decision(home: Path, gate: Gate) -> None:
    names, got = ["a"], []

    @gated("read", gate=gate)
    def read(paths: list[str], more: tuple[float, ...]) -> None:
        names.append("evil")  # as another thread would, after the decision
        got.append((list(paths), more))
        paths.append("mine")

    with task(WORDS):
        read(names, (1.0, 2.5))
        assert got == [(["a"], (1.0, 2.5))]
        assert type(got[0][1][0]) is float
        assert names == ["a", "evil"]


def test_what_a_body_does_to_its_arguments_reaches_no_later_call(home: Path, gate: Gate) -> None:
    got = []

    @gated("file.delete", gate=gate)
    def delete(paths: list[str], default: list[str] = []) -> None:  # noqa: B006 - what careless code has
        got.append((list(paths), list(default)))
        paths.append("evil")
        default.append("evil")

    with task(WORDS), pytest.raises(ApprovalRequired) as caught:
        delete(["a"])
    approve_and_run(caught.value, "alice")
    with pytest.raises(ApprovalRequired) as second:
        caught.value.held_call().again()
    approve_and_run(second.value, "alice")
    assert got == [(["a"], [])] * 2


def test_the_signature_is_the_functions_and_no_way_around_is_left_lying(gate: Gate) -> None:
    @gated("read", gate=gate)
    def read(path: str, *, deep: bool = False) -> int:
        """Read it."""
        return 1

    assert str(inspect.signature(read)) == "(path: 'str', *, deep: 'bool' = False) -> 'int'"
    assert (read.__name__, read.__doc__) == ("read", "Read it.")
    assert not hasattr(read, "__wrapped__")


# --- what can be gated ----------------------------------------------------------------------------------


async def _stream() -> AsyncIterator[int]:
    yield 1


def _unseen() -> None: ...


_unseen.__signature__ = "nothing"  # type: ignore[attr-defined]  # as for parts of C that tell nothing


@pytest.mark.parametrize(
    ("thing", "says"),
    [
        (_stream, "an async generator cannot be gated"),
        (Shelf, "a function can be gated, not a type"),
        (functools.partial(print, "a"), "not a partial"),
        (classmethod(lambda cls: None), "put @gated below @classmethod"),
        (staticmethod(lambda: None), "put @gated below @staticmethod"),
        (property(lambda self: None), "put @gated below @property"),
        (lambda path=Path("a"): None, "argument 'path' holds a PosixPath.*this is the default"),
        (_unseen, "the parameters of .* are not to be seen"),
    ],
)
def test_what_cannot_be_gated_is_refused_at_once(gate: Gate, thing: Any, says: str) -> None:
    with pytest.raises(GatedError, match=says):
        gated("read", gate=gate)(thing)


@pytest.mark.parametrize(
    "name",
    ["", "/a", "a/", "a//b", "..", "a/../b", ".a", "a b", "ä", "a%2Fb", "a?b", "a\n", "x" * 201, 7, None],
)
def test_an_operation_has_a_name_that_passes_the_hazards(gate: Gate, name: Any) -> None:
    with pytest.raises(GatedError, match="no name of an operation"):
        gate.gated(name)


@pytest.mark.parametrize("name", ["", "A", "a.b", "localhost", "a b", "ä", "a/b", "1", "\ud800"])
def test_a_gate_has_a_name_that_passes_the_hazards(home: Path, name: str) -> None:
    with pytest.raises(GatedError, match="is no name of a gate"):
        Gate(home, name=name)


def test_a_gate_needs_a_principal_and_a_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PrincipalError):
        Gate(tmp_path, principal="no spaces")
    monkeypatch.setenv("DELEGO_HOME", str(tmp_path / "nowhere"))
    with task(WORDS), pytest.raises(HomeError):
        gated("read")(lambda: None)()
    DEFAULT.close()


def test_the_default_gate_takes_the_home_of_the_environment(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DELEGO_HOME", str(home))
    with task(WORDS):
        assert gated("read")(lambda: 7)() == 7
    DEFAULT.close()
    assert executions(home) == ["executed via broker"]


def test_a_builtin_can_be_gated(gate: Gate, tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with task(WORDS):
        assert gated("read", gate=gate)(os.listdir)(str(tmp_path / "home" / "approvers")) == []


@pytest.mark.parametrize("kind", ["coroutine", "generator", "async_generator"])
def test_work_that_would_be_done_outside_the_decision_is_refused(home: Path, gate: Gate, kind: str) -> None:
    async def later() -> None:
        raise AssertionError

    made = {"coroutine": later, "async_generator": _stream, "generator": lambda: (one for one in "ab")}
    read = gated("read", gate=gate)(lambda: made[kind]())
    with task(WORDS), pytest.raises(GatedError, match=f"returned a {kind}"):
        read()
    assert executions(home)[0].startswith("outcome unknown")


# --- exceptions -----------------------------------------------------------------------------------------


class BadError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    ("error", "recorded"),
    [
        (ValueError("half done"), "outcome unknown: ValueError: half done"),
        (KeyboardInterrupt(), "outcome unknown: KeyboardInterrupt:"),
        (SystemExit(3), "outcome unknown: SystemExit: 3"),
        (BadError(), "outcome unknown: BadError: (it cannot say)"),
    ],
)
def test_an_exception_is_the_callers_and_its_outcome_unknown(
    home: Path, gate: Gate, error: BaseException, recorded: str
) -> None:
    @gated("read", gate=gate)
    def read() -> None:
        raise error

    with task(WORDS), pytest.raises(type(error)) as caught:
        read()
    assert caught.value is error
    assert [one.strip() for one in executions(home)] == [recorded]


def test_not_sent_says_that_nothing_was_done(home: Path, gate: Gate) -> None:
    @gated("read", gate=gate)
    def read() -> None:
        raise NotSent("no connection")

    with task(WORDS), pytest.raises(NotSent):
        read()
    assert receipts(home)[-1][:2] == ("execution", "deny")
    assert "not_sent: no connection" in receipts(home)[-1][2]


def test_a_call_that_takes_too_long_is_recorded_as_unknown_and_returns_its_value(home: Path) -> None:
    set_timeout(home, 1)
    gate, reported = Gate(home), threading.Event()

    @gated("read", gate=gate)
    def read() -> int:
        while not any("did not answer within" in reasons for _, _, reasons in receipts(home)):
            reported.wait(0.05)
        return 7

    with task(WORDS):
        assert read() == 7
    assert executions(home) == ["outcome unknown: the broker did not answer within 1 s"]
    gate.close()


def test_a_result_that_cannot_be_recorded_is_an_error(home: Path, gate: Gate) -> None:
    ledger: Any = gate.opened().ledger
    submit = ledger.submit

    def failing(steps: Any) -> Any:
        raise StorageError("write", home, "no space left on device", retry_safe=True)

    @gated("read", gate=gate)
    def read(fail: bool) -> None:
        ledger.submit = failing
        if fail:
            raise ValueError("mine")

    with task(WORDS), pytest.raises(Unsettled, match="no space left"):
        read(False)
    ledger.submit = submit
    with task(WORDS), pytest.raises(ValueError, match="mine") as caught:
        read(True)
    ledger.submit = submit
    assert "could not be recorded (no space left on device)" in caught.value.__notes__[0]


def test_a_gated_function_may_call_another_one(home: Path, gate: Gate) -> None:
    inner = gated("read/inner", gate=gate)(lambda: 1)
    outer = gated("read/outer", gate=gate)(lambda: inner() + 1)
    with task(WORDS):
        assert outer() == 2
    assert executions(home) == ["executed via broker"] * 2


def test_a_denied_inner_call_is_the_outer_ones_exception(home: Path, gate: Gate) -> None:
    inner = gated("disk.format", gate=gate)(lambda: 1)
    outer = gated("read", gate=gate)(lambda: inner())
    with task(WORDS), pytest.raises(Denied, match=r"disk\.format"):
        outer()


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
    while gate.opened().ledger.executions():  # until the authorizer has heard of it
        threading.Event().wait(0.01)
    assert ran == []
    assert executions(home) == []


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
